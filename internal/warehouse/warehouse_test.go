package warehouse

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// place is a bucket in each cloud, as a user would give it.
func place(cloud string) Params {
	p := Params{Cloud: cloud, Bucket: "my-bucket", Prefix: "genesys/eu/"}
	if cloud == Directory {
		p = Params{Cloud: cloud, Dir: "/data/genesys export"}
	}
	return p
}

// each calls f for every warehouse, cloud and record format.
func each(t *testing.T, f func(t *testing.T, warehouse string, p Params)) {
	for _, w := range List() {
		for _, cloud := range w.Clouds {
			for _, record := range []string{Raw, Envelope} {
				t.Run(w.Name+"-"+cloud+"-"+record, func(t *testing.T) {
					p := place(cloud)
					p.Record = record
					f(t, w.Name, p)
				})
			}
		}
	}
}

func make1(t *testing.T, name string, p Params) *Kit {
	t.Helper()
	k, err := Make(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestGolden shows each kit. After a change, run with -update and read the
// difference.
func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, name string, p Params) {
		golden(t, filepath.Base(t.Name()), make1(t, name, p).Script())
	})
	t.Run("all flags", func(t *testing.T) {
		golden(t, "snowflake-all-flags", make1(t, "snowflake", Params{
			Cloud: S3, Bucket: "b-1.x", Region: "eu-central-1", Record: Envelope, Partition: ExportDay, Diverted: true,
			Database: "lake", Schema: "contact_center", Role: "analysts", Set: map[string]string{
				"AWS_ACCOUNT_ID": "123456789012", "SNOWFLAKE_PRINCIPAL": "arn:aws:iam::210987654321:user/abc-s",
				"SNOWFLAKE_EXTERNAL_ID": "AB12345_SFCRole=2_abc=", "SNOWFLAKE_QUEUE_ARN": "arn:aws:sqs:eu-central-1:210987654321:sf-snowpipe-x",
			},
		}).Script())
		golden(t, "clickhouse-all-flags", make1(t, "clickhouse", Params{
			Cloud: S3, Bucket: "b-1.x", Endpoint: "http://127.0.0.1:9000", Record: Envelope, Partition: ExportDay, Diverted: true,
		}).Script())
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestGoldenOnly finds golden files that no test writes.
func TestGoldenOnly(t *testing.T) {
	known := map[string]bool{"snowflake-all-flags": true, "clickhouse-all-flags": true}
	for _, w := range List() {
		for _, c := range w.Clouds {
			known[w.Name+"-"+c+"-"+Raw], known[w.Name+"-"+c+"-"+Envelope] = true, true
		}
	}
	found, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(found) == 0 {
		t.Fatalf("%d golden files, %v", len(found), err)
	}
	for _, path := range found {
		if !known[strings.TrimSuffix(filepath.Base(path), ".golden")] {
			t.Errorf("%s belongs to no kit", path)
		}
	}
}

// TestKit holds what all kits have in common, with all parts switched on.
func TestKit(t *testing.T) {
	word := regexp.MustCompile(`REPLACE_[A-Z_]*[A-Z]`)
	each(t, func(t *testing.T, name string, p Params) {
		p.Diverted, p.Partition = true, ExportDay
		k := make1(t, name, p)
		script := k.Script()
		for _, bad := range []string{"<no value>", "%!", "{{", "}}", "\t", "\r"} {
			if strings.Contains(script, bad) {
				t.Errorf("the kit holds %q", bad)
			}
		}
		for _, v := range append(views, view{Name: "conversations"}, view{Name: "participant_attributes"}) {
			if !regexp.MustCompile(`VIEW (IF NOT EXISTS )?([a-z]+\.)?genesys\.` + v.Name + ` `).MatchString(script) {
				t.Errorf("no view %s", v.Name)
			}
		}
		if !strings.Contains(k.Files[len(k.Files)-1].Name, "reconcile.sql") {
			t.Error("the last step is no reconciliation")
		}
		for _, folder := range []string{"conversations_oversize", "conversations_rejected"} {
			if !strings.Contains(script, folder) {
				t.Errorf("nothing about %s", folder)
			}
		}
		listed := map[string]bool{}
		for _, r := range k.Replace {
			listed[r.Word] = true
			if !regexp.MustCompile(`(?m)` + r.Word + `\b`).MatchString(body(k)) {
				t.Errorf("%s is listed and stands nowhere", r.Word)
			}
		}
		for _, w := range word.FindAllString(script, -1) {
			if !listed[w] {
				t.Errorf("%s stands in the kit and is not listed", w)
			}
		}
		for i, f := range k.Files {
			if strings.HasSuffix(f.Name, ".sql") != !f.shell() || !strings.HasPrefix(f.Name, []string{"0", "1"}[min(1, (i+1)/10)]) {
				t.Errorf("name %q", f.Name)
			}
			if !strings.HasSuffix(k.Text(f), f.Body) {
				t.Errorf("%s lacks its body", f.Name)
			}
		}
	})
}

func body(k *Kit) string {
	var b strings.Builder
	for _, f := range k.Files {
		b.WriteString(f.Body)
	}
	return b.String()
}

// TestScriptComments wants the shell's lines, and nothing else, behind a mark.
func TestScriptComments(t *testing.T) {
	each(t, func(t *testing.T, name string, p Params) {
		k := make1(t, name, p)
		var sql, got strings.Builder
		for _, f := range k.Files {
			if !f.shell() {
				sql.WriteString(f.Body)
			}
		}
		uncommented := func(b *strings.Builder, text string) {
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "--") && strings.TrimSpace(line) != "" {
					b.WriteString(line)
				}
			}
		}
		var want strings.Builder
		uncommented(&want, sql.String())
		uncommented(&got, k.Script())
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("what the warehouse runs (-want +got):\n%s", diff)
		}
	})
}

// hostile are values that would break out of a literal, an identifier, a
// comment, a heredoc or a JSON string if they came through.
var hostile = []string{
	`x'; DROP TABLE t; --`, `x"; DROP TABLE t; --`, "x\nDROP TABLE t;", "x\r", "x\x00", `x\'`, "x`id`", "x$(id)", "x;id", "x y",
	"x'||y", "/*x*/", "x*", "x?", "x[a]", "x{a,b}", "x%27", "x#y", "x&y", "x|y", "x<y", "x\u2028y", "JSON\nid", "é", "",
}

func TestHostile(t *testing.T) {
	for _, field := range []struct {
		name string
		set  func(p *Params, v string)
	}{
		{"bucket", func(p *Params, v string) { p.Bucket = v }},
		{"prefix", func(p *Params, v string) { p.Prefix = v + "/" }},
		{"region", func(p *Params, v string) { p.Region = v + "'" }},
		{"endpoint", func(p *Params, v string) { p.Endpoint = "http://" + v }},
		{"account", func(p *Params, v string) { p.Account = v + "'" }},
		{"database", func(p *Params, v string) { p.Database = v + "'" }},
		{"schema", func(p *Params, v string) { p.Schema = v + "'" }},
		{"role", func(p *Params, v string) { p.Role = v + "'" }},
		{"record", func(p *Params, v string) { p.Record = v + "'" }},
		{"partition", func(p *Params, v string) { p.Partition = v + "'" }},
		{"cloud", func(p *Params, v string) { p.Cloud = v }},
		{"set", func(p *Params, v string) { p.Set = map[string]string{"AWS_ACCOUNT_ID": v} }},
		{"set name", func(p *Params, v string) { p.Set = map[string]string{v: "123456789012"} }},
	} {
		for _, v := range hostile {
			if field.name == "prefix" && v == "" {
				v = "x y"
			}
			p := place(S3)
			field.set(&p, v)
			for _, w := range []string{"clickhouse", "postgres", "duckdb", "snowflake"} {
				k, err := Make(w, p)
				var refusal *Refusal
				if !errors.As(err, &refusal) || k != nil {
					t.Errorf("%s takes %q as %s: %v", w, v, field.name, err)
				} else if strings.ContainsAny(refusal.Message+refusal.Hint, "\n\r\x00") || refusal.Hint == "" {
					t.Errorf("%s: refusal %q with hint %q", field.name, refusal.Message, refusal.Hint)
				}
			}
		}
	}
}

// TestEverySlotRefuses gives hostile values to each word of the kits.
func TestEverySlotRefuses(t *testing.T) {
	for _, s := range slots {
		for _, v := range hostile {
			p := place(S3)
			p.Set = map[string]string{s.name: v}
			if _, err := Make("duckdb", p); err == nil {
				t.Errorf("%s takes %q", s.name, v)
			}
		}
		if s.form == nil {
			p := place(S3)
			p.Set = map[string]string{s.name: "GOOG1EXAMPLEEXAMPLEEXAMPLE"}
			if _, err := Make("duckdb", p); err == nil || !strings.Contains(err.Error(), "secret") {
				t.Errorf("%s takes a secret: %v", s.name, err)
			}
		}
	}
}

// TestDirectories: a path may hold what a literal has to quote, but nothing
// that ends a comment or that a loader reads as a pattern.
func TestDirectories(t *testing.T) {
	for _, v := range hostile {
		p := Params{Cloud: Directory, Dir: "/data/x" + v}
		k, err := Make("duckdb", p)
		refused := strings.ContainsAny(v, "*?[]{}\\\n\r\x00\u2028")
		if (err != nil) != refused {
			t.Errorf("%q: refused %v: %v", v, refused, err)
		}
		if err == nil && !strings.Contains(k.Script(), literal(p.Dir+"/conversations/*/*.jsonl.gz")) {
			t.Errorf("%q is not quoted", v)
		}
	}
}

func TestQuotes(t *testing.T) {
	for _, row := range []struct{ got, want string }{
		{literal(`it's \ "x"`), `'it''s \ "x"'`},
		{escapedLiteral(`it's \ "x"`), `'it\'s \\ "x"'`},
		{shellWord(`it's $x`), `'it'\''s $x'`},
	} {
		if row.got != row.want {
			t.Errorf("got %s, want %s", row.got, row.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, row := range map[string]struct {
		warehouse string
		p         Params
		message   string
	}{
		"unknown warehouse":  {"oracle", place(S3), `"oracle" is not known`},
		"wrong cloud":        {"redshift", place(GCS), "redshift does not load from Google Cloud Storage"},
		"directory":          {"snowflake", place(Directory), "snowflake does not load from a directory"},
		"endpoint":           {"snowflake", Params{Cloud: S3, Bucket: "bkt", Endpoint: "https://minio.example.org"}, "does not load from the endpoint"},
		"reserved word":      {"duckdb", Params{Cloud: S3, Bucket: "bkt", Schema: "Select"}, "is a word of SQL"},
		"folder dt=":         {"duckdb", Params{Cloud: S3, Bucket: "bkt", Prefix: "a/dt=1/"}, "dt="},
		"relative directory": {"duckdb", Params{Cloud: Directory, Dir: "out"}, "not an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Make(row.warehouse, row.p)
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, row.message) || refusal.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}
