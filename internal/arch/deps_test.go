package arch

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// depsTable heads the list of direct dependencies in docs/design.md.
const depsTable = "| module | why |"

// TestDependencies holds go.mod against the table in docs/design.md: nobody
// adds a module without saying why, and none stays listed that is gone.
func TestDependencies(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(run(t, "go", "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	design, err := os.ReadFile(rootDir(t) + "/docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	complain(t, checkDeps(direct, string(design)))
}

// checkDeps compares modules with the rows of the table in a document.
func checkDeps(direct []string, document string) (complaints []string) {
	_, table, ok := strings.Cut(document, depsTable+"\n")
	if !ok {
		return []string{fmt.Sprintf("docs/design.md has no table headed %q", depsTable)}
	}
	var listed []string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 4 { // | module | why | gives four
			break
		}
		name, why := strings.Trim(cells[1], " `"), strings.TrimSpace(cells[2])
		if strings.Trim(name, "-:") == "" {
			continue // the line under the head
		}
		listed = append(listed, name)
		if why == "" {
			complaints = append(complaints, fmt.Sprintf("docs/design.md gives no reason for %s", name))
		}
		if !slices.Contains(direct, name) {
			complaints = append(complaints, fmt.Sprintf("docs/design.md lists %s, which go.mod does not require directly", name))
		}
	}
	for _, name := range direct {
		if !slices.Contains(listed, name) {
			complaints = append(complaints, fmt.Sprintf("go.mod requires %s: give the reason in the table of docs/design.md", name))
		}
	}
	return complaints
}

func TestCheckDeps(t *testing.T) {
	const document = "# Design\n\n" + depsTable + "\n|---|---|\n| `a.org/a` | it does a |\n| b.org/b | |\n| c.org/c | c |\n\n| e.org/e | another table |\n"
	want := []string{
		"docs/design.md gives no reason for b.org/b",
		"docs/design.md lists c.org/c, which go.mod does not require directly",
		"go.mod requires e.org/e: give the reason in the table of docs/design.md",
	}
	if diff := cmp.Diff(want, checkDeps([]string{"a.org/a", "b.org/b", "e.org/e"}, document)); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
	if got := checkDeps(nil, "no table"); len(got) != 1 {
		t.Errorf("complaints about a document without the table: %q", got)
	}
}

// strays are texts that belong to one machine or to a merge, never to the
// repository. They are put together here so that this file does not hold them.
var strays = []string{
	"/wor" + "k/", "../" + "shared", "shared/" + "reference", "<<<<<<" + "< ", ">>>>>>" + "> ", "/ro" + "ot/go",
}

func TestText(t *testing.T) {
	root := os.DirFS(rootDir(t))
	files := 0
	walk(t, root, func(name string) {
		files++
		complain(t, checkText(name, string(read(t, root, name))))
	})
	if files < 10 {
		t.Errorf("looked at %d files only", files)
	}
}

// checkText looks for strays, each at the start of a word.
func checkText(name, text string) (complaints []string) {
	for _, stray := range strays {
		for line, rest := range lines(text) {
			i := strings.Index(rest, stray)
			if i > 0 && strings.ContainsAny(rest[i-1:i], "abcdefghijklmnopqrstuvwxyz0123456789") {
				continue // a part of some longer path or address
			}
			if i >= 0 {
				complaints = append(complaints, fmt.Sprintf("%s:%d: %q does not belong into the repository", name, line, stray))
			}
		}
	}
	return complaints
}

// lines yields the lines of a text with their numbers, from 1.
func lines(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			if n++; !yield(n, line) {
				return
			}
		}
	}
}

func TestCheckText(t *testing.T) {
	bad := "see " + strays[0] + "main\n"
	if got := checkText("a", "fine\n"+bad); len(got) != 1 || !strings.HasPrefix(got[0], "a:2: ") {
		t.Errorf("complaints about %q: %q", bad, got)
	}
	if got := checkText("a", "https://example.org"+strays[0]+"a"); len(got) != 0 {
		t.Errorf("complaints about an address: %q", got)
	}
}

func TestWalk(t *testing.T) {
	var got []string
	root := fstest.MapFS{"a.md": {}, "bin/x": {}, "b/node_modules/x": {}, "b/go.mod": {}, "b/c/d.go": {}, ".ci/run": {}}
	walk(t, root, func(name string) { got = append(got, name) })
	if diff := cmp.Diff([]string{".ci/run", "a.md", "b/c/d.go", "b/go.mod"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if !nested(root, "b/c/d.go") || nested(root, "a.md") {
		t.Error("nested modules are not told from the root")
	}
}
