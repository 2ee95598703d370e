package main

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(content)
}

// block is the first fenced block of a language in a document.
func block(t *testing.T, document, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(document, "\n```"+language+"\n")
	require.True(t, found, "no block of %s", language)
	text, _, found := strings.Cut(rest, "\n```")
	require.True(t, found)
	return text + "\n"
}

// isSecret asks the configuration itself: a secret is what may be given as a path.
func isSecret(name string) bool {
	var invalid config.Invalid
	_, err := config.Load([]string{name + "_FILE="}, config.Options{Mode: config.ModeDev})
	return !errors.As(err, &invalid) || !slices.ContainsFunc(invalid, func(i config.Issue) bool { return i.Name == name+"_FILE" })
}

func TestReadme(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")

	t.Run("lists_every_setting_with_its_default", func(t *testing.T) {
		t.Parallel()
		rows := map[string][]string{}
		for _, line := range strings.Split(readme, "\n") {
			if cells := strings.Split(line, "|"); len(cells) == 6 && strings.HasPrefix(line, "| `") {
				rows[strings.Trim(cells[1], " `")] = cells
			}
		}
		loaded, _ := config.Load(nil, config.Options{Mode: config.ModeServe}) // incomplete, and shown all the same
		require.NotEmpty(t, loaded.Settings())
		for _, s := range loaded.Settings() {
			cells, ok := rows[s.Name]
			require.True(t, ok, "%s is not in the table", s.Name)
			require.Equal(t, s.Value, strings.Trim(cells[2], " `"), "the default of %s", s.Name)
			// The four flags have no prefix, so the configuration cannot tell a stranger's variable from a path.
			secret := strings.HasPrefix(s.Name, "GATEHOUSE_") && isSecret(s.Name)
			require.Equal(t, secret, strings.TrimSpace(cells[3]) == "yes", "%s is a secret, or is not", s.Name)
			delete(rows, s.Name)
		}
		require.Empty(t, rows, "these are no settings")
	})

	t.Run("shows_a_relying_party_that_compiles", func(t *testing.T) {
		t.Parallel()
		program := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(program, []byte(block(t, readme, "go")), 0o600))
		vet := exec.CommandContext(t.Context(), "go", "vet", program)
		vet.Dir = root // its libraries are among ours
		out, err := vet.CombinedOutput()
		require.NoError(t, err, string(out))
	})
}

// documents are the pages for people.
func documents() []string {
	return []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "api/README.md", "deploy/README.md", "deploy/cryptography.md", "internal/README.md"}
}

func TestDocuments(t *testing.T) {
	t.Parallel()

	t.Run("link_to_what_is_there", func(t *testing.T) {
		t.Parallel()
		link := regexp.MustCompile(`\]\(([^)#][^)]*)\)`)
		for _, name := range documents() {
			for _, match := range link.FindAllStringSubmatch(read(t, name), -1) {
				target, err := url.Parse(match[1])
				require.NoError(t, err)
				if target.IsAbs() {
					continue
				}
				file := path.Join(path.Dir(name), target.Path)
				_, err = os.Stat(filepath.Join(root, file))
				require.NoError(t, err, name)
				if target.Fragment != "" {
					require.Contains(t, anchors(read(t, file)), target.Fragment, "%s: %s", name, match[1])
				}
			}
		}
	})

	t.Run("name_commands_that_exist", func(t *testing.T) {
		t.Parallel()
		named := regexp.MustCompile("(?:`|&& |bin/|(?m:^)|: )gatehouse ([a-z][^`#&\n|]*)")
		found := 0
		for _, name := range append(documents(), "deploy/systemd/gatehouse.service") {
			for _, match := range named.FindAllStringSubmatch(read(t, name), -1) {
				found++
				requireCommand(t, name, strings.Fields(match[1]))
			}
		}
		require.Greater(t, found, 20, "the pattern finds nothing any more")
	})
}

// anchors are the fragments by which the headings of a document are found.
func anchors(document string) []string {
	var list []string
	for _, line := range strings.Split(document, "\n") {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			list = append(list, strings.ReplaceAll(strings.ToLower(heading), " ", "-"))
		}
	}
	return list
}

// requireCommand fails when the words do not begin with a command of ours, or name a flag that it lacks.
func requireCommand(t *testing.T, document string, words []string) {
	t.Helper()
	cmd := newRoot(environment{})
	for cmd.HasSubCommands() && len(words) > 0 {
		at := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == strings.Trim(words[0], ":,;.") })
		if at < 0 && cmd.HasParent() {
			break // "gatehouse migrate" as a name for its group
		}
		require.GreaterOrEqual(t, at, 0, "%s names gatehouse %s", document, strings.Join(words, " "))
		cmd, words = cmd.Commands()[at], words[1:]
	}
	for _, word := range words {
		if word == "--" {
			break // what follows is somebody else's
		}
		name, isFlag := strings.CutPrefix(strings.TrimRight(word, ":,;."), "--")
		if name, _, _ = strings.Cut(name, "="); isFlag && name != "help" {
			require.True(t, cmd.Flags().Lookup(name) != nil || cmd.InheritedFlags().Lookup(name) != nil, "%s: %q has no flag --%s", document, cmd.CommandPath(), name)
		}
	}
}

func TestArchitecturePage(t *testing.T) {
	t.Parallel()
	page := read(t, "internal/README.md")

	t.Run("has_a_line_for_every_package_and_no_other", func(t *testing.T) {
		t.Parallel()
		var listed []string
		for _, match := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|").FindAllStringSubmatch(page, -1) {
			listed = append(listed, match[1])
		}
		require.ElementsMatch(t, packages(t), listed)
	})

	t.Run("names_files_that_exist", func(t *testing.T) {
		t.Parallel()
		for _, match := range regexp.MustCompile("`([a-z/_]+\\.(?:go|sql|html|txt|yaml))`").FindAllStringSubmatch(page, -1) {
			_, inside := os.Stat(filepath.Join(root, "internal", match[1]))
			_, outside := os.Stat(filepath.Join(root, match[1]))
			known := inside == nil || outside == nil || strings.Contains(match[1], "xyz") || !strings.Contains(match[1], "/")
			require.True(t, known, match[1])
		}
	})

	t.Run("names_tests_that_exist", func(t *testing.T) {
		t.Parallel()
		tests := testNames(t)
		for _, match := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(page, -1) {
			require.Contains(t, tests, match[1])
		}
	})
}

// walk calls fn with the path below the root of every file of ours.
func walk(t *testing.T, fn func(name string)) {
	t.Helper()
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (isModule(name) || d.Name() == "testdata" || d.Name() == "db"):
				return fs.SkipDir
			case !d.IsDir():
				relative, err := filepath.Rel(root, name)
				fn(filepath.ToSlash(relative))
				return err
			}
			return nil
		})
		require.NoError(t, err)
	}
}

// isModule tells a folder that is a module of its own: a tool, or the code of others.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// packages are those below internal that people write.
func packages(t *testing.T) []string {
	t.Helper()
	var list []string
	walk(t, func(name string) {
		pkg, ours := strings.CutPrefix(path.Dir(name), "internal/")
		if ours && strings.HasSuffix(name, ".go") && !slices.Contains(list, pkg) {
			list = append(list, pkg)
		}
	})
	return list
}

// testNames are the names of all test functions.
func testNames(t *testing.T) []string {
	t.Helper()
	var list []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	walk(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") {
			for _, match := range declared.FindAllStringSubmatch(read(t, name), -1) {
				list = append(list, match[1])
			}
		}
	})
	return list
}
