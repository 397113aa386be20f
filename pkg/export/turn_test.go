package export_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// slowSource takes time to prepare an interval and then for each page. It counts
// what is under way.
type slowSource struct {
	source
	prepare func(iv interval.Interval) time.Duration
	page    time.Duration

	mu             sync.Mutex
	open, mostOpen int
	held, mostHeld int // pages given and not asked behind
	work, mostWork int // intervals whose first page has been taken apart
	order          []interval.Interval
}

func (s *slowSource) count(n, most *int, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n += by
	*most = max(*most, *n)
}

func (s *slowSource) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return func(yield func(*record.Page, error) bool) {
		s.count(&s.open, &s.mostOpen, 1)
		defer s.count(&s.open, &s.mostOpen, -1)
		if !sleep(ctx, s.prepare(iv)) {
			return
		}
		first := true
		for p, err := range s.source.Pages(ctx, iv) {
			if !first && !sleep(ctx, s.page) {
				return
			}
			s.count(&s.held, &s.mostHeld, 1)
			ok := yield(p, err)
			s.count(&s.held, &s.mostHeld, -1)
			if first && p.Whole() {
				first = false
				s.count(&s.work, &s.mostWork, 1)
				defer s.count(&s.work, &s.mostWork, -1)
				s.mu.Lock()
				s.order = append(s.order, iv)
				s.mu.Unlock()
			}
			if !ok {
				return
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// However many chunks are opened ahead, no more than Workers are taken apart at
// once, and no more pages are held than there are chunks begun.
func TestRunAheadIsBounded(t *testing.T) {
	all := conversations(4000, 20)
	for _, row := range []struct {
		workers, ahead, open int
		took                 time.Duration // at most
	}{
		{1, -1, 1, 20 * (10 + 10) * time.Second},
		{1, 3, 4, (10 + 20*10 + 10) * time.Second},
		{2, 0, 2 + export.DefaultAhead, (10 + 10*10 + 10) * time.Second},
		{3, 5, 8, (10 + 7*10 + 10) * time.Second},
		{64, 8, 20, 21 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d workers, %d ahead", row.workers, row.ahead), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &slowSource{source: source{all: all, pageSize: 25}, page: time.Second,
					prepare: func(interval.Interval) time.Duration { return 10 * time.Second }}
				b, p := memBucket(t), plan(20, interval.Day)
				e := &export.Exporter{Source: src, Bucket: b, Workers: row.workers, Ahead: row.ahead}
				s := mustRun(t, e, p)
				checkExactlyOnce(t, b, all, p.Range)
				if src.mostWork > row.workers || src.mostHeld > row.open || src.mostOpen != row.open {
					t.Errorf("%d chunks in work, %d pages held, %d chunks open; want at most %d, %d and just %d",
						src.mostWork, src.mostHeld, src.mostOpen, row.workers, row.open, row.open)
				}
				if took := s.Finished.Sub(s.Started); took > row.took*11/10 { // some records come to a chunk from its neighbours
					t.Errorf("took %v, want %v at most", took, row.took)
				}
			})
		})
	}
}

// What the source has ready is taken before what it has not, whatever the order
// of the chunks.
func TestReadyChunksComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := plan(5, interval.Day).Range.Start
		src := &slowSource{source: source{all: conversations(1000, 5), pageSize: 100}, page: time.Second,
			prepare: func(iv interval.Interval) time.Duration {
				if iv.Start.Equal(late) {
					return time.Hour
				}
				return time.Second
			}}
		s := mustRun(t, &export.Exporter{Source: src, Bucket: memBucket(t), Workers: 1, Ahead: 1}, plan(5, interval.Day))
		if len(src.order) != 5 || !src.order[4].Start.Equal(late) {
			t.Errorf("order %v", src.order)
		}
		if took := s.Finished.Sub(s.Started); took > time.Hour+time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// A run that is stopped, or a chunk that fails, leaves nobody waiting for a turn.
func TestTurnsEnd(t *testing.T) {
	stop := errors.New("stop")
	for _, row := range []struct {
		name  string
		fault error
		after time.Duration
		err   error
	}{
		{"cancelled", nil, 15 * time.Second, stop},
		{"fatal", fatalError{}, time.Hour, fatalError{}},
		{"failing", errPage, time.Hour, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &slowSource{source: source{all: conversations(1000, 10), pageSize: 20}, page: 3 * time.Second,
					prepare: func(interval.Interval) time.Duration { return time.Second }}
				src.fault = func(iv interval.Interval, call int, body []byte) ([]byte, error) {
					if call == 3 && iv.Start.Equal(day0) {
						return body, row.fault
					}
					return body, nil
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				timer := time.AfterFunc(row.after, func() { cancel(stop) })
				defer timer.Stop()
				s, err := (&export.Exporter{Source: src, Bucket: memBucket(t), Workers: 1, Ahead: 6}).Run(ctx, plan(10, interval.Day))
				if !errors.Is(err, row.err) || row.err == nil && (s.Chunks.Exported != 9 || len(s.Failed) != 1) {
					t.Errorf("%+v, failed %v, %v", s.Chunks, s.Failed, err)
				}
				if src.open != 0 {
					t.Errorf("%d chunks are open", src.open)
				}
			})
		})
	}
}
