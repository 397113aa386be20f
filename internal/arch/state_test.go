package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// constant are the calls whose result never changes, and may stand at package
// level.
var constant = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "crc32.MakeTable",
	"time.Date", "byte", "rune", "netip.MustParseAddr", "netip.MustParsePrefix",
}

// A global is a name of another package that stands for the whole process.
type global struct {
	name, why string
	allowed   []string
}

var globals = []global{
	{"os.Exit", "return an error: deferred calls do not run", []string{"cmd/gcexport", "internal/cli"}},
	{"fmt.Print", "stdout is given", nil},
	{"fmt.Printf", "stdout is given", nil},
	{"fmt.Println", "stdout is given", nil},
	{"slog.Default", "the logger is given", nil},
	{"slog.SetDefault", "the logger is given", []string{"internal/cli"}},
	{"http.DefaultClient", "the client is given", nil},
	{"http.Get", "requests take a context", nil},
	{"http.Post", "requests take a context", nil},
	{"http.NewRequest", "requests take a context", nil},
	{"context.TODO", "the context is given", nil},
}

func TestState(t *testing.T) { complain(t, checkState(repo(t))) }

// checkState refuses init functions, variables at package level that could
// change, and the use of globals of other packages; tests are free.
//
// A variable may hold an error, an assertion (var _ I = T{}), an embedded file,
// a regular expression or the like, or a table: a composite literal that no
// function of the package changes or takes the address of.
func checkState(t *tree) (complaints []string) {
	for _, p := range t.pkgs {
		tables := map[string]bool{}
		for _, f := range p.sources() {
			for _, d := range f.ast.Decls {
				complaints = append(complaints, t.checkDecl(d, tables)...)
			}
		}
		for _, f := range p.sources() {
			complaints = append(complaints, t.checkBodies(p, f, tables)...)
		}
	}
	return complaints
}

// checkDecl judges one declaration and adds the tables that it declares.
func (t *tree) checkDecl(d ast.Decl, tables map[string]bool) (complaints []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.Name == "init" {
			complaints = append(complaints, t.at(d)+": init function")
		}
	case *ast.GenDecl:
		if d.Tok != token.VAR {
			return nil
		}
		for _, s := range d.Specs {
			spec := s.(*ast.ValueSpec)
			embed := strings.Contains(directives(d.Doc)+directives(spec.Doc), "//go:embed ")
			for i, name := range spec.Names {
				tables[name.Name] = true
				if name.Name != "_" && !embed && (i >= len(spec.Values) || !fixed(spec.Values[i])) {
					complaints = append(complaints, fmt.Sprintf("%s: variable %s at package level", t.at(name), name.Name))
				}
			}
		}
	}
	return complaints
}

// directives returns the raw text of a comment, where Text leaves directives out.
func directives(g *ast.CommentGroup) string {
	var b strings.Builder
	if g != nil {
		for _, c := range g.List {
			b.WriteString(c.Text + "\n")
		}
	}
	return b.String()
}

// fixed reports whether a value at package level cannot change by itself.
func fixed(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		typ := dotted(v.Type)
		return !strings.HasPrefix(typ, "sync.") && !strings.HasPrefix(typ, "atomic.")
	case *ast.CallExpr:
		if array, ok := v.Fun.(*ast.ArrayType); ok { // []byte("text")
			return slices.Contains(constant, dotted(array.Elt))
		}
		return slices.Contains(constant, dotted(v.Fun))
	}
	return false
}

// dotted writes a name as in the source: "errors.New"; "" for anything else.
func dotted(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
	}
	return ""
}

// checkBodies looks into one file for changes of tables and uses of globals.
func (t *tree) checkBodies(p *pkg, f *file, tables map[string]bool) (complaints []string) {
	for _, d := range f.ast.Decls {
		local := locals(d)
		ast.Inspect(d, func(n ast.Node) bool {
			for _, e := range changed(n) {
				if name := rootName(e); tables[name] && !local[name] {
					complaints = append(complaints, fmt.Sprintf("%s: %s, declared at package level, may be changed", t.at(e), name))
				}
			}
			if s, ok := n.(*ast.SelectorExpr); ok {
				for _, g := range globals {
					if g.name == dotted(s) && !slices.Contains(g.allowed, p.dir) {
						complaints = append(complaints, fmt.Sprintf("%s: %s: %s", t.at(s), g.name, g.why))
					}
				}
			}
			return true
		})
	}
	return complaints
}

// changed returns what a statement or expression changes, or makes changeable.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if slices.Contains([]string{"delete", "clear", "copy"}, dotted(n.Fun)) && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// locals are the names that a function declares itself: parameters, results
// and variables. A table of the same name is out of its reach, or nearly so.
func locals(d ast.Decl) map[string]bool {
	names := map[string]bool{}
	if _, ok := d.(*ast.FuncDecl); !ok {
		return names
	}
	add := func(idents ...*ast.Ident) {
		for _, id := range idents {
			names[id.Name] = true
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			add(n.Names...)
		case *ast.ValueSpec:
			add(n.Names...)
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					add(id)
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					add(id)
				}
			}
		}
		return true
	})
	return names
}

// rootName is the variable that x, x.f, x[i] and *x speak of.
func rootName(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			if x.Name == "_" {
				return ""
			}
			return x.Name
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

func TestCheckState(t *testing.T) {
	try(t, checkState, []badTree{
		{"good", map[string]string{"a/a.go": strings.Join([]string{
			"package a", "import \"errors\"",
			"var ErrA = errors.New(\"a\")", "var _ error = T{}",
			"var table = map[string]int{\"a\": 1}", "var magic = []byte(\"GZ\")",
			"//go:embed x.txt", "var text string",
			"func f() int { _ = table[\"a\"]; n := table[\"b\"]; n++; return n }",
			"func (T) init() {}",
			"func g(table []int) { table[0] = 1; table = nil }",
		}, "\n"), "a/a_test.go": "package a\nvar state int\nfunc init() { state++ }"}, nil},
		{"state", map[string]string{"a/a.go": strings.Join([]string{
			"package a", "func init() {}", "var n int", "var m, o = 1, make(map[int]int)",
			"var mu sync.Mutex", "var pool = sync.Pool{}", "var c = newClient()", "var p = &T{}",
		}, "\n")}, []string{
			"a/a.go:2: init function",
			"a/a.go:3: variable n at package level",
			"a/a.go:4: variable m at package level",
			"a/a.go:4: variable o at package level",
			"a/a.go:5: variable mu at package level",
			"a/a.go:6: variable pool at package level",
			"a/a.go:7: variable c at package level",
			"a/a.go:8: variable p at package level",
		}},
		{"changed tables", map[string]string{
			"a/a.go": "package a\nvar t = map[int]*T{}\nvar l = []int{}",
			"a/b.go": strings.Join([]string{
				"package a", "func f() {", "t[1] = nil", "t[1].x = 2", "delete(t, 1)", "l = append(l, 1)",
				"l[0]++", "_ = &l[0]", "*t[1] = T{}", "}",
			}, "\n"),
		}, []string{
			"a/b.go:3: t, declared at package level, may be changed",
			"a/b.go:4: t, declared at package level, may be changed",
			"a/b.go:5: t, declared at package level, may be changed",
			"a/b.go:6: l, declared at package level, may be changed",
			"a/b.go:7: l, declared at package level, may be changed",
			"a/b.go:8: l, declared at package level, may be changed",
			"a/b.go:9: t, declared at package level, may be changed",
		}},
		{"globals", map[string]string{
			"internal/cli/a.go": "package cli\nfunc f() { os.Exit(1) }",
			"pkg/x/a.go":        "package x\nfunc f() { os.Exit(1) }",
		}, []string{"pkg/x/a.go:2: os.Exit: return an error: deferred calls do not run"}},
	})
}
