package endtoend

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

// historyFaults are what may go wrong with the API in a history: what a run
// survives, what fails a chunk, and what stops a run.
var historyFaults = []string{
	"token:503:times=3", "token:reset:times=2", "any:401", "page:revoke-token:times=3,every=5",
	"submit:429:times=3,retry-after=20", "submit:503:times=20", "submit:reset:late=true,times=2", "submit:job-failed:times=2", "submit:job-expired",
	"poll:502:times=4", "poll:404", "poll:hang", "poll:job-endless",
	"page:429:times=6,retry-after=7", "page:500:times=30", "page:reset:times=4", "page:cut:at=0.7,times=3", "page:cut:p=0.3,times=20",
	"page:shorten:at=0.7,times=12", "page:garble:times=12", "page:bad-gzip:times=2", "page:error-body:times=2", "page:expired-cursor:after=2",
	"page:duplicate:records=5,times=20", "page:hang:at=0.5,times=3", "page:slow:rate=2000,times=3", "page:repeat-cursor",
	"page:watermark-back:by=800h,after=3", "page:watermark-back:by=800h,times=20", "availability:watermark-back:by=300h", "availability:hang",
	"any:503:p=0.2,times=60", "any:reset:p=0.2,times=60", "any:403:after=30", "token:400:after=1",
}

// FuzzHistory plays a random history: up to three processes export the same
// range, again and again, while the API and the store misbehave and processes
// are ended or killed at any instant. Then one runs in peace, and every promise
// must hold. It all happens in virtual time.
func FuzzHistory(f *testing.F) {
	for i := range uint64(30) {
		f.Add(i * 0x9e3779b97f4a7c15)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { playHistory(t, seed) })
	})
}

func playHistory(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	o := genesystest.Options{Seed: seed, PerDay: 20 + r.IntN(60), Gzip: r.IntN(2) == 0, Latency: time.Duration(r.IntN(300)) * time.Millisecond,
		JobTime: time.Duration(1+r.IntN(20)) * time.Second, AsOf: first.AddDate(0, 3, 0)}
	w := newWorld(t, o)
	w.engine.Workers, w.engine.PartRawBytes = 1+r.IntN(6), int64(2000+r.IntN(60_000))
	w.engine.Object.Stall = 2 * time.Minute
	w.jobs.PageSize, w.jobs.Concurrent = 5+r.IntN(30), 1+r.IntN(6)
	if r.IntN(5) == 0 {
		w.mode = "query"
	}
	p := days(1+r.IntN(4), []time.Duration{3 * time.Hour, 7 * time.Hour, interval.Day}[r.IntN(3)])
	for round := range 1 + r.IntN(4) {
		if round > 0 {
			time.Sleep(time.Minute) // the allowance is that of a minute, whoever uses it
		}
		w.playRound(r, p)
	}
	healthy := newWorld(t, o)
	healthy.engine, healthy.jobs, healthy.mode, healthy.bucket = w.engine, w.jobs, w.mode, w.bucket
	if s := healthy.complete(p); !s.Complete() {
		t.Errorf("the last run is not complete: postponed %v", s.Postponed)
	}
	inv, err := export.TakeInventory(t.Context(), w.bucket, export.Layout{Dataset: export.Conversations})
	if err != nil || len(inv.Open) > 0 || len(inv.Unlisted) > 0 {
		t.Errorf("inventory %+v, %v", inv, err)
	}
}

// playRound has some processes export, each until it ends, is asked to end or
// is killed.
func (w *world) playRound(r *rand.Rand, p export.Plan) {
	for range r.IntN(4) {
		f, err := genesystest.ParseFault(historyFaults[r.IntN(len(historyFaults))])
		if err != nil {
			w.t.Fatal(err)
		}
		w.server.AddFault(f)
	}
	processes := 1 + r.IntN(3)
	trouble := []float64{0, 0.02, 0.1, 0.3}[r.IntN(4)]
	var wg sync.WaitGroup
	for range processes {
		mine := *w
		b := newTroubledBucket(w.bucket, r.Uint64(), trouble)
		mine.bucket, mine.rate = blob.NewBucket(b), w.rate/float64(processes)
		ctx, cancel := context.WithCancelCause(w.t.Context())
		delay, life, hard := time.Duration(r.IntN(10_000))*time.Millisecond, lifetime(r), r.IntN(2) == 0
		wg.Go(func() {
			time.Sleep(delay)
			timer := time.AfterFunc(life, func() {
				if hard {
					b.kill()
				}
				cancel(errKilled)
			})
			defer timer.Stop()
			s, err := mine.export(ctx, p)
			w.t.Logf("hard %v, after %v of %v: %s, %d of %d chunks, %d failed: %v", hard, s.Finished.Sub(s.Started), life, s.Result, s.Chunks.Exported, s.Chunks.Planned, len(s.Failed), err)
			if err == nil && s.Complete() {
				w.checkHeld(p.Range, true)
			}
			cancel(nil)
		})
	}
	wg.Wait()
	w.checkHeld(p.Range, false)
	w.checkPolite()
}

// lifetime is how long a process may run: most are ended early.
func lifetime(r *rand.Rand) time.Duration {
	if r.IntN(4) == 0 {
		return 30 * 24 * time.Hour
	}
	return time.Duration(r.ExpFloat64() * float64(40*time.Second))
}

// checkHeld wants no record twice, altered or foreign, at any time; and none to
// be missing from the listed parts, if the range is said to be complete.
func (w *world) checkHeld(r interval.Interval, complete bool) {
	w.t.Helper()
	want := map[string]bool{}
	for c := range w.server.Truth(r.Start, r.End, w.mode == "job") {
		want[string(c.JSON)] = true
	}
	listed, _ := w.manifests()
	for it := w.bucket.List(&blob.ListOptions{Prefix: "conversations/"}); ; {
		o, err := it.Next(w.t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			w.t.Error(err)
			return
		}
		if complete && !listed[o.Key] {
			w.t.Errorf("complete, but no manifest lists %s", o.Key)
		}
		w.eachLine(o.Key, func(line string) {
			if !want[line] {
				w.t.Errorf("%s: unexpected, repeated or altered: %.200s", o.Key, line)
			}
			delete(want, line)
		})
	}
	if complete && len(want) > 0 {
		w.t.Errorf("complete, but %d conversations are missing", len(want))
	}
}

// The faults of histories are all understood.
func TestHistoryFaults(t *testing.T) {
	for _, text := range historyFaults {
		f, err := genesystest.ParseFault(text)
		if err != nil {
			t.Error(err)
		}
		if s := fmt.Sprint(f); !strings.Contains(s, string(f.Kind)) {
			t.Errorf("%s is %s", text, s)
		}
	}
}
