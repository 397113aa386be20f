package export

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// maxConflicts bounds how often a chunk is begun anew because another process
// was quicker. Each time there is one part more in the bucket, so it ends.
const maxConflicts = 1000

// chunk brings one chunk to its manifest, or says why it could not. A chunk is
// a log of create-only parts, and whoever writes part n has read parts 0 to
// n-1; where a part or the manifest turns out to exist, another process has
// been at work, and the chunk is begun anew from what is there now. A nil
// Manifest without an error says that another run committed the chunk; then
// each part that is there is listed, also those that this one has written and
// the other has not seen.
func (r *run) chunk(ctx context.Context, c Chunk) (*Manifest, error) {
	for range maxConflicts {
		done, err := exists(ctx, r.Bucket, r.layout.Manifest(c.Interval, 0))
		if err != nil {
			return nil, fmt.Errorf("look for the manifest: %w", err)
		}
		if done {
			return r.committed(ctx, c)
		}
		m, err := r.attempt(ctx, c)
		if !errors.Is(err, object.ErrExists) && err != errCommitted {
			return m, err
		}
		r.log.InfoContext(ctx, "another process is at work on this chunk", "chunk", c.Interval)
	}
	return nil, fmt.Errorf("gave up after %d conflicts with other processes", maxConflicts)
}

// committed sees to a chunk that has its manifest. Where that turns out to be
// this run's own, its answer was lost when it was written.
func (r *run) committed(ctx context.Context, c Chunk) (*Manifest, error) {
	if err := r.listAll(ctx, c.Interval); err != nil {
		return nil, err
	}
	m, err := ReadManifest(ctx, r.Bucket, r.layout.Manifest(c.Interval, 0), &r.Object)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if m.Run != r.summary.Run {
		return nil, nil
	}
	return m, nil
}

// attempt goes once through the protocol: recover, fill, commit. It returns
// object.ErrExists or errCommitted where another process got in between. It has
// a turn from the first page on.
func (r *run) attempt(ctx context.Context, c Chunk) (*Manifest, error) {
	f := r.newFilling(c)
	defer f.turn.end()
	watched, end := r.watch.begin(ctx, c.Interval)
	err := f.gather(watched)
	if context.Cause(watched) == errCommitted {
		err = errCommitted
	}
	end() // the manifest that comes now is our own
	if err != nil {
		return nil, err
	}
	f.manifest.seal(r.summary.Watermark)
	key := r.layout.Manifest(c.Interval, 0)
	if err := r.writeManifest(ctx, key, f.manifest); err != nil {
		return nil, err
	}
	return f.manifest, nil
}

// gather brings all records of the chunk into parts: those that are there, and
// those that the source has.
func (f *filling) gather(ctx context.Context) error {
	if err := f.recover(ctx); err != nil {
		return fmt.Errorf("read the parts that are there: %w", err)
	}
	return f.fill(ctx)
}

// filling is one attempt to bring all records of a chunk into parts.
type filling struct {
	*run
	chunk    Chunk
	seen     *ids
	turn     turn
	manifest *Manifest
	part     jsonl.Part
	diverted []*diversion // to the siblings, in their order
	dropped  Dropped      // in the page at hand
	next     func() (*record.Page, error, bool)
	reading  time.Duration // spent on pieces
	envelope *envelope     // nil for raw records
}

func (r *run) newFilling(c Chunk) *filling {
	f := &filling{run: r, chunk: c, seen: newIDs(), manifest: r.newManifest(c)}
	for _, l := range r.layout.Siblings() {
		f.diverted = append(f.diverted, &diversion{layout: l})
	}
	if r.RecordFormat == RecordEnvelope {
		f.envelope = newEnvelope(time.Now().Truncate(time.Millisecond), r.summary.Run, r.Mode)
	}
	return f
}

// recover reads the parts that an earlier attempt, or another process, has
// left: their records are done.
func (f *filling) recover(ctx context.Context) error {
	for _, l := range f.layout.family() {
		found, err := f.partsOf(ctx, l, f.chunk.Interval)
		if err != nil {
			return err
		}
		for i, o := range found {
			if n, ok := l.ParsePart(o.Key); !ok || n.Part != i {
				return fmt.Errorf("%s is not part %d of the chunk: the bucket was changed by something else", o.Key, i)
			}
			if err := f.recoverPart(ctx, l, o.Key); err != nil {
				return fmt.Errorf("%s: %w", o.Key, err)
			}
		}
	}
	return nil
}

// recoverPart takes over a part that is there, and its records.
func (f *filling) recoverPart(ctx context.Context, l Layout, key string) (err error) {
	rd, err := object.Open(ctx, f.Bucket, key, &f.Object)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	records := newLineReader(f.RecordFormat)
	var first, last time.Time
	why := map[string]int64{}
	sum := newDigest()
	stats, err := new(jsonl.Reader).Read(io.TeeReader(rd, sum), func(line []byte) error {
		rec, err := records.read(line)
		switch {
		case err != nil:
			return err
		case !f.chunk.Interval.Contains(rec.Start):
			return errors.New("holds a record of another chunk")
		case !f.seen.find(rec.ID):
			return errors.New("holds a record twice")
		}
		if first.IsZero() || rec.Start.Before(first) {
			first = rec.Start
		}
		if rec.Start.After(last) {
			last = rec.Start
		}
		why[cmp.Or(rec.Flaws.String(), ReasonSize)]++ // as it was put there, whatever MaxRecord is now
		return nil
	})
	if err != nil {
		return err
	}
	stats.First, stats.Last = first, last
	f.manifest.add(l.Dataset, partOf(key, stats, sum.hex()), why)
	f.log.InfoContext(ctx, "found a part of an earlier attempt", "chunk", f.chunk.Interval, "key", key, "records", stats.Records)
	return nil
}

// fill reads the source to its end and writes what is not there yet.
func (f *filling) fill(ctx context.Context) error {
	next, stop := iter.Pull2(f.Source.Pages(record.OnReady(ctx, func() error { return f.ready(ctx) }), f.chunk.Interval))
	defer stop()
	f.next = next
	for {
		piece, err := f.piece(ctx)
		if err == errEnded {
			return f.writeDiverted(ctx, 1)
		}
		if err != nil {
			return err
		}
		if err := f.writePart(ctx, piece); err != nil {
			return err
		}
	}
}

// ready is called when the source has its results ready. Where others are at work
// on the same range, they may have done the chunk while that was prepared, and may
// yet do so while it waits for its turn: then not a page of it is fetched.
func (f *filling) ready(ctx context.Context) error {
	if !f.crowd.Load() {
		return nil
	}
	if err := f.turn.await(ctx, f.turns); err != nil {
		return err
	}
	done, err := exists(ctx, f.Bucket, f.layout.Manifest(f.chunk.Interval, 0))
	if err != nil {
		return fmt.Errorf("look for the manifest: %w", err)
	}
	if done {
		return errCommitted
	}
	return nil
}

// writePart writes one part, beginning with the piece at hand.
func (f *filling) writePart(ctx context.Context, piece *[]byte) error {
	began, read := time.Now(), f.reading
	key, sum, err := f.streamPart(ctx, piece)
	f.stored(time.Since(began) - (f.reading - read))
	if err != nil {
		return err // names the key, unless it is the source's
	}
	stats := f.part.Stats()
	f.part = jsonl.Part{}
	f.manifest.add(f.layout.Dataset, partOf(key, stats, sum), nil)
	f.observe(PartWritten{Chunk: f.chunk, Key: key, Records: stats.Records, RawBytes: stats.RawBytes, Bytes: stats.Bytes})
	return nil
}

// streamPart has the part written while it is made, under the name that its number
// gives it; or, where names depend on when it is whole, after that. It gives the name
// and the MD5.
func (f *filling) streamPart(ctx context.Context, piece *[]byte) (key, md5 string, err error) {
	if f.sequences != nil {
		var whole bytes.Buffer
		if err := f.stream(ctx, &whole, piece); err != nil {
			return "", "", err
		}
		return f.commit(ctx, f.layout, whole.Bytes())
	}
	key = f.layout.Part(f.chunk.Interval, 0, f.manifest.countOf(f.layout))
	sum := newDigest()
	err = object.Write(ctx, f.Bucket, key, &f.Object, func(w io.Writer) error {
		return f.stream(ctx, io.MultiWriter(w, sum), piece)
	})
	return key, sum.hex(), err
}

// commit writes a whole part of the dataset or of a sibling under the name that it has
// by its number, or by its place in the order of parts. It gives the name and the MD5.
func (f *filling) commit(ctx context.Context, l Layout, pieces ...[]byte) (key, md5 string, err error) {
	sum := newDigest()
	for _, piece := range pieces {
		_, _ = sum.Write(piece) // never fails
	}
	write := func(key string) error {
		return object.Write(ctx, f.Bucket, key, &f.Object, func(w io.Writer) error {
			for _, piece := range pieces {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return nil
		})
	}
	part := f.manifest.countOf(l)
	if o := f.sequences[l]; o != nil {
		key, err = o.commit(ctx, f.chunk.Interval, part, write)
	} else {
		key = l.Part(f.chunk.Interval, 0, part)
		err = write(key)
	}
	return key, sum.hex(), err
}

// stream writes pieces until the part is full or the source has ended.
func (f *filling) stream(ctx context.Context, w io.Writer, piece *[]byte) error {
	for {
		_, err := w.Write(*piece)
		f.gate.recycle(piece)
		if err != nil {
			return err
		}
		if stats := f.part.Stats(); stats.Bytes >= f.PartBytes || stats.RawBytes >= f.PartRawBytes {
			break
		}
		if piece, err = f.piece(ctx); err == errEnded {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err := w.Write(f.part.End())
	return err
}

// errEnded says that the source has ended. It is compared, never unwrapped: an
// io.EOF from a broken connection must not be taken for it.
var errEnded = errors.New("source ended")

// piece turns the source's next pages into the next bytes of the part. Pages
// that hold nothing for the chunk give none, so it goes on to one that does;
// errEnded says that the source has ended.
func (f *filling) piece(ctx context.Context) (*[]byte, error) {
	began := time.Now()
	defer func() { f.reading += time.Since(began) }()
	for {
		page, err, ok := f.next()
		switch {
		case !ok && ctx.Err() != nil:
			return nil, context.Cause(ctx) // a source that stopped for it has not ended
		case err != nil:
			return nil, err
		}
		if err := f.turn.await(ctx, f.turns); err != nil {
			return nil, err
		}
		if !ok {
			return nil, errEnded
		}
		piece, err := f.take(ctx, page)
		if err == nil {
			err = f.writeDiverted(ctx, divertedBytes)
		}
		if piece != nil || err != nil {
			return piece, err
		}
	}
}

// take compresses what the chunk owns of a page. It returns nil where that is
// nothing, or where the page proved damaged: then no trace of it is left, and
// the source gives it again.
func (f *filling) take(ctx context.Context, page *record.Page) (*[]byte, error) {
	s, err := f.gate.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer f.gate.leave(s)
	buf := f.gate.buffer()
	before := f.part.Stats()
	f.dropped = Dropped{}
	f.part.Begin(s.compressor, *buf)
	if err := s.scanner.Scan(page, f.record); err != nil {
		*buf = f.part.Rollback()
		f.seen.undo()
		f.dropDiverted()
		f.gate.recycle(buf)
		if page.Damage() != nil {
			return nil, nil
		}
		return nil, err
	}
	f.seen.keep()
	f.manifest.page(page, f.dropped)
	if !f.manifest.settled() {
		f.part.Rollback()
		return nil, &UnsettledError{Interval: f.chunk.Interval, Watermark: *f.manifest.Watermark}
	}
	if *buf, err = f.part.Commit(); err != nil {
		return nil, fmt.Errorf("compress a page: %w", err)
	}
	if err := f.keepDiverted(s.compressor); err != nil {
		return nil, err
	}
	after := f.part.Stats()
	f.observe(PageTaken{Chunk: f.chunk, Received: int64(page.Records), Records: after.Records - before.Records,
		RawBytes: after.RawBytes - before.RawBytes, Bytes: after.Bytes - before.Bytes, BodyBytes: int64(len(page.Body))})
	if after.Records == before.Records {
		f.gate.recycle(buf)
		return nil, nil
	}
	return buf, nil
}

// record writes a record of the page if the chunk owns it and has it not yet.
func (f *filling) record(rec record.Record) error {
	switch {
	case len(rec.ID) == 0 || rec.Start.IsZero():
		return &StrayError{Interval: f.chunk.Interval, ID: clip(rec.ID)}
	case !f.chunk.Interval.Contains(rec.Start):
		f.dropped.Foreign++
		return nil
	}
	switch f.seen.give(rec.ID) {
	case idNew:
		if f.envelope != nil {
			rec = f.envelope.wrap(rec)
		}
		if reason, sibling := f.reason(rec); reason != "" {
			f.divert(rec, reason, sibling)
			return nil
		}
		return f.part.Line(rec)
	case idGiven:
		f.dropped.Duplicate++
	}
	return nil
}

// An UnsettledError says that the results which the source has given are those
// of a time when its data were not complete to the chunk's end: its watermark
// was wrong when it was asked for, or has moved back. The chunk is not
// committed then; a later run exports it.
type UnsettledError struct {
	Interval  interval.Interval
	Watermark time.Time
}

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("the results for %s are complete up to %s only", e.Interval, interval.Format(e.Watermark))
}

// A StrayError says that the source gave a record without an id or without a
// time of start, so that it cannot be told whose it is or whether it was there
// before.
type StrayError struct {
	Interval interval.Interval
	ID       string
}

func (e *StrayError) Error() string {
	if e.ID == "" {
		return "the source gave a record without a conversationId"
	}
	return fmt.Sprintf("the source gave a record (conversationId %q) without a conversationStart", e.ID)
}

// clip keeps a hostile id from filling the log.
func clip(id []byte) string { return string(id[:min(len(id), 64)]) }
