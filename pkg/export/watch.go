package export

import (
	"context"
	"errors"
	"sync"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A watch looks after the chunks that this run has begun while others are at
// work on the same range: what one of them commits meanwhile is given up here at
// once, before its pages are read, or more of them. Nothing depends on it: who
// writes what another has written is told so by the bucket.
type watch struct {
	mu    sync.Mutex
	begun map[interval.Interval]context.CancelCauseFunc
}

// errCommitted says that another process has committed the chunk.
var errCommitted = errors.New("another process has committed the chunk")

const (
	// watchCompany is the time between two looks at what others commit, and
	// watchAlone that between two looks whether there are others.
	watchCompany = time.Second
	watchAlone   = 30 * time.Second
	// watchShare bounds the part of the time that is spent on looking.
	watchShare = 20
)

// begin puts a chunk under the watch. Its context ends, with errCommitted as the
// cause, when another process has committed the chunk. The caller must call end.
func (w *watch) begin(ctx context.Context, iv interval.Interval) (watched context.Context, end func()) {
	watched, cancel := context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun == nil {
		w.begun = map[interval.Interval]context.CancelCauseFunc{}
	}
	w.begun[iv] = cancel
	return watched, func() {
		w.mu.Lock()
		delete(w.begun, iv)
		w.mu.Unlock()
		cancel(nil)
	}
}

// committed ends the chunk, if it is under the watch.
func (w *watch) committed(iv interval.Interval) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cancel := w.begun[iv]; cancel != nil {
		cancel(errCommitted)
	}
}

// keepWatch looks at the bucket until ctx ends. A shard has its chunks to
// itself.
func (r *run) keepWatch(ctx context.Context) {
	if r.plan.Shard.Count > 1 || r.unwatched {
		return
	}
	for took := time.Duration(0); ; {
		rest, company := watchAlone, r.crowd.Load()
		if company {
			rest = max(watchCompany, watchShare*took)
		}
		if pause(ctx, rest) != nil {
			return
		}
		began := time.Now()
		if !company {
			r.crowd.Store(r.hasCompany(ctx))
		} else {
			_ = r.look(ctx) // it is tried again
		}
		took = time.Since(began)
	}
}

// look lists what is committed by now.
func (r *run) look(ctx context.Context) error {
	return list(ctx, r.Bucket, r.layout.ManifestPrefix(), func(o *blob.ListObject) {
		if n, ok := r.layout.ParseManifest(o.Key); ok && n.Revision == 0 {
			r.watch.committed(n.Interval)
		}
	})
}
