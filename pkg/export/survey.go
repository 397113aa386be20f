package export

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
)

// An Inventory is what the names in a bucket say about a dataset's first
// revision. It is read by listing alone; no object is opened.
type Inventory struct {
	// Committed holds the intervals that have a manifest, in order of start.
	Committed []interval.Interval
	// Open holds the intervals that have parts and no manifest, likewise: an
	// earlier run was stopped there, or another process is at work.
	Open []interval.Interval
	// Unlisted holds those of Committed that have parts which no manifest
	// lists, so far as names and sizes tell. It is what a process leaves that
	// was killed between a part and its supplement; the next run heals it.
	Unlisted []interval.Interval

	// open counts the parts of each of Open.
	open map[interval.Interval]int
	// committed holds the sizes of the dataset's own objects in Committed.
	committed map[string]int64
}

// TakeInventory lists the manifests and parts of the dataset and its siblings.
func TakeInventory(ctx context.Context, b *blob.Bucket, l Layout) (Inventory, error) {
	chunks := map[interval.Interval]*tally{}
	supplements := map[interval.Interval]int{}
	open := map[interval.Interval]int{}
	// All manifests first: a chunk that is committed meanwhile is then open at
	// worst, which is looked at again.
	for i, l := range l.family() {
		err := list(ctx, b, l.ManifestPrefix(), func(o *blob.ListObject) {
			if n, ok := l.ParseManifest(o.Key); ok && n.Revision == 0 && i == 0 {
				chunks[n.Interval] = &tally{manifest: o.Size}
			} else if n, ok := l.ParseSupplement(o.Key); ok && n.Revision == 0 {
				supplements[n.Interval]++
			}
		})
		if err != nil {
			return Inventory{}, err
		}
	}
	committed := map[string]int64{}
	for i, l := range l.family() {
		err := list(ctx, b, l.DataPrefix(), func(o *blob.ListObject) {
			n, ok := l.ParsePart(o.Key)
			if !ok || n.Revision != 0 || isBlank(n, o.Size) {
				return
			}
			t := chunks[n.Interval]
			if t == nil {
				open[n.Interval]++
				return
			}
			t.parts++
			if i == 0 {
				committed[o.Key] = o.Size
			}
		})
		if err != nil {
			return Inventory{}, err
		}
	}
	inv := Inventory{Committed: sorted(maps.Keys(chunks)), Open: sorted(maps.Keys(open)), open: open, committed: committed}
	for _, iv := range inv.Committed {
		t := chunks[iv]
		t.supplements = supplements[iv]
		if !t.complete() {
			inv.Unlisted = append(inv.Unlisted, iv)
		}
	}
	return inv, nil
}

// exists asks whether there is an object.
func exists(ctx context.Context, b *blob.Bucket, key string) (bool, error) {
	return object.Call(ctx, func(ctx context.Context) (bool, error) { return b.Exists(ctx, key) })
}

func list(ctx context.Context, b *blob.Bucket, prefix string, fn func(*blob.ListObject)) error {
	for it := b.List(&blob.ListOptions{Prefix: prefix}); ; {
		o, err := object.Call(ctx, it.Next)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		fn(o)
	}
}

func sorted(set iter.Seq[interval.Interval]) []interval.Interval {
	return slices.SortedFunc(set, func(a, b interval.Interval) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End))
	})
}

// Remaining returns what is left to do of the plan: its chunks, less what is
// committed. Usually a chunk is committed whole or not at all; where a run with
// another range or chunk length has committed a piece of it, the rest is left.
// An [*OverlapError] says that parts were begun under another plan and not
// finished: exporting around them could give a conversation twice.
func (inv Inventory) Remaining(p Plan) ([]Chunk, error) {
	var todo []Chunk
	committed := inv.Committed
	planned := map[interval.Interval]bool{}
	for c := range p.Chunks() {
		committed = skipBefore(committed, c.Interval.Start)
		for _, rest := range subtract(c.Interval, committed) {
			planned[rest] = true
			todo = append(todo, Chunk{Index: c.Index, Interval: rest})
		}
	}
	for _, iv := range inv.Open {
		if iv.Overlaps(p.Range) && !planned[iv] {
			return nil, &OverlapError{Open: iv}
		}
	}
	return todo, nil
}

// skipBefore drops the leading intervals that end at or before t. A longer one
// hidden behind a shorter start is kept: subtract does not mind.
func skipBefore(ivs []interval.Interval, t time.Time) []interval.Interval {
	for len(ivs) > 0 && !ivs[0].End.After(t) {
		ivs = ivs[1:]
	}
	return ivs
}

// subtract returns the pieces of iv that lie in none of the others, which are
// in order of start.
func subtract(iv interval.Interval, others []interval.Interval) []interval.Interval {
	var pieces []interval.Interval
	for _, o := range others {
		if !o.Start.Before(iv.End) {
			break
		}
		if !o.Overlaps(iv) {
			continue
		}
		if iv.Start.Before(o.Start) {
			pieces = append(pieces, interval.Interval{Start: iv.Start, End: o.Start})
		}
		iv.Start = o.End
		if iv.Empty() {
			return pieces
		}
	}
	return append(pieces, iv)
}

// An OverlapError says that the bucket holds an unfinished chunk which is not
// one of the plan's, but overlaps the plan's range.
type OverlapError struct {
	Open interval.Interval
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("the bucket holds an unfinished chunk %s that is cut differently from this run's chunks", e.Open)
}

// survey takes the inventory and returns the chunks that this run has to do.
func (r *run) survey(ctx context.Context) ([]Chunk, error) {
	if err := r.readLastList(ctx); err != nil {
		return nil, err
	}
	inv, err := TakeInventory(ctx, r.Bucket, r.layout)
	if err != nil {
		return nil, fmt.Errorf("take inventory: %w", err)
	}
	if r.recorded, err = r.agree(ctx, &inv); err != nil {
		return nil, err
	}
	remaining, err := inv.Remaining(r.plan)
	if err != nil {
		return nil, err
	}
	for _, iv := range inv.Unlisted {
		if iv.Overlaps(r.plan.Range) {
			r.unlisted = append(r.unlisted, iv)
		}
	}
	if err := r.surveyLists(ctx, inv.committed); err != nil {
		return nil, err
	}
	todo := slices.DeleteFunc(remaining, func(c Chunk) bool { return !r.plan.Shard.Owns(c) })
	for range r.plan.Mine() {
		r.summary.Chunks.Planned++
	}
	r.summary.Chunks.Skipped = r.summary.Chunks.Planned - distinct(todo)
	if len(todo) > 0 {
		if todo, err = r.postpone(ctx, todo); err != nil {
			return nil, err
		}
	}
	r.observe(Planned{Run: r.summary.Run, Chunks: r.summary.Chunks.Planned, Skipped: r.summary.Chunks.Skipped, Postponed: len(r.summary.Postponed), Todo: len(todo), Watermark: r.summary.Watermark})
	return todo, nil
}

func distinct(chunks []Chunk) int {
	n := 0
	for i, c := range chunks {
		if i == 0 || chunks[i-1].Index != c.Index {
			n++
		}
	}
	return n
}

// postpone takes out the chunks that end past the source's watermark: what the
// source would give for them now looks complete and is not.
func (r *run) postpone(ctx context.Context, todo []Chunk) ([]Chunk, error) {
	w, ok := r.Source.(Watermarker)
	if !ok {
		return todo, nil
	}
	watermark, err := w.Watermark(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the watermark: %w", err)
	}
	r.summary.Watermark = watermark
	return slices.DeleteFunc(todo, func(c Chunk) bool {
		if !c.Interval.End.After(watermark) {
			return false
		}
		r.summary.Postponed = append(r.summary.Postponed, c.Interval)
		return true
	}), nil
}
