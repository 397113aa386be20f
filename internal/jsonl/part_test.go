package jsonl_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/record"
)

func compressor(t testing.TB, level int) *jsonl.Compressor {
	t.Helper()
	c, err := jsonl.NewCompressor(level)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rec makes a record of about n bytes that does not compress too well.
func rec(r *rand.Rand, n int) record.Record {
	var b strings.Builder
	b.WriteString(`{"id":"`)
	for b.Len() < n {
		fmt.Fprintf(&b, "%x-", r.Uint32()>>(r.Uint32()%32))
	}
	b.WriteString(`"}`)
	return record.Record{JSON: []byte(b.String()), Start: time.Unix(r.Int64N(1e9), 0).UTC()}
}

func recs(seed uint64, sizes ...int) []record.Record {
	r := rand.New(rand.NewPCG(seed, 0))
	var all []record.Record
	for _, n := range sizes {
		all = append(all, rec(r, n))
	}
	return all
}

// page is a step in the life of a part.
type page struct {
	recs []record.Record
	bad  bool // rolled back
}

// write makes a data object of the pages.
func write(t testing.TB, c *jsonl.Compressor, pages []page) ([]byte, jsonl.Stats) {
	t.Helper()
	var p jsonl.Part
	var object, dst []byte
	for _, pg := range pages {
		p.Begin(c, dst)
		before := p.Stats()
		for _, r := range pg.recs {
			if err := p.Line(r); err != nil {
				t.Fatal(err)
			}
			if p.Stats() != before {
				t.Fatal("Stats tell of an open page")
			}
		}
		if pg.bad {
			if dst = p.Rollback(); len(dst) != 0 || p.Stats() != before {
				t.Fatal("Rollback leaves something")
			}
			continue
		}
		piece, err := p.Commit()
		if err != nil {
			t.Fatal(err)
		}
		object = append(object, piece...)
		if dst = piece; p.Stats().Bytes != int64(len(object)) {
			t.Fatalf("Bytes = %d, want %d", p.Stats().Bytes, len(object))
		}
	}
	object = append(object, p.End()...)
	return object, p.Stats()
}

// inflate unpacks with the standard library, and wants one member and no more.
func inflate(t testing.TB, object []byte) string {
	t.Helper()
	src := bytes.NewReader(object)
	zr, err := gzip.NewReader(src)
	if err != nil {
		t.Fatal(err)
	}
	zr.Multistream(false)
	lines, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if src.Len() != 0 {
		t.Fatalf("%d bytes behind the member", src.Len())
	}
	if !zr.ModTime.IsZero() || zr.Name != "" || zr.Comment != "" || len(zr.Extra) > 0 || zr.OS != 255 {
		t.Errorf("header %+v", zr.Header)
	}
	return string(lines)
}

// check compares an object with the pages that went into it.
func check(t testing.TB, object []byte, stats jsonl.Stats, pages []page) {
	t.Helper()
	var want strings.Builder
	var first, last time.Time
	n := 0
	for _, pg := range pages {
		for _, r := range pg.recs {
			if pg.bad {
				break
			}
			n++
			want.Write(r.JSON)
			want.WriteByte('\n')
			if !r.Start.IsZero() && (first.IsZero() || r.Start.Before(first)) {
				first = r.Start
			}
			if r.Start.After(last) {
				last = r.Start
			}
		}
	}
	if inflate(t, object) != want.String() {
		t.Fatal("the lines are not those written")
	}
	wantStats := jsonl.Stats{
		Records: int64(n), RawBytes: int64(want.Len()), Bytes: int64(len(object)),
		SHA256: sha256.Sum256([]byte(want.String())), First: first, Last: last,
	}
	if stats != wantStats {
		t.Errorf("Stats = %+v, want %+v", stats, wantStats)
	}
	wantStats.First, wantStats.Last = time.Time{}, time.Time{}
	var back strings.Builder
	read, err := new(jsonl.Reader).Read(bytes.NewReader(object), func(line []byte) error {
		back.Write(line)
		back.WriteByte('\n')
		return nil
	})
	if err != nil || read != wantStats || back.String() != want.String() {
		t.Errorf("Read = %+v, %v, want %+v; lines right: %t", read, err, wantStats, back.String() == want.String())
	}
}

func TestPart(t *testing.T) {
	const K = 1 << 10
	none := record.Record{JSON: []byte("{}")} // no start
	for _, c := range []struct {
		name  string
		pages []page
	}{
		{"no page", nil},
		{"an empty page", []page{{}}},
		{"one line", []page{{recs: recs(1, 10)}}},
		{"records without start", []page{{recs: []record.Record{none, none}}}},
		{"one with a start among others", []page{{recs: []record.Record{none, recs(1, 20)[0], none}}}},
		{"pages", []page{{recs: recs(2, 100, 200, 7*K)}, {recs: recs(3, 50*K, 9)}, {recs: recs(4, 8)}}},
		{"empty pages between", []page{{}, {recs: recs(5, 100)}, {}, {}, {recs: recs(6, 100)}, {}}},
		{"lines as large as the batch", []page{{recs: recs(7, 32*K-3, 32*K-2, 32*K-1, 32*K, 32*K+1, 1, 32*K)}}},
		{"a huge line", []page{{recs: recs(8, 10, 300*K, 10)}}},
	} {
		for level := jsonl.MinLevel; level <= jsonl.MaxLevel; level++ {
			t.Run(fmt.Sprintf("%s/level %d", c.name, level), func(t *testing.T) {
				object, stats := write(t, compressor(t, level), c.pages)
				check(t, object, stats, c.pages)
			})
		}
	}
}

// TestPartRollback checks that an object is the same, byte for byte, whether
// pages were rolled back on the way or never came.
func TestPartRollback(t *testing.T) {
	good := []page{{recs: recs(1, 100, 9000)}, {recs: recs(2, 70000, 1)}, {recs: recs(3, 33)}}
	bad := []page{{bad: true}, {recs: recs(4, 5), bad: true}, {recs: recs(5, 90000, 90000), bad: true}}
	for _, level := range []int{jsonl.MinLevel, jsonl.DefaultLevel, jsonl.MaxLevel} {
		want, wantStats := write(t, compressor(t, level), good)
		c := compressor(t, level)
		for _, b := range bad {
			for at := range len(good) + 1 {
				var pages []page
				pages = append(append(append(pages, good[:at]...), b, b), good[at:]...)
				object, stats := write(t, c, pages)
				if !bytes.Equal(object, want) || stats != wantStats {
					t.Errorf("level %d: a page rolled back at %d leaves a trace", level, at)
				}
			}
		}
	}
}

// TestPartsShareCompressor lets parts take turns at one compressor, as workers do.
func TestPartsShareCompressor(t *testing.T) {
	c := compressor(t, jsonl.DefaultLevel)
	parts := make([]jsonl.Part, 3)
	objects := make([][]byte, 3)
	pages := make([][]page, 3)
	for turn := range 30 {
		i := turn % 3
		pg := page{recs: recs(uint64(turn), 500, 40000, 3), bad: turn%7 == 0}
		pages[i] = append(pages[i], pg)
		parts[i].Begin(c, nil)
		for _, r := range pg.recs {
			if err := parts[i].Line(r); err != nil {
				t.Fatal(err)
			}
		}
		if pg.bad {
			parts[i].Rollback()
			continue
		}
		piece, err := parts[i].Commit()
		if err != nil {
			t.Fatal(err)
		}
		objects[i] = append(objects[i], piece...)
	}
	for i := range parts {
		objects[i] = append(objects[i], parts[i].End()...)
		check(t, objects[i], parts[i].Stats(), pages[i])
	}
}

// TestPartRotation ends an object whenever it has grown to a size, as the
// engine does, and goes on with the next.
func TestPartRotation(t *testing.T) {
	c := compressor(t, 1)
	var written, read strings.Builder
	var p jsonl.Part
	var object []byte
	objects := 0
	for i := range 40 {
		p.Begin(c, nil)
		for _, r := range recs(uint64(i), 3000, 3000) {
			written.Write(r.JSON)
			if err := p.Line(r); err != nil {
				t.Fatal(err)
			}
		}
		piece, err := p.Commit()
		if err != nil {
			t.Fatal(err)
		}
		object = append(object, piece...)
		if p.Stats().Bytes < 10000 && i < 39 {
			continue
		}
		object = append(object, p.End()...)
		stats, err := new(jsonl.Reader).Read(bytes.NewReader(object), func(line []byte) error { read.Write(line); return nil })
		if err != nil || stats.SHA256 != p.Stats().SHA256 {
			t.Fatalf("object %d: %v", objects, err)
		}
		p, object = jsonl.Part{}, nil
		objects++
	}
	if objects < 5 || written.String() != read.String() {
		t.Errorf("%d objects; lines right: %t", objects, written.String() == read.String())
	}
}

func TestPartMisuse(t *testing.T) {
	var p jsonl.Part
	if err := p.Line(recs(1, 5)[0]); err == nil {
		t.Error("a line without a page")
	}
	if _, err := p.Commit(); err == nil {
		t.Error("a commit without a page")
	}
	if p.Rollback() != nil {
		t.Error("a rollback without a page gives something")
	}
}

func TestNewCompressor(t *testing.T) {
	for _, level := range []int{-2, -1, 0, 10, 100} {
		if _, err := jsonl.NewCompressor(level); err == nil {
			t.Errorf("level %d is taken", level)
		}
	}
}

// TestPartReusesBuffer checks that a page costs hardly any allocation.
func TestPartReusesBuffer(t *testing.T) {
	c := compressor(t, jsonl.DefaultLevel)
	lines := recs(1, 5000, 5000, 5000, 70000)
	var p jsonl.Part
	var dst []byte
	n := testing.AllocsPerRun(20, func() {
		p.Begin(c, dst)
		for _, r := range lines {
			p.Line(r)
		}
		dst, _ = p.Commit()
	})
	if n > 4 {
		t.Errorf("%v allocations for a page", n)
	}
}
