package genesystest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// TestConcurrentReaders: many workers read at once what one reads alone.
func TestConcurrentReaders(t *testing.T) {
	s := New(fixed(Options{RequestsPerMinute: -1, JobTime: time.Millisecond, Gzip: true, PageCache: 1 << 20, Faults: []Fault{
		{Kind: Page, Every: 7, Action: Delay{For: time.Millisecond}},
	}}))
	want := collect(s, day(2), day(6), true)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a := dial(t, s)
			for range 3 {
				job := a.submit(jobText(day(2), day(6)))
				if got := owned(t, a.readJob(job, 60), day(2), day(6)); !slices.Equal(got, want) {
					t.Errorf("%d records, want %d", len(got), len(want))
				}
				a.do("DELETE", jobsPath+"/"+job, "")
				s.Requests()
			}
		})
	}
	wg.Wait()
	if open := s.OpenJobs(); len(open) > 0 {
		t.Errorf("open jobs %q", open)
	}
}

// TestTimes compares the two shortcuts with package time.
func TestTimes(t *testing.T) {
	r := rng{7}
	for range 20_000 {
		ms := r.between(-5e11, 4e12) // 1954 to 2096
		want := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(appendTime(nil, ms)); got != want {
			t.Fatalf("%d is written %s, want %s", ms, got, want)
		}
	}
}

// TestSeek compares finding by time with finding one by one.
func TestSeek(t *testing.T) {
	for _, perDay := range []int{1, 2, 3, 50, 3000} {
		w := newWorld(fixed(Options{PerDay: perDay}).withDefaults(moment))
		from, to := day(1).UnixMilli(), day(4).UnixMilli()
		var starts []int64
		for ix := range w.cal.all(w.cal.between(from, to)) {
			starts = append(starts, w.cal.start(ix))
		}
		if !slices.IsSorted(starts) || len(starts) < perDay {
			t.Fatalf("%d a day: %d starts, or not in order", perDay, len(starts))
		}
		r := rng{9}
		for range 500 {
			a := r.between(from, to)
			if r.oneIn(2) {
				a = pick(&r, starts) + r.between(-1, 1)
			}
			b := r.between(a, to)
			n := 0
			for _, s := range starts {
				if s >= a && s < b {
					n++
				}
			}
			a = max(a, from)
			if got := w.cal.len(w.cal.between(a, b)); got != int64(n) {
				t.Fatalf("%d a day: %d between %d and %d, want %d", perDay, got, a, b, n)
			}
		}
	}
}
