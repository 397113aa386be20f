package conformance

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// program builds gcexport once and gives its path.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gcexport")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "gcexport")
	build := exec.Command("go", "build", "-tags=grpcnotrace,disable_grpc_modules", "-o", path, "./cmd/gcexport")
	build.Dir = os.Getenv(rootEnv)
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// world is a simulated organisation, and how the program reaches it.
type world struct {
	*genesystest.Server
	url   string
	span  interval.Interval
	store stores.Store
}

func newWorld(t *testing.T, s stores.Store, o genesystest.Options) *world {
	t.Helper()
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	o.From, o.To, o.Gzip, o.RequestsPerMinute = start.AddDate(0, -1, 0), start.AddDate(0, 2, 0), true, -1
	server := genesystest.New(o)
	url, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return &world{Server: server, url: url, span: interval.Interval{Start: start, End: start.AddDate(0, 0, 10)}, store: s}
}

// command is the program, exporting ten days into the store.
func (w *world) command(ctx context.Context, t *testing.T, flags ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"export", w.store.URL, "--start", "2024-03-01", "--end", "2024-03-11",
		"--api-url", w.url, "--login-url", w.url, "--rate", "100000", "--jobs", "64"}, flags...)
	cmd := gcexport(ctx, t, w.store, args...)
	cmd.Env = append(cmd.Env, "GENESYSCLOUD_OAUTHCLIENT_ID=demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET=demo")
	return cmd
}

// gcexport is the program with what it needs to reach the store.
func gcexport(ctx context.Context, t *testing.T, s stores.Store, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = os.Environ()
	for k, v := range s.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// verify wants the program to find the bucket whole, and the range covered.
func (w *world) verify(t *testing.T) {
	t.Helper()
	cmd := gcexport(t.Context(), t, w.store, "verify", w.store.URL, "--start", "2024-03-01", "--end", "2024-03-11", "--quiet")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// run wants the program to end with the exit code.
func (w *world) run(t *testing.T, code int, flags ...string) {
	t.Helper()
	cmd := w.command(t.Context(), t, flags...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("exit code %d (%v), want %d:\n%s", got, err, code, out)
	}
}

// checkHolds reads the bucket with other tools than those that wrote it.
func (w *world) checkHolds(t *testing.T) {
	t.Helper()
	want := map[string]bool{}
	for c := range w.Truth(w.span.Start, w.span.End, true) {
		want[string(c.JSON)] = true
	}
	layout := export.Layout{Dataset: export.Conversations}
	names, err := w.store.Raw.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		_, part := layout.ParsePart(name)
		_, manifest := layout.ParseManifest(name)
		if !part && !manifest && !strings.HasPrefix(name, "_gcexport/") {
			t.Errorf("unexpected object %s", name)
		}
		if part {
			w.checkPart(t, name, want)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d conversations are missing", len(want))
	}
}

func (w *world) checkPart(t *testing.T, name string, want map[string]bool) {
	t.Helper()
	if kind, encoding, err := w.store.Raw.Header(t.Context(), name); w.store.Name != "file" && (kind != "application/gzip" || encoding != "" || err != nil) {
		t.Errorf("%s has content type %q, encoding %q, %v", name, kind, encoding, err)
	}
	st := w.store.Open(t, store.Options{})
	data, err := object.Read(t.Context(), st.Bucket, name, &st.Object, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines := bufio.NewScanner(zr)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if !want[lines.Text()] {
			t.Errorf("%s: unexpected, repeated or altered: %.200s", name, lines.Text())
		}
		delete(want, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// An export arrives whole on every store; a second one finds nothing to do and
// writes nothing; nothing unfinished is left.
func TestExport(t *testing.T) {
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s, genesystest.Options{PerDay: 150})
			w.run(t, 0)
			w.checkHolds(t)
			w.verify(t)
			mustBeClean(t, s)
			before, err := s.Raw.Objects(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.run(t, 0)
			if after, err := s.Raw.Objects(t.Context()); err != nil || len(after) != len(before) {
				t.Errorf("%d objects have become %d, %v", len(before), len(after), err)
			}
		})
	}
}

// Memory is bounded by the workers, not by the data.
func TestExportMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil || testing.Short() {
		t.Skip("skipped: no /proc, or -short")
	}
	const limit = 400 << 20
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			w := newWorld(t, s, genesystest.Options{PerDay: 2000})
			peak := peakMemory(t, w.command(t.Context(), t, "--workers", "8", "--gzip-level", "1"))
			t.Logf("8 workers: %d MiB", peak>>20)
			if peak > limit {
				t.Errorf("8 workers take %d MiB, want at most %d", peak>>20, limit>>20)
			}
		})
	}
}

// peakMemory runs the program and gives the most memory that it had resident,
// in bytes. It asks /proc while the program runs: what wait4 tells includes the
// process that started it.
func peakMemory(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var peak int64
	for {
		select {
		case err := <-ended:
			if err != nil || peak == 0 {
				t.Fatalf("%v, peak %d\n%s", err, peak, out.String())
			}
			return peak
		case <-time.After(20 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater reads VmHWM, the peak of resident memory so far; 0 if there is none
// to read any more.
func highWater(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
