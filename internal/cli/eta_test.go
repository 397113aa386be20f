//go:build !race

// Hours of virtual time: under the race detector they would take minutes of ours, and
// run nothing that other tests do not run under it.

package cli

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A guess is what was shown as the remaining time, and when.
type guess struct{ at, eta time.Duration }

// An etaRun is an export whose remaining time is watched.
type etaRun struct {
	org           genesystest.Options
	mode          string
	days, workers int
	jobs          genesys.JobOptions
	query         genesys.QueryOptions
}

// watch exports, in a bubble, and gives the guesses and how long it took.
func (r etaRun) watch(t *testing.T) (guesses []guess, took time.Duration) {
	t.Helper()
	first := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	r.org.From, r.org.To, r.org.Size, r.org.PerClient = first, first.AddDate(1, 0, 0), genesystest.SizeSmall, true
	r.org.Latency, r.org.LatencyMax = 100*time.Millisecond, 300*time.Millisecond
	server := genesystest.New(r.org)
	d := &display{kind: "none"}
	client, err := genesys.New(genesys.Config{APIURL: "http://api.test", LoginURL: "http://login.test", ClientID: "demo", ClientSecret: genesys.NewSecret("demo"),
		RequestsPerMinute: float64(r.org.RequestsPerMinute), Transport: server.Transport(), Observe: func(_ context.Context, x genesys.Exchange) { d.exchange(x) }})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	e := export.Exporter{Bucket: bucket, Mode: r.mode, Workers: r.workers, Ahead: 2 * r.jobs.Concurrent, Source: client.Jobs(r.jobs), Observer: d}
	if r.mode == "query" {
		e.Source, e.Ahead = client.Queries(r.query), 1
	}
	began := time.Now()
	d.tally.began, d.tally.allowance = began, client.Usage().PerMinute
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := e.Run(t.Context(), export.Plan{Dataset: export.Conversations, Step: interval.Day,
			Range: interval.Interval{Start: first.AddDate(0, 0, 20), End: first.AddDate(0, 0, 20+r.days)}, Shard: export.Shard{Count: 1}}); err != nil {
			t.Error(err)
		}
	}()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			guesses = append(guesses, guess{now.Sub(began), d.snapshot().eta(now)})
		case <-done:
			return guesses, time.Since(began)
		}
	}
}

// Once a tenth of a run is over, the remaining time that is shown is right within 15 %,
// whatever limits the run: with quiet and busy days, in the API's own time.
func TestETA(t *testing.T) {
	quick := genesystest.Options{Seed: 1, PerDay: 200, JobTime: 3 * time.Second, JobTimeMax: 20 * time.Second, LargeEvery: -1}
	slow, strict := quick, quick
	slow.JobTime, slow.JobTimeMax = time.Minute, 3*time.Minute
	strict.RequestsPerMinute = 60
	for _, row := range []struct {
		limited string
		run     etaRun
	}{
		{"by the allowance", etaRun{org: quick, mode: "job", days: 150, workers: 8, jobs: genesys.JobOptions{PageSize: 5, Concurrent: 4}}},
		{"by the allowance, of queries", etaRun{org: quick, mode: "query", days: 100, workers: 8, query: genesys.QueryOptions{PageSize: 5}}},
		{"by a small allowance", etaRun{org: strict, mode: "job", days: 240, workers: 8, jobs: genesys.JobOptions{PageSize: 5, Concurrent: 4}}},
		{"by jobs", etaRun{org: slow, mode: "job", days: 340, workers: 8, jobs: genesys.JobOptions{PageSize: 50, Concurrent: 4}}},
		{"by its one worker", etaRun{org: quick, mode: "job", days: 200, workers: 1, jobs: genesys.JobOptions{PageSize: 20, Concurrent: 1}}},
	} {
		t.Run(row.limited, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guesses, took := row.run.watch(t)
				shown := 0
				for _, g := range guesses {
					if g.at < took/10 || g.eta == 0 {
						continue
					}
					shown++
					if off := float64(g.at+g.eta-took) / float64(took); off < -0.15 || off > 0.15 {
						t.Errorf("%.2f after %v of %v: %v are left, it says %v", off, g.at, took, took-g.at, g.eta)
					}
				}
				if shown < len(guesses)/2 {
					t.Errorf("of %d times, the remaining time is shown %d times", len(guesses), shown)
				}
			})
		})
	}
}
