package bench

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/record"
)

// BenchmarkEngine measures the way from the gzipped body of a page to the piece
// of the data object, with all checks and sums, against the floor: inflating the
// same body and compressing the finished lines with the same library at the same
// level, and nothing else.
func BenchmarkEngine(b *testing.B) {
	server := simulated(genesystest.SizeNormal, 0)
	for _, c := range []struct {
		name string
		page []byte
	}{
		{"compact1000", page(server, 1000)},
		{"compact100", page(server, 100)},
		{"pretty1000", indent(page(server, 1000))},
	} {
		body, lines := zip(c.page, 6), linesOf(c.page)
		for _, level := range []int{1, jsonl.DefaultLevel, 6} {
			b.Run(fmt.Sprintf("%s/level%d", c.name, level), func(b *testing.B) {
				compare(b, len(c.page), engine(b, body, level), floor(b, body, lines, level))
			})
		}
	}
}

func engine(b *testing.B, body []byte, level int) side {
	s := record.NewScanner(record.Options{})
	c, err := jsonl.NewCompressor(level)
	if err != nil {
		b.Fatal(err)
	}
	var part jsonl.Part
	var dst []byte
	p := &record.Page{Body: body, Gzip: true}
	return side{"engine", func() error {
		part.Begin(c, dst)
		if err := s.Scan(p, part.Line); err != nil {
			return err
		}
		dst, err = part.Commit()
		return err
	}}
}

func floor(b *testing.B, body, lines []byte, level int) side {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		b.Fatal(err)
	}
	zr := new(gzip.Reader)
	raw := make([]byte, 64<<10)
	return side{"floor", func() error {
		if err := zr.Reset(bytes.NewReader(body)); err != nil {
			return err
		}
		for err = nil; err == nil; {
			_, err = zr.Read(raw)
		}
		if err != io.EOF {
			return err
		}
		out.Reset()
		zw.Reset(&out)
		zw.Write(lines)
		return zw.Close()
	}}
}
