// Command eventschema writes api/events: one JSON Schema for each kind of event, made from the struct in the domain that
// is the event, its fields' tags and their comments.
//
//	eventschema [-check] ROOT
//
// With -check it writes nothing and fails when a schema is missing, differs, or belongs to no event.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	flag.Parse()
	root := flag.Arg(0)
	if root == "" {
		root = "."
	}
	if err := run(root, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	events, err := find(filepath.Join(root, "internal"))
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "api", "events")
	var wrong []error
	wanted := map[string]bool{}
	for _, e := range events {
		name := e.kind + ".schema.json"
		wanted[name] = true
		content, err := e.schema()
		if err != nil {
			return err
		}
		if !check {
			if err := write(filepath.Join(dir, name), content); err != nil {
				return err
			}
			continue
		}
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, content) {
			wrong = append(wrong, fmt.Errorf("api/events/%s is missing or differs from %s; run: make gen", name, e.name))
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.schema.json"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if !wanted[filepath.Base(path)] {
			wrong = append(wrong, fmt.Errorf("%s describes no event; remove it", path))
		}
	}
	return errors.Join(wrong...)
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // part of the repository
		return err
	}
	return os.WriteFile(path, content, 0o644) //nolint:gosec // part of the repository
}

// kind is one event as the sources have it.
type event struct {
	kind, name, doc string
	fields          *ast.StructType
}

// find reads all packages below dir and returns their events by kind: structs with a method Type that returns a text,
// and which embed Subject.
func find(dir string) ([]event, error) {
	var found []event
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		events, err := inPackage(path)
		found = append(found, events...)
		return err
	})
	slices.SortFunc(found, func(a, b event) int { return strings.Compare(a.kind, b.kind) })
	return found, err
}

func inPackage(dir string) ([]event, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	kinds, structs := map[string]string{}, map[string]event{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if name, kind, ok := typeMethod(d); ok {
					kinds[name] = kind
				}
			case *ast.GenDecl:
				for name, e := range eventStructs(d) {
					structs[name] = e
				}
			}
		}
	}
	var found []event
	for name, kind := range kinds {
		if e, ok := structs[name]; ok {
			e.kind = kind
			found = append(found, e)
		}
	}
	return found, nil
}

// typeMethod recognises func (X) Type() string { return "kind" }.
func typeMethod(d *ast.FuncDecl) (receiver, kind string, ok bool) {
	if d.Recv == nil || d.Name.Name != "Type" || d.Body == nil || len(d.Body.List) != 1 {
		return "", "", false
	}
	ret, isReturn := d.Body.List[0].(*ast.ReturnStmt)
	name, isIdent := d.Recv.List[0].Type.(*ast.Ident)
	if !isReturn || !isIdent || len(ret.Results) != 1 {
		return "", "", false
	}
	lit, isLit := ret.Results[0].(*ast.BasicLit)
	if !isLit || lit.Kind != token.STRING {
		return "", "", false
	}
	kind, err := strconv.Unquote(lit.Value)
	return name.Name, kind, err == nil
}

func eventStructs(d *ast.GenDecl) map[string]event {
	found := map[string]event{}
	for _, spec := range d.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			if len(f.Names) == 0 && embedsSubject(f.Type) {
				found[t.Name.Name] = event{name: t.Name.Name, doc: sentence(d.Doc.Text(), t.Name.Name), fields: s}
			}
		}
	}
	return found
}

func embedsSubject(e ast.Expr) bool {
	switch t := e.(type) {
	case *ast.Ident:
		return t.Name == "Subject"
	case *ast.SelectorExpr:
		return t.Sel.Name == "Subject"
	}
	return false
}

// sentence takes the type's name off its comment: "Started says that somebody signed in." becomes what it says.
func sentence(doc, name string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	doc = strings.TrimPrefix(doc, name+" says that ")
	if doc == "" {
		return ""
	}
	return strings.ToUpper(doc[:1]) + doc[1:]
}

type property struct {
	Description string    `json:"description,omitempty"`
	Type        string    `json:"type"`
	Items       *property `json:"items,omitempty"`
}

func (e event) schema() ([]byte, error) {
	properties, required := map[string]property{}, []string{}
	for _, f := range e.fields.Fields.List {
		if f.Tag == nil || len(f.Names) == 0 {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return nil, err
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		p, err := propertyOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", e.name, f.Names[0].Name, err)
		}
		p.Description = sentence(f.Doc.Text(), f.Names[0].Name)
		properties[name] = p
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	content, err := json.MarshalIndent(struct {
		Schema      string              `json:"$schema"`
		Title       string              `json:"title"`
		Description string              `json:"description"`
		Type        string              `json:"type"`
		Properties  map[string]property `json:"properties"`
		Required    []string            `json:"required"`
		Additional  bool                `json:"additionalProperties"`
	}{"https://json-schema.org/draft/2020-12/schema", e.kind, e.doc, "object", properties, required, false}, "", "  ")
	return append(content, '\n'), err
}

func propertyOf(t ast.Expr) (property, error) {
	switch t := t.(type) {
	case *ast.Ident:
		switch t.Name {
		case "string":
			return property{Type: "string"}, nil
		case "bool":
			return property{Type: "boolean"}, nil
		case "int", "int32", "int64":
			return property{Type: "integer"}, nil
		}
	case *ast.ArrayType:
		items, err := propertyOf(t.Elt)
		return property{Type: "array", Items: &items}, err
	}
	return property{}, fmt.Errorf("a field of this kind has no schema yet")
}
