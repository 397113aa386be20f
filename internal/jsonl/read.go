package jsonl

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// MaxLine bounds a line that Read takes, in bytes.
const MaxLine = 256 << 20

const readSize = 64 << 10

// ErrDamaged is in every error of Read that comes of what the object holds, as
// opposed to not getting at it.
var ErrDamaged = errors.New("damaged object")

// Read reads a whole data object and calls fn for each line, without its LF;
// the line is valid until fn returns. The object is damaged ([ErrDamaged]) if it
// is anything but one gzip member of lines: cut, corrupt, followed by something,
// with an empty line, or with a last line that has no LF. What fn was given
// before an error is not to be relied on. An error of fn ends the reading, and
// is returned as it is.
//
// Memory is that of the longest line, and some 200 KiB.
func Read(r io.Reader, fn func(line []byte) error) (Stats, error) {
	return read(r, fn, MaxLine)
}

func read(r io.Reader, fn func(line []byte) error, maxLine int) (Stats, error) {
	counted := &countingReader{r: r}
	src := bufio.NewReaderSize(counted, readSize)
	zr, err := gzip.NewReader(src)
	if err != nil {
		return Stats{}, counted.explain("read gzip header", err)
	}
	zr.Multistream(false)
	l := lineReader{fn: fn, maxLine: maxLine, buf: make([]byte, readSize)}
	stats, err := l.readAll(counted, zr)
	if err != nil {
		return Stats{}, err
	}
	if _, err := src.ReadByte(); err == nil {
		return Stats{}, fmt.Errorf("%w: something stands behind the end", ErrDamaged)
	} else if err != io.EOF {
		return Stats{}, counted.explain("read to the end", err)
	}
	stats.Bytes = counted.n
	return stats, nil
}

// A lineReader cuts a stream into lines.
type lineReader struct {
	fn      func(line []byte) error
	maxLine int
	buf     []byte
	n       int // buf[:n] is the line that has begun
	records int64
}

// readAll reads the stream to its end, which must be the end of a line.
func (l *lineReader) readAll(src *countingReader, r io.Reader) (Stats, error) {
	var stats Stats
	sum := sha256.New()
	for {
		if l.n == len(l.buf) {
			l.buf = append(l.buf, make([]byte, len(l.buf))...)
		}
		n, err := r.Read(l.buf[l.n:])
		sum.Write(l.buf[l.n : l.n+n])
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
	sum.Sum(stats.SHA256[:0])
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
