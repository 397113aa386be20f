package interval_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestParseTime(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"date is midnight UTC", "2024-03-01", "2024-03-01T00:00:00Z"},
		{"leap day", "2024-02-29", "2024-02-29T00:00:00Z"},
		{"UTC", "2024-03-01T06:00:00Z", "2024-03-01T06:00:00Z"},
		{"offset becomes UTC", "2024-03-01T06:00:00+02:00", "2024-03-01T04:00:00Z"},
		{"fraction", "2024-03-01T06:00:00.25Z", "2024-03-01T06:00:00.25Z"},
		{"no such day", "2023-02-29", ""},
		{"no zone", "2024-03-01T06:00:00", ""},
		{"no zone, blank", "2024-03-01 06:00", ""},
		{"no such hour", "2024-03-01T25:00:00Z", ""},
		{"words", "yesterday", ""},
		{"empty", "", ""},
		{"American", "03/01/2024", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := interval.ParseTime(row.in)
			if row.want == "" {
				if err == nil {
					t.Fatalf("ParseTime(%q) = %v, want an error", row.in, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(instant(t, row.want)) || got.Location() != time.UTC {
				t.Errorf("ParseTime(%q) = %v, want %s in UTC", row.in, got, row.want)
			}
		})
	}
}

func TestParseLength(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"24h": 24 * time.Hour, "1h": time.Hour, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute,
		"7d": 7 * interval.Day, "2w": 14 * interval.Day, "1d12h": 36 * time.Hour, "1w1d": 8 * interval.Day, "31d": 31 * interval.Day,
		"": 0, "0": 0, "0h": 0, "-1h": 0, "d": 0, "7": 0, "7x": 0, "-7d": 0, "1d-25h": 0, "999999w": 0, "99999999999d": 0, "5 d": 0, "1d1": 0,
	} {
		got, err := interval.ParseLength(in)
		if (err == nil) != (want > 0) || err == nil && got != want {
			t.Errorf("ParseLength(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestInterval(t *testing.T) {
	start, end := instant(t, "2024-03-01T00:00:00Z"), instant(t, "2024-03-02T00:00:00Z")
	iv, err := interval.New(start, end.In(time.FixedZone("", 3600)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := iv.String(), "2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	for at, want := range map[time.Time]bool{
		start: true, end: false, start.Add(-1): false, end.Add(-1): true,
	} {
		if got := iv.Contains(at); got != want {
			t.Errorf("Contains(%v) = %v, want %v", at, got, want)
		}
	}
	if _, err := interval.New(end, start); err == nil {
		t.Error("New took an end before the start")
	}
	if _, err := interval.New(start, start); err == nil {
		t.Error("New took an empty interval")
	}
	next := interval.Interval{Start: end, End: end.Add(time.Hour)}
	if iv.Overlaps(next) || next.Overlaps(iv) {
		t.Error("neighbours overlap")
	}
}

// A split covers the whole, without gap or overlap, in pieces of the length
// asked for, whatever range and length.
func TestSplit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		start := time.Unix(rnd.Int64N(2e9), rnd.Int64N(1e9)).UTC()
		iv := interval.Interval{Start: start, End: start.Add(1 + time.Duration(rnd.Int64N(int64(90*interval.Day))))}
		length := max(iv.Length()/300, time.Duration(rnd.Int64N(int64(40*interval.Day))))
		checkSplit(t, iv, length)
	}
}

func checkSplit(t *testing.T, iv interval.Interval, length time.Duration) {
	t.Helper()
	at := iv.Start
	for piece := range iv.Split(length) {
		switch {
		case piece.Empty():
			t.Fatalf("split %s by %v: empty piece %s", iv, length, piece)
		case !piece.Start.Equal(at):
			t.Fatalf("split %s by %v: %s does not begin at %s", iv, length, piece, interval.Format(at))
		case piece.Length() > length && length > 0:
			t.Fatalf("split %s by %v: %s is too long", iv, length, piece)
		case piece.Length() < length && !piece.End.Equal(iv.End):
			t.Fatalf("split %s by %v: %s is short, and not the last", iv, length, piece)
		}
		at = piece.End
	}
	if !at.Equal(iv.End) {
		t.Fatalf("split %s by %v ends at %s", iv, length, interval.Format(at))
	}
}

func TestSplitStops(t *testing.T) {
	iv := interval.Interval{Start: time.Unix(0, 0), End: time.Unix(10, 0)}
	n := 0
	for range iv.Split(time.Second) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("took %d pieces, want 3", n)
	}
}

func TestHalves(t *testing.T) {
	start := instant(t, "2024-03-01T00:00:00Z")
	for _, row := range []struct {
		length, unit, first time.Duration
		ok                  bool
	}{
		{2 * time.Hour, time.Second, time.Hour, true},
		{3 * time.Second, time.Second, time.Second, true},
		{time.Second, time.Second, 0, false},
		{0, time.Second, 0, false},
	} {
		iv := interval.Interval{Start: start, End: start.Add(row.length)}
		a, b, ok := iv.Halves(row.unit)
		if ok != row.ok {
			t.Fatalf("Halves of %v: ok = %v", row.length, ok)
		}
		if ok && (a.Length() != row.first || a.Start != iv.Start || a.End != b.Start || b.End != iv.End) {
			t.Errorf("Halves of %v = %s, %s", row.length, a, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"2024-03-01/2024-03-02", "2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z",
		"2024-03-01T06:00:00+02:00/2024-03-02", "/", "2024-03-01", "9999-12-31/0001-01-01", "2024-03-01T00:00:00.0000001Z/2025-01-01",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		iv, err := interval.Parse(s)
		if err != nil {
			return
		}
		if iv.Empty() {
			t.Fatalf("Parse(%q) is empty", s)
		}
		if iv.Start.Nanosecond()%1e6 != 0 || iv.End.Nanosecond()%1e6 != 0 {
			return // finer than the layout
		}
		again, err := interval.Parse(iv.String())
		if err != nil || again != iv {
			t.Fatalf("Parse(%q) = %v, %v; want %v", iv.String(), again, err, iv)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add(int64(0), int64(interval.Day), int64(time.Hour))
	f.Add(int64(1709251200), int64(31*interval.Day), int64(7*interval.Day))
	f.Fuzz(func(t *testing.T, start, length, step int64) {
		if length <= 0 || length > int64(400*interval.Day) || step <= 0 || length/step > 10_000 || start < 0 || start > 1<<33 {
			t.Skip()
		}
		from := time.Unix(start, 0).UTC()
		checkSplit(t, interval.Interval{Start: from, End: from.Add(time.Duration(length))}, time.Duration(step))
	})
}

func ExampleInterval_Split() {
	start, _ := interval.ParseTime("2024-03-01")
	end, _ := interval.ParseTime("2024-03-02T12:00:00Z")
	iv, _ := interval.New(start, end)
	for piece := range iv.Split(interval.Day) {
		fmt.Println(piece)
	}
	// Output:
	// 2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z
	// 2024-03-02T00:00:00.000Z/2024-03-02T12:00:00.000Z
}
