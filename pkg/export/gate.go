package export

import (
	"context"
	"fmt"
	"sync"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/record"
)

// scratch is the memory that turning a page into compressed lines needs. It is
// large, so only as many exist as there are processors: a worker takes one for
// the time it computes, and owns none while it waits for the network.
type scratch struct {
	scanner    *record.Scanner
	compressor *jsonl.Compressor
}

// gate lends out scratch, and the buffers that compressed pages travel in from
// the processor to the upload.
type gate struct {
	scratch chan *scratch
	buffers sync.Pool // of *[]byte
}

func newGate(n, level int, array string) (*gate, error) {
	g := &gate{scratch: make(chan *scratch, n)}
	g.buffers.New = func() any { return new([]byte) }
	for range n {
		c, err := jsonl.NewCompressor(level)
		if err != nil {
			return nil, fmt.Errorf("set up compression: %w", err)
		}
		g.scratch <- &scratch{scanner: record.NewScanner(record.Options{Array: array}), compressor: c}
	}
	return g, nil
}

// enter waits for a set of scratch. The caller gives it back with leave.
func (g *gate) enter(ctx context.Context) (*scratch, error) {
	select {
	case s := <-g.scratch:
		return s, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (g *gate) leave(s *scratch) { g.scratch <- s }

func (g *gate) buffer() *[]byte   { return g.buffers.Get().(*[]byte) }
func (g *gate) recycle(b *[]byte) { g.buffers.Put(b) }
