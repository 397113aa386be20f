package warehouses

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/internal/warehouse"
)

var clickhouseDialect = dialect{
	ms:   func(e string) string { return "toUnixTimestamp64Milli(" + e + ")" },
	flag: func(e string) string { return "toInt32(" + e + ")" },
	text: func(e string) string { return e },
	sum:  func(e string) string { return "sum(toInt128(" + e + "))" },
	md5:  func(e string) string { return "lower(hex(MD5(" + e + ")))" },
}

// clickhouse is ClickHouse as a process.
type clickhouse struct {
	stdin  io.Writer
	stdout *bufio.Reader
}

// newClickHouse starts one, with a configuration if that is not empty.
func newClickHouse(t *testing.T, config string, env map[string]string) *clickhouse {
	t.Helper()
	dir := filepath.Join(os.Getenv(rootEnv), "test/warehouses/clickhouse")
	if _, err := os.Stat(filepath.Join(dir, "node_modules/chdb")); err != nil {
		t.Skip("SKIP ClickHouse: it is not installed: run `npm install --no-save` in test/warehouses/clickhouse (Node 20 or later, 550 MB)")
	}
	cmd := exec.Command("node", "run.js", t.TempDir(), config)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		stop := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer stop.Stop()
		if err := cmd.Wait(); err != nil {
			t.Logf("ClickHouse ended with %v: %.2000s", err, stderr.String())
		}
	})
	return &clickhouse{stdin, bufio.NewReader(stdout)}
}

// rows runs statements and gives the rows of the last one.
func (c *clickhouse) rows(t testing.TB, statements string) [][]string {
	t.Helper()
	line, err := json.Marshal(map[string]string{"sql": statements})
	must(t, err)
	_, err = c.stdin.Write(append(line, '\n'))
	must(t, err)
	text, err := c.stdout.ReadBytes('\n')
	must(t, err)
	var answer struct{ CSV, Error string }
	must(t, json.Unmarshal(text, &answer))
	if answer.Error != "" {
		t.Fatalf("%.1500s\n%.1500s", answer.Error, statements)
	}
	rows, err := csv.NewReader(strings.NewReader(answer.CSV)).ReadAll()
	must(t, err)
	return rows
}

func (c *clickhouse) ask(t testing.TB, q question) answer {
	t.Helper()
	// Whoever asks for NULLs in CSV gets \N.
	return toAnswer(t, c.rows(t, "SELECT * FROM ("+q.sql(clickhouseDialect)+") SETTINGS format_csv_null_representation = ''"))
}

// steps runs the files of a kit whose names contain one of the words.
func (c *clickhouse) steps(t testing.TB, dir string, words ...string) (rows [][]string) {
	t.Helper()
	for _, word := range words {
		files, err := filepath.Glob(filepath.Join(dir, "*_"+word+".sql"))
		if err != nil || len(files) != 1 {
			t.Fatalf("step %s: %q, %v", word, files, err)
		}
		text, err := os.ReadFile(files[0])
		must(t, err)
		rows = c.rows(t, string(text))
	}
	return rows
}

// TestClickHouse runs the steps of the kit over an export in a directory, all
// but the grants, for which a ClickHouse without users has no use.
func TestClickHouse(t *testing.T) {
	o := newOrganisation(t)
	all, aside := o.truth(t, largest)
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			c := newClickHouse(t, "", nil)
			dir := exported(t, o, format)
			out := filepath.Join(t.TempDir(), "kit")
			kit(t, "clickhouse", nil, "--bucket", dir, "--record", format, "--diverted", "--out", out)
			ask := func(q question) answer { return c.ask(t, q) }
			var more []question
			if format == warehouse.Raw {
				more = []question{bytesQuestion()}
			}
			if found := c.steps(t, out, "tables", "load", "views", "reconcile"); len(found) > 0 {
				t.Errorf("the reconciliation finds %q", found)
			}
			compare(t, all, len(all), ask, more...)
			c.steps(t, out, "load") // what is loaded is not loaded again
			compare(t, all, len(all), ask, more...)
			compareAside(t, aside, func(table string) (lines []string) {
				for _, row := range c.rows(t, "SELECT line FROM genesys."+table) {
					lines = append(lines, row[0])
				}
				return lines
			})
			after, n := revise(t, dir, format == warehouse.Envelope, all)
			c.steps(t, out, "load")
			compare(t, after, len(all)+n, ask, more...)

			keys := objects(t, dir)
			c.rows(t, fmt.Sprintf("DELETE FROM genesys.conversations_raw WHERE file_name = '%s' AND conversation_id = "+
				"(SELECT min(conversation_id) FROM genesys.conversations_raw WHERE file_name = '%[1]s')", keys[1]))
			c.rows(t, fmt.Sprintf("DELETE FROM genesys.conversations_raw WHERE file_name = '%s'", keys[3]))
			got := map[string]string{}
			for _, row := range c.steps(t, out, "reconcile") {
				got[row[0]] = row[3]
			}
			want := map[string]string{filepath.Base(keys[1]): "wrong number of rows", filepath.Base(keys[3]): "object not loaded"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// keeper starts a ZooKeeper, which S3Queue keeps its state in, and gives a
// configuration for ClickHouse.
func keeper(t *testing.T) (config string) {
	t.Helper()
	const jar = "/usr/share/java/zookeeper.jar"
	if _, err := os.Stat(jar); err != nil {
		t.Skip("SKIP ClickHouse S3Queue: Debian's zookeeper is not installed")
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("SKIP ClickHouse S3Queue: java is not installed")
	}
	dir, port := t.TempDir(), freePort(t)
	zoo := filepath.Join(dir, "zoo.cfg")
	write(t, zoo, fmt.Appendf(nil, "tickTime=500\ndataDir=%s\nclientPortAddress=127.0.0.1\nclientPort=%s\nadmin.enableServer=false\n", dir, port))
	cmd := exec.Command("java", "-Xmx256m", "-cp", "/etc/zookeeper/conf_example:/usr/share/java/*", "org.apache.zookeeper.server.quorum.QuorumPeerMain", zoo)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			config = filepath.Join(dir, "config.xml")
			write(t, config, fmt.Appendf(nil, `<clickhouse><zookeeper><node><host>127.0.0.1</host><port>%s</port></node></zookeeper>`+
				`<s3><use_environment_credentials>1</use_environment_credentials></s3></clickhouse>`, port))
			return config
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("ZooKeeper does not answer: %.2000s", out.String())
	return ""
}

// TestClickHouseQueue has the printed kit load from the S3 store while the
// exporter runs with several workers, is killed, and goes on: at the end there
// is a row for each record, and none twice: by a queue that remembers all names, and by
// one that remembers the last, where names only grow.
func TestClickHouseQueue(t *testing.T) {
	for _, partition := range []string{warehouse.Day, warehouse.ExportDay} {
		t.Run(partition, func(t *testing.T) { queue(t, partition) })
	}
}

func queue(t *testing.T, partition string) {
	config := keeper(t)
	s := newS3(t)
	bucket := s.at("some/prefix")
	o := newOrganisation(t, "page:delay:for=300ms,p=1")
	all, _ := o.truth(t, 0)
	c := newClickHouse(t, config, s.env)
	out := filepath.Join(t.TempDir(), "kit")
	kit(t, "clickhouse", s.env, "--bucket", bucket, "--partition", partition, "--out", out)
	c.steps(t, out, "tables", "queue", "views")

	kills := 0
	for ; ; kills++ {
		cmd := o.export(t.Context(), t, bucket, s.env, "--workers", "4", "--partition", partition)
		var log bytes.Buffer
		cmd.Stderr = &log
		must(t, cmd.Start())
		kill := time.AfterFunc(time.Duration(1500+700*kills)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if kill.Stop() || err == nil {
			if err != nil {
				t.Fatalf("export: %v\n%s", err, &log)
			}
			break
		}
	}
	if kills == 0 {
		t.Error("the exporter was never killed")
	}
	rows := func() string { return c.rows(t, "SELECT count() FROM genesys.conversations_raw")[0][0] }
	for deadline := time.Now().Add(2 * time.Minute); rows() != itoa(len(all)) && time.Now().Before(deadline); {
		time.Sleep(500 * time.Millisecond)
	}
	t.Logf("killed %d times; %s rows of %d records", kills, rows(), len(all))
	compare(t, all, len(all), func(q question) answer { return c.ask(t, q) }, bytesQuestion())
	if found := c.steps(t, out, "reconcile"); len(found) > 0 {
		t.Errorf("the reconciliation finds %q", found)
	}
	c.steps(t, out, "load") // knows what the queue has loaded
	if got := rows(); got != itoa(len(all)) {
		t.Errorf("%s rows after loading by hand too, want %d", got, len(all))
	}
}
