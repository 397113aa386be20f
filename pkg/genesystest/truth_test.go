package genesystest

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// startOf reads the start of a record the slow way.
func startOf(t *testing.T, record string) time.Time {
	t.Helper()
	_, rest, _ := strings.Cut(record, `"conversationStart":"`)
	at, err := time.Parse(time.RFC3339, rest[:24])
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// owned keeps the records that started in [from, to).
func owned(t *testing.T, records []string, from, to time.Time) []string {
	var out []string
	for _, r := range records {
		if at := startOf(t, r); !at.Before(from) && at.Before(to) {
			out = append(out, r)
		}
	}
	return out
}

func TestJobsAndQueryGiveTheTruth(t *testing.T) {
	cases := []struct {
		name     string
		opt      Options
		from, to time.Time
		size     int
	}{
		{"a day", Options{}, day(2), day(3), 1000},
		{"small pages", Options{}, day(2), day(4), 7},
		{"a page exactly", Options{Flat: true}, day(2), day(3), 100},
		{"an hour", Options{}, day(2).Add(9 * time.Hour), day(2).Add(10 * time.Hour), 10},
		{"normal size", Options{Size: SizeNormal}, day(2), day(3), 30},
		{"pretty", Options{Pretty: true, Size: SizeNormal}, day(2), day(3), 30},
		{"gzip", Options{Gzip: true}, day(2), day(3), 30},
		{"chunked pretty gzip", Options{Gzip: true, Pretty: true, Chunked: true}, day(2), day(3), 30},
		{"unknown fields", Options{ExtraFields: true}, day(2), day(3), 30},
		{"large records", Options{Size: SizeNormal, LargeEvery: 10, LargeBytes: 90_000, PerDay: 40}, day(2), day(3), 30},
		{"cached", Options{PageCache: 1 << 20, Gzip: true}, day(2), day(3), 30},
		{"short pages", Options{ShortPages: true}, day(2), day(3), 30},
		{"no data", Options{}, moment, moment.Add(24 * time.Hour), 30},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(fixed(c.opt))
				a := dial(t, s)
				for range 2 { // the second time from the cache, where there is one
					job := a.submit(jobText(c.from, c.to))
					got := owned(t, a.readJob(job, c.size), c.from, c.to)
					if want := collect(s, c.from, c.to, true); !slices.Equal(got, want) {
						t.Errorf("job: %d records, want %d, or they differ", len(got), len(want))
					}
				}
				got := owned(t, a.readQuery(c.from, c.to, min(c.size, 100)), c.from, c.to)
				want := collect(s, c.from, c.to, false)
				if !slices.Equal(got, want) {
					t.Errorf("query: %d records, want %d, or they differ", len(got), len(want))
				}
				if n := s.Count(c.from, c.to); n != int64(len(want)) {
					t.Errorf("count %d, want %d", n, len(want))
				}
			})
		})
	}
}
