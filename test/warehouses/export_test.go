package warehouses

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/warehouse"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// rootEnv holds the folder of the program's module.
const rootEnv = "GCEXPORT_TEST_ROOT"

// program builds gcexport once, as make does, and gives its path.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gcexport")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "gcexport")
	build := exec.Command("go", "build", "-trimpath", "-tags=grpcnotrace,disable_grpc_modules", "-o", path, "./cmd/gcexport")
	build.Dir = os.Getenv(rootEnv)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// gcexport is a run of the program.
func gcexport(ctx context.Context, t testing.TB, env map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "GENESYSCLOUD_OAUTHCLIENT_ID=demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET=demo")
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

var (
	firstDay = time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	days     = 4
)

// organisation is the simulator, and how to export from it.
type organisation struct {
	*genesystest.Server
	url string
}

func newOrganisation(t testing.TB, faults ...string) *organisation {
	t.Helper()
	o := genesystest.Options{
		Seed: 11, PerDay: 150, LargeEvery: 100, FlawedEvery: 30, ExtraFields: true, Gzip: true, RequestsPerMinute: -1, JobTime: time.Millisecond,
		From: firstDay.AddDate(0, 0, -3), To: firstDay.AddDate(0, 0, days+3),
	}
	for _, text := range faults {
		f, err := genesystest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Faults = append(o.Faults, f)
	}
	s := genesystest.New(o)
	url, stop, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return &organisation{s, url}
}

// export is the program exporting all days to a bucket.
func (o *organisation) export(ctx context.Context, t testing.TB, bucket string, env map[string]string, flags ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"export", bucket, "--start", day(0), "--end", day(days), "--chunk", "12h",
		"--api-url", o.url, "--login-url", o.url, "--rate", "100000", "--jobs", "16", "--quiet"}, flags...)
	return gcexport(ctx, t, env, args...)
}

func day(n int) string { return firstDay.AddDate(0, 0, n).Format(time.DateOnly) }

func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(cmd.Path), err, out)
	}
	return string(out)
}

// truth are the conversations that a perfect export holds for loaders, and by
// folder the records that it has put aside: those with flaws, and those larger
// than the bound, if that is not 0.
func (o *organisation) truth(t testing.TB, bound int) (all []conversation, aside map[string][]string) {
	t.Helper()
	aside = map[string][]string{}
	for c := range o.Truth(firstDay, firstDay.AddDate(0, 0, days), true) {
		switch size := len(c.JSON); {
		case bytes.Contains(c.JSON, []byte(`"flaw":`)):
			aside[rejected] = append(aside[rejected], string(c.JSON))
		case bound > 0 && size > bound-1000 && size < bound:
			t.Fatalf("a record of %d bytes: an envelope may be larger than the bound", size)
		case bound > 0 && size > bound:
			aside[oversize] = append(aside[oversize], string(c.JSON))
		default:
			all = append(all, decode(t, c.JSON))
		}
	}
	if len(all) < 100 || len(aside[rejected]) < 10 || bound > 0 && len(aside[oversize]) < 2 {
		t.Fatalf("%d conversations, and %d and %d put aside", len(all), len(aside[rejected]), len(aside[oversize]))
	}
	return all, aside
}

// The folders, and tables, of what is put aside.
const oversize, rejected = "conversations_oversize", "conversations_rejected"

// largest is the bound on records of what exported exports.
const largest = 150_000

// compareAside holds the lines that a warehouse has of what was put aside
// against what should have been.
func compareAside(t testing.TB, aside map[string][]string, lines func(table string) []string) {
	t.Helper()
	for _, table := range []string{oversize, rejected} {
		got := lines(table)
		for i, line := range got {
			if _, record, ok := strings.Cut(line, `,"record":`); ok && strings.HasPrefix(line, `{"conversation_id":`) {
				got[i] = strings.TrimSuffix(record, "}")
			}
		}
		want := slices.Sorted(slices.Values(aside[table]))
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: %d lines, want %d; the first %.300q", table, len(got), len(want), append(got, "")[0])
		}
	}
}

// kit is the printed kit of a warehouse.
func kit(t testing.TB, name string, env map[string]string, args ...string) string {
	t.Helper()
	cmd := gcexport(t.Context(), t, env, append([]string{"warehouse", name}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("warehouse %s: %v\n%s", name, err, &stderr)
	}
	return string(out)
}

// eachObject gives the lines of each data object, without their ends.
func eachObject(t testing.TB, dir string, f func(key string, lines [][]byte)) {
	t.Helper()
	keys := objects(t, dir)
	if len(keys) == 0 {
		t.Fatal("no objects")
	}
	for _, key := range keys {
		data, err := os.ReadFile(filepath.Join(dir, key))
		must(t, err)
		zr, err := gzip.NewReader(bytes.NewReader(data))
		must(t, err)
		var lines [][]byte
		scanner := bufio.NewScanner(zr)
		scanner.Buffer(nil, 1<<26)
		for scanner.Scan() {
			lines = append(lines, bytes.Clone(scanner.Bytes()))
		}
		must(t, scanner.Err())
		f(key, lines)
	}
}

func objects(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(strings.NewReplacer("[", `\[`).Replace(dir), "conversations/dt=*/*.jsonl.gz"))
	must(t, err)
	for i, p := range paths {
		paths[i] = strings.TrimPrefix(p, dir+"/")
	}
	return paths
}

// revise writes r1 of the first chunk: the same conversations, with another
// external tag, and its manifest. It returns the truth
// after it, and how many rows it has added.
func revise(t testing.TB, dir string, envelope bool, all []conversation) (after []conversation, n int) {
	t.Helper()
	key := objects(t, dir)[0]
	const was, now = ".r0.", ".r1."
	revised := map[string][]byte{}
	var b bytes.Buffer
	eachObject(t, dir, func(k string, lines [][]byte) {
		if k != key {
			return
		}
		for _, line := range lines {
			if envelope {
				line = bytes.Replace(line, []byte(`"as_of":"20`), []byte(`"as_of":"21`), 1)
				line = bytes.Replace(line, []byte(`"revision":0`), []byte(`"revision":1`), 1)
			}
			if !bytes.Contains(line, []byte(`"externalTag"`)) {
				line = bytes.Replace(line, []byte(`"conversationStart":`), []byte(`"externalTag":"revised","conversationStart":`), 1)
			}
			b.Write(line)
			b.WriteByte('\n')
			if _, record, ok := bytes.Cut(line, []byte(`"record":`)); envelope && ok {
				line = record[:len(record)-1]
			}
			revised[decode(t, line).ConversationID] = line
		}
	})
	write(t, filepath.Join(dir, strings.Replace(key, was, now, 1)), zip(t, b.Bytes()))
	name := filepath.Base(key)
	manifest := filepath.Join(dir, "_gcexport/conversations", name[:strings.Index(name, was)]+was+"json")
	text, err := os.ReadFile(manifest)
	must(t, err)
	text = bytes.ReplaceAll(text, []byte(was), []byte(now))
	write(t, strings.Replace(manifest, was, now, 1), bytes.Replace(text, []byte(`"revision": 0`), []byte(`"revision": 1`), 1))

	after = make([]conversation, len(all))
	for i, c := range all {
		after[i] = c
		if line, ok := revised[c.ConversationID]; ok {
			after[i] = decode(t, line)
		}
	}
	if len(revised) == 0 {
		t.Fatal("nothing was revised")
	}
	return after, len(revised)
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, err := zw.Write(data)
	must(t, err)
	must(t, zw.Close())
	return b.Bytes()
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, data, 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// formats are those of a record; both are asked of each engine.
var formats = []string{warehouse.Raw, warehouse.Envelope}

// lose takes the last line away from the second object.
func lose(t testing.TB, dir string) (key string) {
	t.Helper()
	key = objects(t, dir)[1]
	eachObject(t, dir, func(k string, lines [][]byte) {
		if k == key {
			data := append(bytes.Join(lines[:len(lines)-1], []byte("\n")), '\n')
			must(t, os.Remove(filepath.Join(dir, key)))
			write(t, filepath.Join(dir, key), zip(t, data))
		}
	})
	return key
}
