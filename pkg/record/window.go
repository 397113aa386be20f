package record

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// The window of the scanner: how bytes come into its buffer, what of them is
// kept, and how whitespace goes. The picture and the rules stand in scanner.go.

// next returns i, after fill if there is nothing at i.
func (s *Scanner) next(i int) int {
	if i == s.n {
		i, _ = s.fill(i)
	}
	return i
}

// gap takes out the whitespace at i, if there is any, and returns the place of
// what follows.
func (s *Scanner) gap(i int) int {
	const spaces = 0x2020202020202020
	for more := true; more; {
		s.flush(i)
		b := s.buf
		for b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' {
			i++
			for more := true; more; { // as indentation
				others := binary.LittleEndian.Uint64(b[i:i+8]) ^ spaces
				i += bits.TrailingZeros64(others) >> 3
				more = others == 0
			}
		}
		s.run = i
		if i < s.n {
			break
		}
		i, more = s.fill(i)
	}
	return i
}

// skip is gap, and fast where there is no whitespace.
func (s *Scanner) skip(i int) int {
	if s.buf[i] > ' ' {
		return i
	}
	return s.gap(i)
}

// flush joins what is kept: all of it up to i stands in buf[start:w] then.
func (s *Scanner) flush(i int) {
	if w, run := s.w, s.run; w < run {
		if i-run <= 16 && w+16 <= i { // as between most gaps; copy takes longer
			p, q := binary.LittleEndian.Uint64(s.buf[run:run+8]), binary.LittleEndian.Uint64(s.buf[run+8:run+16])
			binary.LittleEndian.PutUint64(s.buf[w:w+8], p)
			binary.LittleEndian.PutUint64(s.buf[w+8:w+16], q)
		} else {
			copy(s.buf[w:], s.buf[run:i])
		}
	}
	s.w += i - s.run
	s.run = i
}

// begin keeps what follows from i on, up to limit bytes.
func (s *Scanner) begin(i int, limit int64) {
	s.start, s.w, s.run = i, i, i
	s.keep, s.limit = true, limit
}

// offset counts the kept bytes before i.
func (s *Scanner) offset(i int) int { return s.w - s.start + i - s.run }

// fill reads on. It returns the new place of what stood at i, and whether
// anything was read: if not, the data has ended, or is damaged.
func (s *Scanner) fill(i int) (int, bool) {
	if s.failed || s.eof {
		return i, false
	}
	s.flush(i)
	if !s.keep {
		s.start, s.w = i, i
	}
	if int64(s.w-s.start) > s.limit && s.keep {
		return s.fail(i, tooLarge), false
	}
	i = s.room(i)
	for before := s.n; s.n == before; {
		m, err := s.src.Read(s.buf[s.n:min(s.n+s.window, len(s.buf)-padding)])
		s.n += m
		s.read += int64(m)
		s.buf[s.n] = 0
		switch {
		case err == io.EOF:
			s.eof = true
			return i, m > 0
		case err != nil:
			return s.failWith(s.n, "cannot inflate", err), false
		case s.read > s.opt.MaxRaw:
			return s.failWith(s.n, "the body is too large", nil), false
		}
	}
	return i, true
}

// room makes room for reading at least half a window behind n: if need be, it
// moves everything to the front of buf, or of a larger one. The zero at n is
// left to fill.
func (s *Scanner) room(i int) int {
	least := (s.window + 1) / 2
	if len(s.buf)-padding-s.n >= least {
		return i
	}
	from, kept, ahead := s.buf, s.w-s.start, s.n-i
	if size := kept + ahead + least; size > len(s.buf)-padding {
		s.buf = make([]byte, max(size, 2*(len(from)-padding))+padding)
	}
	if s.start > 0 || &s.buf[0] != &from[0] {
		copy(s.buf, from[s.start:s.w])
	}
	copy(s.buf[kept:], from[i:s.n])
	s.start, s.w, s.run, s.n = 0, kept, kept, kept+ahead
	return kept
}

// fail notes the damage at i, unless there was a failure before, and returns n.
func (s *Scanner) fail(i int, reason string) int {
	if i >= s.n {
		reason = "unexpected end"
	}
	return s.failWith(i, reason, nil)
}

// failWith is fail with a cause.
func (s *Scanner) failWith(i int, reason string, cause error) int {
	if !s.failed {
		s.failed = true
		s.damage = &DamagedError{Offset: s.read - int64(s.n-i), Reason: reason, Err: cause}
	}
	return s.n
}
