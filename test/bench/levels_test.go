package bench

import (
	"fmt"
	"testing"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/record"
)

// BenchmarkLevels measures what each gzip level costs and saves, against the
// default: "x-default" of 2 means that the default takes twice as long, "size"
// of 0.9 that the object is a tenth smaller than with the default.
func BenchmarkLevels(b *testing.B) {
	one := page(simulated(genesystest.SizeNormal, -1), 1000)
	body := zip(one, 6)
	standard := sizeAt(b, body, jsonl.DefaultLevel)
	for level := 1; level <= 9; level++ {
		b.Run(fmt.Sprint(level), func(b *testing.B) {
			usual := engine(b, body, jsonl.DefaultLevel)
			compare(b, len(one), engine(b, body, level), side{"default", usual.run})
			b.ReportMetric(sizeAt(b, body, level)/standard, "size")
		})
	}
}

// sizeAt is the size of a page's lines at a level, in bytes.
func sizeAt(b *testing.B, body []byte, level int) float64 {
	b.Helper()
	c, err := jsonl.NewCompressor(level)
	if err != nil {
		b.Fatal(err)
	}
	var part jsonl.Part
	part.Begin(c, nil)
	if err := record.NewScanner(record.Options{}).Scan(&record.Page{Body: body, Gzip: true}, part.Line); err != nil {
		b.Fatal(err)
	}
	piece, err := part.Commit()
	if err != nil {
		b.Fatal(err)
	}
	return float64(len(piece))
}
