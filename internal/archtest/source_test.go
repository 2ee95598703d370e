package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	maxFunction = 100 // the linters warn at 60
	maxFile     = 500
	maxPackage  = 2500 // 1,500 is what to aim at
)

// written are the files that people write and that end in the program.
func written(t *testing.T) []source {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(sources(t)), func(s source) bool { return s.test || s.generated })
}

// TestTimeIsInjected: internal/app makes the clock, and testdb the tests' own; bench takes the time of what it measures.
func TestTimeIsInjected(t *testing.T) {
	t.Parallel()
	for _, s := range written(t) {
		if s.pkg == "internal/app" || s.pkg == "internal/testdb" || s.pkg == "internal/e2e" || s.pkg == "internal/bench" {
			continue
		}
		for _, n := range selectors(s, "time", "Now", "Since", "Until") {
			t.Errorf("%s: time is injected; only internal/app reads the clock", s.at(n))
		}
	}
}

// selectors finds uses of names of a package of the standard library, also under another name.
func selectors(s source, pkg string, names ...string) []ast.Node {
	local := ""
	for _, i := range s.file.Imports {
		if i.Path.Value == `"`+pkg+`"` {
			local = path.Base(pkg)
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	var found []ast.Node
	if local == "" {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, sel.Sel.Name) {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	comments := map[string][]string{}
	for _, s := range sources(t) {
		if s.test && s.pkg != "internal/archtest" || s.generated {
			continue
		}
		if _, seen := comments[s.pkg]; !seen {
			comments[s.pkg] = nil
		}
		if s.file.Doc == nil {
			continue
		}
		text := s.file.Doc.Text()
		start := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			start = "Command "
		}
		comments[s.pkg] = append(comments[s.pkg], s.name)
		if !strings.HasPrefix(text, start) {
			t.Errorf("%s: the package comment begins %q", s.name, start)
		}
	}
	for pkg, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s has %d package comments instead of one: %q", pkg, len(files), files)
		}
	}
}

func TestPackageNames(t *testing.T) {
	t.Parallel()
	buckets := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "dto", "service", "services", "types", "base", "misc", "lib", "shared"}
	for _, s := range sources(t) {
		for _, part := range strings.Split(s.pkg, "/") {
			if slices.Contains(buckets, part) || slices.Contains(buckets, s.file.Name.Name) {
				t.Errorf("%s: %q names a bucket, not a thing of the field", s.name, part)
			}
		}
		if name := strings.TrimSuffix(s.file.Name.Name, "_test"); name != path.Base(s.pkg) && name != "main" {
			t.Errorf("%s: package %s lies in %s", s.name, name, s.pkg)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	packages := map[string]int{}
	for _, s := range written(t) {
		packages[s.pkg] += s.lines
		if s.lines > maxFile {
			t.Errorf("%s has %d lines; at most %d", s.name, s.lines, maxFile)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line
			if lines > maxFunction {
				t.Errorf("%s: %s has %d lines; at most %d", s.at(f), f.Name.Name, lines, maxFunction)
			}
		}
	}
	for pkg, lines := range packages {
		if lines > maxPackage {
			t.Errorf("%s has %d lines; at most %d: it is more than one thing", pkg, lines, maxPackage)
		}
	}
}

// TestNoHiddenStart: what runs before main, nobody called.
func TestNoHiddenStart(t *testing.T) {
	t.Parallel()
	for _, s := range written(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: no init; construct it where it is used", s.at(f))
			}
		}
	}
}

// constantCalls are the calls whose results are constants that Go cannot spell.
var constantCalls = map[string]bool{
	"errors.New": true, "fmt.Errorf": true, "regexp.MustCompile": true, "strings.NewReplacer": true, "language.MustParse": true,
	"big.NewInt": true, "netip.MustParsePrefix": true, "netip.MustParseAddr": true, "base64.RawURLEncoding.Strict": true,
	"base64.StdEncoding.Strict": true, "base64.URLEncoding.Strict": true, "base64.RawStdEncoding.Strict": true,
}

// argued are package variables that hold state after all, each with the reason.
var argued = map[string]string{
	"internal/testdb.server": "one server per test binary, whatever tests it runs",
	"cmd/gatehouse.version":  "written by the linker",
	"cmd/gatehouse.commit":   "written by the linker",
}

// TestPackageVariablesAreConstants: a package variable is an error, a pattern, an embedded file or a table, made by a
// literal or one of a few pure calls, and nothing in its package writes to it.
func TestPackageVariablesAreConstants(t *testing.T) {
	t.Parallel()
	variables := map[string]map[string]bool{}
	for _, s := range written(t) {
		for name, spec := range packageVariables(s) {
			if why := notConstant(spec, name); why != "" && argued[s.pkg+"."+name] == "" {
				t.Errorf("%s: package variable %s %s", s.at(spec), name, why)
			}
			if variables[s.pkg] == nil {
				variables[s.pkg] = map[string]bool{}
			}
			variables[s.pkg][name] = true
		}
	}
	for _, s := range written(t) {
		for _, n := range writes(s, variables[s.pkg]) {
			t.Errorf("%s: writes to a package variable; pass it instead", s.at(n))
		}
	}
}

// packageVariables of a file, without assertions (var _) and embedded files.
func packageVariables(s source) map[string]*ast.ValueSpec {
	found := map[string]*ast.ValueSpec{}
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || embeds(g.Doc) {
			continue
		}
		for _, spec := range g.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok || embeds(v.Doc) {
				continue
			}
			for _, name := range v.Names {
				if name.Name != "_" {
					found[name.Name] = v
				}
			}
		}
	}
	return found
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func notConstant(spec *ast.ValueSpec, name string) string {
	at := slices.IndexFunc(spec.Names, func(n *ast.Ident) bool { return n.Name == name })
	if at >= len(spec.Values) {
		return "has no value: somebody is going to write to it"
	}
	why := ""
	ast.Inspect(spec.Values[at], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // a table may hold functions
		case *ast.CallExpr:
			if called := dotted(n.Fun); !constantCalls[called] && !isConversion(n) {
				why = "is made by " + called + ", which may have state"
			}
		}
		return true
	})
	return why
}

// isConversion recognises []byte("…") and its like.
func isConversion(c *ast.CallExpr) bool {
	switch f := c.Fun.(type) {
	case *ast.ArrayType, *ast.MapType:
		return len(c.Args) == 1
	case *ast.Ident:
		return len(c.Args) == 1 && (f.Name == "string" || f.Name == "len" || ast.IsExported(f.Name))
	}
	return false
}

func dotted(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return dotted(e.X) + "." + e.Sel.Name
	}
	return "an expression"
}

// writes finds assignments to the variables or their elements, and addresses taken of them. Local variables of the
// same name are told apart by the declaring function: a name that is declared anywhere in it is taken as its own.
func writes(s source, variables map[string]bool) []ast.Node {
	var found []ast.Node
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		local := locals(f)
		global := func(e ast.Expr) bool {
			for {
				switch x := e.(type) {
				case *ast.IndexExpr:
					e = x.X
				case *ast.ParenExpr:
					e = x.X
				case *ast.SelectorExpr:
					e = x.X
				case *ast.StarExpr:
					e = x.X
				case *ast.Ident:
					return variables[x.Name] && !local[x.Name]
				default:
					return false
				}
			}
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			var targets []ast.Expr
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					targets = n.Lhs
				}
			case *ast.IncDecStmt:
				targets = []ast.Expr{n.X}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					targets = []ast.Expr{n.X}
				}
			case *ast.CallExpr:
				if name := dotted(n.Fun); (name == "delete" || name == "clear") && len(n.Args) > 0 {
					targets = n.Args[:1]
				}
			}
			if slices.ContainsFunc(targets, global) {
				found = append(found, n)
			}
			return true
		})
	}
	return found
}

func locals(f *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	add := func(fields *ast.FieldList) {
		if fields != nil {
			for _, field := range fields.List {
				for _, n := range field.Names {
					names[n.Name] = true
				}
			}
		}
	}
	add(f.Recv)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			add(n.Params)
			add(n.Results)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					if id, ok := e.(*ast.Ident); ok {
						names[id.Name] = true
					}
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					names[id.Name] = true
				}
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		}
		return true
	})
	return names
}

// TestNoEscapeFromTheRealm: sqlc's WithTx would run a domain's queries on any transaction, so it is not generated;
// a DB's rows are opened by package realm alone; the one pool that leaves its package is for the job queue.
func TestNoEscapeFromTheRealm(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if n.Sel.Name == "WithTx" {
					t.Errorf("%s: WithTx leaves the realm's transaction", s.at(n))
				}
				if n.Sel.Name == "JobPool" && s.pkg != "internal/postgres/jobs" {
					t.Errorf("%s: JobPool is for the job queue alone", s.at(n))
				}
			case *ast.FuncDecl:
				if n.Name.Name == "WithTx" {
					t.Errorf("%s: WithTx is not to be generated (emit_methods_with_db_argument)", s.at(n))
				}
			}
			return true
		})
	}
}

var machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.$}/-])/(work|root|home/[a-z]+)/|\blocalhost:\d+/(v2|simple)\b`)

// TestNoMachinePaths: a path of the machine on which something was written means nothing anywhere else.
func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	require.NoError(t, walk(func(name string) error {
		if name == "internal/archtest/source_test.go" {
			return nil
		}
		switch path.Ext(name) {
		case ".go", ".sql", ".md", ".yaml", ".yml", ".json", ".html", ".txt", ".css", ".js", ".sh", ".mod", "":
		default:
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if machinePath.MatchString(line) {
				t.Errorf("%s:%d: names a path of one machine: %s", name, i+1, strings.TrimSpace(line))
			}
		}
		return nil
	}))
}

// TestTheSourceRulesThemselves breaks the rules on purpose.
func TestTheSourceRulesThemselves(t *testing.T) {
	t.Parallel()
	const bad = `package bad

import clock "time"

var (
	counter int
	cache   = map[string]int{}
	made    = newThing()
	list    = []string{"a"}
	fine    = errors.New("fine")
)

//go:embed x
var files embed.FS

func f() {
	_ = clock.Now()
	counter++
	cache["a"] = 1
	delete(cache, "a")
	p := &list
	list[0] = "b"
	fine := 1
	fine = 2
}
`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "bad.go", bad, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	s := source{fset: fset, file: file}
	require.Len(t, selectors(s, "time", "Now"), 1)
	names, wrong := map[string]bool{}, []string{}
	for name, spec := range packageVariables(s) {
		names[name] = true
		if notConstant(spec, name) != "" {
			wrong = append(wrong, name)
		}
	}
	require.ElementsMatch(t, []string{"counter", "made"}, wrong)
	require.NotContains(t, names, "files")
	require.Len(t, writes(s, names), 5)
	require.True(t, machinePath.MatchString("see /work"+"/main/x"))
	require.False(t, machinePath.MatchString("https://example.com/work/x"))
}
