package export

import "context"

// turns are the turns of the workers: who has one may take pages apart and write
// to the bucket. A chunk waits for its turn when its first page is there, and
// turns are given in that order: so a worker never waits for a source that has
// yet to prepare its results while another has them ready.
type turns chan struct{}

// A turn is a chunk's own; the zero value is one that has not come yet.
type turn struct {
	of turns
}

// await waits until it is the chunk's turn, unless it is already.
func (t *turn) await(ctx context.Context, of turns) error {
	if t.of != nil {
		return nil
	}
	select {
	case of <- struct{}{}:
		t.of = of
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end gives the turn to the next one, if it had come.
func (t *turn) end() {
	if t.of != nil {
		<-t.of
		t.of = nil
	}
}
