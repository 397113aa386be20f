package export

import (
	"context"
	"errors"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A State says how far a chunk of a plan is.
type State string

// The states of a chunk.
const (
	// Done chunks are committed; other plans may have done it.
	Done State = "done"
	// Open chunks have parts and no manifest.
	Open State = "open"
	// Absent chunks have neither.
	Absent State = "missing"
	// Postponed chunks end beyond the watermark.
	Postponed State = "beyond the watermark"
	// Conflicting chunks overlap an unfinished chunk of another plan; an
	// export refuses to begin ([*OverlapError]).
	Conflicting State = "conflicting"
)

// A Status is the state of one chunk of a plan.
type Status struct {
	Chunk Chunk
	State State
	// Parts counts the parts of an open chunk.
	Parts int
	// Rest is what is left to export of the chunk: less than all of it where
	// another plan has committed a piece.
	Rest []interval.Interval
}

// Survey says how far the chunks of the plan's shard are, as an export would
// see it now. It lists the bucket, and neither opens nor writes an object. A
// zero watermark is not looked at.
func Survey(ctx context.Context, b *blob.Bucket, plan Plan, watermark time.Time) ([]Status, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	inv, err := TakeInventory(ctx, b, Layout{Dataset: plan.Dataset})
	if err != nil {
		return nil, err
	}
	return inv.states(plan, inv.open, watermark)
}

// states joins what is left to do to the chunks of the plan.
func (inv Inventory) states(plan Plan, parts map[interval.Interval]int, watermark time.Time) ([]Status, error) {
	todo, err := inv.Remaining(plan)
	var overlap *OverlapError
	if errors.As(err, &overlap) {
		unhindered := inv
		unhindered.Open = nil
		todo, err = unhindered.Remaining(plan)
	}
	if err != nil {
		return nil, err
	}
	rest := map[int][]interval.Interval{}
	planned := map[interval.Interval]bool{}
	for _, c := range todo {
		rest[c.Index] = append(rest[c.Index], c.Interval)
		planned[c.Interval] = true
	}
	var conflicts []interval.Interval
	for _, iv := range inv.Open {
		if iv.Overlaps(plan.Range) && !planned[iv] {
			conflicts = append(conflicts, iv)
		}
	}
	var all []Status
	for c := range plan.Mine() {
		s := Status{Chunk: c, Rest: rest[c.Index]}
		s.State, s.Parts = stateOf(s.Rest, parts, watermark)
		for len(conflicts) > 0 && !conflicts[0].End.After(c.Interval.Start) {
			conflicts = conflicts[1:]
		}
		for _, iv := range conflicts {
			if !iv.Start.Before(c.Interval.End) {
				break
			}
			if iv.Overlaps(c.Interval) {
				s.State, s.Parts = Conflicting, parts[iv]
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// stateOf is the state of a chunk with so much left to do.
func stateOf(rest []interval.Interval, parts map[interval.Interval]int, watermark time.Time) (s State, n int) {
	s = Done
	for _, iv := range rest {
		n += parts[iv]
		if s == Done {
			s = Absent
		}
		if !watermark.IsZero() && iv.End.After(watermark) {
			s = Postponed
		}
	}
	if s == Absent && n > 0 {
		s = Open
	}
	return s, n
}
