package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inventory is deploy/cryptography.md.
func inventory(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "cryptography.md"))
	require.NoError(t, err)
	return string(text)
}

var quoted = regexp.MustCompile("`([^`]+)`")

// rows are the tables' rows below a line of the inventory that begins so: what is quoted in each of their cells.
func rows(t *testing.T, document, line string) (rows [][][]string) {
	t.Helper()
	_, rest, found := strings.Cut(document, "\n"+line)
	require.True(t, found, "the inventory has no line %q", line)
	for l := range strings.Lines(rest) {
		switch {
		case !strings.HasPrefix(l, "|") && len(rows) > 0:
			return rows
		case !strings.HasPrefix(l, "| `"):
			continue
		}
		var row [][]string
		for _, cell := range strings.Split(strings.Trim(l, "|\n"), "|") {
			var words []string
			for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
				words = append(words, match[1])
			}
			row = append(row, words)
		}
		rows = append(rows, row)
	}
	return rows
}

// product tells whether a file is part of what runs at somebody's.
func product(s source) bool {
	tests := []string{"internal/testdb", "internal/e2e", "internal/archtest", "internal/bench"}
	return !s.test && !isSuite(s.pkg) && !slices.Contains(tests, s.pkg)
}

func isCryptography(library string) bool {
	return library == "crypto" || strings.HasPrefix(library, "crypto/") ||
		strings.HasPrefix(library, "golang.org/x/crypto") || strings.HasPrefix(library, "github.com/go-jose/") ||
		strings.HasPrefix(library, "filippo.io/") || strings.HasPrefix(library, "github.com/cloudflare/circl")
}

func TestOP08_TheInventoryNamesWhatTheCodeImports(t *testing.T) {
	t.Parallel()
	is, said := map[string][]string{}, map[string][]string{}
	for _, s := range sources(t) {
		for _, i := range s.imports() {
			if by := strings.TrimPrefix(s.pkg, "internal/"); product(s) && isCryptography(i) && !slices.Contains(is[i], by) {
				is[i] = append(is[i], by)
			}
		}
	}
	for _, row := range rows(t, inventory(t), "## Where the code reaches for it") {
		require.Len(t, row[0], 1)
		said[row[0][0]] = row[1]
	}
	for _, packages := range is {
		slices.Sort(packages)
	}
	require.Equal(t, is, said)
}

// literals are the constant texts that begin the arguments of calls of these functions.
func literals(s source, n int, functions ...string) (found [][]string) {
	ast.Inspect(s.file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := ""
		switch f := call.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		if !slices.Contains(functions, name) {
			return true
		}
		var texts []string
		for _, a := range call.Args {
			if l, ok := a.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if text, err := strconv.Unquote(l.Value); err == nil {
					texts = append(texts, text)
				}
			}
		}
		if len(texts) >= n {
			found = append(found, texts[:n])
		}
		return true
	})
	return found
}

func TestOP08_TheInventoryNamesEveryKey(t *testing.T) {
	t.Parallel()
	var labels, columns, saidLabels, saidColumns []string
	for _, s := range sources(t) {
		if !product(s) {
			continue
		}
		for _, l := range literals(s, 1, "MAC", "mac", "Derive") {
			labels = append(labels, l[0])
		}
		for _, l := range literals(s, 2, "AAD") {
			columns = append(columns, l[0]+"."+l[1])
		}
	}
	for _, row := range rows(t, inventory(t), "Derived for message authentication") {
		saidLabels = append(saidLabels, row[0]...)
	}
	for _, row := range rows(t, inventory(t), "Sealed in the database") {
		saidColumns = append(saidColumns, row[0]...)
	}
	for _, list := range []*[]string{&labels, &columns} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	require.ElementsMatch(t, labels, saidLabels)
	require.ElementsMatch(t, columns, saidColumns)
}
