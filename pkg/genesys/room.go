package genesys

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A queue is where jobs wait to be submitted and prepared. Clients that share
// the organisation's limits of jobs share it.
type queue struct {
	slots   chan struct{} // for jobs in preparation
	waiting atomic.Int32  // callers that wait for a slot
	turn    chan struct{} // held by the one who submits
	next    time.Time     // when the next submission may be; of who has the turn
	room    *room
}

func newQueue(slots int) *queue {
	return &queue{slots: make(chan struct{}, slots), turn: make(chan struct{}, 1), room: newRoom()}
}

// roomMemory is how long it is remembered that the API had no room for another
// job: others may have been the reason, and be gone.
const roomMemory = 10 * time.Minute

// A room counts our jobs in preparation, and remembers at how many the API
// refused one more.
type room struct {
	left chan struct{} // tells who waits to submit that a job has ended

	mu    sync.Mutex
	jobs  int
	most  int // 0: not known
	until time.Time
}

func newRoom() *room { return &room{left: make(chan struct{}, 1)} }

func (r *room) join() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs++
}

func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs--
	select {
	case r.left <- struct{}{}:
	default:
	}
}

// refused notes that the API had no room for another job, and said so by err.
func (r *room) refused(err error, now time.Time) {
	if e, ok := errors.AsType[*Error](err); ok && strings.Contains(e.LimitKey, "rate") {
		return // too fast, not too many
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most, r.until = r.jobs, now.Add(roomMemory)
}

// await returns once there may be room for another job: after d, or when one of
// ours has ended; with none of ours in the way it returns after d alone.
func (r *room) await(ctx context.Context, d time.Duration) error {
	for {
		r.mu.Lock()
		free := r.most == 0 || r.jobs < r.most || !time.Now().Before(r.until)
		r.mu.Unlock()
		if free {
			return sleep(ctx, d)
		}
		select {
		case <-r.left:
			d = 0
		case <-time.After(time.Until(r.until)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// crowded reports whether err is a 429 about the number or the pace of jobs,
// not about that of requests.
func crowded(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && classify(e.Status) == paced && strings.Contains(e.LimitKey, "job")
}
