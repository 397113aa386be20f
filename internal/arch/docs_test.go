package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// selfEvident are methods whose contract is that of a well-known interface.
var selfEvident = []string{"Error", "Unwrap", "String", "ServeHTTP"}

func TestDocs(t *testing.T) { complain(t, checkDocs(repo(t))) }

// checkDocs wants a doc comment on every package and every exported name
// outside of tests. Fields may speak for themselves.
func checkDocs(t *tree) (complaints []string) {
	for _, p := range t.pkgs {
		if !slices.ContainsFunc(p.files, func(f *file) bool { return f.ast.Doc.Text() != "" }) {
			complaints = append(complaints, p.dir+": the package has no doc comment")
		}
		for _, f := range p.sources() {
			for _, d := range f.ast.Decls {
				for _, name := range undocumented(d) {
					complaints = append(complaints, fmt.Sprintf("%s: %s has no doc comment", t.at(name), name.Name))
				}
			}
		}
	}
	return complaints
}

// undocumented returns the exported names of a declaration without a comment.
func undocumented(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && exportedReceiver(d) && d.Doc.Text() == "" &&
			(d.Recv == nil || !slices.Contains(selfEvident, d.Name.Name)) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		if d.Doc.Text() != "" && (d.Tok != token.TYPE || !d.Lparen.IsValid()) {
			return nil // a comment on a group of constants or variables is one on each
		}
		var names []*ast.Ident
		for _, spec := range d.Specs {
			names = append(names, undocumentedSpec(spec)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(spec ast.Spec) []*ast.Ident {
	var names []*ast.Ident
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Doc.Text()+s.Comment.Text() == "" {
			names = []*ast.Ident{s.Name}
		}
	case *ast.ValueSpec:
		if s.Doc.Text()+s.Comment.Text() == "" {
			names = slices.Clone(s.Names)
		}
	}
	return slices.DeleteFunc(names, func(n *ast.Ident) bool { return !n.IsExported() })
}

// exportedReceiver reports whether a function has no receiver, or one whose
// type is exported.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func TestCheckDocs(t *testing.T) {
	const documented = "// Package a is documented.\npackage a\n"
	try(t, checkDocs, []badTree{
		{"good", map[string]string{"a/a.go": documented + strings.Join([]string{
			"// F is documented.", "func F() {}", "func f() {}",
			"// T is documented.", "type T[P any] struct{ Field int }", "func (t *T[P]) Error() string { return \"\" }",
			"type t int", "func (t) Exported() {}",
			"// The colours.", "const (", "Red = iota", "Green", ")",
			"const (", "Blue = 1 // the sea", ")",
		}, "\n")}, nil},
		{"package", map[string]string{"a/a.go": "package a", "a/b.go": "package a"}, []string{
			"a: the package has no doc comment",
		}},
		{"names", map[string]string{"a/a.go": documented + strings.Join([]string{
			"func F() {}", "type T[P any] int", "func (t *T[P]) M() {}", "const C, d = 1, 2",
			"// Types in groups", "type (", "G int", ")", "func Error() {}",
		}, "\n")}, []string{
			"a/a.go:3: F has no doc comment",
			"a/a.go:4: T has no doc comment",
			"a/a.go:5: M has no doc comment",
			"a/a.go:6: C has no doc comment",
			"a/a.go:9: G has no doc comment",
			"a/a.go:11: Error has no doc comment",
		}},
		{"tests are free", map[string]string{"a/a.go": documented, "a/a_test.go": "package a\nfunc F() {}"}, nil},
	})
}
