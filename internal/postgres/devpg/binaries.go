package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version that Gatehouse supports.
const oldest = 15

// binaries is a directory with the programs of one PostgreSQL release.
type binaries struct {
	dir     string
	version string
	major   int
}

// program returns the path of one of the release's programs.
func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// findBinaries looks where packages put a server. With an existing cluster (its major version, else 0) only that
// version will do: PostgreSQL does not open the files of another one.
func findBinaries(existing int, data string) (binaries, error) {
	var tooOld, otherMajor []string
	for _, dir := range candidates() {
		found, err := inspect(dir)
		switch {
		case err != nil && os.Getenv("GATEHOUSE_PG_BIN") != "":
			return binaries{}, fmt.Errorf("GATEHOUSE_PG_BIN=%s: %w", dir, err)
		case err != nil:
			continue
		case found.major < oldest:
			tooOld = append(tooOld, found.version+" in "+dir)
		case existing != 0 && found.major != existing:
			otherMajor = append(otherMajor, found.version+" in "+dir)
		default:
			return found, nil
		}
	}
	if len(otherMajor) > 0 {
		return binaries{}, fmt.Errorf("the cluster in %s was made by PostgreSQL %d, but the server found is %s; install PostgreSQL %d, or remove that directory to start with an empty database",
			data, existing, strings.Join(otherMajor, ", "), existing)
	}
	return binaries{}, notFound(tooOld)
}

// candidates lists the directories to try, best first.
func candidates() []string {
	if dir := os.Getenv("GATEHOUSE_PG_BIN"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// A distribution may link single programs into the path; their siblings are where the link leads.
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(resolved))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		slices.SortFunc(found, func(a, b string) int { return pathVersion(b) - pathVersion(a) })
		dirs = append(dirs, found...)
	}
	return dirs
}

// pathVersion returns the first number in a path, which is the major version everywhere packages put a server.
func pathVersion(path string) int {
	n, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(path))
	if err != nil {
		return 0
	}
	return n
}

// inspect checks that a directory has the programs needed and asks the server for its version, which it tells even
// to root.
func inspect(dir string) (binaries, error) {
	b := binaries{dir: dir}
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := exec.LookPath(b.program(name)); err != nil {
			return binaries{}, fmt.Errorf("no %s there: %w", name, err)
		}
	}
	out, err := exec.Command(b.program("postgres"), "--version").Output() //nolint:gosec,noctx // the directory is the developer's own choice, and the answer comes at once
	if err != nil {
		return binaries{}, fmt.Errorf("ask for its version: %w", err)
	}
	return parseVersion(dir, string(out))
}

// parseVersion reads a line such as "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "… 19beta1".
func parseVersion(dir, line string) (binaries, error) {
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`).FindStringSubmatch(line)
	if match == nil {
		return binaries{}, fmt.Errorf("version not understood: %q", strings.TrimSpace(line))
	}
	major, err := strconv.Atoi(match[2])
	if err != nil {
		return binaries{}, fmt.Errorf("version not understood: %w", err)
	}
	return binaries{dir: dir, version: match[1], major: major}, nil
}

// notFound is the error that tells a newcomer what to do; each line can be pasted.
func notFound(tooOld []string) error {
	install := "sudo apt-get install postgresql"
	if runtime.GOOS == "darwin" {
		install = "brew install postgresql@17"
	}
	text := fmt.Sprintf("no PostgreSQL server, version %d or newer, is installed here", oldest)
	if len(tooOld) > 0 {
		text += " (too old: " + strings.Join(tooOld, ", ") + ")"
	}
	return errors.New(text + `. Any one of these helps:
  make deps                                        # or: ` + install + `
  export GATEHOUSE_PG_BIN=/path/to/postgresql/bin  # where postgres and initdb are
  docker run -d -p 127.0.0.1:5432:5432 -e POSTGRES_PASSWORD=dev postgres:17 && export GATEHOUSE_DATABASE_URL='postgres://postgres:dev@127.0.0.1:5432/postgres?sslmode=disable'`)
}

// clusterVersion returns the major version that made a cluster, or 0 when there is none.
func clusterVersion(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of the development database: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read version of the development database: %w", err)
	}
	return major, nil
}
