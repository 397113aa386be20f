package record

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// How the scanner works. The inflated body passes through one buffer:
//
//	     start       w         run       i           n
//	       |         |          |        |           |
//	.......|  kept   | (nothing)|  kept  |  to come  |0.......
//
// It is a pull parser: functions take the place i of the next byte to look at
// and return the place behind what they have checked. The rules:
//
//  1. buf[n] is 0, and 16 bytes can be read from buf[n:]. A zero byte is
//     never right, neither between tokens nor inside one, so every loop stops
//     there without asking for the end of the data. Who meets a byte that is
//     not right looks whether it is that one, and calls fill.
//  2. fill may move everything, and even change buf. It keeps what stands
//     between start and i, and tells the new i; all other places, and copies of
//     buf, are worth nothing afterwards. gap calls it, and so does everything
//     that checks a token.
//  3. Whitespace is taken out as late as possible: buf[start:w] is compact,
//     buf[run:i] has yet to move down to w, which flush does. While w == run, as
//     all through a page without whitespace, nothing is copied. Always
//     start <= w <= run <= i <= n, but that outside of what is kept the first
//     three may lag behind.
//  4. What must be found again after fill is held as an offset: the number of
//     kept bytes before it.
//  5. The first failure counts. fail notes it and returns n, where the zero
//     stands, and fill gives nothing from then on: all checks that follow fail
//     too, and no caller needs a path for errors. Only who hands something out,
//     or takes it, looks at failed.
//
// The page's object, its array of records and the members of each record go
// through object and array (page.go), which have something to do for each of
// them. The values in them, nearly all of the bytes, go through value, the hot
// loop. On the way it takes note of the flaws of a record (flaw.go); how it
// finds keys that stand twice is told in keys.go.

const (
	windowSize = 64 << 10 // the least size of the buffer, and the most read at once
	keepSize   = 4 << 20  // a larger buffer is given back after the page
	padding    = 16       // bytes behind the window that can be read

	maxDigits = 300 // of a number that is no larger than a float64 can be, whatever they are

	tooLarge = "a record or a member of the envelope is too large"
)

// A Scanner takes pages apart. It holds the scratch for that, some 300 KiB, and
// can be used for any number of pages, by one goroutine at a time.
type Scanner struct {
	opt    Options
	window int // windowSize; tests make it tiny
	src    inflater

	buf           []byte
	start, w, run int   // see above
	n             int   // end of the data in buf
	read          int64 // bytes of the body so far
	eof           bool
	keep          bool  // false: nothing is kept, what has been checked may go
	limit         int64 // bytes that may be kept

	failed bool
	damage *DamagedError
	stop   error // what fn returned

	depth  int     // objects and arrays open around a value
	levels []level // scratch of value, one for each level of depth

	fn      func(Record) error
	page    *Page
	seen    [memberCount]bool // members of the envelope
	records int
	inside  bool             // of a record
	found   [endKey + 1]span // the record's id, start and end
	flaws   Flaw
	keys    keys
	sets    []keySet // of the objects that are open, by depth
	last    uint32   // the number of the record's key at hand
	unsure  bool     // whether all keys of an object are different
}

// A level is what value goes back to when an object or array ends.
type level struct {
	closer byte   // what closes it
	place  byte   // behind or within
	key    uint32 // the number of the last key
}

// NewScanner returns a scanner for pages such as the options describe.
func NewScanner(o Options) *Scanner {
	o = o.withDefaults()
	return &Scanner{opt: o, window: windowSize, levels: make([]level, o.MaxDepth), sets: make([]keySet, o.MaxDepth+3)}
}

// Scan reads the page and calls fn for each record in it. What fn was given is
// good only once Scan has returned nil: then the page is whole, and its
// envelope and counts are set. If the page is damaged, Scan returns a
// [*DamagedError], and so does [Page.Damage]. An error of fn ends the scan and
// is returned as it is; the page then counts as not scanned. fn must not use
// the Scanner.
func (s *Scanner) Scan(p *Page, fn func(Record) error) error {
	s.reset(p, fn)
	s.end(s.root(s.gap(0)))
	s.release()
	if s.failed {
		p.Envelope = Envelope{TotalHits: -1}
	}
	if s.damage != nil {
		p.state, p.err = damaged, s.damage
		return s.damage
	}
	if s.failed {
		return s.stop
	}
	p.state, p.Records, p.RawBytes = whole, s.records, s.read
	p.Envelope.Foreign = s.foreign()
	return nil
}

// value checks the value that starts at i, with everything in it, and returns
// the place behind it.
func (s *Scanner) value(i int) int {
	b, levels := s.buf, s.levels
	depth, at := s.depth, level{key: s.last}
	for {
		if at.closer == '}' {
			number := s.keys.all[at.key].guess[at.place&1].first
			if k := &s.keys.all[number]; k.stands(b, i) {
				i += len(k.token)
			} else {
				i, number = s.key(i, at)
				b = s.buf
			}
			s.flaws |= s.sets[depth].add(&s.keys.all[number])
			at.key, at.place = number, behind
			if b[i] <= ' ' {
				i = s.gap(i)
				b = s.buf
			}
			if b[i] != ':' {
				return s.fail(i, "no colon behind a key")
			}
			i++
			if b[i] <= ' ' {
				i = s.gap(i)
				b = s.buf
			}
		}
		switch c := b[i]; c {
		case '"':
			i = s.str(i + 1)
			b = s.buf
		case '{', '[':
			if depth == len(levels) {
				return s.fail(i, "nested too deep")
			}
			levels[depth] = at
			depth++
			at.closer = c + 2 // so it is in ASCII
			at.place = within
			s.sets[depth] = keySet{}
			i++
			if b[i] <= ' ' {
				i = s.gap(i)
				b = s.buf
			}
			if b[i] != at.closer {
				continue
			}
			depth--
			at = levels[depth]
			i++
		default:
			i = s.scalar(i)
			b = s.buf
		}
		for { // behind a value
			if depth == s.depth {
				return i
			}
			if b[i] <= ' ' {
				i = s.gap(i)
				b = s.buf
			}
			c := b[i]
			i++
			if c == ',' {
				break
			}
			if c != at.closer {
				return s.fail(i-1, "no comma or closing bracket behind a value")
			}
			depth--
			at = levels[depth]
		}
		if b[i] <= ' ' {
			i = s.gap(i)
			b = s.buf
		}
	}
}

// str checks a string whose opening quote stands before i, and returns the
// place behind its closing quote.
func (s *Scanner) str(i int) int {
	b := s.buf
	for {
		stops := special(binary.LittleEndian.Uint64(b[i : i+8]))
		if stops == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(stops) >> 3
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\' && escapes(b[i+1]):
			i += 2
			continue
		case c == '\\':
			i = s.escape(i)
		case c >= utf8.RuneSelf:
			i = s.runes(i)
		case i < s.n:
			return s.fail(i, "control character in a string")
		default:
			var ok bool
			if i, ok = s.fill(i); !ok {
				return s.fail(i, "string without end")
			}
		}
		b = s.buf
	}
}

// special marks the bytes of x that need a look inside a string: quotes,
// backslashes, control characters, and all that is not ASCII. The lowest mark
// is right; above it there may be wrong ones, as subtraction borrows.
func special(x uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quotes := (x ^ ones*'"') - ones
	slashes := (x ^ ones*'\\') - ones
	controls := x - ones*' '
	return (x | quotes | slashes | controls) & tops
}

// escapes reports whether a backslash and c are an escape sequence.
func escapes(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

// escape checks the escape sequence at i, and those behind it that belong to it
// as halves of surrogate pairs do.
func (s *Scanner) escape(i int) int {
	for high := false; ; {
		i = s.next(i + 1)
		if c := s.buf[i]; c != 'u' {
			if high {
				s.flaws |= FlawSurrogate
			}
			if escapes(c) {
				return i + 1
			}
			return s.fail(i, "invalid escape sequence in a string")
		}
		unit := rune(0)
		for range 4 {
			i = s.next(i + 1)
			digit, ok := hexDigit(s.buf[i])
			if !ok {
				return s.fail(i, "invalid escape sequence in a string")
			}
			unit = unit<<4 | digit
		}
		if unit == 0 {
			s.flaws |= FlawNUL
		}
		if low := unit&^0x3ff == 0xdc00; low != high {
			s.flaws |= FlawSurrogate
		}
		i = s.next(i + 1)
		if high = unit&^0x3ff == 0xd800; !high {
			return i
		}
		if s.buf[i] != '\\' {
			s.flaws |= FlawSurrogate
			return i
		}
	}
}

func hexDigit(c byte) (digit rune, ok bool) {
	switch {
	case c-'0' <= 9:
		return rune(c - '0'), true
	case (c|0x20)-'a' <= 5:
		return rune((c|0x20)-'a') + 10, true
	}
	return 0, false
}

// runes checks the UTF-8 sequences at i.
func (s *Scanner) runes(i int) int {
	b := s.buf
	for b[i] >= utf8.RuneSelf {
		if size := sequence(b[i : i+4]); size > 0 {
			i += size
			continue
		}
		if utf8.FullRune(b[i:s.n]) {
			return s.fail(i, "invalid UTF-8")
		}
		var more bool
		if i, more = s.fill(i); !more {
			return s.fail(i, "invalid UTF-8")
		}
		b = s.buf
	}
	return i
}

// sequence returns the size of the sequence of two to four bytes that p begins
// with, and 0 if it is not well-formed (RFC 3629, 4).
func sequence(p []byte) int {
	tail := func(c byte) bool { return c&0xc0 == 0x80 }
	switch c, d := p[0], p[1]; {
	case !tail(d) || c < 0xc2:
		return 0
	case c < 0xe0:
		return 2
	case !tail(p[2]) || c == 0xe0 && d < 0xa0 || c == 0xed && d > 0x9f: // overlong, or a surrogate
		return 0
	case c < 0xf0:
		return 3
	case !tail(p[3]) || c == 0xf0 && d < 0x90 || c == 0xf4 && d > 0x8f || c > 0xf4: // overlong, or too large
		return 0
	}
	return 4
}

// scalar checks the number, true, false or null at i. What is usual is tried
// first: it is right if it ends within the window, where something must follow
// it. All else, and what is wrong, is left to the careful way.
func (s *Scanner) scalar(i int) int {
	b := s.buf
	switch word := binary.LittleEndian.Uint32(b[i : i+4]); {
	case b[i]-'1' <= 8:
		end := integer(b, i+1)
		if b[end] == '.' && b[end+1]-'0' <= 9 {
			end = integer(b, end+2)
		}
		if c := b[end]; (c == ',' || c == '}' || c == ']') && end-i < maxDigits {
			return end
		}
	case word == 'n'|'u'<<8|'l'<<16|'l'<<24:
		return i + 4
	case word == 't'|'r'<<8|'u'<<16|'e'<<24:
		return i + 4
	case word == 'f'|'a'<<8|'l'<<16|'s'<<24 && b[i+4] == 'e':
		return i + 5
	}
	switch b[i] {
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	}
	return s.number(i)
}

// integer passes the digits at i.
func integer(b []byte, i int) int {
	for b[i]-'0' <= 9 {
		i++
	}
	return i
}

// number checks the number at i.
func (s *Scanner) number(i int) int {
	from, large := s.offset(i), false
	if s.buf[i] == '-' {
		i = s.next(i + 1)
	}
	if s.buf[i] == '0' {
		i = s.next(i + 1)
	} else {
		i = s.digits(i)
	}
	if s.buf[i] == '.' {
		i = s.digits(i + 1)
	}
	if s.buf[i]|0x20 == 'e' {
		i = s.next(i + 1)
		if c := s.buf[i]; c == '+' || c == '-' {
			i++
		}
		i = s.digits(i)
		large = true
	}
	if (large || s.offset(i)-from > maxDigits) && s.inside {
		s.flush(i)
		if _, err := strconv.ParseFloat(string(s.buf[s.start+from:s.w]), 64); err != nil && !s.failed {
			s.flaws |= FlawNumber
		}
	}
	return i
}

// digits checks that one digit stands at i, and passes all that follow. It does
// not stop at the end of the window.
func (s *Scanner) digits(i int) int {
	if i = s.next(i); s.buf[i]-'0' > 9 {
		return s.fail(i, "invalid value")
	}
	for {
		if i = integer(s.buf, i); i < s.n {
			return i
		}
		var ok bool
		if i, ok = s.fill(i); !ok {
			return i
		}
	}
}

// literal checks that the word stands at i.
func (s *Scanner) literal(i int, word string) int {
	for more := true; more && s.n-i < len(word); {
		i, more = s.fill(i)
	}
	if s.n-i < len(word) || string(s.buf[i:i+len(word)]) != word {
		return s.fail(i, "invalid value")
	}
	return i + len(word)
}
