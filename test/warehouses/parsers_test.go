package warehouses

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gcexport/gcexport/internal/warehouse"
)

// buckets are URLs of all clouds, for kits of which only the words count.
var buckets = map[string]string{
	warehouse.S3: "s3://my-bucket/a/b", warehouse.GCS: "gs://my-bucket/a/b",
	warehouse.Azure: "azblob://my-box/a/b", warehouse.Directory: "file:///data/" + "it's",
}

// kits gives the kit of a warehouse for each cloud and format.
func kits(t *testing.T, name string, f func(t *testing.T, args ...string)) {
	for _, w := range warehouse.List() {
		if w.Name != name {
			continue
		}
		for _, cloud := range w.Clouds {
			for _, format := range formats {
				t.Run(cloud+"-"+format, func(t *testing.T) {
					f(t, "--bucket", buckets[cloud], "--record", format, "--diverted")
				})
			}
		}
	}
}

// TestShell has bash parse all steps for a shell, and encoding/json all
// documents in them.
func TestShell(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIP parsing of shell steps: bash is not installed")
	}
	document := regexp.MustCompile(`(?s)<<'JSON'\n(.*?)\nJSON\n`)
	documents := 0
	for _, w := range warehouse.List() {
		t.Run(w.Name, func(t *testing.T) {
			kits(t, w.Name, func(t *testing.T, args ...string) {
				dir := filepath.Join(t.TempDir(), "kit")
				kit(t, w.Name, nil, append(args, "--out", dir)...)
				files, err := filepath.Glob(filepath.Join(dir, "*.sh"))
				must(t, err)
				for _, f := range files {
					run(t, exec.CommandContext(t.Context(), "bash", "-n", f))
					text, err := os.ReadFile(f)
					must(t, err)
					for _, m := range document.FindAllSubmatch(text, -1) {
						documents++
						if !json.Valid(m[1]) {
							t.Errorf("%s: no JSON: %s", f, m[1])
						}
					}
				}
			})
		})
	}
	if documents < 5 {
		t.Errorf("%d documents of JSON only", documents)
	}
}

// TestBigQuerySyntax has an independent parser read the statements.
func TestBigQuerySyntax(t *testing.T) {
	dir := filepath.Join(os.Getenv(rootEnv), "test/warehouses/parsers")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		if os.Getenv("REQUIRE_STORES") != "" {
			t.Fatal("sql-parser-cst is not installed: run `npm ci` in test/warehouses/parsers")
		}
		t.Skip("SKIP BigQuery's syntax: sql-parser-cst is not installed: run `npm ci` in test/warehouses/parsers")
	}
	kits(t, "bigquery", func(t *testing.T, args ...string) {
		cmd := exec.CommandContext(t.Context(), "node", "bigquery.js")
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(kit(t, "bigquery", nil, args...))
		if n, err := strconv.Atoi(run(t, cmd)); err != nil || n < 12 {
			t.Errorf("%d statements, %v", n, err)
		}
	})
}

// gaps are the places where sqlfluff 1.4.5, which Debian has, does not know
// what the vendor documents; each begins a section that it cannot parse.
var gaps = map[string][]string{
	// integrations; a function with $ in its name
	"snowflake": {`STORAGE_PROVIDER =`, `NOTIFICATION_PROVIDER = AZURE_STORAGE`, `('genesys.genesys.conversations_pipe')`},
	"redshift":  {`JOB CREATE`, `QUALIFY`},
	"athena":    {`WITH ORDINALITY`, `AS map(varchar, varchar)`},
}

// TestSQLFluff has sqlfluff parse the statements of the warehouses that cannot
// be run here. Each gap must still be one.
func TestSQLFluff(t *testing.T) {
	if _, err := exec.LookPath("sqlfluff"); err != nil {
		t.Skip("SKIP syntax of Snowflake, Redshift and Athena: sqlfluff is not installed (Debian has it)")
	}
	section := regexp.MustCompile(`(?s)PRS \| Line (\d+), Position \d+: Found unparsable section:(.*?)(?:\nL:|\n=|$)`)
	for name, known := range gaps {
		t.Run(name, func(t *testing.T) {
			kits(t, name, func(t *testing.T, args ...string) {
				path := filepath.Join(t.TempDir(), "kit.sql")
				write(t, path, []byte(kit(t, name, map[string]string{"AZURE_STORAGE_ACCOUNT": "myaccount"}, args...)))
				out, _ := exec.CommandContext(t.Context(), "sqlfluff", "parse", "--dialect", name, path).CombinedOutput()
				if !strings.Contains(string(out), "[L:") {
					t.Fatalf("sqlfluff parses nothing: %.500s", out)
				}
				for _, m := range section.FindAllStringSubmatch(string(out), -1) {
					// The section is printed over several lines, with marks before each.
					text := strings.Join(strings.Fields(regexp.MustCompile(`(?m)^\s*\|[ |]*`).ReplaceAllString(m[2], "")), "")
					if !slices.ContainsFunc(known, func(g string) bool { return strings.Contains(text, strings.Join(strings.Fields(g), "")) }) {
						t.Errorf("line %s: %.300s", m[1], text)
					}
				}
			})
		})
	}
}
