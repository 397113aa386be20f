package jsonl

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// MaxLine bounds a line, in bytes. No longer record is written.
const MaxLine = 128 << 20

const (
	readSize = 64 << 10
	// longLine is from where on a line is long: see Reader.Long.
	longLine = 8 << 20
)

// ErrDamaged is in every error of Read that comes of what the object holds, as
// opposed to not getting at it.
var ErrDamaged = errors.New("damaged object")

// A Reader reads data objects, one after the other; the zero value is ready.
// It keeps some 200 KiB between them.
type Reader struct {
	// Long, if not nil, is held from the first line of more than 8 MiB to the
	// end of its object: Readers that share it hold one such line at a time,
	// whatever is in the bucket.
	Long sync.Locker

	maxLine int // MaxLine, but in tests
	src     *bufio.Reader
	zr      *gzip.Reader
	sum     hash.Hash
	buf     []byte
}

// Read reads a whole data object and calls fn for each line, without its LF;
// the line is valid until fn returns. The object is damaged ([ErrDamaged]) if it
// is anything but one gzip member of lines: cut, corrupt, followed by something,
// with an empty line, or with a last line that has no LF. What fn was given
// before an error is not to be relied on. An error of fn ends the reading, and
// is returned as it is.
//
// Memory is at most twice that of the longest line, and some 200 KiB.
func (rd *Reader) Read(r io.Reader, fn func(line []byte) error) (Stats, error) {
	counted := &countingReader{r: r}
	if err := rd.open(counted); err != nil {
		return Stats{}, counted.explain("read gzip header", err)
	}
	l := lineReader{Reader: rd, fn: fn}
	defer l.close()
	stats, err := l.readAll(counted)
	if err != nil {
		return Stats{}, err
	}
	if _, err := rd.src.ReadByte(); err == nil {
		return Stats{}, fmt.Errorf("%w: something stands behind the end", ErrDamaged)
	} else if err != io.EOF {
		return Stats{}, counted.explain("read to the end", err)
	}
	stats.Bytes = counted.n
	return stats, nil
}

// open makes the Reader ready for the next object.
func (rd *Reader) open(r io.Reader) (err error) {
	if rd.buf == nil {
		rd.maxLine = cmp.Or(rd.maxLine, MaxLine)
		rd.src = bufio.NewReaderSize(nil, readSize)
		rd.zr, rd.sum = new(gzip.Reader), sha256.New()
		rd.buf = make([]byte, readSize)
	}
	rd.src.Reset(r)
	rd.sum.Reset()
	err = rd.zr.Reset(rd.src)
	rd.zr.Multistream(false)
	return err
}

// A lineReader cuts a stream into lines.
type lineReader struct {
	*Reader
	fn      func(line []byte) error
	n       int // buf[:n] is the line that has begun
	records int64
	long    bool // Long is held
}

// close gives back what a long line has taken.
func (l *lineReader) close() {
	if len(l.buf) > longLine {
		l.buf = make([]byte, readSize)
	}
	if l.long {
		l.Long.Unlock()
	}
}

// grow makes room for more of a line, up to a little over what it may have.
func (l *lineReader) grow() {
	size := min(2*len(l.buf), l.maxLine+readSize)
	if size > longLine && !l.long && l.Long != nil {
		l.Long.Lock()
		l.long = true
	}
	l.buf = append(make([]byte, 0, size), l.buf...)[:size]
}

// readAll reads the stream to its end, which must be the end of a line.
func (l *lineReader) readAll(src *countingReader) (Stats, error) {
	var stats Stats
	for {
		if l.n == len(l.buf) {
			l.grow()
		}
		n, err := l.zr.Read(l.buf[l.n:])
		l.sum.Write(l.buf[l.n : l.n+n])
		stats.RawBytes += int64(n)
		if err := l.take(n); err != nil {
			return stats, err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return stats, src.explain(fmt.Sprintf("read line %d", l.records+1), err)
		}
	}
	if l.n > 0 {
		return stats, fmt.Errorf("%w: line %d, the last, has no line end", ErrDamaged, l.records+1)
	}
	stats.Records = l.records
	l.sum.Sum(stats.SHA256[:0])
	return stats, nil
}

// take hands out the lines that the next n bytes complete.
func (l *lineReader) take(n int) error {
	data, scanned := l.buf[:l.n+n], l.n
	for {
		length := bytes.IndexByte(data[scanned:], '\n') + scanned
		ended := length >= scanned
		if !ended {
			length = len(data)
		}
		if length > l.maxLine {
			return fmt.Errorf("%w: line %d is longer than %d bytes", ErrDamaged, l.records+1, l.maxLine)
		}
		if !ended {
			l.n = copy(l.buf, data)
			return nil
		}
		if length == 0 {
			return fmt.Errorf("%w: line %d is empty", ErrDamaged, l.records+1)
		}
		if err := l.fn(data[:length:length]); err != nil {
			return err
		}
		l.records++
		data, scanned = data[length+1:], 0
	}
}

// A countingReader counts what was read, and remembers an error.
type countingReader struct {
	r   io.Reader
	n   int64
	err error // but io.EOF
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// explain wraps an error of reading: damage, if the source gave none.
func (c *countingReader) explain(what string, err error) error {
	if c.err != nil {
		return fmt.Errorf("%s: %w", what, c.err)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
}
