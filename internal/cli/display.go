package cli

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// display is what a user sees of a run while it goes on: the log, and progress
// as a bar on a terminal or as log lines elsewhere. All of it goes to stderr.
// It observes the engine and the API's client; both may call it at any time.
type display struct {
	log  *slog.Logger
	kind string // bar, log or none

	bars *mpb.Progress
	bar  *mpb.Bar

	mu     sync.Mutex
	tally  tally
	ticker chan struct{} // closed to stop the log lines
	ended  sync.WaitGroup
	once   sync.Once
}

// tally is what a run has done so far.
type tally struct {
	began                    time.Time
	planned, skipped, chunks int // chunks: of this run, to do
	done, failed, postponed  int
	records, raw, compressed int64
	requests, throttled      int64
	answers                  int64   // requests that were answered at all
	allowance                float64 // requests a minute
	finished                 int64   // records of chunks that are done
}

// logInterval is the time between two lines of progress in a log.
const logInterval = 30 * time.Second

// openDisplay sets up log and progress as the flags say.
func (p *Process) openDisplay(f *logFlags) (*display, error) {
	terminal := p.isTerminal(p.Stderr)
	d := &display{kind: f.progress.value, ticker: make(chan struct{})}
	switch {
	case f.quiet:
		d.kind = "none"
	case d.kind == "auto" && terminal:
		d.kind = "bar"
	case d.kind == "auto":
		d.kind = "log"
	}
	out := p.Stderr
	if d.kind == "bar" {
		d.bars = mpb.New(mpb.WithOutput(p.Stderr), mpb.WithWidth(24), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
		out = d.bars // lines of the log appear above the bar
	}
	d.log = f.logger(out, terminal && d.kind == "bar")
	// Libraries below the stores print to the standard logger.
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(d.log.Handler(), slog.LevelDebug).Writer())
	return d, nil
}

// begin starts the progress of a run that may make so many requests a minute.
func (d *display) begin(plan export.Plan, bucket string, allowance float64) {
	d.tally.began, d.tally.allowance = time.Now(), allowance
	d.log.Info("export begins", "range", plan.Range, "step", plan.Step.String(), "bucket", bucket)
	switch d.kind {
	case "bar":
		d.bar = d.bars.AddBar(0,
			mpb.BarFillerClearOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return d.snapshot().left() })),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return d.snapshot().right(time.Now()) })),
		)
	case "log":
		d.ended.Go(d.logProgress)
	}
}

func (d *display) logProgress() {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		select {
		case <-d.ticker:
			return
		case now := <-tick.C:
			t := d.snapshot()
			d.log.Info("progress", "chunks_done", t.done, "chunks_failed", t.failed, "chunks", t.chunks, "records", t.records,
				"raw_bytes", t.raw, "bytes", t.compressed, "requests", t.requests, "throttled", t.throttled, "eta", t.eta(now).String())
		}
	}
}

// close ends the progress and waits for what it has started. It may be called
// more than once.
func (d *display) close() {
	d.once.Do(func() {
		close(d.ticker)
		d.ended.Wait()
		if d.bars == nil {
			return
		}
		if d.bar != nil {
			d.bar.Abort(true)
		}
		d.bars.Wait()
	})
}

func (d *display) snapshot() tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tally
}

// Observe implements export.Observer.
func (d *display) Observe(e export.Event) {
	ended := d.count(e)
	if d.bar == nil {
		return
	}
	// Without the lock: the bar's own goroutine takes it to draw.
	if planned, ok := e.(export.Planned); ok {
		d.bar.SetTotal(int64(planned.Todo), false)
	}
	if ended {
		d.bar.Increment()
	}
}

// count takes an event into the tally, and reports whether it ended a chunk.
func (d *display) count(e export.Event) (ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e := e.(type) {
	case export.Planned:
		d.tally.planned, d.tally.skipped, d.tally.chunks = e.Chunks, e.Skipped, e.Todo
	case export.PageTaken:
		d.tally.records += e.Records
		d.tally.raw += e.RawBytes
		d.tally.compressed += e.Bytes
	case export.ChunkDone:
		d.tally.done++
		d.tally.finished += e.Records
		return true
	case export.ChunkFailed:
		d.tally.failed++
		return true
	case export.ChunkPostponed:
		d.tally.postponed++
		return true
	}
	return false
}

// exchange counts the API's answers.
func (d *display) exchange(e genesys.Exchange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tally.requests++
	if e.Status != 0 {
		d.tally.answers++
	}
	if e.Status == 429 {
		d.tally.throttled++
	}
}

// ended counts the chunks that nothing more is done for in this run.
func (t tally) ended() int { return t.done + t.failed + t.postponed }

func (t tally) left() string {
	return fmt.Sprintf("chunks %d/%d ", t.ended(), t.chunks)
}

func (t tally) right(now time.Time) string {
	s := fmt.Sprintf(" %s conversations  %s written, %s of JSON  %.0f requests/min",
		humanize.Comma(t.records), humanize.IBytes(uint64(t.compressed)), humanize.IBytes(uint64(t.raw)), t.perMinute(now))
	if t.failed > 0 {
		s += fmt.Sprintf("  %d failed", t.failed)
	}
	if eta := t.eta(now); eta > 0 {
		s += "  ETA " + eta.String()
	}
	return s
}

// perMinute is the rate of requests since the run began.
func (t tally) perMinute(now time.Time) float64 {
	elapsed := now.Sub(t.began)
	if elapsed < time.Second {
		return 0
	}
	return float64(t.requests) / elapsed.Minutes()
}

// busy is the part of the allowance from which on it is what limits a run.
const busy = 0.9

// eta is the time that the remaining chunks take; 0 while that cannot be told.
// Where the allowance is what limits the run, it is the time in which it brings
// the conversations that are missing, if the chunks are like those before.
// Elsewhere the chunks are taken to go on as fast as before.
func (t tally) eta(now time.Time) time.Duration {
	ended := t.ended()
	if ended == 0 || ended >= t.chunks {
		return 0
	}
	elapsed, left := now.Sub(t.began), t.chunks-ended
	if t.done == 0 || t.records == 0 || t.allowance == 0 || t.perMinute(now) < busy*t.allowance {
		return (elapsed / time.Duration(ended) * time.Duration(left)).Round(time.Second)
	}
	perChunk := float64(t.finished) / float64(t.done)
	missing := perChunk*float64(left) - float64(t.records-t.finished) // of what is in work already
	requests := max(missing, 0) * float64(t.requests) / float64(t.records)
	return time.Duration(requests / t.allowance * float64(time.Minute)).Round(time.Second)
}

var _ io.Writer = (*mpb.Progress)(nil) // the log is written through it
