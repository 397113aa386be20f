package cli

import (
	"testing"
	"time"
)

// Where the allowance is what limits a run, the remaining time is that of the
// requests which are missing; elsewhere it is that of the chunks so far.
func TestETA(t *testing.T) {
	began := time.Unix(0, 0)
	now := began.Add(10 * time.Minute)
	for _, row := range []struct {
		name string
		t    tally
		want time.Duration
	}{
		{"nothing is done", tally{chunks: 10}, 0},
		{"all is done", tally{chunks: 10, done: 9, failed: 1}, 0},
		{"limited by jobs", tally{chunks: 12, done: 4, records: 6000, finished: 4000, requests: 300, allowance: 300}, 20 * time.Minute},
		{"limited by requests", tally{chunks: 12, done: 4, records: 6000, finished: 4000, requests: 3000, allowance: 300}, 10 * time.Minute},
		{"chunks without records", tally{chunks: 12, done: 4, requests: 3000, allowance: 300}, 20 * time.Minute},
		{"only failures", tally{chunks: 12, failed: 4, records: 500, requests: 3000, allowance: 300}, 20 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.t.began = began
			if got := row.t.eta(now); got != row.want {
				t.Errorf("%v, want %v", got, row.want)
			}
		})
	}
}
