package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gatehouse-id/gatehouse/"

// source is one Go file of the module.
type source struct {
	name      string // below the module's root, with slashes
	pkg       string // its directory: "internal/realm"
	test      bool
	external  bool // of package xyz_test
	generated bool
	lines     int
	fset      *token.FileSet
	file      *ast.File
}

// imports lists what the file imports.
func (s source) imports() []string {
	var list []string
	for _, i := range s.file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			list = append(list, p)
		}
	}
	return list
}

func (s source) at(n ast.Node) string { return s.fset.Position(n.Pos()).String() }

// root is the module's directory, seen from this package's.
var root = filepath.Join("..", "..")

var parsed = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := walk(func(name string) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		s := source{name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), fset: token.NewFileSet(), lines: bytes.Count(text, []byte("\n"))}
		if s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return err
		}
		s.external, s.generated = strings.HasSuffix(s.file.Name.Name, "_test"), ast.IsGenerated(s.file)
		all = append(all, s)
		return nil
	})
	return all, err
})

func sources(t *testing.T) []source {
	t.Helper()
	all, err := parsed()
	require.NoError(t, err)
	require.Greater(t, len(all), 100, "the module was not found")
	return all
}

// walk calls fn for every file of the module: not for those of modules within, nor for what no commit holds.
func walk(fn func(name string) error) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !d.IsDir() {
			if d.Type().IsRegular() {
				return fn(name)
			}
			return nil
		}
		base := d.Name()
		if name != "." && (strings.HasPrefix(base, ".") && base != ".ci" || base == "bin" || base == "testdata" || base == "node_modules") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && name != "." {
			return filepath.SkipDir
		}
		return nil
	})
}
