package export

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// uuid writes the i-th of as many synthetic ids as one likes.
func uuid(b []byte, i uint64) []byte {
	x, y := mix(i^mixC, mixD), mix(i^mixA, mixB)
	return fmt.Appendf(b[:0], "%08x-%04x-4%03x-%04x-%012x", x>>32, x>>16&0xffff, x&0xfff, 0x8000|y>>48&0x3fff, y&0xffff_ffff_ffff)
}

// synthetic is like keyOf(uuid(i)), faster.
func synthetic(i uint64) (k idKey) {
	binary.BigEndian.PutUint64(k[:8], mix(i^mixC, mixD))
	binary.BigEndian.PutUint64(k[8:], mix(i^mixA, mixB))
	return k
}

// fill adds n different ids and returns how many the filter took for old.
func (f *idFilter) fill(n int) (suspects int) {
	for i := range n {
		if f.add(synthetic(uint64(i)).hash()) {
			suspects++
		}
	}
	return suspects
}

func TestFilterForgetsNothing(t *testing.T) {
	for _, size := range []int64{64, 1 << 10, 1 << 20} {
		f := newIDFilter(20_000, size)
		f.fill(20_000)
		for i := range 20_000 {
			if !f.add(synthetic(uint64(i)).hash()) {
				t.Fatalf("%d bytes: id %d is forgotten", size, i)
			}
		}
	}
}

// TestFilterMeetsItself adds each id from several goroutines at once: one of
// them, and no other, may take it for new.
func TestFilterMeetsItself(t *testing.T) {
	const n = 50_000
	f := newIDFilter(n, 1<<20)
	var fresh [4]int
	var wg sync.WaitGroup
	for g := range fresh {
		wg.Go(func() {
			for i := range uint64(n) {
				if !f.add(synthetic(i).hash()) {
					fresh[g]++
				}
			}
		})
	}
	wg.Wait()
	if sum := fresh[0] + fresh[1] + fresh[2] + fresh[3]; sum > n || sum < n-10 {
		t.Errorf("%d ids of %d were new to somebody", sum, n)
	}
}

// TestFilterSuspicion holds the filter to the rates that docs/operations.md says.
// The rate depends on the room for each id, not on the size.
func TestFilterSuspicion(t *testing.T) {
	const size = 2 << 20
	for _, row := range []struct {
		bits float64 // for each id
		most float64 // suspects, of all ids
	}{
		{9, 0.004}, {10.7, 0.0016}, {18, 0.00015}, {36, 0.00001}, {64, 0.00001},
	} {
		n := int(size * 8 / row.bits)
		f := newIDFilter(int64(n), size)
		suspects := f.fill(n)
		t.Logf("%4.1f bits for each of %d ids, %d set: %d suspects, 1 of %.0f", row.bits, n, 8*f.perWord, suspects, float64(n)/float64(suspects))
		if float64(suspects) > row.most*float64(n) {
			t.Errorf("%.1f bits for each id: %d of %d are suspect", row.bits, suspects, n)
		}
	}
}

// TestFilterMemory looks for duplicates among many ids, and at the memory that
// it takes. GCEXPORT_TEST_IDS sets their number; 100 million take 5 minutes.
func TestFilterMemory(t *testing.T) {
	n, limit := uint64(1_000_000), int64(1_200_000)
	if s := os.Getenv("GCEXPORT_TEST_IDS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
		limit = DefaultFilterBytes
	}
	before := heap()
	d := newDuplicates(newIDFilter(int64(n), limit), 0, 1, maxSuspects)
	buf := make([]byte, 0, 36)
	for i := range n {
		d.note(uuid(buf, i))
	}
	for i := uint64(0); i < n; i += n / 1000 {
		d.note(uuid(buf, i)) // a thousand stand twice
	}
	used := heap() - before
	t.Logf("%d ids: %d suspects, %d bytes", n, len(d.suspects), used)
	if most := limit + 150*int64(len(d.suspects)) + 1<<20; used > most {
		t.Errorf("%d bytes are used, want %d at most", used, most)
	}
	if d.overflow || len(d.suspects) < 1000 || uint64(len(d.suspects)) > 1000+n/250 {
		t.Errorf("%d suspects", len(d.suspects))
	}
	for i := range n {
		d.sight(uuid(buf, i), place{line: int64(i)})
	}
	for i := uint64(0); i < n; i += n / 1000 {
		d.sight(uuid(buf, i), place{part: 1, line: int64(i)})
	}
	twice := 0
	for _, s := range d.sightings {
		if s.count == 2 && s.places[0].part == 0 && s.places[1].part == 1 && s.places[0].line == s.places[1].line {
			twice++
		}
	}
	if twice < 1000 || twice > 1001 {
		t.Errorf("%d ids stand twice", twice)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestSightingOrder(t *testing.T) {
	places := []place{{1, 5}, {0, 9}, {2, 1}, {0, 3}}
	for shift := range places {
		d := newDuplicates(newIDFilter(1, 64), 0, 1, 1)
		d.note([]byte("a"))
		d.note([]byte("a"))
		d.note([]byte("a"))
		for i := range places {
			d.sight([]byte("a"), places[(i+shift)%len(places)])
			d.sight([]byte("b"), places[i])
		}
		if s := d.sightings[0]; s.count != 4 || s.places != [2]place{{0, 3}, {0, 9}} || s.id != "a" {
			t.Errorf("%+v", s)
		}
	}
}

func TestLeadingID(t *testing.T) {
	for line, want := range map[string]string{
		`{"conversationId":"x-1","a":1}`: "x-1",
		`{"conversationId":""}`:          "",
		`{"conversationId":"x\u0031"}`:   "no",
		`{"a":1,"conversationId":"x-1"}`: "no",
		`{"conversationId":7}`:           "no",
		`{"conversationId":"` + "x":      "no",
		strings.Repeat("x", 100):         "no",
	} {
		id, ok := newLineReader(RecordRaw).leadingID([]byte(line))
		if !ok {
			id = []byte("no")
		}
		if string(id) != want {
			t.Errorf("%s: %q, want %q", line, id, want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	ids := []string{"", "a", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-00000000000A", "00000000-0000-4000-8000-00000000000a", strings.Repeat("x", 1<<20)}
	keys := map[idKey]bool{}
	for _, id := range ids {
		keys[keyOf([]byte(id))] = true
	}
	if len(keys) != len(ids) {
		t.Errorf("%d keys for %d ids", len(keys), len(ids))
	}
}

func BenchmarkFilter(b *testing.B) {
	f := newIDFilter(100_000_000, DefaultFilterBytes)
	b.RunParallel(func(pb *testing.PB) {
		var i uint64
		for pb.Next() {
			i++
			f.add(synthetic(i).hash())
		}
	})
}
