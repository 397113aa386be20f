package export

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/gcexport/gcexport/pkg/interval"
)

// DefaultFilterBytes is the memory that a [Verifier] gives to telling whether
// a conversation stands twice: enough for 119 million of them in one round.
const DefaultFilterBytes = 128 << 20

// A Verifier proves a bucket against its manifests. Bucket and Dataset are
// required; the zero value of all else works.
//
// It reads names and sizes of all objects, all manifests and, unless Shallow is
// set, every byte of every part. It believes nothing that it reads, writes
// nothing, and its memory depends on the number of workers, the longest line,
// and a hundred and fifty bytes or so for each object, not on what the objects
// hold.
//
// Each conversation must stand once. The ids go through a filter of fixed size,
// which knows for certain of nearly all that they are new. Only if some may have
// been there before are the parts read again, to count those one by one: so no
// duplicate is missed, and none reported that is none.
type Verifier struct {
	Bucket  *blob.Bucket
	Dataset string

	// Range is what must be covered. If it is empty, that is from the first
	// to the last committed chunk, and a gap is no damage.
	Range interval.Interval
	// Shallow leaves out the contents of the objects.
	Shallow bool
	// Workers is the number of parts that are read at once; by default the
	// number of processors.
	Workers int
	// FilterBytes bounds the filter of ids; less makes more readings.
	FilterBytes int64
	// Object says how objects are read from this kind of bucket.
	Object ObjectOptions
	// Observer is told what happens; may be nil.
	Observer Observer
	// Logger may be nil.
	Logger *slog.Logger

	suspects int   // bound of suspects, and
	idBits   int64 // least room for an id in the filter: tests make them small
}

// Run verifies the bucket. The error says that it could not be done; damage is
// none, and stands in the Report.
func (v *Verifier) Run(ctx context.Context) (*Report, error) {
	c := v.newCheck()
	err := c.run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	r := &c.report
	r.Finished = time.Now().UTC()
	r.Findings, r.Counts, r.DamageCount = c.findings.list(), c.findings.counts, c.findings.damage
	return r, nil
}

// check is the state of one Run.
type check struct {
	Verifier
	layout   Layout
	log      *slog.Logger
	observe  func(Event)
	findings *findings
	// format is that of the dataset's records, partition the kind of its names.
	format    RecordFormat
	partition Partition
	places    map[Layout][]placed // that are taken, where names say so

	chunks []*chunkCheck // in order of time
	parts  []*partCheck  // those that are there, likewise
	dup    *duplicates
	// duplicated counts the conversations that stand twice.
	duplicated int64

	// large is held while something is read that takes more memory than
	// usual: a large manifest, a long line.
	large sync.Mutex

	mu     sync.Mutex // guards report
	report Report
}

func (v *Verifier) newCheck() *check {
	c := &check{Verifier: *v, layout: Layout{Dataset: v.Dataset}, log: v.Logger, observe: func(Event) {}, findings: newFindings(), places: map[Layout][]placed{}}
	c.Workers = orDefault(v.Workers, runtime.GOMAXPROCS(0))
	c.FilterBytes = orDefault(v.FilterBytes, DefaultFilterBytes)
	c.suspects = orDefault(v.suspects, maxSuspects)
	c.idBits = orDefault(v.idBits, idBits)
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if v.Observer != nil {
		c.observe = v.Observer.Observe
	}
	c.report = Report{Dataset: v.Dataset, Deep: !v.Shallow, Started: time.Now().UTC()}
	return c
}

func (c *check) run(ctx context.Context) error {
	if err := c.survey(ctx); err != nil {
		return err
	}
	c.arrange()
	c.cover()
	if c.Shallow || len(c.parts) == 0 {
		return nil
	}
	claimed := c.claimedRecords()
	c.dup = c.newRound(0, c.roundsFor(claimed), claimed)
	err := c.readAll(ctx, func(ctx context.Context, rd *reader, i int) error {
		return c.verifyPart(ctx, rd, c.parts[i])
	})
	if err != nil {
		return err
	}
	return c.unique(ctx)
}

// found reports damage of a part.
func (c *check) found(k Kind, p *partCheck, format string, args ...any) {
	c.findings.add(Finding{Kind: k, Damage: k != Unfinished, Key: c.key(p), Chunk: p.chunk.interval, Detail: clipText(fmt.Sprintf(format, args...))})
}

// stray reports an object that should not be there.
func (c *check) stray(key, why string) {
	c.findings.add(Finding{Kind: Stray, Damage: true, Key: clipText(key), Detail: why})
}

// key is the name of a part's object.
func (c *check) key(p *partCheck) string {
	if p.object != "" {
		return p.object
	}
	if p.claim.object != "" {
		return p.claim.object
	}
	return c.layout.family()[p.sibling].Part(p.chunk.interval, 0, p.number)
}

// read counts a part that was read.
func (c *check) read(p *partCheck, records int64, raw int64) {
	c.mu.Lock()
	c.report.Records += records
	c.report.RawBytes += raw
	c.mu.Unlock()
	c.observe(PartVerified{Key: c.key(p), Records: records, RawBytes: raw, Bytes: p.size})
}

// readAll reads the parts, several at once.
func (c *check) readAll(ctx context.Context, fn func(context.Context, *reader, int) error) error {
	c.report.Readings++
	c.observe(VerifyBegun{Reading: c.report.Readings, Parts: len(c.parts), Bytes: c.report.Bytes})
	return parallel(ctx, c.Workers, len(c.parts), func() func(context.Context, int) error {
		rd := c.newReader()
		return func(ctx context.Context, i int) error {
			if err := fn(ctx, rd, i); err != nil {
				return fmt.Errorf("verify %s: %w", c.key(c.parts[i]), err)
			}
			return nil
		}
	})
}

// parallel calls, for each number below n, the function that worker gives to
// each of the workers. The first error ends it.
func parallel(ctx context.Context, workers, n int, worker func() func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan int)
	group.Go(func() error {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range min(workers, n) {
		group.Go(func() error {
			do := worker()
			for i := range next {
				if err := do(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// roundsFor is the number of rounds that n ids take.
func (c *check) roundsFor(n int64) uint64 {
	each := max(c.FilterBytes*8/c.idBits, 1)
	return uint64(max((n+each-1)/each, 1))
}

// newRound prepares one round of looking for duplicates among n ids.
func (c *check) newRound(round, rounds uint64, n int64) *duplicates {
	return newDuplicates(newIDFilter(n/int64(rounds), c.FilterBytes), round, rounds, c.suspects)
}

// unique ends the round that the first reading has begun, and goes through the
// others.
func (c *check) unique(ctx context.Context) error {
	for {
		if err := c.examine(ctx); err != nil {
			return err
		}
		d := c.dup
		round, rounds := d.round+1, d.rounds
		switch {
		case d.overflow && c.duplicated > 0:
			c.findings.add(Finding{Kind: Duplicate, Damage: true, Detail: fmt.Sprintf("more than %d conversations may stand twice; not all were looked at", c.suspects)})
			return nil
		case d.overflow: // the manifests said too few records
			round, rounds = 0, max(4*rounds, c.roundsFor(c.report.Records))
		case round == rounds:
			return nil
		}
		c.log.DebugContext(ctx, "looking for duplicates", "round", round+1, "rounds", rounds)
		c.dup = nil // free its filter before the next one is made
		c.dup = c.newRound(round, rounds, c.report.Records)
		err := c.readAll(ctx, func(ctx context.Context, rd *reader, i int) error {
			return c.rereadPart(ctx, rd, i, func(id []byte, _ place) { c.dup.note(id) })
		})
		if err != nil {
			return err
		}
	}
}

// examine counts the suspects of a round one by one, and reports those that
// stand twice.
func (c *check) examine(ctx context.Context) error {
	d := c.dup
	d.filter = nil // it has done its work
	c.report.Suspects += int64(len(d.suspects))
	if len(d.suspects) == 0 {
		return nil
	}
	c.log.DebugContext(ctx, "reading again for ids that may stand twice", "ids", len(d.suspects))
	err := c.readAll(ctx, func(ctx context.Context, rd *reader, i int) error {
		return c.rereadPart(ctx, rd, i, d.sight)
	})
	if err != nil {
		return err
	}
	for i := range d.sightings {
		s := &d.sightings[i]
		if s.count < 2 {
			continue
		}
		c.duplicated++
		first, second := s.places[0], s.places[1]
		c.found(Duplicate, c.parts[second.part], "conversation %q stands %d times: in line %d, and in line %d of %s",
			s.id, s.count, second.line, first.line, c.key(c.parts[first.part]))
	}
	return nil
}

// claimedRecords estimates how many records the parts hold. What a manifest
// says is not believed where the object is too small for it.
func (c *check) claimedRecords() (n int64) {
	const least, usual = 4, 256 // bytes of a record, compressed
	for _, p := range c.parts {
		if p.listed {
			n += min(p.claim.records, p.size/least)
		} else {
			n += p.size/usual + 1
		}
	}
	return n
}
