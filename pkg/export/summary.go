package export

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A Summary says what a run did. It is also written to the bucket, for people
// and audits; nothing reads it back.
type Summary struct {
	// Run is the run's ULID.
	Run string
	// Result says how the run ended: one of the Result constants.
	Result   string
	Program  string
	Mode     string
	Plan     Plan
	Started  time.Time
	Finished time.Time
	// Watermark is the source's, as it was before the run; zero if unknown.
	Watermark time.Time
	Chunks    ChunkCounts
	// Records, RawBytes, Bytes and Parts count what the chunks that this run
	// committed hold.
	Records, RawBytes, Bytes int64
	Parts                    int
	Dropped                  Dropped
	// Diverted counts their records that stand in siblings of the dataset.
	Diverted map[string]int64
	// StoreWait is how long workers have waited for the bucket to take their parts.
	StoreWait time.Duration
	// Usage is what Exporter.Usage said at the end; nil without it.
	Usage any
	// Postponed chunks end beyond the watermark, that of before the run or
	// that of their results; Failed ones were given up.
	Postponed []interval.Interval
	Failed    []Failure
}

// How a run ended. A run that has only begun says so in its first record.
const (
	ResultBegun       = "begun"
	ResultComplete    = "complete"
	ResultIncomplete  = "incomplete"  // chunks failed or were postponed
	ResultStopped     = "stopped"     // by an error that no chunk would survive
	ResultInterrupted = "interrupted" // by the end of its context
)

// ChunkCounts counts chunks of this shard's plan.
type ChunkCounts struct {
	// Planned is their number. Skipped were done before this run, Exported in
	// it, Elsewhere during it by another process.
	Planned, Skipped, Exported, Elsewhere int
}

// A Failure is a chunk that was given up, and why.
type Failure struct {
	Interval interval.Interval
	Err      error
}

// Complete reports whether every chunk of the plan is in the bucket.
func (s *Summary) Complete() bool { return len(s.Postponed) == 0 && len(s.Failed) == 0 }

func newSummary(e *Exporter, p Plan) Summary {
	now := time.Now().UTC()
	return Summary{Run: ulid.MustNew(ulid.Timestamp(now), rand.Reader).String(),
		Program: e.Program, Mode: e.Mode, Plan: p, Started: now, Diverted: map[string]int64{}}
}

func (r *run) finished(c Chunk, m *Manifest, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := ChunkDone{Chunk: c, Took: took, Elsewhere: m == nil}
	if m == nil {
		r.summary.Chunks.Elsewhere++
	} else {
		done.Records, done.RawBytes, done.Bytes = m.Records, m.RawBytes, m.Bytes
		done.Dropped, done.Diverted = m.Dropped, m.Diverted
		r.toList(m.Parts)
		r.summary.Chunks.Exported++
		r.summary.Records += m.Records
		r.summary.RawBytes += m.RawBytes
		r.summary.Bytes += m.Bytes
		r.summary.Parts += len(m.Parts)
		r.summary.Dropped.Foreign += m.Dropped.Foreign
		r.summary.Dropped.Duplicate += m.Dropped.Duplicate
		for _, d := range m.Diverted {
			r.summary.Diverted[d.Dataset] += d.Records
		}
	}
	r.log.Info("chunk done", "chunk", c.Interval, "records", done.Records, "bytes", done.Bytes, "took", took.Round(time.Millisecond).String(), "elsewhere", done.Elsewhere)
	r.observe(done)
}

func (r *run) failed(c Chunk, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Failed = append(r.summary.Failed, Failure{Interval: c.Interval, Err: err})
	r.log.Error("chunk failed", "chunk", c.Interval, "error", err)
	r.observe(ChunkFailed{Chunk: c, Err: err})
}

// postponed keeps the books of a chunk whose results proved not settled.
func (r *run) postponed(c Chunk, err *UnsettledError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Postponed = append(r.summary.Postponed, c.Interval)
	r.log.Warn("chunk postponed", "chunk", c.Interval, "error", err)
	r.observe(ChunkPostponed{Chunk: c, Watermark: err.Watermark})
}

// runRecord is how a Summary is written to the bucket.
type runRecord struct {
	Format    string           `json:"format"`
	Run       string           `json:"run"`
	Program   string           `json:"program,omitempty"`
	Mode      string           `json:"mode,omitempty"`
	Dataset   string           `json:"dataset"`
	Range     Span             `json:"range"`
	Step      string           `json:"chunk"`
	Shard     string           `json:"shard"`
	Started   time.Time        `json:"started"`
	Finished  *time.Time       `json:"finished,omitempty"`
	Result    string           `json:"result"`
	Watermark *time.Time       `json:"watermark,omitempty"`
	Chunks    runChunks        `json:"chunks"`
	Records   int64            `json:"records"`
	RawBytes  int64            `json:"raw_bytes"`
	Bytes     int64            `json:"bytes"`
	Parts     int              `json:"parts"`
	Dropped   Dropped          `json:"dropped"`
	Diverted  map[string]int64 `json:"diverted,omitempty"`
	StoreWait float64          `json:"store_wait_seconds"`
	Usage     any              `json:"usage,omitempty"`
	Failures  []failureRecord  `json:"failures,omitempty"`
}

type runChunks struct {
	Planned   int `json:"planned"`
	Skipped   int `json:"skipped"`
	Exported  int `json:"exported"`
	Elsewhere int `json:"elsewhere"`
	Postponed int `json:"postponed"`
	Failed    int `json:"failed"`
}

type failureRecord struct {
	Interval Span   `json:"interval"`
	Error    string `json:"error"`
}

// RunFormat names the version of the record of a run.
const RunFormat = "gcexport.run/1"

// MarshalJSON writes the summary as it is written to the bucket: the record of
// a run, described in docs/format.md.
func (s *Summary) MarshalJSON() ([]byte, error) { return json.Marshal(s.record()) }

func (s *Summary) record() runRecord {
	rec := runRecord{
		Format: RunFormat, Run: s.Run, Program: s.Program, Mode: s.Mode,
		Dataset: s.Plan.Dataset, Range: Span{s.Plan.Range.Start, s.Plan.Range.End},
		Step: s.Plan.Step.String(), Shard: s.Plan.Shard.String(),
		Started: s.Started, Result: s.Result,
		Chunks: runChunks{Planned: s.Chunks.Planned, Skipped: s.Chunks.Skipped, Exported: s.Chunks.Exported,
			Elsewhere: s.Chunks.Elsewhere, Postponed: len(s.Postponed), Failed: len(s.Failed)},
		Records: s.Records, RawBytes: s.RawBytes, Bytes: s.Bytes, Parts: s.Parts, Dropped: s.Dropped, Diverted: s.Diverted,
		StoreWait: s.StoreWait.Round(time.Millisecond).Seconds(), Usage: s.Usage,
	}
	if !s.Watermark.IsZero() {
		rec.Watermark = &s.Watermark
	}
	if !s.Finished.IsZero() {
		rec.Finished = &s.Finished
	}
	for _, f := range s.Failed {
		rec.Failures = append(rec.Failures, failureRecord{Span{f.Interval.Start, f.Interval.End}, f.Err.Error()})
	}
	return rec
}

// begin records that the run has begun. It comes before the first chunk, so a
// bucket that may be read but not written is noticed before any work is done,
// and a run that was killed has left a trace.
func (r *run) begin(ctx context.Context) error {
	r.summary.Result = ResultBegun
	if err := r.putSummary(ctx, r.layout.RunBegun(r.summary.Run)); err != nil {
		return fmt.Errorf("record the begin of the run: %w", err)
	}
	return r.declare(ctx)
}

// company reports whether other processes seem to be at work on this bucket:
// whether a run has begun within a day and not ended.
func (r *run) company(ctx context.Context) (bool, error) {
	running := map[string]bool{}
	err := list(ctx, r.Bucket, r.layout.runPrefix(), func(o *blob.ListObject) {
		name := strings.TrimPrefix(o.Key, r.layout.runPrefix())
		if id, begun := strings.CutSuffix(name, begunSuffix); begun {
			running[id] = true
		} else {
			delete(running, strings.TrimSuffix(name, ".json")) // listed behind the other
		}
	})
	for id := range running {
		u, err := ulid.ParseStrict(id)
		if err != nil || id == r.summary.Run || time.Since(u.Timestamp()) > 24*time.Hour {
			delete(running, id)
		}
	}
	return len(running) > 0, err
}

// hasCompany is company where it matters for speed alone: an error counts as
// none.
func (r *run) hasCompany(ctx context.Context) bool {
	company, err := r.company(ctx)
	return err == nil && company
}

// endTimeout bounds the writing of the summary after a run was stopped, so that
// a process that was asked to end does so within its grace period.
const endTimeout = 5 * time.Second

// end records what the run did, also where it was stopped.
func (r *run) end(ctx context.Context) error {
	last, cancel := object.Linger(ctx, endTimeout)
	defer cancel()
	if err := r.putSummary(last, r.layout.RunSummary(r.summary.Run)); err != nil {
		return fmt.Errorf("record the end of the run: %w", err)
	}
	return nil
}

func (r *run) putSummary(ctx context.Context, key string) error {
	data, err := json.MarshalIndent(&r.summary, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return r.put(ctx, key, append(data, '\n'))
}

// stored notes how long a part has waited for the bucket.
func (r *run) stored(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.StoreWait += d
	r.observe(StoreWaited{Took: d})
}

// close ends the books.
func (r *run) close(ctx context.Context, stopped error) {
	r.summary.close(ctx, stopped)
	if r.Usage != nil {
		r.summary.Usage = r.Usage(&r.summary)
	}
}

// close stamps the summary with how the run ended.
func (s *Summary) close(ctx context.Context, stopped error) {
	s.Finished = time.Now().UTC()
	switch {
	case ctx.Err() != nil:
		s.Result = ResultInterrupted
	case stopped != nil:
		s.Result = ResultStopped
	case !s.Complete():
		s.Result = ResultIncomplete
	default:
		s.Result = ResultComplete
	}
}
