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
	kind string // bar, chunks, log or none

	bars  *mpb.Progress
	bar   *mpb.Bar
	usage func() genesys.Usage

	mu     sync.Mutex
	tally  tally
	ticker chan struct{} // closed to stop the log lines
	ended  sync.WaitGroup
	once   sync.Once
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
	if d.drawn() {
		d.bars = mpb.New(mpb.WithOutput(p.Stderr), mpb.WithWidth(20), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
		out = d.bars // lines of the log appear above the bar
	}
	d.log = f.logger(out, terminal && d.drawn())
	// Libraries below the stores print to the standard logger.
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(d.log.Handler(), slog.LevelDebug).Writer())
	return d, nil
}

// drawn reports whether the progress is a bar, with or without a line for each chunk.
func (d *display) drawn() bool { return d.kind == "bar" || d.kind == "chunks" }

// begin starts the progress of a run, of which usage says what it has spent.
func (d *display) begin(plan export.Plan, bucket string, usage func() genesys.Usage) {
	d.usage = usage
	d.tally.began, d.tally.allowance = time.Now(), usage().PerMinute
	d.log.Info("export begins", "range", plan.Range, "step", plan.Step.String(), "bucket", bucket)
	switch {
	case d.drawn():
		d.bar = d.bars.AddBar(0,
			mpb.BarFillerClearOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return d.snapshot().left() })),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { t := d.snapshot(); return t.right(time.Now(), d.limitedBy(t)) })),
		)
	case d.kind == "log":
		d.ended.Go(d.logProgress)
	}
}

// limitedBy says what has limited the run so far.
func (d *display) limitedBy(t *tally) string { return bottleneck(d.usage(), t.store, processors()) }

func (d *display) logProgress() {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		select {
		case <-d.ticker:
			return
		case now := <-tick.C:
			t := d.snapshot()
			d.log.Info("progress", "chunks_done", t.done+t.elsewhere, "chunks_failed", t.failed, "chunks", t.chunks, "records", t.records,
				"raw_bytes", t.raw, "bytes", t.compressed, "requests", t.requests, "throttled", t.throttled, "limited_by", d.limitedBy(t), "eta", t.eta(now).String())
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

func (d *display) snapshot() *tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tally
	return &t
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
	if ended && d.kind == "chunks" {
		fmt.Fprintln(d.bars, chunkEnd(e)) // above the bar
	}
}

// chunkEnd tells of the end of a chunk, on a line.
func chunkEnd(e export.Event) string {
	switch e := e.(type) {
	case export.ChunkDone:
		if e.Elsewhere {
			return fmt.Sprintf("%s  done by another process", e.Chunk.Interval)
		}
		return fmt.Sprintf("%s  %s conversations, %s of %s, %v", e.Chunk.Interval, humanize.Comma(e.Records),
			humanize.IBytes(uint64(e.Bytes)), humanize.IBytes(uint64(e.RawBytes)), e.Took.Round(time.Millisecond))
	case export.ChunkPostponed:
		return fmt.Sprintf("%s  beyond the watermark %s", e.Chunk.Interval, rfc3339(e.Watermark))
	case export.ChunkFailed:
		return fmt.Sprintf("%s  failed: %s", e.Chunk.Interval, oneLine(e.Err.Error()))
	}
	return ""
}

// count takes an event into the tally, and reports whether it ended a chunk.
func (d *display) count(e export.Event) (ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tally.count(e, time.Now())
}

// exchange counts the API's answers.
func (d *display) exchange(e genesys.Exchange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tally.exchange(e)
}

var _ io.Writer = (*mpb.Progress)(nil) // the log is written through it
