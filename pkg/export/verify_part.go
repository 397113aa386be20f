package export

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"gocloud.dev/gcerrors"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A reader is what a worker reads parts with, one after the other.
type reader struct {
	records *lineReader
	lines   jsonl.Reader
}

func (c *check) newReader() *reader {
	return &reader{records: newLineReader(c.format), lines: jsonl.Reader{Long: &c.large}}
}

// A partReading is one part being read line by line.
type partReading struct {
	records     *lineReader
	owner       interval.Interval
	own         bool // whether the part is the dataset's own, and not a sibling's
	dup         *duplicates
	lines       int64
	first, last time.Time
	// bad and foreign count lines; what was wrong with the first is kept.
	bad, foreign         int64
	badLine, foreignLine string
}

// line checks a line. Damage does not end the reading: all of it is counted.
func (r *partReading) line(line []byte) error {
	r.lines++
	rec, err := r.records.read(line)
	switch {
	case err != nil:
	case len(rec.ID) == 0:
		err = errors.New("no conversationId")
	case rec.Start.IsZero():
		err = errors.New("no conversationStart")
	case r.own && rec.Flaws != 0:
		err = fmt.Errorf("a record that loaders refuse (%s) should have been put aside", rec.Flaws)
	}
	if err != nil {
		if r.bad++; r.bad == 1 {
			r.badLine = clipText(fmt.Sprintf("line %d: %v", r.lines, err))
		}
		return nil
	}
	if !r.owner.Contains(rec.Start) {
		if r.foreign++; r.foreign == 1 {
			r.foreignLine = fmt.Sprintf("line %d: conversation %q started at %s", r.lines, clip(rec.ID), interval.Format(rec.Start))
		}
	}
	if r.first.IsZero() || rec.Start.Before(r.first) {
		r.first = rec.Start
	}
	if rec.Start.After(r.last) {
		r.last = rec.Start
	}
	r.dup.note(rec.ID)
	return nil
}

// open opens a part. A part that is not there gives nil: it was there when the
// bucket was listed, or is reported already.
func (c *check) open(ctx context.Context, p *partCheck) (*object.Reader, error) {
	rd, err := object.Open(ctx, c.Bucket, c.key(p), &c.Object)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, nil
	}
	return rd, err
}

// verifyPart reads one part in the first reading, and compares it with what its
// manifest says.
func (c *check) verifyPart(ctx context.Context, with *reader, p *partCheck) (err error) {
	rd, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	if rd == nil {
		c.found(Missing, p, "was deleted while the bucket was verified")
		return nil
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	r := &partReading{records: with.records, owner: p.chunk.interval, own: p.sibling == 0, dup: c.dup}
	md5 := newDigest()
	stats, err := with.lines.Read(io.TeeReader(rd, md5), r.line)
	whole := err == nil
	if err != nil && !errors.Is(err, jsonl.ErrDamaged) {
		return err
	}
	if r.bad > 0 {
		c.found(BadLine, p, "%d lines are no compact records, the first: %s", r.bad, r.badLine)
	}
	if r.foreign > 0 {
		c.found(Foreign, p, "%d records belong to other chunks, the first: %s", r.foreign, r.foreignLine)
	}
	if !whole {
		c.found(BadObject, p, "%v", err)
	} else {
		stats.First, stats.Last = r.first, r.last
		c.compare(p, stats, md5.hex())
	}
	c.read(p, r.lines, stats.RawBytes)
	return nil
}

// compare holds a whole part against its manifest.
func (c *check) compare(p *partCheck, s jsonl.Stats, md5 string) {
	if s.Records == 0 {
		c.found(BadContent, p, "holds no records: such a part is not written")
	}
	if !p.listed {
		return
	}
	w := &p.claim
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			c.found(BadContent, p, format, args...)
		}
	}
	wrong(s.Records != w.records, "holds %d records, its manifest says %d", s.Records, w.records)
	wrong(s.RawBytes != w.raw, "holds %d raw bytes, its manifest says %d", s.RawBytes, w.raw)
	wrong(s.Bytes != w.bytes && p.size == w.bytes, "holds %d bytes, its manifest says %d", s.Bytes, w.bytes)
	wrong(s.SHA256 != w.sha, "holds lines with SHA-256 %x, its manifest says %x", s.SHA256, w.sha)
	want := hex.EncodeToString([]byte(w.md5))
	wrong(s.SHA256 == w.sha && md5 != "" && want != "" && md5 != want, "holds the right lines in the wrong bytes: MD5 %s, its manifest says %s", md5, want)
	wrong(!s.First.Equal(w.first), "has first start %s, its manifest says %s", interval.Format(s.First), interval.Format(w.first))
	wrong(!s.Last.Equal(w.last), "has last start %s, its manifest says %s", interval.Format(s.Last), interval.Format(w.last))
}

// rereadPart reads the ids of a part once more; damage was reported before.
func (c *check) rereadPart(ctx context.Context, with *reader, i int, take func(id []byte, at place)) (err error) {
	p := c.parts[i]
	rd, err := c.open(ctx, p)
	if err != nil || rd == nil {
		return err
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	at := place{part: i}
	stats, err := with.lines.Read(rd, func(line []byte) error {
		at.line++
		if id, ok := with.records.leadingID(line); ok {
			take(id, at)
		} else if rec, err := with.records.read(line); err == nil && len(rec.ID) > 0 && !rec.Start.IsZero() {
			take(rec.ID, at)
		}
		return nil
	})
	if err != nil && !errors.Is(err, jsonl.ErrDamaged) {
		return err
	}
	c.observe(PartVerified{Key: c.key(p), Records: at.line, RawBytes: stats.RawBytes, Bytes: p.size})
	return nil
}
