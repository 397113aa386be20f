package jsonl

import (
	"fmt"

	"github.com/klauspost/compress/flate"
)

// The levels of compression. The default is 5: against level 1 it makes objects
// a sixth smaller (6.0 to 1, not 5.0 to 1) for about as much CPU time again as
// inflating the page takes. Level 6 needs a fifth more for another 3 %, and
// level 9 more than four times as much for 9 %.
const (
	MinLevel     = 1
	DefaultLevel = 5
	MaxLevel     = 9
)

// batchSize is how much is collected before it is compressed and hashed: both
// cost a good deal more line by line.
const batchSize = 32 << 10

// A Compressor is the scratch for compressing one page at a time. A [Part] holds
// it from Begin to Commit or Rollback.
type Compressor struct {
	deflate *flate.Writer
	lines   []byte // not yet compressed
	piece   []byte // compressed
}

// NewCompressor returns a compressor for a level between [MinLevel] and [MaxLevel].
func NewCompressor(level int) (*Compressor, error) {
	if level < MinLevel || level > MaxLevel {
		return nil, fmt.Errorf("gzip level %d is not between %d and %d", level, MinLevel, MaxLevel)
	}
	c := &Compressor{lines: make([]byte, 0, batchSize)}
	w, err := flate.NewWriter((*pieceWriter)(c), level)
	if err != nil {
		return nil, fmt.Errorf("create compressor: %w", err)
	}
	c.deflate = w
	return c, nil
}

// begin starts a piece behind what is in dst.
func (c *Compressor) begin(dst []byte) {
	c.lines, c.piece = c.lines[:0], dst
	c.deflate.Reset((*pieceWriter)(c))
}

// take gives the piece away.
func (c *Compressor) take() []byte {
	piece := c.piece
	c.piece = nil
	return piece
}

// A pieceWriter is where a Compressor's deflate stream goes.
type pieceWriter Compressor

func (w *pieceWriter) Write(p []byte) (int, error) {
	w.piece = append(w.piece, p...)
	return len(p), nil
}
