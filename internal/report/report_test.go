package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"golang.org/x/net/html"

	"github.com/gcexport/gcexport/internal/report"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

var day0 = time.Date(2024, 2, 27, 0, 0, 0, 0, time.UTC)

func day(from, to float64) interval.Interval {
	at := func(n float64) time.Time { return day0.Add(time.Duration(n * float64(interval.Day))) }
	return interval.Interval{Start: at(from), End: at(to)}
}

func put(t *testing.T, b *blob.Bucket, key string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteAll(t.Context(), key, data, nil); err != nil {
		t.Fatal(err)
	}
}

// commit writes a manifest with one part of a size.
func commit(t *testing.T, b *blob.Bucket, iv interval.Interval, records, bytes int64, settled bool) {
	t.Helper()
	l := export.Layout{Dataset: export.Conversations}
	put(t, b, l.Manifest(iv, 0), export.Manifest{Format: export.ManifestFormat, Dataset: l.Dataset, Interval: export.Span{Start: iv.Start, End: iv.End},
		Settled: settled, Records: records, RawBytes: 8 * bytes, Bytes: bytes, Parts: []export.Part{{Key: l.Part(iv, 0, 0), Records: records, Bytes: bytes}}})
	put(t, b, l.Part(iv, 0, 0), "x")
}

// bucketful has days of each state and runs of each kind.
func bucketful(t *testing.T) *blob.Bucket {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { b.Close() })
	commit(t, b, day(0, 1), 100, 500_000, true)
	commit(t, b, day(1, 3), 300, 5_000_000, true)
	commit(t, b, day(3, 4), 50, 20<<20, false)
	commit(t, b, day(4, 4.5), 10, 100, true)
	put(t, b, export.Layout{Dataset: export.Conversations}.Part(day(6, 7), 0, 0), "x")
	put(t, b, "_gcexport/runs/01A.begun.json", map[string]any{"run": "01A", "started": day0, "result": "begun"})
	put(t, b, "_gcexport/runs/01B.begun.json", map[string]any{"run": "01B", "started": day0, "result": "begun"})
	put(t, b, "_gcexport/runs/01B.json", map[string]any{"run": "01B", "started": day0, "finished": day0.Add(90 * time.Second), "result": "incomplete",
		"usage": map[string]any{"total": 1234, "throttled": 5, "utilisation": 0.97}, "records": 460,
		"failures": []any{map[string]any{"interval": map[string]any{"start": day(5, 6).Start, "end": day(5, 6).End}, "error": "<script>alert(1)</script>"}}})
	put(t, b, "_gcexport/runs/01B.files.txt", "x")
	put(t, b, "_gcexport/runs/junk.json", "x")
	return b
}

func TestGather(t *testing.T) {
	d, err := report.Gather(t.Context(), bucketful(t), &export.ObjectOptions{}, "mem://", interval.Interval{})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, day := range d.Days {
		states = append(states, fmt.Sprintf("%s %d", day.State(), day.Records))
	}
	if got := strings.Join(states, ", "); got != "done 100, done 150, done 150, unsettled 50, part 10, missing 0, open 0" {
		t.Errorf("days: %s", got)
	}
	if d.Records != 460 || d.Chunks != 4 || d.Open != 1 || d.Objects != 4 || d.Sizes[0].Objects != 2 || d.Sizes[1].Objects != 1 || d.Sizes[2].Objects != 1 {
		t.Errorf("%+v", d)
	}
	if len(d.Runs) != 2 || d.Runs[0].Run != "01B" || d.Runs[0].Usage.Total != 1234 || d.Runs[1].Finished != nil {
		t.Errorf("runs: %+v", d.Runs)
	}
	if v := d.Verdict(); v.Class != "bad" || v.Text != "3 of 7 days are not there, or in part" {
		t.Errorf("verdict: %+v", v)
	}
	if months := d.Months(); len(months) != 2 || months[0].Cells[26].Day == nil || months[1].Cells[3].Mark != "…" {
		t.Errorf("%d months", len(months))
	}

	d, err = report.Gather(t.Context(), bucketful(t), &export.ObjectOptions{}, "mem://", day(0, 3))
	if err != nil || d.Verdict().Text != "All 3 days are there" || d.Records != 400 {
		t.Errorf("%+v, %v", d.Verdict(), err)
	}
	empty := memblob.OpenBucket(nil)
	defer empty.Close()
	if _, err := report.Gather(context.Background(), empty, &export.ObjectOptions{}, "mem://", interval.Interval{}); !errors.Is(err, report.ErrEmpty) {
		t.Errorf("an empty bucket: %v", err)
	}
}

// The page is well-formed, asks nobody for anything, and runs nothing, whatever is
// in the bucket.
func TestWriteHTML(t *testing.T) {
	d, err := report.Gather(t.Context(), bucketful(t), &export.ObjectOptions{}, `s3://b"><img src=x>`, interval.Interval{})
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := d.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(page.String()))
	if err != nil {
		t.Fatal(err)
	}
	cells := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "img", "link", "iframe", "object", "form", "a", "base":
			t.Errorf("an element %s", n.Data)
		case "i":
			cells++
		}
		for _, a := range n.Attr {
			if a.Key == "src" || a.Key == "href" || strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "url(") || strings.Contains(a.Val, "ZgotmplZ") {
				t.Errorf("%s=%q", a.Key, a.Val)
			}
		}
	}
	if cells < 2*7 || !strings.Contains(page.String(), "default-src &#39;none&#39;") && !strings.Contains(page.String(), "default-src 'none'") {
		t.Errorf("%d cells and bars", cells)
	}
	for _, want := range []string{"3 of 7 days are not there", "2024-03-02", "unsettled", "&lt;script&gt;", "97 %", "1m30s", "not ended"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
