package record_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/record"
)

// BenchmarkEngine measures the way from the gzipped body to the piece of the
// data object, against the floor: inflating the same body and compressing the
// finished lines with the same library at the same level, and nothing else.
func BenchmarkEngine(b *testing.B) {
	compact := newSynth(1).page(1000)
	for _, c := range []struct {
		name string
		page []byte
	}{
		{"compact1000", compact},
		{"compact100", newSynth(2).page(100)},
		{"pretty1000", indent(compact)},
	} {
		body, lines := zip(c.page, 6), linesOf(b, c.page)
		for _, level := range []int{1, jsonl.DefaultLevel} {
			b.Run(fmt.Sprintf("%s/level%d/engine", c.name, level), func(b *testing.B) {
				b.SetBytes(int64(len(c.page)))
				b.ReportAllocs()
				benchEngine(b, body, level)
			})
			b.Run(fmt.Sprintf("%s/level%d/floor", c.name, level), func(b *testing.B) {
				b.SetBytes(int64(len(c.page)))
				b.ReportAllocs()
				benchFloor(b, body, lines, level)
			})
		}
	}
}

func benchEngine(b *testing.B, body []byte, level int) {
	s := record.NewScanner(record.Options{})
	c, err := jsonl.NewCompressor(level)
	if err != nil {
		b.Fatal(err)
	}
	var part jsonl.Part
	var dst []byte
	p := &record.Page{Body: body, Gzip: true}
	for b.Loop() {
		part.Begin(c, dst)
		if err := s.Scan(p, part.Line); err != nil {
			b.Fatal(err)
		}
		if dst, err = part.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchFloor(b *testing.B, body, lines []byte, level int) {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		b.Fatal(err)
	}
	zr := new(gzip.Reader)
	raw := make([]byte, 64<<10)
	for b.Loop() {
		if err := zr.Reset(bytes.NewReader(body)); err != nil {
			b.Fatal(err)
		}
		for err = nil; err == nil; {
			_, err = zr.Read(raw)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		out.Reset()
		zw.Reset(&out)
		zw.Write(lines)
		if err := zw.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// linesOf returns the lines of a page, made by encoding/json.
func linesOf(b *testing.B, page []byte) []byte {
	var parsed struct{ Conversations []json.RawMessage }
	if err := json.Unmarshal(page, &parsed); err != nil {
		b.Fatal(err)
	}
	var lines bytes.Buffer
	for _, r := range parsed.Conversations {
		if err := json.Compact(&lines, r); err != nil {
			b.Fatal(err)
		}
		lines.WriteByte('\n')
	}
	return lines.Bytes()
}
