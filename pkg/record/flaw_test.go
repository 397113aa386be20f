package record_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gcexport/gcexport/pkg/record"
)

func TestFlaws(t *testing.T) {
	long := strings.Repeat("k", 200)
	for _, c := range []struct {
		line string
		want record.Flaw
		name string
	}{
		{`{}`, 0, ""},
		{`{"a":"\ud83d\ude00","b":"\\ud83d","c":"\\u0000"}`, 0, ""},
		{`{"a":"\ud83d"}`, record.FlawSurrogate, "surrogate"},
		{`{"a":"\ud83dx\ude00"}`, record.FlawSurrogate, "surrogate"},
		{`{"a":"\ud83d\n"}`, record.FlawSurrogate, "surrogate"},
		{`{"a":"\ude00\ud83d"}`, record.FlawSurrogate, "surrogate"},
		{`{"a":"\ud83d\ud83d\ude00"}`, record.FlawSurrogate, "surrogate"},
		{`{"\ud83d":1}`, record.FlawSurrogate, "surrogate"},
		{`{"a":["\u0000"]}`, record.FlawNUL, "nul"},
		{`{"\u0000":1}`, record.FlawNUL, "nul"},
		{`{"a":1e400}`, record.FlawNumber, "number"},
		{`{"a":-1` + strings.Repeat("0", 309) + `}`, record.FlawNumber, "number"},
		{`{"a":1` + strings.Repeat("0", 308) + `,"b":1e-400,"c":0.` + strings.Repeat("3", 400) + `}`, 0, ""},
		{`{"a":1,"a":1}`, record.FlawDuplicateKey, "duplicate_key"},
		{`{"a":1,"\u0061":1}`, record.FlawDuplicateKey, "duplicate_key"},
		{`{"a":[{"b":{"c":1,"d":2,"c":3}}]}`, record.FlawDuplicateKey, "duplicate_key"},
		{`{"a":{"a":{"a":1},"b":{"a":1}},"b":[{"a":1},{"a":2}]}`, 0, ""},
		{`{"":1,"":2}`, record.FlawDuplicateKey, "duplicate_key"},
		{`{"a":1,"A":2}`, 0, ""},
		{`{"` + long + `1":1,"` + long + `2":1}`, 0, ""},
		{`{"` + long + `":1,"` + long + `":1}`, record.FlawDuplicateKey, "duplicate_key"},
		{`{"a":1,"a":"\u0000"}`, record.FlawDuplicateKey | record.FlawNUL, "nul"},
	} {
		s := record.NewScanner(record.Options{})
		for _, window := range []int{1, 5, 64 << 10} {
			s.SetWindow(window)
			for range 3 { // unknown keys, and then known ones
				rec, err := s.Line([]byte(c.line))
				if err != nil || rec.Flaws != c.want || rec.Flaws.String() != c.name {
					t.Errorf("%.80s, window %d: %d %q, %v", c.line, window, rec.Flaws, rec.Flaws, err)
				}
			}
		}
	}
}

// Records with so many keys that not all can have a number are judged right, and
// so are the others after them.
func TestManyKeys(t *testing.T) {
	s := record.NewScanner(record.Options{})
	for round := range 20 {
		var b bytes.Buffer
		b.WriteString(`{"attributes":{`)
		for i := range 300 * (1 + round%5) {
			fmt.Fprintf(&b, `"%d-%d":{"name":1,"value":%d},`, round, i, i)
		}
		b.WriteString(`"last":1},"a":{"b":1},"conversation\u0049d":"x"}`)
		good := b.String()
		for line, want := range map[string]record.Flaw{
			good: 0,
			strings.Replace(good, `"last"`, fmt.Sprintf(`"%d-%d"`, round, 7), 1): record.FlawDuplicateKey,
			strings.Replace(good, `{"b":1}`, `{"b":1,"b":2}`, 1):                 record.FlawDuplicateKey,
		} {
			rec, err := s.Line([]byte(line))
			if err != nil || rec.Flaws != want || string(rec.ID) != "x" {
				t.Fatalf("round %d: flaws %q, id %q, %v; want %q", round, rec.Flaws, rec.ID, err, want)
			}
		}
	}
}

// Keys that never come again cost time in proportion, and no memory that stays.
func BenchmarkKeys(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var page bytes.Buffer
			page.WriteString(`{"conversations":[{"a":{`)
			for i := range n {
				fmt.Fprintf(&page, `"key %d":%d,`, i*7919%n, i)
			}
			page.WriteString(`"z":0}}]}`)
			s := record.NewScanner(record.Options{})
			b.SetBytes(int64(page.Len()))
			for b.Loop() {
				if err := s.Scan(&record.Page{Body: page.Bytes()}, func(record.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
