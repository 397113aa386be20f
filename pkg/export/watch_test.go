package export_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// Two runs on the same chunk: the one that comes second gives the chunk up while
// the source still prepares it, and reads no page of it.
func TestCommittedChunkIsGivenUp(t *testing.T) {
	for _, row := range []struct {
		name  string
		later time.Duration // the second run begins
		pages bool          // it reads some
	}{
		{"beside each other", 10 * time.Second, false},
		{"alone at first", -10 * time.Second, false},
		{"too late", 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all, b, p := conversations(300, 1), memBucket(t), plan(1, interval.Day)
				first := &preparing{source: source{all: all, pageSize: 50}, takes: time.Minute}
				second := &preparing{source: source{all: all, pageSize: 50}, takes: time.Minute}
				if row.later < 0 {
					second.takes = 5 * time.Minute
				}
				done := make(chan export.Summary)
				go func() {
					time.Sleep(max(row.later, 0))
					done <- mustRun(t, &export.Exporter{Source: second, Bucket: b}, p)
				}()
				if row.later < 0 {
					time.Sleep(-row.later)
				}
				mustRun(t, &export.Exporter{Source: first, Bucket: b}, p)
				s := <-done
				checkExactlyOnce(t, b, all, p.Range)
				if (second.pages > 0) != row.pages || !row.pages && s.Chunks.Elsewhere != 1 {
					t.Errorf("the second run read %d pages: %+v", second.pages, s.Chunks)
				}
			})
		})
	}
}

// preparing is a source that takes time until it gives its first page.
type preparing struct {
	source
	takes time.Duration
	pages int
}

func (s *preparing) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return func(yield func(*record.Page, error) bool) {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			yield(nil, context.Cause(ctx))
			return
		}
		for page, err := range s.source.Pages(ctx, iv) {
			s.pages++
			if !yield(page, err) {
				return
			}
		}
	}
}
