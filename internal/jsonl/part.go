package jsonl

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"time"

	"github.com/gcexport/gcexport/pkg/record"
)

// header is that of a gzip member (RFC 1952): deflate, no flags, no time, no
// extra flags, unknown system.
const header = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// lastBlock is a final deflate block that is empty.
const lastBlock = "\x03\x00"

// A Part is a data object in the making. The zero value is an empty one. For
// each page call Begin, then Line for each record, and then Commit, or Rollback
// if the page is not to count; what the Commits and at last End return, one
// behind the other, is the object. Between pages a Part holds but a few hundred
// bytes.
//
// To begin the next object, use a new Part.
type Part struct {
	c     *Compressor // from Begin to Commit or Rollback
	now   totals
	saved totals // as of the last Commit, while c is set
}

// totals are what is known of the lines so far.
type totals struct {
	records, raw, bytes int64
	crc                 uint32
	sha                 hash.Cloner // nil before the first line
	first, last         time.Time
}

var errNoPage = errors.New("write line: no page was begun")

// Begin starts a page. Until Commit or Rollback the Part works with c, and
// writes to dst[:0], which may be nil and grows as needed.
func (p *Part) Begin(c *Compressor, dst []byte) {
	dst = dst[:0]
	if p.now.bytes == 0 {
		dst = append(dst, header...)
	}
	c.begin(dst)
	p.c, p.saved = c, p.now
	p.now.sha = nil
}

// Line writes the record as a line. It keeps nothing of it.
func (p *Part) Line(rec record.Record) error {
	if p.c == nil {
		return errNoPage
	}
	c := p.c
	if len(c.lines)+len(rec.JSON)+1 > cap(c.lines) {
		if err := p.drain(); err != nil {
			return err
		}
	}
	if len(rec.JSON) >= cap(c.lines) {
		if err := p.write(rec.JSON); err != nil {
			return err
		}
	} else {
		c.lines = append(c.lines, rec.JSON...)
	}
	c.lines = append(c.lines, '\n')
	p.now.records++
	p.now.note(rec.Start)
	return nil
}

// Commit ends the page and returns the piece of the object that holds it, with
// the object's header if it is the first; nothing if the page had no lines. The
// piece is the caller's; it is the dst of Begin, perhaps grown.
func (p *Part) Commit() ([]byte, error) {
	if p.c == nil {
		return nil, errNoPage
	}
	if p.now.records == p.saved.records {
		return p.Rollback(), nil
	}
	if err := p.drain(); err != nil {
		return nil, err
	}
	if err := p.c.deflate.Flush(); err != nil {
		return nil, fmt.Errorf("compress page: %w", err)
	}
	piece := p.c.take()
	p.now.bytes += int64(len(piece))
	p.c, p.saved = nil, totals{}
	return piece, nil
}

// Rollback forgets the page, and gives the dst of Begin back.
func (p *Part) Rollback() []byte {
	if p.c == nil {
		return nil
	}
	dst := p.c.take()[:0]
	p.c, p.now, p.saved = nil, p.saved, totals{}
	return dst
}

// End returns the end of the object: the last block, and the lines' CRC and
// length.
func (p *Part) End() []byte {
	var end []byte
	if p.now.bytes == 0 {
		end = append(end, header...)
	}
	end = append(end, lastBlock...)
	end = binary.LittleEndian.AppendUint32(end, p.now.crc)
	end = binary.LittleEndian.AppendUint32(end, uint32(p.now.raw)) // modulo 2^32, says RFC 1952
	p.now.bytes += int64(len(end))
	return end
}

// Stats tell of the pages committed so far; Bytes counts the end once End was
// called.
func (p *Part) Stats() Stats {
	t := &p.now
	if p.c != nil {
		t = &p.saved
	}
	s := Stats{Records: t.records, RawBytes: t.raw, Bytes: t.bytes, First: t.first, Last: t.last}
	if t.sha == nil {
		s.SHA256 = sha256.Sum256(nil)
		return s
	}
	t.sha.Sum(s.SHA256[:0])
	return s
}

// drain compresses and hashes the lines that were collected.
func (p *Part) drain() error {
	lines := p.c.lines
	p.c.lines = lines[:0]
	return p.write(lines)
}

// write compresses and hashes b.
func (p *Part) write(b []byte) error {
	if p.now.sha == nil {
		if err := p.cloneHash(); err != nil {
			return err
		}
	}
	if _, err := p.c.deflate.Write(b); err != nil {
		return fmt.Errorf("compress page: %w", err)
	}
	p.now.raw += int64(len(b))
	p.now.crc = crc32.Update(p.now.crc, crc32.IEEETable, b)
	p.now.sha.Write(b)
	return nil
}

// cloneHash makes a hash to go on with, so that the saved one stays as it is.
func (p *Part) cloneHash() error {
	from := p.saved.sha
	if from == nil {
		from = sha256.New().(hash.Cloner)
	}
	clone, err := from.Clone()
	if err != nil {
		return fmt.Errorf("clone hash: %w", err)
	}
	p.now.sha = clone
	return nil
}

// note takes a record's start into account.
func (t *totals) note(start time.Time) {
	if start.IsZero() {
		return
	}
	if t.first.IsZero() || start.Before(t.first) {
		t.first = start
	}
	if start.After(t.last) {
		t.last = start
	}
}
