package cli

import (
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesys"
)

// What stands around the bar: how far it is, what is wrong, what limits it.
func TestBarText(t *testing.T) {
	now := time.Now()
	began := now.Add(-10 * time.Minute)
	run := tally{began: began, moving: began.Add(time.Minute), chunks: 40, done: 10, records: 11_500, finished: 10_000, compressed: 30 << 20, requests: 1450, allowance: 300, failed: 1}
	run.weekdays[1].chunks, run.weekdays[1].records = 10, 10_000
	if got, want := run.left(), "chunks 11/40 "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := run.right(now, "the bucket"), "  ETA 22m30s  1 failed  11,500 conversations, 30 MiB  145 of 300 requests/min, limited by the bucket"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The largest of what can limit a run is named.
func TestBottleneck(t *testing.T) {
	spent := func(requests int64) genesys.Usage {
		return genesys.Usage{PerMinute: 300, Elapsed: 10 * time.Minute, Requests: map[genesys.Kind]map[int]int64{genesys.KindQuery: {200: requests}},
			Limiter: 4 * time.Second, API: 3 * time.Minute, Jobs: 2 * time.Minute}
	}
	for _, row := range []struct {
		usage      genesys.Usage
		store      time.Duration
		processors float64
		want       string
	}{
		{spent(2950), time.Hour, 1, "the allowance"},
		{spent(1000), time.Hour, 0.9, "this machine's processors"},
		{spent(1000), time.Hour, 0.3, "the bucket"},
		{spent(1000), time.Second, 0.3, "the API's answers"},
		{genesys.Usage{}, 0, 0, ""},
	} {
		if got := bottleneck(row.usage, row.store, row.processors); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}

// What cannot be known is not shown, and nothing is divided by zero.
func TestETAUnknown(t *testing.T) {
	now := time.Now()
	began, moving := now.Add(-10*time.Minute), now.Add(-8*time.Minute)
	for _, row := range []struct {
		name string
		t    tally
		want time.Duration
	}{
		{"nothing is done", tally{chunks: 10}, 0},
		{"all is done", tally{chunks: 10, done: 9, failed: 1}, 0},
		{"chunks without records", tally{chunks: 12, done: 4}, 20 * time.Minute},
		{"only failures", tally{chunks: 12, failed: 4, records: 500, moving: moving}, 20 * time.Minute},
		{"all by others", tally{chunks: 12, elsewhere: 4, records: 500, moving: moving}, 20 * time.Minute},
		{"the first page has just come", tally{chunks: 12, failed: 4, records: 500, moving: now.Add(-time.Minute)}, 0},
	} {
		row.t.began = began
		if got := row.t.eta(now); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
	if got := (&tally{began: now.Add(-2 * time.Minute), requests: 600}).perMinute(now); got != 300 {
		t.Errorf("perMinute = %v", got)
	}
}
