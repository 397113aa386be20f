package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is the path of the root module.
const module = "github.com/gcexport/gcexport"

// A tree is the parsed source of one module.
type tree struct {
	fset *token.FileSet
	pkgs []*pkg // sorted by dir
}

// A pkg is one folder of Go files, tests included.
type pkg struct {
	dir   string // slashed, from the module's root: "pkg/export"
	files []*file
}

// A file is one Go file.
type file struct {
	path string // slashed, from the module's root
	test bool
	ast  *ast.File
}

// sources returns the files that are no tests.
func (p *pkg) sources() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.test })
}

// imports returns the paths that a file imports.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

// at says where a node stands, as "pkg/export/plan.go:12".
func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// lines is how many lines a node takes.
func (t *tree) lines(n ast.Node) int {
	return t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
}

// parse makes a tree of sources by path; generated ones are left out.
func parse(sources map[string][]byte) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	byDir := map[string]*pkg{}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		f, err := parser.ParseFile(t.fset, name, sources[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		if ast.IsGenerated(f) {
			continue
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = &pkg{dir: dir}
			t.pkgs = append(t.pkgs, byDir[dir])
		}
		byDir[dir].files = append(byDir[dir].files, &file{name, strings.HasSuffix(name, "_test.go"), f})
	}
	slices.SortFunc(t.pkgs, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return t, nil
}

// repo parses the root module. Nested modules are modules of their own.
func repo(t *testing.T) *tree {
	t.Helper()
	root := os.DirFS(rootDir(t))
	sources := map[string][]byte{}
	walk(t, root, func(name string) {
		if path.Ext(name) != ".go" || nested(root, name) || slices.Contains(strings.Split(name, "/"), "testdata") {
			return
		}
		sources[name] = read(t, root, name)
	})
	tr, err := parse(sources)
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.pkgs) < 2 {
		t.Fatalf("found %d packages below the module's root: the rules look at nothing", len(tr.pkgs))
	}
	return tr
}

// rootDir finds the folder of the root module's go.mod.
func rootDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+module+"\n") {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatalf("no go.mod of %s above the test's folder", module)
		}
		dir = filepath.Dir(dir)
	}
}

// walk calls fn for every file of the repository that is not built, installed
// or hidden from people.
func walk(t *testing.T, root fs.FS, fn func(name string)) {
	t.Helper()
	skip := []string{".git", "bin", "out", "node_modules"}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return fs.SkipDir
		case d.Name() == ".git": // in a linked worktree it is a file
		case d.Type().IsRegular():
			fn(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// nested reports whether the file belongs to a module below the root.
func nested(root fs.FS, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

func read(t *testing.T, root fs.FS, name string) []byte {
	t.Helper()
	text, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// complain reports what a rule has found in the repository.
func complain(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}

// A badTree is what a rule must complain about, and how.
type badTree struct {
	name    string
	sources map[string]string
	want    []string // all of the complaints; none for a good source
}

// try holds a rule against sources made for it.
func try(t *testing.T, rule func(*tree) []string, cases []badTree) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sources := map[string][]byte{}
			for name, text := range c.sources {
				sources[name] = []byte(text)
			}
			tr, err := parse(sources)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, rule(tr)); diff != "" {
				t.Errorf("complaints (-want +got):\n%s", diff)
			}
		})
	}
}
