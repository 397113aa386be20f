package arch

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A row says which packages of this module a package may import. A row may name
// only packages that stand below it, so that imports go down and never around.
// A new package needs a row here; an import needs the consent of one.
type row struct {
	dir string
	may []string
}

// order is the architecture, from the top down. pkg/export and pkg/genesys do
// not know each other; pkg/genesystest knows nobody, so that client and
// simulator cannot share a misunderstanding.
var order = []row{
	{"cmd/gcexport", []string{"internal/cli"}},
	{"internal/cli", []string{
		"pkg/export", "pkg/genesys", "internal/store", "internal/object", "internal/jsonl",
		"internal/warehouse", "internal/doctor", "internal/metrics", "internal/telemetry", "internal/report", "pkg/record", "pkg/interval", "pkg/genesystest",
	}},
	{"internal/warehouse", nil},
	{"internal/doctor", nil},
	{"internal/report", []string{"pkg/export", "internal/object", "internal/jsonl", "pkg/interval"}},
	{"internal/metrics", []string{"pkg/export", "pkg/genesys"}},
	{"internal/telemetry", []string{"pkg/export", "pkg/genesys", "pkg/record", "pkg/interval"}},
	{"pkg/export", []string{"internal/object", "internal/jsonl", "pkg/record", "pkg/interval"}},
	{"pkg/genesys", []string{"pkg/record", "pkg/interval"}},
	{"internal/store", []string{"internal/store/dirblob", "internal/object"}},
	{"internal/store/dirblob", nil},
	{"internal/object", nil},
	{"internal/jsonl", []string{"pkg/record"}},
	{"pkg/record", nil},
	{"pkg/interval", nil},
	{"pkg/genesystest", nil},
	{"internal/arch", nil},
}

// drivers are the import paths of cloud SDKs and of what links them.
var drivers = []string{
	"gocloud.dev/blob/s3blob", "gocloud.dev/blob/gcsblob", "gocloud.dev/blob/azureblob",
	"github.com/aws/", "github.com/Azure/", "cloud.google.com/go", "google.golang.org/api",
}

// linkedAnyway are small parts of the SDKs that gocloud.dev/blob itself links.
var linkedAnyway = []string{"google.golang.org/api/googleapi", "google.golang.org/api/internal/third_party/uritemplates"}

// driversAllowed are the only packages that import drivers.
var driversAllowed = []string{"internal/store", "internal/cli"}

// A ban keeps an import out of all code but tests.
type ban struct {
	path, why string
	except    []string
}

var bans = []ban{
	{"compress/gzip", "github.com/klauspost/compress is several times faster", []string{"pkg/genesystest"}},
	{"compress/flate", "github.com/klauspost/compress is several times faster", []string{"pkg/genesystest"}},
	{"math/rand", "math/rand/v2 has no global seed", nil},
	{"io/ioutil", "os and io have had its functions for long", nil},
	{"log", "log/slog, and the logger is given", []string{"internal/cli"}},
	{"github.com/pkg/errors", "errors and fmt wrap", nil},
	{"github.com/stretchr/testify", "testing and go-cmp are enough", nil},
}

// grabBags are names that say nothing about what is inside.
var grabBags = []string{
	"base", "common", "helper", "helpers", "misc", "model", "models", "shared", "type", "types", "util", "utils",
}

func TestOrder(t *testing.T) {
	complain(t, checkRows(order))
	complain(t, checkImports(repo(t)))
}

func TestNoStaleRow(t *testing.T) {
	there := map[string]bool{}
	for _, p := range repo(t).pkgs {
		there[p.dir] = true
	}
	for _, r := range order {
		if !there[r.dir] {
			t.Errorf("%s has a row in the import order, but is no package", r.dir)
		}
	}
}

// TestLibrariesLinkNoCloud looks at all that the public packages link, where
// the rule on imports looks only at what our own files say.
func TestLibrariesLinkNoCloud(t *testing.T) {
	deps := strings.Fields(string(run(t, "go", "list", "-deps", "./pkg/...")))
	if len(deps) < 10 {
		t.Fatalf("go list names %d packages only", len(deps))
	}
	for _, dep := range deps {
		if isDriver(dep) && !slices.Contains(linkedAnyway, dep) {
			t.Errorf("the packages below pkg link %s", dep)
		}
	}
}

// run returns what a command prints in the root folder.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stderr = rootDir(t), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &stderr)
	}
	return out
}

func isDriver(importPath string) bool {
	return slices.ContainsFunc(drivers, func(d string) bool { return strings.HasPrefix(importPath, d) })
}

// checkRows says which rows name a package that does not stand below them.
func checkRows(rows []row) (complaints []string) {
	for i, r := range rows {
		for _, dir := range r.may {
			if !slices.ContainsFunc(rows[i+1:], func(below row) bool { return below.dir == dir }) {
				complaints = append(complaints, fmt.Sprintf("the row of %s names %s, which does not stand below it", r.dir, dir))
			}
		}
	}
	return complaints
}

// checkImports holds all rules on imports and names of packages. Tests may
// import what they like: a folder with nothing but tests needs no row.
func checkImports(t *tree) (complaints []string) {
	for _, p := range t.pkgs {
		if base := p.dir[strings.LastIndex(p.dir, "/")+1:]; slices.Contains(grabBags, base) {
			complaints = append(complaints, fmt.Sprintf("%s: the name %q says nothing", p.dir, base))
		}
		if len(p.sources()) == 0 {
			continue
		}
		i := slices.IndexFunc(order, func(r row) bool { return r.dir == p.dir })
		if i < 0 {
			complaints = append(complaints, p.dir+": has no row in the import order")
			continue
		}
		for _, f := range p.sources() {
			for _, importPath := range f.imports() {
				if why := refuse(order[i], importPath); why != "" {
					complaints = append(complaints, fmt.Sprintf("%s: imports %s: %s", f.path, importPath, why))
				}
			}
		}
	}
	return complaints
}

// refuse says why a package may not import a path; "" if it may.
func refuse(r row, importPath string) string {
	if ours, ok := strings.CutPrefix(importPath, module+"/"); ok && !slices.Contains(r.may, ours) {
		return "not in its row of the import order"
	}
	if isDriver(importPath) && !slices.Contains(driversAllowed, r.dir) {
		return "cloud drivers are linked in " + strings.Join(driversAllowed, " and ") + " only"
	}
	for _, b := range bans {
		if b.path == importPath && !slices.Contains(b.except, r.dir) {
			return "use something else: " + b.why
		}
	}
	return ""
}

func TestCheckRows(t *testing.T) {
	bad := []row{{"a", []string{"b", "nowhere"}}, {"b", []string{"a"}}}
	if got := checkRows(bad); len(got) != 2 {
		t.Errorf("complaints %q, want one about nowhere and one about a", got)
	}
}

func TestCheckImports(t *testing.T) {
	const ours = module + "/"
	try(t, checkImports, []badTree{
		{"down", map[string]string{
			"pkg/export/a.go": "package export\nimport _ \"" + ours + "pkg/interval\"",
		}, nil},
		{"up", map[string]string{
			"pkg/interval/a.go": "package interval\nimport _ \"" + ours + "pkg/export\"",
		}, []string{"pkg/interval/a.go: imports " + ours + "pkg/export: not in its row of the import order"}},
		{"sideways", map[string]string{
			"pkg/export/a.go": "package export\nimport _ \"" + ours + "pkg/genesys\"",
		}, []string{"pkg/export/a.go: imports " + ours + "pkg/genesys: not in its row of the import order"}},
		{"in a test", map[string]string{
			"pkg/export/a.go":      "package export",
			"pkg/export/a_test.go": "package export\nimport _ \"" + ours + "pkg/genesys\"\nimport _ \"compress/gzip\"",
			"test/all/a_test.go":   "package all\nimport _ \"" + ours + "pkg/genesys\"",
		}, nil},
		{"no row", map[string]string{"pkg/new/a.go": "package new"}, []string{
			"pkg/new: has no row in the import order",
		}},
		{"grab bag", map[string]string{"internal/util/a.go": "package util"}, []string{
			`internal/util: the name "util" says nothing`, "internal/util: has no row in the import order",
		}},
		{"driver", map[string]string{
			"pkg/export/a.go":     "package export\nimport _ \"gocloud.dev/blob/s3blob\"",
			"internal/store/a.go": "package store\nimport _ \"gocloud.dev/blob/s3blob\"",
		}, []string{
			"pkg/export/a.go: imports gocloud.dev/blob/s3blob: cloud drivers are linked in internal/store and internal/cli only",
		}},
		{"banned", map[string]string{
			"pkg/record/a.go":      "package record\nimport _ \"compress/gzip\"",
			"pkg/genesystest/a.go": "package genesystest\nimport _ \"compress/gzip\"",
		}, []string{
			"pkg/record/a.go: imports compress/gzip: use something else: github.com/klauspost/compress is several times faster",
		}},
	})
}
