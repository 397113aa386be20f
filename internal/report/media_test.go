package report_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/gcexport/gcexport/internal/report"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// Conversations count for each media type that they have, once; what is no media type
// of the API is told as no more than that.
func TestCountMedia(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer b.Close()
	layout := export.Layout{Dataset: export.Conversations}
	for i, lines := range []string{
		`{"p":[{"mediaType":"voice"},{"mediaType":"voice"}]}` + "\n" + `{"p":[{"mediaType":"Voice"},{"mediaType":"chat"}]}` + "\n",
		`{"attributes":{"mediaType":"Jane Doe"},"text":"\"mediaType\":\"email\""}` + "\n" + `{"mediaType":null}` + "\n",
	} {
		iv := day(float64(i), float64(i)+1)
		commit(t, b, iv, 2, 100, true)
		var data bytes.Buffer
		zw := gzip.NewWriter(&data)
		fmt.Fprint(zw, lines)
		zw.Close()
		if err := b.WriteAll(t.Context(), layout.Part(iv, 0, 0), data.Bytes(), nil); err != nil {
			t.Fatal(err)
		}
	}
	d, err := report.Gather(t.Context(), b, &export.ObjectOptions{}, "mem://", interval.Interval{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.CountMedia(t.Context(), b, &export.ObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range d.Media {
		got = append(got, fmt.Sprintf("%s %d %v", m.Name, m.Records, d.MediaBars(m)))
	}
	if want := "voice 2 [{100 2024-02-27: 2 voice} {0 2024-02-28: 0 voice}]; chat 1 [{50 2024-02-27: 1 chat} {0 2024-02-28: 0 chat}]; other 1 [{0 2024-02-27: 0 other} {50 2024-02-28: 1 other}]"; strings.Join(got, "; ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
	}
	var page strings.Builder
	if err := d.WriteHTML(&page); err != nil || strings.Contains(page.String(), "Jane") || !strings.Contains(page.String(), "2024-02-27: 2 voice") {
		t.Errorf("%v: %s", err, page.String())
	}

	// A damaged object is said, and not counted over.
	if err := b.WriteAll(t.Context(), layout.Part(day(0, 1), 0, 0), []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	d, _ = report.Gather(t.Context(), b, &export.ObjectOptions{}, "mem://", interval.Interval{})
	if err := d.CountMedia(t.Context(), b, &export.ObjectOptions{}); err == nil || !strings.Contains(err.Error(), "p0000.jsonl.gz: damaged object") {
		t.Errorf("a damaged object: %v", err)
	}
}
