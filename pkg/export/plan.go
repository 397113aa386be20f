package export

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

// Conversations is the dataset of conversation details.
const Conversations = "conversations"

// A Plan says what to export. It is a pure function of what the user asked
// for, so that every process that is asked for the same computes the same
// chunks.
type Plan struct {
	// Dataset is the name of the folder of the data, and of the array that
	// holds the records in a page: [Conversations].
	Dataset string
	// Range is what is to be exported. Its ends are whole seconds.
	Range interval.Interval
	// Step is the length of a chunk, in whole seconds; the last one is cut.
	Step time.Duration
	// Shard is the part of the chunks that is this process's to do.
	Shard Shard
}

// A Chunk is the unit of work: one interval of the plan, with its number.
type Chunk struct {
	Index    int
	Interval interval.Interval
}

// Validate reports what is wrong with the plan.
func (p Plan) Validate() error {
	switch {
	case p.Dataset == "":
		return errors.New("plan without a dataset")
	case p.Range.Empty():
		return errors.New("plan with an empty range")
	case p.Step < time.Second:
		return fmt.Errorf("chunks of %v: want at least a second", p.Step)
	case p.Step%time.Second != 0 || p.Range.Start.Nanosecond() != 0 || p.Range.End.Nanosecond() != 0:
		return errors.New("start, end and chunk length must be whole seconds: they become part of object names")
	}
	return p.Shard.Validate()
}

// Chunks yields the chunks of the whole plan in order of time, whatever the
// shard.
func (p Plan) Chunks() iter.Seq[Chunk] {
	return func(yield func(Chunk) bool) {
		i := 0
		for iv := range p.Range.Split(p.Step) {
			if !yield(Chunk{Index: i, Interval: iv}) {
				return
			}
			i++
		}
	}
}

// Mine yields the chunks of the plan's shard.
func (p Plan) Mine() iter.Seq[Chunk] {
	return func(yield func(Chunk) bool) {
		for c := range p.Chunks() {
			if p.Shard.Owns(c) && !yield(c) {
				return
			}
		}
	}
}

// array is the name of the array of records in a page of the dataset.
func (p Plan) array() string { return p.Dataset }

// A Shard is one process's part of a plan: the chunks whose index leaves the
// remainder Index when divided by Count. The zero Shard owns every chunk.
type Shard struct {
	Index, Count int
}

// Owns reports whether the chunk belongs to the shard.
func (s Shard) Owns(c Chunk) bool { return s.Count <= 1 || c.Index%s.Count == s.Index }

// Validate reports what is wrong with the shard.
func (s Shard) Validate() error {
	if s.Count < 0 || s.Index < 0 || s.Index >= max(s.Count, 1) {
		return fmt.Errorf("shard %s: want i/n with 0 <= i < n", s)
	}
	return nil
}

// String writes the shard as "i/n".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, max(s.Count, 1)) }
