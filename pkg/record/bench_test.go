package record_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gcexport/gcexport/pkg/record"
)

// BenchmarkScan measures the scanner alone, on identity bodies, against
// encoding/json doing the same less carefully.
func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name string
		page []byte
	}{
		{"compact", newSynth(1).page(1000)},
		{"pretty", indent(newSynth(1).page(1000))},
		{"tiny", newSynth(1).tinyPage(20000)},
		{"huge", newSynth(1).hugePage(4)},
	} {
		b.Run(c.name+"/scanner", func(b *testing.B) {
			b.SetBytes(int64(len(c.page)))
			b.ReportAllocs()
			s := record.NewScanner(record.Options{})
			p := &record.Page{Body: c.page}
			for b.Loop() {
				if err := s.Scan(p, func(record.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/std", func(b *testing.B) {
			b.SetBytes(int64(len(c.page)))
			b.ReportAllocs()
			for b.Loop() {
				var page struct{ Conversations []json.RawMessage }
				if err := json.Unmarshal(c.page, &page); err != nil {
					b.Fatal(err)
				}
				var line bytes.Buffer
				for _, r := range page.Conversations {
					line.Reset()
					if err := json.Compact(&line, r); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
