package export_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// put plants an object.
func put(t *testing.T, b *blob.Bucket, key string, data []byte) {
	t.Helper()
	o := &object.Options{Writer: blob.WriterOptions{ContentType: "application/gzip"}}
	if err := object.Write(t.Context(), b, key, o, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
		t.Fatal(err)
	}
}

// A part that a dead process left behind a committed chunk is listed by the
// next run, which asks the source for nothing; one run later all is quiet.
func TestUnlistedPartIsListed(t *testing.T) {
	layout := export.Layout{Dataset: export.Conversations}
	for _, days := range []int{0, 1} { // a chunk without parts, and one with
		all, b, p := conversations(100*days, 1), memBucket(t), plan(1, interval.Day)
		src := &source{all: all, pageSize: 30}
		e := &export.Exporter{Source: src, Bucket: b, Mode: "job"}
		mustRun(t, e, p)
		extra := conversation{"late", day0.Add(time.Hour), `{"conversationId":"late","conversationStart":"2024-03-01T01:00:00.000Z"}`}
		key := layout.Part(p.Range, 0, days)
		put(t, b, key, zipped(extra.line))
		inv, err := export.TakeInventory(t.Context(), b, layout)
		if err != nil || len(inv.Unlisted) != 1 || len(inv.Committed) != 1 || len(inv.Open) != 0 {
			t.Fatalf("inventory %+v, %v", inv, err)
		}
		asked := src.calls()
		if s := mustRun(t, e, p); !s.Complete() || src.calls() != asked {
			t.Errorf("failed %v, asked %d times", s.Failed, src.calls()-asked)
		}
		checkExactlyOnce(t, b, append(all, extra), p.Range)
		var m export.Manifest
		if err := json.Unmarshal(contents(t, b)[layout.Supplement(p.Range, 0, days)], &m); err != nil || !m.Supplement || len(m.Parts) != 1 || m.Parts[0].Key != key || m.Mode != "job" || !m.Settled {
			t.Errorf("supplement %+v, %v", m, err)
		}
		before := len(contents(t, b))
		mustRun(t, e, p)
		if n := len(contents(t, b)); n != before {
			t.Errorf("the run after wrote %d objects", n-before)
		}
	}
}

// What cannot be listed fails the run, and nothing else.
func TestUnlistedPartThatIsDamaged(t *testing.T) {
	all, b, p := conversations(100, 2), memBucket(t), plan(2, interval.Day)
	layout := export.Layout{Dataset: export.Conversations}
	e := &export.Exporter{Source: &source{all: all, pageSize: 30}, Bucket: b}
	first := p
	first.Range.End = day0.Add(interval.Day)
	mustRun(t, e, first)
	put(t, b, layout.Part(first.Range, 0, 1), []byte("not gzip"))
	s := mustRun(t, e, p)
	if len(s.Failed) != 1 || s.Failed[0].Interval != first.Range || s.Chunks.Exported != 1 {
		t.Errorf("failed %v, chunks %+v", s.Failed, s.Chunks)
	}
}

// The size of a manifest tells how many parts it lists.
func TestManifestSizeTellsParts(t *testing.T) {
	for _, raw := range []int64{1000, 3000, 10_000, 1 << 30} {
		all, b, p := conversations(1500, 1), memBucket(t), plan(1, interval.Day)
		s := mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 10}, Bucket: b, PartRawBytes: raw}, p)
		data := contents(t, b)[export.Layout{Dataset: export.Conversations}.Manifest(p.Range, 0)]
		if len(data)%100 != s.Parts%100 || !strings.HasSuffix(string(data), "\n") {
			t.Errorf("%d parts, manifest of %d bytes", s.Parts, len(data))
		}
		t.Logf("%d parts", s.Parts)
	}
}

func TestSupplementNames(t *testing.T) {
	l := export.Layout{Dataset: export.Conversations}
	iv := plan(1, interval.Day).Range
	key := l.Supplement(iv, 0, 3)
	if key != "_gcexport/conversations/20240301T000000Z-20240302T000000Z.r0.p0003.json" {
		t.Error(key)
	}
	if n, ok := l.ParseSupplement(key); !ok || n != (export.Name{Interval: iv, Part: 3}) {
		t.Errorf("%+v, %v", n, ok)
	}
	if _, ok := l.ParseManifest(key); ok {
		t.Error("taken for a chunk's manifest")
	}
	for _, key := range []string{l.Manifest(iv, 0), l.Part(iv, 0, 3), strings.Replace(key, "p0003", "p00003", 1), strings.Replace(key, "p0003", "p3", 1)} {
		if n, ok := l.ParseSupplement(key); ok {
			t.Errorf("%s is %+v", key, n)
		}
	}
}

// Results of a time when the data were not complete to the chunk's end are not
// committed. What was written before stays, and a later run goes on.
func TestUnsettledChunkIsPostponed(t *testing.T) {
	all, b, p := conversations(600, 3), memBucket(t), plan(3, interval.Day)
	bad := p.Range.Start.Add(interval.Day)
	src := &source{all: all, pageSize: 10}
	src.fault = func(iv interval.Interval, call int, body []byte) ([]byte, error) {
		mark := day0.AddDate(1, 0, 0)
		if iv.Start.Equal(bad) && call > 20 {
			mark = iv.End.Add(-time.Second)
		}
		return append([]byte(`{"dataAvailabilityDate":"`+interval.Format(mark)+`",`), body[1:]...), nil
	}
	s := mustRun(t, &export.Exporter{Source: src, Bucket: b, PartRawBytes: 5000}, p)
	if len(s.Postponed) != 1 || !s.Postponed[0].Start.Equal(bad) || len(s.Failed) != 0 || s.Complete() || s.Chunks.Exported != 2 {
		t.Fatalf("postponed %v, failed %v, chunks %+v", s.Postponed, s.Failed, s.Chunks)
	}
	if n := src.asked[interval.Interval{Start: bad, End: bad.Add(interval.Day)}.String()]; n != 1 {
		t.Errorf("asked %d times", n)
	}
	layout := export.Layout{Dataset: export.Conversations}
	inv, err := export.TakeInventory(t.Context(), b, layout)
	if err != nil || len(inv.Open) != 1 {
		t.Errorf("inventory %+v, %v", inv, err)
	}
	src.fault = nil
	mustRun(t, &export.Exporter{Source: src, Bucket: b, PartRawBytes: 5000}, p)
	checkExactlyOnce(t, b, all, p.Range)
}

// Records that an earlier attempt has written are not counted as dropped.
func TestRecoveredRecordsAreNotDuplicates(t *testing.T) {
	all, b, p := conversations(1000, 1), memBucket(t), plan(1, interval.Day)
	broken := errors.New("broken")
	src := &source{all: all, pageSize: 100, fault: func(_ interval.Interval, call int, body []byte) ([]byte, error) {
		if call == 6 {
			return nil, broken
		}
		return body, nil
	}}
	e := &export.Exporter{Source: src, Bucket: b, PartRawBytes: 20_000, Attempts: 1}
	if s := mustRun(t, e, p); len(s.Failed) != 1 {
		t.Fatal("did not fail")
	}
	src.fault = func(_ interval.Interval, call int, body []byte) ([]byte, error) {
		if call == 2 {
			return append(body[:len(body)*3/4], '}'), nil
		}
		return body, nil
	}
	if s := mustRun(t, e, p); s.Dropped.Duplicate != 100 || s.Records != 1000 {
		t.Errorf("%d records, dropped %+v; the source gives 100 twice", s.Records, s.Dropped)
	}
	checkExactlyOnce(t, b, all, p.Range)
}
