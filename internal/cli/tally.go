package cli

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// tally is what a run has done so far.
type tally struct {
	began                              time.Time
	planned, skipped, chunks           int // chunks: of this run, to do
	done, elsewhere, failed, postponed int
	records, raw, compressed           int64
	requests, throttled                int64
	store                              time.Duration // waited for, by all workers
	answers                            int64         // requests that were answered at all
	allowance                          float64       // requests a minute

	before   int64                              // requests until the first page
	pages    int64                              // requests for pages
	jobs     int                                // that were submitted
	moving   time.Time                          // when the first page came
	finished int64                              // records of chunks that are done
	weekdays [7]struct{ chunks, records int64 } // of them, by the day on which they start
}

// count takes an event, and reports whether it ended a chunk.
func (t *tally) count(e export.Event, now time.Time) (ended bool) {
	switch e := e.(type) {
	case export.Planned:
		t.planned, t.skipped, t.chunks = e.Chunks, e.Skipped, e.Todo
	case export.StoreWaited:
		t.store += e.Took
	case export.PageTaken:
		if t.moving.IsZero() {
			t.moving, t.before = now, t.requests
		}
		t.records += e.Records
		t.raw += e.RawBytes
		t.compressed += e.Bytes
	case export.ChunkDone:
		if e.Elsewhere {
			t.elsewhere++
			return true
		}
		t.done++
		t.finished += e.Records
		day := &t.weekdays[e.Chunk.Interval.Start.Weekday()]
		day.chunks++
		day.records += e.Records
		return true
	case export.ChunkFailed:
		t.failed++
		return true
	case export.ChunkPostponed:
		t.postponed++
		return true
	}
	return false
}

// exchange counts an answer of the API.
func (t *tally) exchange(e genesys.Exchange) {
	t.requests++
	if e.Status != 0 {
		t.answers++
	}
	if e.Status == 429 {
		t.throttled++
	}
	switch e.Kind {
	case genesys.KindResults, genesys.KindQuery:
		t.pages++
	case genesys.KindSubmit:
		if e.Err == "" {
			t.jobs++
		}
	}
}

// ended counts the chunks that nothing more is done for in this run.
func (t *tally) ended() int { return t.done + t.elsewhere + t.failed + t.postponed }

func (t *tally) left() string {
	return fmt.Sprintf("chunks %d/%d ", t.ended(), t.chunks)
}

// right is what stands behind the bar, the most important first, as it may be cut.
func (t *tally) right(now time.Time, limited string) string {
	s := ""
	if eta := t.eta(now); eta > 0 {
		s += "  ETA " + eta.String()
	}
	if t.failed > 0 {
		s += fmt.Sprintf("  %d failed", t.failed)
	}
	s += fmt.Sprintf("  %s conversations, %s  %.0f of %.0f requests/min", humanize.Comma(t.records), humanize.IBytes(uint64(t.compressed)), t.perMinute(now), t.allowance)
	if limited != "" {
		s += ", limited by " + limited
	}
	return s
}

// perMinute is the rate of requests since the run began; in its first minute, their
// number, as that minute's allowance may be used at once.
func (t *tally) perMinute(now time.Time) float64 {
	return float64(t.requests) / max(now.Sub(t.began), time.Minute).Minutes()
}

// busy is the part of the allowance from which on it is what limits a run.
const busy = 0.9

// eta is the time that the remaining chunks take; 0 while that cannot be told.
//
// It is the time in which the conversations that are missing come, if they go on to come
// as they did since the first one, or, where the allowance is what limits the run, that
// of the requests for them. How many are missing is taken from the chunks that are done;
// as a week has busy and quiet days, each day of it counts alike.
func (t *tally) eta(now time.Time) time.Duration {
	ended := t.ended()
	if ended == 0 || ended >= t.chunks {
		return 0
	}
	left, moving := t.chunks-ended, now.Sub(t.moving)
	if !t.moving.IsZero() && moving < t.moving.Sub(t.began) {
		return 0 // what has come so far says little
	}
	if t.done == 0 || t.finished == 0 {
		return (now.Sub(t.began) / time.Duration(ended) * time.Duration(left)).Round(time.Second)
	}
	perChunk := t.perChunk()
	begun := float64(t.records - t.finished) // what is in work has brought that already
	missing := max(perChunk*float64(left)*t.ours()-begun, 0)
	if float64(t.requests-t.before)/moving.Minutes() >= busy*t.allowance {
		requests := missing*float64(t.pages)/float64(t.records) + t.perJob()*max(float64(left)*t.ours()-float64(t.jobs-t.done), 0)
		return time.Duration(requests / t.allowance * float64(time.Minute)).Round(time.Second)
	}
	// The first chunk of a source whose chunks come whole, as those of jobs, comes at the
	// beginning of that time, and the next one at some moment after its end.
	came := max(float64(t.records)-perChunk/2, perChunk/2)
	return time.Duration(missing / came * float64(moving)).Round(time.Second)
}

// perJob is how many requests a job needs besides those for its pages.
func (t *tally) perJob() float64 {
	if t.jobs == 0 {
		return 0
	}
	return float64(t.requests-t.pages) / float64(t.jobs)
}

// ours is the part of the chunks that other processes leave to this one.
func (t *tally) ours() float64 { return float64(t.done) / float64(t.done+t.elsewhere) }

// perChunk is how many records a chunk has, in the mean of a week.
func (t *tally) perChunk() float64 {
	sum, days := 0.0, 0
	for _, day := range t.weekdays {
		if day.chunks > 0 {
			sum += float64(day.records) / float64(day.chunks)
			days++
		}
	}
	return sum / float64(days)
}
