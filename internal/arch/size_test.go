package arch

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// How long things may get, in lines.
const (
	longestFile     = 450
	longestFunction = 80
	// mostFunctions is what nine of ten functions keep to: a screen.
	mostFunctions = 40
)

func TestSize(t *testing.T) { complain(t, checkSize(repo(t))) }

// checkSize refuses long files and long functions outside of tests.
func checkSize(t *tree) (complaints []string) {
	var lengths []int
	for _, p := range t.pkgs {
		for _, f := range p.sources() {
			if n := t.fset.File(f.ast.Pos()).LineCount(); n > longestFile {
				complaints = append(complaints, fmt.Sprintf("%s: %d lines, more than %d", f.path, n, longestFile))
			}
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				n := t.lines(fn.Type) // with no body: declared in Go, written elsewhere
				if fn.Body != nil {
					n += t.lines(fn.Body) - 1
				}
				lengths = append(lengths, n)
				if n > longestFunction {
					complaints = append(complaints, fmt.Sprintf("%s: %s has %d lines, more than %d", t.at(fn), fn.Name.Name, n, longestFunction))
				}
			}
		}
	}
	slices.Sort(lengths)
	if n := len(lengths); n > 0 && lengths[n*9/10] > mostFunctions {
		complaints = append(complaints, fmt.Sprintf("a tenth of all functions has %d lines and more, want %d at most", lengths[n*9/10], mostFunctions))
	}
	return complaints
}

func TestCheckSize(t *testing.T) {
	function := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	short := strings.Repeat("func s() {}\n", 20)
	try(t, checkSize, []badTree{
		{"just short enough", map[string]string{
			"a/a.go":      "package a\n" + short + function(longestFunction),
			"a/b.go":      "package a" + strings.Repeat("\n", longestFile-1),
			"a/b_test.go": "package a\n" + strings.Repeat("\n", longestFile) + function(longestFunction+1),
		}, nil},
		{"too long", map[string]string{
			"a/a.go": "package a\n" + short + function(longestFunction+1),
			"a/b.go": "package a" + strings.Repeat("\n", longestFile) + "// the end",
		}, []string{
			"a/a.go:22: f has 81 lines, more than 80",
			"a/b.go: 451 lines, more than 450",
		}},
		{"too many long ones", map[string]string{"a/a.go": "package a\n" + function(mostFunctions+1)}, []string{
			"a tenth of all functions has 41 lines and more, want 40 at most",
		}},
	})
}
