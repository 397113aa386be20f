package metrics_test

import (
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/internal/metrics"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt anew")

func usage() genesys.Usage {
	return genesys.Usage{
		Requests: map[genesys.Kind]map[int]int64{genesys.KindResults: {200: 40, 429: 2}, genesys.KindToken: {0: 1, 200: 1}},
		Bytes:    123456, Limiter: 1500 * time.Millisecond, API: 20 * time.Second, Jobs: time.Minute, PerMinute: 300, Elapsed: 12 * time.Second,
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

var now = regexp.MustCompile(`(?m)^(gcexport_(?:last_progress|start)_timestamp_seconds) .*$`)

// Names, help, units and values are a contract with dashboards: testdata/metrics.txt.
func TestMetrics(t *testing.T) {
	m := metrics.New("v1.2.3", "job", usage)
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	if status, _ := get(t, server.URL+"/readyz"); status != 503 {
		t.Errorf("ready before there is a plan: %d", status)
	}
	for _, e := range []export.Event{
		export.Planned{Run: "01HQ", Chunks: 10, Skipped: 3, Postponed: 1, Todo: 6, Watermark: time.Date(2024, 3, 1, 0, 0, 0, 5e8, time.UTC)},
		export.ChunkStarted{}, export.ChunkStarted{}, export.ChunkStarted{}, export.ChunkStarted{}, export.ChunkStarted{},
		export.PageTaken{Received: 100, Records: 90, RawBytes: 900_000, Bytes: 100_000},
		export.PageTaken{Received: 10, Records: 10, RawBytes: 100_000, Bytes: 20_000},
		export.StoreWaited{Took: 250 * time.Millisecond},
		export.PartWritten{Records: 100, RawBytes: 1_000_000, Bytes: 120_000},
		export.ChunkDone{Records: 100, Dropped: export.Dropped{Foreign: 7, Duplicate: 3},
			Diverted: []export.Diverted{{Dataset: "conversations_oversize", Records: 4}}}, export.ChunkDone{Elsewhere: true}, export.ChunkPostponed{}, export.ChunkFailed{Err: errors.New("x")},
	} {
		m.Observe(e)
	}
	for _, path := range []string{"/readyz", "/healthz"} {
		if status, body := get(t, server.URL+path); status != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	if status, _ := get(t, server.URL+"/other"); status != 404 {
		t.Errorf("/other: %d", status)
	}
	_, got := get(t, server.URL+"/metrics")
	got = now.ReplaceAllString(got, "$1 NOW")
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The push replaces the group of the job and the shard.
func TestPush(t *testing.T) {
	var method, path string
	var size int64
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, path = r.Method, r.URL.Path
		size, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer gateway.Close()
	m := metrics.New("v1.2.3", "job", usage)
	m.Exit(4)
	if err := m.Push(t.Context(), gateway.URL, "1/4"); err != nil || method != "PUT" || size == 0 || !strings.HasPrefix(path, "/metrics/job/gcexport/") {
		t.Errorf("%s %s with %d bytes, %v", method, path, size, err)
	}
}

// What fails again and again must not look like progress to an alert.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New("", "", usage)
		at := func() string {
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
			return now.FindString(w.Body.String())
		}
		for _, c := range []struct {
			event    export.Event
			progress bool
		}{
			{export.ChunkStarted{}, false},
			{export.StoreWaited{Took: time.Second}, false},
			{export.ChunkFailed{Err: io.EOF}, false},
			{export.ChunkPostponed{}, false},
			{export.PageTaken{}, true},
			{export.PartWritten{}, true},
			{export.ChunkDone{}, true},
			{export.ChunkDone{Elsewhere: true}, true},
		} {
			before := at()
			time.Sleep(time.Hour)
			m.Observe(c.event)
			if got := at() != before; got != c.progress || before == "" {
				t.Errorf("%T: progress %v", c.event, got)
			}
		}
	})
}
