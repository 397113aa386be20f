package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

func mustRun(t *testing.T, e *export.Exporter, p export.Plan) export.Summary {
	t.Helper()
	s, err := e.Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExactlyOnce(t *testing.T) {
	all := conversations(2000, 6)
	for _, row := range []struct {
		name     string
		step     time.Duration
		workers  int
		pageSize int
	}{
		{"an hour", time.Hour, 8, 7},
		{"a day", interval.Day, 4, 100},
		{"a cut last chunk", 5 * interval.Day, 1, 1000},
		{"all in one", 31 * interval.Day, 64, 33},
	} {
		t.Run(row.name, func(t *testing.T) {
			b, src := memBucket(t), &source{all: all, pageSize: row.pageSize}
			p := plan(6, row.step)
			s := mustRun(t, &export.Exporter{Source: src, Bucket: b, Workers: row.workers, Mode: "job"}, p)
			checkExactlyOnce(t, b, all, p.Range)
			if s.Records != 2000 || !s.Complete() || s.Result != export.ResultComplete {
				t.Errorf("summary: %d records, complete %v, result %q", s.Records, s.Complete(), s.Result)
			}
			if s.Dropped.Duplicate != 200 {
				t.Errorf("dropped %d duplicates, want 200", s.Dropped.Duplicate)
			}
		})
	}
}

func TestSecondRunDoesNothing(t *testing.T) {
	all, b := conversations(500, 5), memBucket(t)
	p := plan(5, interval.Day)
	mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 50}, Bucket: b}, p)
	before := contents(t, b)

	src := &source{all: all, pageSize: 50}
	s := mustRun(t, &export.Exporter{Source: src, Bucket: b}, p)
	if n := src.calls(); n != 0 {
		t.Errorf("the source was asked %d times", n)
	}
	if after := contents(t, b); len(after) != len(before) {
		t.Errorf("%d objects became %d", len(before), len(after))
	}
	if s.Chunks.Skipped != 5 || s.Chunks.Exported != 0 {
		t.Errorf("summary: %+v", s.Chunks)
	}
}

func TestEmptyChunkHasManifestWithoutParts(t *testing.T) {
	b := memBucket(t)
	mustRun(t, &export.Exporter{Source: &source{}, Bucket: b}, plan(2, interval.Day))
	objects := contents(t, b)
	for key, data := range objects {
		if strings.HasPrefix(key, "conversations/") {
			t.Errorf("data object %s for nothing", key)
		}
		if strings.HasPrefix(key, "_gcexport/conversations/") && !strings.Contains(string(data), `"parts": []`) {
			t.Errorf("%s: %s", key, data)
		}
	}
	checkExactlyOnce(t, b, nil, plan(2, interval.Day).Range)
}

func TestPartsRotateAndAreRecovered(t *testing.T) {
	all, b := conversations(3000, 1), memBucket(t)
	p := plan(1, interval.Day)
	e := &export.Exporter{Source: &source{all: all, pageSize: 100}, Bucket: b, PartRawBytes: 40_000}
	s := mustRun(t, e, p)
	if s.Parts < 5 {
		t.Fatalf("%d parts, want several", s.Parts)
	}
	checkExactlyOnce(t, b, all, p.Range)

	// Lose the manifest and the last two parts, as if the process had been
	// killed between them.
	layout := export.Layout{Dataset: export.Conversations}
	iv := p.Range
	for _, key := range []string{layout.Manifest(iv, 0), layout.Part(iv, 0, s.Parts-1), layout.Part(iv, 0, s.Parts-2)} {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	again := mustRun(t, e, p)
	checkExactlyOnce(t, b, all, p.Range)
	if again.Records != 3000 {
		t.Errorf("recovered chunk has %d records", again.Records)
	}
}

func TestDamagedPageLeavesNoTrace(t *testing.T) {
	all, b := conversations(1000, 1), memBucket(t)
	src := &source{all: all, pageSize: 100, fault: func(_ interval.Interval, call int, body []byte) ([]byte, error) {
		if call%2 == 1 { // every page is bad once, in its second half
			return append(body[:len(body)*3/4], '}'), nil
		}
		return body, nil
	}}
	p := plan(1, interval.Day)
	mustRun(t, &export.Exporter{Source: src, Bucket: b}, p)
	checkExactlyOnce(t, b, all, p.Range)
}

func TestFailedChunkDoesNotStopOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, b := conversations(400, 4), memBucket(t)
		bad := day0.Add(interval.Day)
		src := &source{all: all, pageSize: 10, fault: func(iv interval.Interval, call int, body []byte) ([]byte, error) {
			if iv.Start.Equal(bad) && call == 3 {
				return nil, errPage
			}
			return body, nil
		}}
		p := plan(4, interval.Day)
		s := mustRun(t, &export.Exporter{Source: src, Bucket: b, Workers: 2, Attempts: 3}, p)
		if s.Complete() || len(s.Failed) != 1 || !s.Failed[0].Interval.Start.Equal(bad) || !errors.Is(s.Failed[0].Err, errPage) {
			t.Fatalf("failed: %+v", s.Failed)
		}
		if s.Chunks.Exported != 3 || s.Result != export.ResultIncomplete {
			t.Errorf("summary: %+v, %s", s.Chunks, s.Result)
		}
		if n := src.asked[interval.Interval{Start: bad, End: bad.Add(interval.Day)}.String()]; n != 3 {
			t.Errorf("tried %d times, want 3", n)
		}
		for key := range contents(t, b) {
			if strings.Contains(key, "20240302T000000Z-") {
				t.Errorf("the failed chunk has left %s", key)
			}
		}
		src.fault = nil
		mustRun(t, &export.Exporter{Source: src, Bucket: b}, p)
		checkExactlyOnce(t, b, all, p.Range)
	})
}

func TestFatalErrorStopsRun(t *testing.T) {
	b := memBucket(t)
	src := &source{all: conversations(100, 10), pageSize: 10, fault: func(interval.Interval, int, []byte) ([]byte, error) {
		return nil, fatalError{}
	}}
	s, err := (&export.Exporter{Source: src, Bucket: b, Workers: 2, Ahead: -1}).Run(t.Context(), plan(10, interval.Day))
	var stopped *export.StoppedError
	if !errors.As(err, &stopped) || !errors.Is(err, fatalError{}) {
		t.Fatalf("error %v", err)
	}
	if n := src.calls(); n > 2 {
		t.Errorf("%d chunks were tried", n)
	}
	if s.Result != export.ResultStopped {
		t.Errorf("result %q", s.Result)
	}
}

func TestChunksPastTheWatermarkArePostponed(t *testing.T) {
	all, b := conversations(400, 4), memBucket(t)
	src := &source{all: all, pageSize: 10, watermark: day0.Add(2*interval.Day + time.Hour)}
	p := plan(4, interval.Day)
	s := mustRun(t, &export.Exporter{Source: src, Bucket: b}, p)
	if len(s.Postponed) != 2 || s.Complete() || s.Chunks.Exported != 2 {
		t.Fatalf("postponed %v, chunks %+v", s.Postponed, s.Chunks)
	}
	checkExactlyOnce(t, b, all, interval.Interval{Start: day0, End: day0.Add(2 * interval.Day)})
}

func TestShardsDivideThePlan(t *testing.T) {
	all, b := conversations(900, 9), memBucket(t)
	p := plan(9, interval.Day)
	for i := range 3 {
		p.Shard = export.Shard{Index: i, Count: 3}
		if s := mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 10}, Bucket: b}, p); s.Chunks.Planned != 3 {
			t.Errorf("shard %d planned %d chunks", i, s.Chunks.Planned)
		}
	}
	checkExactlyOnce(t, b, all, p.Range)
}

func TestProcessesOnTheSameRange(t *testing.T) {
	all, b := conversations(3000, 3), memBucket(t)
	p := plan(3, interval.Day)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			e := &export.Exporter{Source: &source{all: all, pageSize: 37}, Bucket: b, Workers: 2, PartRawBytes: 20_000}
			if s, err := e.Run(t.Context(), p); err != nil || !s.Complete() {
				t.Errorf("run: %v, failed %v", err, s.Failed)
			}
		})
	}
	wg.Wait()
	checkExactlyOnce(t, b, all, p.Range)
}

func TestCancelledRunIsNotComplete(t *testing.T) {
	all, b := conversations(1000, 2), memBucket(t)
	p := plan(2, interval.Day)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	src := &source{all: all, pageSize: 20, fault: func(_ interval.Interval, call int, body []byte) ([]byte, error) {
		if call == 5 {
			cancel(stop)
		}
		return body, nil
	}}
	s, err := (&export.Exporter{Source: src, Bucket: b}).Run(ctx, p)
	if !errors.Is(err, stop) {
		t.Fatalf("error %v, want the cause", err)
	}
	if s.Result != export.ResultInterrupted {
		t.Errorf("result %q", s.Result)
	}
	layout := export.Layout{Dataset: export.Conversations}
	for key := range contents(t, b) {
		if _, ok := layout.ParseManifest(key); ok {
			t.Errorf("a manifest was written: %s", key)
		}
	}
	src.fault = nil
	mustRun(t, &export.Exporter{Source: src, Bucket: b}, p)
	checkExactlyOnce(t, b, all, p.Range)
}

func TestOtherPlans(t *testing.T) {
	all := conversations(960, 8)
	half := 12 * time.Hour
	t.Run("longer chunks go around what is committed", func(t *testing.T) {
		b := memBucket(t)
		early := export.Plan{Dataset: export.Conversations, Step: interval.Day, Range: interval.Interval{Start: day0, End: day0.Add(2*interval.Day + half)}}
		mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 20}, Bucket: b}, early)
		p := plan(8, 3*interval.Day)
		mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 20}, Bucket: b}, p)
		checkExactlyOnce(t, b, all, p.Range)
		src := &source{all: all}
		mustRun(t, &export.Exporter{Source: src, Bucket: b}, plan(8, interval.Day))
		if src.calls() != 0 {
			t.Error("a third plan found something to do")
		}
	})
	t.Run("an open chunk of another plan is refused", func(t *testing.T) {
		b := memBucket(t)
		p := plan(2, interval.Day)
		mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 20}, Bucket: b}, p)
		layout := export.Layout{Dataset: export.Conversations}
		if err := b.Delete(t.Context(), layout.Manifest(interval.Interval{Start: day0, End: day0.Add(interval.Day)}, 0)); err != nil {
			t.Fatal(err)
		}
		before := len(contents(t, b))
		_, err := (&export.Exporter{Source: &source{all: all}, Bucket: b}).Run(t.Context(), plan(2, half))
		var overlap *export.OverlapError
		if !errors.As(err, &overlap) {
			t.Fatalf("error %v", err)
		}
		if n := len(contents(t, b)); n != before {
			t.Errorf("%d objects were written", n-before)
		}
		mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 20}, Bucket: b}, p)
		checkExactlyOnce(t, b, all, p.Range)
	})
}

func TestRunIsRecorded(t *testing.T) {
	b := memBucket(t)
	s := mustRun(t, &export.Exporter{Source: &source{all: conversations(10, 1), pageSize: 5}, Bucket: b, Mode: "job", Program: "gcexport test"}, plan(1, interval.Day))
	for key, result := range map[string]string{"_gcexport/runs/" + s.Run + ".begun.json": "begun", "_gcexport/runs/" + s.Run + ".json": "complete"} {
		var rec struct {
			Format, Result, Program string
			Records                 int
		}
		if err := json.Unmarshal(contents(t, b)[key], &rec); err != nil || rec.Result != result || rec.Format != export.RunFormat {
			t.Errorf("%s: %+v, %v", key, rec, err)
		}
	}
}

func TestStrayRecordFailsChunk(t *testing.T) {
	for name, line := range map[string]string{
		"no id":    `{"conversationStart":"2024-03-01T01:00:00.000Z"}`,
		"no start": `{"conversationId":"a"}`,
		"no time":  `{"conversationId":"a","conversationStart":"noon"}`,
	} {
		t.Run(name, func(t *testing.T) {
			src := &source{all: []conversation{{"a", day0, line}}, pageSize: 1}
			s := mustRun(t, &export.Exporter{Source: src, Bucket: memBucket(t), Attempts: 1}, plan(1, interval.Day))
			var stray *export.StrayError
			if len(s.Failed) != 1 || !errors.As(s.Failed[0].Err, &stray) {
				t.Errorf("failed: %v", s.Failed)
			}
		})
	}
}

func TestObjectsAreMarkedForLoaders(t *testing.T) {
	b := memBucket(t)
	mustRun(t, &export.Exporter{Source: &source{all: conversations(10, 1), pageSize: 5}, Bucket: b}, plan(1, interval.Day))
	for key := range contents(t, b) {
		a, err := b.Attributes(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		want := "application/json"
		if strings.HasSuffix(key, ".jsonl.gz") {
			want = "application/gzip"
		}
		if a.ContentType != want || a.ContentEncoding != "" {
			t.Errorf("%s: %q, %q", key, a.ContentType, a.ContentEncoding)
		}
	}
}
