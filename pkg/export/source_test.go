package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// day0 is where the ranges of these tests begin.
var day0 = time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)

// A conversation of the test's own, with the line that an export must hold.
type conversation struct {
	id    string
	start time.Time
	line  string
}

// conversations makes n of them, spread evenly over the days from day0 on.
func conversations(n, days int) []conversation {
	list := make([]conversation, n)
	for i := range list {
		start := day0.Add(time.Duration(i) * time.Duration(days) * interval.Day / time.Duration(n)).Truncate(time.Millisecond)
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i*7919)
		list[i] = conversation{id: id, start: start, line: fmt.Sprintf(
			`{"conversationId":%q,"conversationStart":%q,"n":1.10,"big":9223372036854775807,"text":"é\u00e9 %s"}`,
			id, interval.Format(start), strings.Repeat("x", i%50))}
	}
	return list
}

// source is a Source over a slice. It gives too much, as the API does: for an
// interval also what started a quarter of a day before it, and every tenth
// conversation twice.
type source struct {
	all      []conversation
	pageSize int

	// fault may turn a page into something else; call counts from 1 for each
	// interval. It returns the body and an error to end with.
	fault func(iv interval.Interval, call int, body []byte) ([]byte, error)
	// watermark, if set, makes the source a Watermarker's.
	watermark time.Time

	mu    sync.Mutex
	asked map[string]int // Pages calls by interval
}

func (s *source) Watermark(context.Context) (time.Time, error) {
	if s.watermark.IsZero() {
		return day0.AddDate(100, 0, 0), nil
	}
	return s.watermark, nil
}

func (s *source) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	s.mu.Lock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	s.asked[iv.String()]++
	s.mu.Unlock()
	return func(yield func(*record.Page, error) bool) {
		call := 0
		for lines := range slices.Chunk(s.given(iv), max(s.pageSize, 1)) {
			for {
				if ctx.Err() != nil {
					return // without a word: the engine must notice by itself
				}
				call++
				body, err := []byte(`{"conversations": [`+strings.Join(lines, " ,\n\t")+`], "cursor":"bW9yZQ=="}`), error(nil)
				if s.fault != nil {
					body, err = s.fault(iv, call, body)
				}
				page := &record.Page{Body: body, Job: "job-" + interval.Format(iv.Start)}
				if !yield(page, err) || err != nil {
					return
				}
				if page.Damage() == nil {
					break
				}
			}
		}
	}
}

func (s *source) given(iv interval.Interval) []string {
	wide := interval.Interval{Start: iv.Start.Add(-6 * time.Hour), End: iv.End.Add(time.Hour)}
	var lines []string
	for i, c := range s.all {
		if !wide.Contains(c.start) {
			continue
		}
		lines = append(lines, c.line)
		if i%10 == 0 {
			lines = append(lines, c.line)
		}
	}
	return lines
}

func (s *source) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.asked {
		n += c
	}
	return n
}

func plan(days int, step time.Duration) export.Plan {
	return export.Plan{
		Dataset: export.Conversations, Step: step,
		Range: interval.Interval{Start: day0, End: day0.Add(time.Duration(days) * interval.Day)},
	}
}

func memBucket(t *testing.T) *blob.Bucket {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { b.Close() })
	return b
}

// contents reads a bucket as a stranger would: every object, by name.
func contents(t *testing.T, b *blob.Bucket) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for it := b.List(nil); ; {
		o, err := it.Next(t.Context())
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[o.Key], err = b.ReadAll(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
	}
}

// lines unpacks a data object with other tools than those that made it.
func lines(t *testing.T, key string, data []byte) []string {
	t.Helper()
	src := bytes.NewReader(data)
	zr, err := gzip.NewReader(src)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	zr.Multistream(false)
	raw, err := io.ReadAll(zr)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if src.Len() != 0 {
		t.Fatalf("%s: %d bytes behind the gzip member", key, src.Len())
	}
	if len(raw) == 0 || raw[len(raw)-1] != '\n' {
		t.Fatalf("%s: does not end in a line end", key)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

// checkExactlyOnce compares the data objects with the conversations of a range:
// each there once, byte for byte, in the part of the chunk that owns it, and
// nothing else; and each part listed in a manifest that tells the truth.
func checkExactlyOnce(t *testing.T, b *blob.Bucket, all []conversation, r interval.Interval) {
	t.Helper()
	want := map[string]bool{}
	for _, c := range all {
		if r.Contains(c.start) {
			want[c.line] = true
		}
	}
	layout := export.Layout{Dataset: export.Conversations}
	objects := contents(t, b)
	listed := map[string]bool{}
	for key, data := range objects {
		n, ok := layout.ParseManifest(key)
		if !ok {
			n, ok = layout.ParseSupplement(key)
		}
		if ok {
			checkManifest(t, data, n, objects, listed)
		}
	}
	got := 0
	for key, data := range objects {
		if !strings.HasPrefix(key, layout.DataPrefix()) {
			continue
		}
		name, ok := layout.ParsePart(key)
		if ok && name.Place > 0 && bytes.Equal(data, export.Blank()) {
			continue
		}
		if !ok || !listed[key] {
			t.Errorf("%s is not a part of any manifest", key)
		}
		for _, line := range lines(t, key, data) {
			if !want[line] {
				t.Errorf("%s: unexpected or repeated line %s", key, line)
			}
			delete(want, line)
			got++
			var c struct{ ConversationStart time.Time }
			if err := json.Unmarshal([]byte(line), &c); err != nil || !name.Interval.Contains(c.ConversationStart) {
				t.Errorf("%s: line of another chunk: %s (%v)", key, line, err)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("%d conversations are missing, %d are there", len(want), got)
	}
}

func checkManifest(t *testing.T, data []byte, n export.Name, objects map[string][]byte, listed map[string]bool) {
	t.Helper()
	var m export.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if !m.Interval.Start.Equal(n.Interval.Start) || !m.Interval.End.Equal(n.Interval.End) {
		t.Errorf("manifest of %s speaks of %v", n.Interval, m.Interval)
	}
	var records, raw, size int64
	for _, p := range m.Parts {
		object, ok := objects[p.Key]
		if !ok {
			t.Errorf("manifest of %s lists %s, which is not there", n.Interval, p.Key)
			continue
		}
		listed[p.Key] = true
		ls := lines(t, p.Key, object)
		if p.Records != int64(len(ls)) || p.Bytes != int64(len(object)) || p.RawBytes != int64(len(strings.Join(ls, "\n"))+1) {
			t.Errorf("%s: the manifest says %d records, %d bytes, %d raw", p.Key, p.Records, p.Bytes, p.RawBytes)
		}
		records, raw, size = records+p.Records, raw+p.RawBytes, size+p.Bytes
	}
	if m.Records != records || m.RawBytes != raw || m.Bytes != size {
		t.Errorf("manifest of %s: sums %d, %d, %d; want %d, %d, %d", n.Interval, m.Records, m.RawBytes, m.Bytes, records, raw, size)
	}
}

// fatalError is fatal in the way that the engine asks errors for.
type fatalError struct{}

func (fatalError) Error() string { return "no permission" }
func (fatalError) Fatal() bool   { return true }

var errPage = errors.New("page refused")
