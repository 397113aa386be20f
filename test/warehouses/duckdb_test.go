package warehouses

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/internal/warehouse"
)

// strange is a name of a directory that must be quoted in SQL and in a shell.
const strange = `it's "$HOME" ; -- x`

var duckdbDialect = dialect{
	ms:   func(e string) string { return "epoch_ms(" + e + ")" },
	flag: func(e string) string { return "CAST(" + e + " AS INTEGER)" },
	text: func(e string) string { return "CAST(" + e + " AS VARCHAR)" },
	sum:  func(e string) string { return "sum(" + e + ")" },
	md5:  func(e string) string { return "md5(" + e + ")" },
}

// duckdb runs statements in a database in memory.
type duckdb struct{ *sql.DB }

func newDuckDB(t testing.TB) duckdb {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	must(t, err)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	db.SetMaxOpenConns(1)
	return duckdb{db}
}

// rows gives the result of the last statement, as text.
func (db duckdb) rows(t testing.TB, statements string) (all [][]string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), statements)
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, statements)
	}
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		values, row := make([]sql.NullString, len(names)), make([]string, len(names))
		to := make([]any, len(names))
		for i := range values {
			to[i] = &values[i]
		}
		must(t, rows.Scan(to...))
		for i, v := range values {
			row[i] = v.String
		}
		all = append(all, row)
	}
	must(t, rows.Err())
	return all
}

func (db duckdb) ask(t testing.TB, q question) answer {
	t.Helper()
	return toAnswer(t, db.rows(t, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ("+q.sql(duckdbDialect)+")"))
}

// toAnswer makes an answer of rows of a key and numbers.
func toAnswer(t testing.TB, rows [][]string) answer {
	t.Helper()
	a := answer{}
	for _, row := range rows {
		for i := range row[1:] {
			row[i+1] = number(t, row[i+1])
		}
		if _, twice := a[row[0]]; twice {
			t.Errorf("two rows for %q", row[0])
		}
		a[row[0]] = strings.Join(row[1:], "|")
	}
	return a
}

// compare asks all questions of an engine and of the truth. What the raw table
// holds is given as a number of its own, for it holds superseded versions too.
func compare(t *testing.T, all []conversation, rawRows int, ask func(q question) answer, more ...question) {
	t.Helper()
	for _, q := range append(questions(), more...) {
		want := q.ask(all)
		if q.name == "raw rows" {
			want = answer{"all": number(t, itoa(rawRows))}
		}
		if len(want) == 0 {
			t.Errorf("%s: the truth has no rows, which proves nothing", q.name)
		}
		if diff := cmp.Diff(want, ask(q)); diff != "" {
			t.Errorf("%s (-truth +warehouse):\n%.3000s", q.name, diff)
		}
	}
}

// exported exports into a strange directory, in a format.
func exported(t *testing.T, o *organisation, format string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), strange)
	run(t, o.export(t.Context(), t, dir, nil, "--record", format, "--max-record", strconv.Itoa(largest)))
	return dir
}

// TestDuckDBOrdered runs the kit over an export whose names only grow, where a process
// that died has left a name blank.
func TestDuckDBOrdered(t *testing.T) {
	o := newOrganisation(t)
	all, aside := o.truth(t, largest)
	dir := filepath.Join(t.TempDir(), strange)
	run(t, o.export(t.Context(), t, dir, nil, "--partition", "export-day", "--max-record", strconv.Itoa(largest)))
	key := objects(t, dir)[0]
	var blank bytes.Buffer
	must(t, gzip.NewWriter(&blank).Close())
	write(t, filepath.Join(filepath.Dir(filepath.Join(dir, key)), "0000000999-20240101T000000Z-20240102T000000Z.r0.p0000.jsonl.gz"), blank.Bytes())
	db := newDuckDB(t)
	if found := db.rows(t, kit(t, "duckdb", nil, "--bucket", dir, "--partition", "export-day", "--diverted")); len(found) > 0 {
		t.Errorf("the reconciliation finds %q", found)
	}
	compare(t, all, len(all), func(q question) answer { return db.ask(t, q) }, bytesQuestion())
	compareAside(t, aside, func(table string) []string { return db.lines(t, table) })
}

// TestDuckDB runs the printed kit over an export in a directory.
func TestDuckDB(t *testing.T) {
	o := newOrganisation(t)
	all, aside := o.truth(t, largest)
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			dir := exported(t, o, format)
			script := kit(t, "duckdb", nil, "--bucket", dir, "--record", format, "--diverted")
			db := newDuckDB(t)
			ask := func(q question) answer { return db.ask(t, q) }
			// The script ends with the reconciliation, which finds nothing.
			if found := db.rows(t, script); len(found) > 0 {
				t.Errorf("the reconciliation finds %q", found)
			}
			// DuckDB writes a value inside another anew: only whole lines keep their bytes.
			var more []question
			if format == warehouse.Raw {
				more = []question{bytesQuestion()}
			}
			compare(t, all, len(all), ask, more...)
			compareAside(t, aside, func(table string) []string { return db.lines(t, table) })

			// A second revision supersedes the first, in views that are there already.
			after, n := revise(t, dir, format == warehouse.Envelope, all)
			compare(t, after, len(all)+n, ask, more...)
			if found := db.rows(t, script); len(found) > 0 {
				t.Errorf("the reconciliation finds %q after a revision", found)
			}
			db.findsPlanted(t, dir, script)
		})
	}
}

// lines are those of a table of what was put aside.
func (db duckdb) lines(t *testing.T, table string) (lines []string) {
	t.Helper()
	for _, row := range db.rows(t, "SELECT line FROM genesys."+table) {
		lines = append(lines, row[0])
	}
	return lines
}

// findsPlanted takes a line, an object and a manifest away; the reconciliation
// must name each, and nothing else.
func (db duckdb) findsPlanted(t *testing.T, dir, script string) {
	t.Helper()
	short := lose(t, dir)
	keys := objects(t, dir)
	gone, unlisted := keys[3], keys[4]
	must(t, os.Remove(filepath.Join(dir, gone)))
	name := filepath.Base(unlisted)
	must(t, os.Remove(filepath.Join(dir, "_gcexport/conversations", name[:strings.Index(name, ".p")]+".json")))
	want := map[string]string{short: "wrong number of rows", gone: "object not found", filepath.Base(unlisted): "no manifest"}
	got := map[string]string{}
	for _, row := range db.rows(t, script) {
		got[row[0]] = row[3]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestDuckDBOnS3 exports to an S3 store. Where DuckDB can install its extension
// for S3, it reads the bucket by the printed kit, word for word; elsewhere it
// reads a copy of all that the store gives back, and says so.
func TestDuckDBOnS3(t *testing.T) {
	s := newS3(t)
	bucket := s.at("some/prefix")
	o := newOrganisation(t)
	run(t, o.export(t.Context(), t, bucket, s.env))
	all, _ := o.truth(t, 0)
	t.Run("copied", func(t *testing.T) {
		dir := filepath.Join(s.copy(t), "some/prefix")
		db := newDuckDB(t)
		if found := db.rows(t, kit(t, "duckdb", nil, "--bucket", dir)); len(found) > 0 {
			t.Errorf("the reconciliation finds %q", found)
		}
		compare(t, all, len(all), func(q question) answer { return db.ask(t, q) }, bytesQuestion())
	})
	t.Run("in place", func(t *testing.T) {
		db := newDuckDB(t)
		if _, err := db.Exec("INSTALL httpfs; INSTALL aws"); err != nil {
			line, _, _ := strings.Cut(err.Error(), "\n")
			t.Skipf("SKIP DuckDB on S3: its extensions cannot be had here: %s", line)
		}
		if found := db.rows(t, kit(t, "duckdb", s.env, "--bucket", bucket)); len(found) > 0 {
			t.Errorf("the reconciliation finds %q", found)
		}
		compare(t, all, len(all), func(q question) answer { return db.ask(t, q) }, bytesQuestion())
	})
}
