// Package tools_test holds what the developers' scripts promise.
package tools_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// database is a copy of the vulnerability database that knows of one thing against a symbol of crypto/hkdf; of nothing
// when the symbol is "".
func database(t *testing.T, symbol string) string {
	t.Helper()
	dir := t.TempDir()
	const when = `"2099-01-01T00:00:00Z"`
	modules, vulns := "[]", "[]"
	write := func(name, content string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if symbol != "" {
		modules = `[{"path":"stdlib","vulns":[{"id":"GO-2099-0001","modified":` + when + `}]}]`
		vulns = `[{"id":"GO-2099-0001","modified":` + when + `}]`
		write("ID/GO-2099-0001.json", `{"schema_version":"1.3.1","id":"GO-2099-0001","modified":`+when+`,"published":`+when+`,"summary":"made up",
			"details":"made up","affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"crypto/hkdf","symbols":["`+symbol+`"]}]}}],
			"database_specific":{"url":"https://example.com","review_status":"REVIEWED"}}`)
	}
	write("index/db.json", `{"modified":`+when+`}`)
	write("index/modules.json", modules)
	write("index/vulns.json", vulns)
	return "file://" + dir
}

func TestOP07_Audit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		database string
		status   int
		says     string
	}{
		"ends well where nothing is known":               {database(t, ""), 0, "No vulnerabilities found"},
		"tells what is called from what is merely there": {database(t, "Expand"), 0, "No vulnerabilities found"},
		"fails for what is called":                       {database(t, "Key"), 1, "within seven days"},
		"does not take an empty copy for an answer":      {"file://" + t.TempDir(), 2, "NOTHING WAS CHECKED"},
		"does not take a missing copy for an answer":     {"file:///nowhere/at/all", 2, "NOTHING WAS CHECKED"},
		"nor a server that does not answer":              {"http://127.0.0.1:1", 2, "NOTHING WAS CHECKED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "internal/tools/audit.sh", "./internal/envelope")
			cmd.Dir = filepath.Join("..", "..")
			cmd.Env = append(os.Environ(), "GOVULNDB="+c.database)
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				t.Fatal(err)
			}
			if status := cmd.ProcessState.ExitCode(); status != c.status || !strings.Contains(string(out), c.says) {
				t.Errorf("status %d instead of %d; it has to say %q:\n%s", status, c.status, c.says, out)
			}
		})
	}
}
