// Package export is the engine: it moves the records of a range of time from a
// [Source] into a bucket, chunk by chunk, each record once.
//
// An [Exporter] runs a [Plan]. Workers take chunks from a channel; a worker
// reads the pages of its chunk, keeps the records that the chunk owns and has
// not written yet, and streams them as gzipped JSON Lines into parts. When the
// source has ended, the worker writes the chunk's [Manifest]: from then on, and
// not earlier, the chunk is done. Parts and manifests are created, never
// replaced, and the bucket is the only state: to go on after any kind of end,
// run the same plan again. The package's commit protocol is described in
// docs/design.md, the bucket's layout and the manifest in docs/format.md.
//
// The engine knows neither Genesys Cloud nor HTTP: a Source is anything that
// yields pages for an interval.
package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// A Source gives the pages that hold the records of an interval. It may give
// more: records of neighbouring intervals, or a record twice; the engine drops
// those. It must not give less.
//
// Pages is called by several workers at once. The sequence ends after an error.
// The engine scans each page before it asks for the next; where it finds a page
// damaged ([record.Page.Damage]), the source gives the page again, undamaged,
// or ends with an error. When the engine stops early, the source tidies up
// behind itself.
type Source interface {
	Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error]
}

// A Watermarker is a Source that knows up to which instant its data is
// complete. Chunks that end later are postponed, not exported.
type Watermarker interface {
	Watermark(ctx context.Context) (time.Time, error)
}

// ObjectOptions say how objects are written to the bucket at hand.
type ObjectOptions = object.Options

// Defaults of an Exporter.
const (
	DefaultWorkers      = 8
	DefaultAhead        = 4
	DefaultPartBytes    = 128 << 20 // compressed; inside what every loader recommends
	DefaultPartRawBytes = 1 << 30
	DefaultMaxRecord    = 4_000_000 // Redshift refuses JSON objects over 4 MB
)

// An Exporter moves records from a Source into a bucket. Source and Bucket are
// required; the zero value of all else works. An Exporter is used for one Run
// at a time.
type Exporter struct {
	Source Source
	Bucket *blob.Bucket

	// Mode says what the Source reads, for the manifests: "job" or "query".
	Mode string
	// Program names program and version, for the manifests.
	Program string
	// Object says how objects are written to this kind of bucket.
	Object ObjectOptions
	// Workers is the number of chunks in work at once.
	Workers int
	// Ahead is how many chunks more are opened at the source while the workers
	// are busy: for sources that take time to give their first page. Such a chunk
	// holds that page and nothing else, and writes nothing before it is its turn.
	// 0 means DefaultAhead, a negative number none.
	Ahead int
	// RecordFormat is what the lines of the parts are: RecordRaw if empty. All
	// records of a dataset have the same ([*RecordFormatError]).
	RecordFormat RecordFormat
	// Partition says what the folders of parts stand for: PartitionDay if empty. All
	// parts of a dataset have the same ([*PartitionError]).
	Partition Partition
	// GzipLevel is 1 (fast) to 9 (small); 0 means jsonl.DefaultLevel.
	GzipLevel int
	// PartBytes (compressed) and PartRawBytes bound a part: it is closed by
	// the page that reaches one of them.
	PartBytes, PartRawBytes int64
	// MaxRecord is the length of the longest record, in bytes, that goes into
	// the dataset itself; a longer one goes to a sibling. 0 means
	// DefaultMaxRecord, a negative number no bound.
	MaxRecord int64
	// Attempts is how often a failing chunk is tried; 0 means twice.
	Attempts int
	// Fatal reports whether an error means that no chunk can succeed, such as
	// a refused credential. Errors with a method Fatal() bool are always asked.
	Fatal func(error) bool
	// Usage, if not nil, is asked at the end what the Source has spent; its answer
	// is recorded as JSON, with the summary that it is given.
	Usage func(*Summary) any
	// URI names an object for others, for the load lists; nil means that none are
	// written.
	URI func(key string) string
	// Observer is told what happens; may be nil.
	Observer Observer
	// Logger may be nil.
	Logger *slog.Logger

	unwatched bool // for tests that go through a run step by step
}

// Run exports the chunks of the plan that are not yet in the bucket, and says
// what it did. A chunk that fails does not stop the others: it is listed in
// [Summary.Failed]. The error is not nil where the run itself was stopped: by
// ctx (the cause of its end), by an error that is fatal for all chunks, or
// because the bucket's contents do not fit the plan ([*OverlapError],
// [*RecordFormatError], [*PartitionError]), or it is none that can be used ([ErrOverwrites]).
// The Summary is valid in any case.
func (e *Exporter) Run(ctx context.Context, plan Plan) (Summary, error) {
	r, err := e.newRun(plan)
	if err != nil {
		return Summary{}, err
	}
	todo, err := r.survey(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil || len(todo) == 0 && len(r.unlisted) == 0 && !r.lists.waiting() {
		r.close(ctx, err)
		return r.summary, err
	}
	if err = r.begin(ctx); err != nil {
		r.close(ctx, err)
		return r.summary, err
	}
	if err = r.heal(ctx); err == nil {
		r.crowd.Store(r.plan.Shard.Count <= 1 && r.hasCompany(ctx))
		err = r.work(ctx, order(todo, r.crowd.Load()))
	}
	r.close(ctx, err)
	if endErr := r.end(ctx); err == nil {
		err = endErr // what stopped the run matters more
	}
	if ctx.Err() == nil {
		if listErr := r.writeLists(ctx); err == nil && listErr != nil {
			err = fmt.Errorf("list what was committed: %w", listErr)
		}
	}
	return r.summary, err
}

// run is the state of one Run.
type run struct {
	*Exporter
	plan      Plan
	layout    Layout
	gate      *gate
	turns     turns
	sequences map[Layout]*sequence // nil unless PartitionExportDay
	watch     watch
	log       *slog.Logger
	observe   func(Event)
	// unlisted are committed chunks with parts that no manifest lists.
	unlisted []interval.Interval
	lists    lists
	crowd    atomic.Bool // whether others are at work on the same range
	recorded bool        // whether the format of the dataset's records is on record

	mu      sync.Mutex // guards summary
	summary Summary
}

func (e *Exporter) newRun(plan Plan) (*run, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	cfg := *e
	cfg.Workers = orDefault(e.Workers, DefaultWorkers)
	if cfg.Ahead = max(e.Ahead, 0); e.Ahead == 0 {
		cfg.Ahead = DefaultAhead
	}
	cfg.RecordFormat, cfg.Partition = cmp.Or(e.RecordFormat, RecordRaw), cmp.Or(e.Partition, PartitionDay)
	cfg.GzipLevel = orDefault(e.GzipLevel, jsonl.DefaultLevel)
	cfg.PartBytes = orDefault(e.PartBytes, DefaultPartBytes)
	cfg.PartRawBytes = orDefault(e.PartRawBytes, DefaultPartRawBytes)
	if cfg.Partition == PartitionExportDay {
		cfg.PartBytes = min(cfg.PartBytes, orderedPartBytes)
	}
	cfg.Attempts = orDefault(e.Attempts, 2)
	if cfg.MaxRecord = e.MaxRecord; cfg.MaxRecord == 0 {
		cfg.MaxRecord = DefaultMaxRecord
	}
	cfg.Object.Writer.ContentType = "application/gzip"
	r := &run{
		Exporter: &cfg,
		plan:     plan,
		layout:   Layout{Dataset: plan.Dataset},
		turns:    make(turns, cfg.Workers),
		lists:    lists{objects: map[string]int64{}},
		log:      e.Logger,
		observe:  func(Event) {},
	}
	if cfg.Partition == PartitionExportDay {
		r.sequences = map[Layout]*sequence{}
		for _, l := range r.layout.family() {
			r.sequences[l] = newSequence(r, l)
		}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if e.Observer != nil {
		r.observe = e.Observer.Observe
	}
	var err error
	if r.gate, err = newGate(runtime.GOMAXPROCS(0), cfg.GzipLevel, plan.array()); err != nil {
		return nil, err
	}
	r.summary = newSummary(&cfg, plan)
	r.log = r.log.With("run", r.summary.Run)
	return r, nil
}

func orDefault[T int | int64](v, byDefault T) T {
	if v <= 0 {
		return byDefault
	}
	return v
}

// order says which chunk comes first. Alone, a run goes from the oldest to the
// newest. With others at work on the same range each goes its own way: processes
// that go the same one read the same chunks once they have met, and all but one of
// them for nothing.
func order(todo []Chunk, company bool) []Chunk {
	if len(todo) < 2 || !company {
		return todo
	}
	todo = slices.Clone(todo)
	rand.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	return todo
}

// work feeds the chunks to as many goroutines as there may be chunks begun, and
// waits for them. Only Workers of them have a turn at any time.
func (r *run) work(ctx context.Context, todo []Chunk) error {
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { r.keepWatch(watching) })
	defer watcher.Wait()
	defer stop()

	group, ctx := errgroup.WithContext(ctx)
	chunks := make(chan Chunk)
	group.Go(func() error {
		defer close(chunks)
		for _, c := range todo {
			select {
			case chunks <- c:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range min(r.Workers+r.Ahead, len(todo)) {
		group.Go(func() error {
			for c := range chunks {
				if err := r.export(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// export does one chunk, with its attempts, and keeps the books. It returns an
// error only where the whole run has to stop.
func (r *run) export(ctx context.Context, c Chunk) error {
	r.observe(ChunkStarted{Chunk: c})
	began := time.Now()
	for attempt := 1; ; attempt++ {
		m, err := r.chunk(ctx, c)
		var unsettled *UnsettledError
		switch {
		case err == nil:
			r.finished(c, m, time.Since(began))
			return nil
		case errors.As(err, &unsettled):
			r.postponed(c, unsettled)
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case r.fatal(err):
			r.failed(c, err)
			return &StoppedError{Chunk: c, Err: err}
		case attempt >= r.Attempts:
			r.failed(c, err)
			return nil
		}
		r.log.WarnContext(ctx, "chunk failed, trying again", "chunk", c.Interval, "attempt", attempt, "error", err)
		if err := pause(ctx, chunkPause); err != nil {
			return err
		}
	}
}

// chunkPause is how long a failed chunk rests before it is tried again. The
// source has had its own, longer patience with the API by then.
const chunkPause = 5 * time.Second

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) fatal(err error) bool {
	var f interface{ Fatal() bool }
	return errors.As(err, &f) && f.Fatal() || r.Fatal != nil && r.Fatal(err)
}

// A StoppedError is the error that ended a run early because it would have
// failed every other chunk as well.
type StoppedError struct {
	Chunk Chunk
	Err   error
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("export %s: %v", e.Chunk.Interval, e.Err)
}

// Unwrap returns the cause.
func (e *StoppedError) Unwrap() error { return e.Err }
