package warehouses

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/internal/warehouse"
)

var postgresDialect = dialect{
	ms:   func(e string) string { return "(extract(epoch FROM " + e + ") * 1000)::bigint" },
	flag: func(e string) string { return e + "::int" },
	text: func(e string) string { return e + "::text" },
	sum:  func(e string) string { return "sum(" + e + ")" },
	md5:  func(e string) string { return "md5(" + e + ")" },
}

// postgres is a server of its own, and the environment that reaches it.
type postgres struct{ env []string }

// binary finds a program of PostgreSQL, which Debian keeps off the path.
func binary(name string) (string, bool) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return slices.Max(found), true
	}
	path, err := exec.LookPath(name)
	return path, err == nil
}

// newPostgres starts a server on a port of this machine, as nobody where we
// are root, which PostgreSQL refuses.
func newPostgres(t *testing.T) postgres {
	t.Helper()
	initdb, ok1 := binary("initdb")
	server, ok2 := binary("postgres")
	if _, err := exec.LookPath("psql"); err != nil || !ok1 || !ok2 {
		t.Skip("SKIP PostgreSQL: initdb, postgres and psql are not installed")
	}
	dir, err := os.MkdirTemp("", "gcexport-postgres-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		must(t, err)
		uid, err := strconv.Atoi(nobody.Uid)
		must(t, err)
		must(t, os.Chown(dir, uid, -1))
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	data := filepath.Join(dir, "data")
	make := exec.CommandContext(t.Context(), initdb, "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
	make.SysProcAttr, make.Dir = as, dir
	run(t, make)

	port := freePort(t)
	cmd := exec.Command(server, "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	cmd.SysProcAttr, cmd.Dir = as, dir
	var log bytes.Buffer
	cmd.Stderr = &log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%.2000s", log.String())
		}
	})
	pg := postgres{[]string{"PGHOST=127.0.0.1", "PGPORT=" + port, "PGUSER=postgres", "PGDATABASE=postgres"}}
	for range 100 {
		if exec.CommandContext(t.Context(), "psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-c", "SELECT 1").Run() == nil {
			return pg
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("PostgreSQL does not answer: %s", log.String())
	return pg
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func (pg postgres) command(t testing.TB, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), pg.env...)
	return cmd
}

// steps runs the files of a kit whose names contain one of the words, in order,
// and returns the rows of the last one.
func (pg postgres) steps(t testing.TB, dir string, words ...string) (rows [][]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	for _, f := range files {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(filepath.Base(f), w) }) {
			continue
		}
		if strings.HasSuffix(f, ".sh") {
			run(t, pg.command(t, "bash", f))
			continue
		}
		rows = pg.rows(t, "-f", f)
	}
	return rows
}

func (pg postgres) rows(t testing.TB, args ...string) [][]string {
	t.Helper()
	cmd := pg.command(t, "psql", append([]string{"--no-psqlrc", "--quiet", "--csv", "--tuples-only", "-v", "ON_ERROR_STOP=1"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, &stderr)
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	must(t, err)
	return rows
}

// TestPostgres runs the steps of the kit, one by one as their files stand, over
// an export in a directory. Its jsonb is the strictest reader there is.
func TestPostgres(t *testing.T) {
	o := newOrganisation(t)
	all, aside := o.truth(t, largest)
	pg := newPostgres(t)
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			pg.rows(t, "-c", "DROP SCHEMA IF EXISTS genesys CASCADE")
			ask := func(q question) answer { return toAnswer(t, pg.rows(t, "-c", q.sql(postgresDialect))) }
			dir := exported(t, o, format)
			out := filepath.Join(t.TempDir(), "kit")
			kit(t, "postgres", nil, "--bucket", dir, "--record", format, "--diverted", "--out", out)
			if found := pg.steps(t, out, "tables", "load", "views", "reader", "manifests", "reconcile"); len(found) > 0 {
				t.Errorf("the reconciliation finds %q", found)
			}
			compare(t, all, len(all), ask)
			pg.steps(t, out, "load") // what is loaded is not loaded again
			compare(t, all, len(all), ask)
			compareAside(t, aside, func(table string) (lines []string) {
				for _, row := range pg.rows(t, "-c", "SELECT line FROM genesys."+table) {
					lines = append(lines, row[0])
				}
				return lines
			})

			after, n := revise(t, dir, format == warehouse.Envelope, all)
			pg.steps(t, out, "load")
			compare(t, after, len(all)+n, ask)

			// A row that is lost, an object that is not loaded.
			key := objects(t, dir)[1]
			pg.rows(t, "-c", fmt.Sprintf(`DELETE FROM genesys.conversations_raw WHERE conversation_id =
				(SELECT min(conversation_id) FROM genesys.conversations_raw WHERE file_name = '%[1]s') AND file_name = '%[1]s'`, key))
			gone := objects(t, dir)[3]
			pg.rows(t, "-c", fmt.Sprintf(`DELETE FROM genesys.conversations_raw WHERE file_name = '%s'`, gone))
			got := map[string]string{}
			for _, row := range pg.steps(t, out, "manifests", "reconcile") {
				got[row[0]] = row[3]
			}
			if diff := cmp.Diff(map[string]string{key: "wrong number of rows", gone: "object not loaded"}, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
