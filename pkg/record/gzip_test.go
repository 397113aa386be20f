package record_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/pkg/record"
)

const gzipPage = `{"conversations":[{"conversationId":"69377157-94d8-43a6-9340-586349ad7eae","conversationStart":"2026-03-02T14:05:10.214Z","x":[1,2,3]},{"conversationId":"8b2ca91d-90c0-4942-a2b0-3aa0e169d43b"}],"cursor":"bmV4dA=="}`

// TestScanCutGzip cuts a page at every byte.
func TestScanCutGzip(t *testing.T) {
	body := zip([]byte(gzipPage), 6)
	s := record.NewScanner(record.Options{})
	for n := range body {
		if got := scan(t, s, &record.Page{Body: body[:n], Gzip: true}); got.OK {
			t.Errorf("page cut after %d of %d bytes is whole", n, len(body))
		}
	}
	if got := scan(t, s, &record.Page{Body: body, Gzip: true}); !got.OK {
		t.Error("the whole page is damaged")
	}
}

// TestScanFlippedGzip flips every bit of a page. A flip may go unseen where it
// changes nothing: in the header's time and system, and in padding.
func TestScanFlippedGzip(t *testing.T) {
	body := zip([]byte(gzipPage), 6)
	s := record.NewScanner(record.Options{})
	want := scan(t, s, &record.Page{Body: body, Gzip: true})
	unseen := 0
	for bit := range 8 * len(body) {
		flipped := slices.Clone(body)
		flipped[bit/8] ^= 1 << (bit % 8)
		got := scan(t, s, &record.Page{Body: flipped, Gzip: true})
		if !got.OK {
			continue
		}
		unseen++
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("bit %d flipped (-want +got):\n%s", bit, diff)
		}
	}
	if unseen > 8*6+1+8 {
		t.Errorf("%d flipped bits went unseen", unseen)
	}
}

func TestScanGzipMembers(t *testing.T) {
	whole := zip([]byte(gzipPage), 6)
	a, b := zip([]byte(gzipPage[:100]), 6), zip([]byte(gzipPage[100:]), 1)
	empty := zip(nil, 6)
	named := slices.Clone(empty)
	named[3] = 8 // has a name; it goes on to the end
	for _, c := range []struct {
		name string
		body []byte
		ok   bool
	}{
		{"one", whole, true},
		{"two", slices.Concat(a, b), true},
		{"empty ones between", slices.Concat(empty, a, empty, empty, b, empty), true},
		{"only empty ones", slices.Concat(empty, empty), false},
		{"first of two", a, false},
		{"garbage behind", append(slices.Clone(whole), 'x'), false},
		{"zeros behind", append(slices.Clone(whole), make([]byte, 512)...), false},
		{"half a header behind", append(slices.Clone(whole), 0x1f, 0x8b, 8), false},
		{"a header with an open name behind", append(slices.Clone(whole), named[:10]...), false},
		{"a header with a cut name behind", append(append(slices.Clone(whole), named[:10]...), "name"...), false},
		{"a second page", slices.Concat(whole, whole), false},
		{"not gzip", []byte(gzipPage), false},
		{"nothing", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &record.Page{Body: c.body, Gzip: true}
			if got := scan(t, record.NewScanner(record.Options{}), p); got.OK != c.ok {
				t.Errorf("whole = %t, %v", got.OK, p.Damage())
			}
		})
	}
}
