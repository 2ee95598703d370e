package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Packages in which goroutines meet that the race detector does not see by themselves, each with the reason.
var racedElsewhere = map[string]string{
	"cmd/gatehouse":           "starts the program; all that runs at once in it is in the packages below",
	"internal/app":            "put together by the tests of e2e, which `make race` runs in part",
	"internal/server":         "put together by the tests of e2e, which `make race` runs in part",
	"internal/oidc/metadata":  "served by the tests of e2e, which `make race` runs in part",
	"internal/demo":           "for development",
	"internal/bench":          "no part of the program",
	"internal/testdb":         "no part of the program; every test of the others runs on it",
	"internal/postgres/devpg": "for development",
}

func makefile(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	return string(content)
}

// recipe is what a target of the Makefile needs and does.
func recipe(t *testing.T, target string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + target + `:.*\n(?:\t.*\n?)*`).FindString(makefile(t))
	require.NotEmpty(t, m, target)
	return m
}

func TestOP07_CIChecksWhatTheProgramIsMadeOf(t *testing.T) {
	t.Parallel()
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^make test$`, string(ci))
	require.Regexp(t, `(?m)^make check$`, string(ci))

	needs, _, _ := strings.Cut(recipe(t, "check"), "##")
	require.Contains(t, needs, " race", "the race detector runs in CI")
	require.Contains(t, recipe(t, "check"), "./bom -check", "so does the list of licences")
	require.Contains(t, recipe(t, "check"), "cd internal/tools && $(GO) test . ./bom", "and what the audit and the bill of materials promise")
	require.Contains(t, recipe(t, "check"), "mod tidy -diff", "modules are those that are named")
	require.Contains(t, recipe(t, "race"), ") test -race", "the race detector is what `make race` runs")
	require.Contains(t, recipe(t, "audit"), "internal/tools/audit.sh", "vulnerabilities; its own tests are in internal/tools")
	require.Contains(t, recipe(t, "sbom"), "./bom -sbom")
	policy, err := os.ReadFile(filepath.Join(root, "internal", "tools", "audit.sh"))
	require.NoError(t, err)
	require.Contains(t, string(policy), "within seven days", "it says how soon")
	require.FileExists(t, filepath.Join(root, "THIRD_PARTY_LICENSES"))
}

// Wherever goroutines meet the race detector looks: a package that shares memory is in the list of `make race`.
func TestOP07_TheRaceDetectorLooksWhereGoroutinesMeet(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile(`(?m)^RACE := (.*)$`).FindStringSubmatch(makefile(t))
	require.NotNil(t, m)
	listed := strings.Fields(m[1])
	for _, name := range listed {
		require.DirExists(t, filepath.Join(root, "internal", strings.TrimSuffix(name, "/...")), "RACE in the Makefile")
	}
	seen := func(pkg string) bool {
		return slices.ContainsFunc(listed, func(name string) bool {
			tree, all := strings.CutSuffix(name, "/...")
			return pkg == "internal/"+tree || all && strings.HasPrefix(pkg, "internal/"+tree+"/")
		})
	}
	shares := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || s.generated {
			continue
		}
		if imports := s.imports(); slices.Contains(imports, "sync") || slices.Contains(imports, "sync/atomic") {
			shares[s.pkg] = true
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if _, begins := n.(*ast.GoStmt); begins {
				shares[s.pkg] = true
			}
			return true
		})
	}
	for pkg := range shares {
		if !seen(pkg) && racedElsewhere[pkg] == "" {
			t.Errorf("%s shares memory between goroutines: add it to RACE in the Makefile, or argue in this test why not", pkg)
		}
	}
	for pkg := range racedElsewhere {
		require.True(t, shares[pkg], "%s needs no argument any more", pkg)
		require.False(t, seen(pkg), "%s is in RACE", pkg)
	}
}
