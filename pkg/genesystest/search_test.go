package genesystest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// lifetimes reads start and end out of records; the end of an open one is far.
func lifetimes(t *testing.T, records []string) [][2]time.Time {
	var out [][2]time.Time
	for _, r := range records {
		end := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		if _, rest, found := strings.Cut(r, `"conversationEnd":"`); found {
			end, _ = time.Parse(time.RFC3339, rest[:24])
		}
		out = append(out, [2]time.Time{startOf(t, r), end})
	}
	return out
}

// TestOverlap compares what jobs find with a look at every conversation there is.
func TestOverlap(t *testing.T) {
	bubble(t, Options{PerDay: 400}, func(t *testing.T, s *Server, a *api) {
		all := collect(s, moment.AddDate(-1, 0, 0), moment, true)
		times := lifetimes(t, all)
		for _, c := range []struct {
			name       string
			from, to   time.Time
			startOfDay bool
		}{
			{"day", day(10), day(11), false},
			{"hour", day(10).Add(9 * time.Hour), day(10).Add(10 * time.Hour), false},
			{"minute", day(10).Add(9 * time.Hour), day(10).Add(9*time.Hour + time.Minute), false},
			{"month", moment.AddDate(0, -2, 0), moment.AddDate(0, -1, 0), false},
			{"the end", moment.Add(-time.Hour), moment, false},
			{"start of day", day(10).Add(6 * time.Hour), day(10).Add(12 * time.Hour), true},
			{"start of day over days", day(10).Add(6 * time.Hour), day(12).Add(time.Hour), true},
		} {
			var want []string
			before := 0
			for i, r := range all {
				at := times[i]
				if !at[0].Before(c.to) || at[0].Before(c.from) && !at[1].After(c.from) {
					continue
				}
				if c.startOfDay && at[0].Before(c.from.Truncate(24*time.Hour)) {
					continue
				}
				if at[0].Before(c.from) {
					before++
				}
				want = append(want, r)
			}
			text := jobText(c.from, c.to)
			if c.startOfDay {
				text = strings.TrimSuffix(text, "}") + `,"startOfDayIntervalMatching":true}`
			}
			if got := a.readJob(a.submit(text), 500); !slices.Equal(got, want) {
				t.Errorf("%s: %d records, want %d", c.name, len(got), len(want))
			}
			if before == 0 {
				t.Errorf("%s is idle: nothing started before the interval", c.name)
			}
		}
	})
}

// TestWatermark: the tail past it is missing, and nothing but the date says so.
func TestWatermark(t *testing.T) {
	mark := day(10).Add(12 * time.Hour)
	bubble(t, Options{Watermark: mark}, func(t *testing.T, s *Server, a *api) {
		job := a.submit(jobText(day(10), day(12)))
		got := owned(t, a.readJob(job, 1000), day(10), day(12))
		if want := collect(s, day(10), mark, true); !slices.Equal(got, want) {
			t.Errorf("%d records, want %d", len(got), len(want))
		}
		if d := a.results(job, "", 10).page(t).DataAvailable; d != "2026-03-10T12:00:00Z" {
			t.Errorf("dataAvailabilityDate %s", d)
		}
		late := a.readJob(a.submit(jobText(day(11), day(12))), 1000)
		if n := len(owned(t, late, day(11), day(12))); n != 0 {
			t.Errorf("%d records past the watermark", n)
		}
		if n := len(owned(t, a.readQuery(day(11), day(12), 100), day(11), day(12))); int64(n) != s.Count(day(11), day(12)) {
			t.Errorf("the query found %d, want all", n)
		}
	})
}

func TestWatermarkMoves(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, _ *Server, _ *api) {
		s := New(Options{WatermarkLag: 3 * time.Hour})
		a := dial(t, s)
		read := func() string { return string(a.do("GET", jobsPath+"/availability", "").body) }
		first := read()
		time.Sleep(time.Hour)
		if second := read(); first != `{"dataAvailabilityDate":"1999-12-31T21:00:00Z"}` || second != `{"dataAvailabilityDate":"1999-12-31T22:00:00Z"}` {
			t.Errorf("%s, an hour later %s", first, second)
		}
	})
}

// TestQueryMatching: a query finds all that started on a day it touches.
func TestQueryMatching(t *testing.T) {
	from, to := day(10).Add(23*time.Hour), day(11).Add(time.Hour)
	bubble(t, Options{}, func(t *testing.T, s *Server, a *api) {
		if got, want := a.readQuery(from, to, 100), collect(s, day(10), day(12), false); !slices.Equal(got, want) {
			t.Errorf("%d records, want the %d of both days", len(got), len(want))
		}
		if got, want := a.readQuery(day(10), day(11), 100), collect(s, day(10), day(11), false); !slices.Equal(got, want) {
			t.Errorf("%d records, want the %d of the day", len(got), len(want))
		}
	})
	bubble(t, Options{StartedInside: true}, func(t *testing.T, s *Server, a *api) {
		if got, want := a.readQuery(from, to, 100), collect(s, from, to, false); !slices.Equal(got, want) {
			t.Errorf("%d records, want %d", len(got), len(want))
		}
	})
}

func TestQueryOddities(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Server, a *api) {
		past := a.do("POST", queryPath, queryText(day(2), day(3), 100, 99))
		if strings.Contains(string(past.body), "conversations") || *past.page(t).TotalHits != s.Count(day(2), day(3)) {
			t.Errorf("past the end: %s", past.body)
		}
		if r := a.do("POST", queryPath, queryText(day(2), day(3), 100, 1)); strings.Contains(string(r.body), "attributes") {
			t.Error("the query returns attributes")
		}
		want := collect(s, day(2), day(3), false)
		text := strings.TrimSuffix(queryText(day(2), day(3), 10, 1), "}") + `,"order":"desc"}`
		p := a.do("POST", queryPath, text).page(t)
		if got := compact(t, p.Conversations[0]); got != want[len(want)-1] {
			t.Errorf("descending begins with %s", got)
		}
		text = strings.TrimSuffix(queryText(day(2), day(3), 100, 1), "}") + `,"orderBy":"conversationEnd"}`
		last := time.Time{}
		for _, m := range a.do("POST", queryPath, text).page(t).Conversations {
			end := lifetimes(t, []string{string(m)})[0][1]
			if end.Before(last) {
				t.Fatal("not ordered by end")
			}
			last = end
		}
		text = strings.TrimSuffix(queryText(day(2), day(3), 100, 1), "}") +
			`,"segmentFilters":[{"type":"or","predicates":[{"dimension":"mediaType","value":"email"},{"dimension":"mediaType","value":"chat"}]}]}`
		p = a.do("POST", queryPath, text).page(t)
		for _, m := range p.Conversations {
			if !strings.Contains(string(m), `"mediaType":"email"`) && !strings.Contains(string(m), `"mediaType":"chat"`) {
				t.Errorf("filtered: %s", m)
			}
		}
		if n := len(p.Conversations); n == 0 || n == len(want) || int64(n) != *p.TotalHits {
			t.Errorf("filtered: %d records, %d hits", n, *p.TotalHits)
		}
	})
	bubble(t, Options{Drift: 3, FuzzyHits: true, DeepPaging: 100}, func(t *testing.T, s *Server, a *api) {
		one, two := a.do("POST", queryPath, queryText(day(2), day(3), 25, 1)).page(t), a.do("POST", queryPath, queryText(day(2), day(3), 25, 2)).page(t)
		if !slices.EqualFunc(one.Conversations[22:], two.Conversations[:3], func(x, y json.RawMessage) bool { return string(x) == string(y) }) {
			t.Error("the second page does not begin with the end of the first")
		}
		if r := a.do("POST", queryPath, queryText(day(2), day(3), 25, 5)); r.status != 502 || r.header.Get("Content-Type") != "text/html" {
			t.Errorf("deep page: status %d", r.status)
		}
	})
	bubble(t, Options{ShortPages: true}, func(t *testing.T, s *Server, a *api) {
		if n := len(a.do("POST", queryPath, queryText(day(2), day(3), 100, 1)).page(t).Conversations); n != 95 {
			t.Errorf("page of %d, want 95", n)
		}
	})
}

// TestLive: conversations begin, end and change as the clock goes on.
func TestLive(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, _ *Server, _ *api) {
		began := time.Now()
		s := New(Options{Live: true, From: began.AddDate(0, 0, -30), To: began.AddDate(0, 0, 90), PerDay: 300, Size: SizeNormal, LargeEvery: -1})
		a := dial(t, s)
		if n := len(owned(t, a.readQuery(began, began.AddDate(0, 0, 2), 100), began.Add(time.Second), began.AddDate(0, 0, 2))); n != 0 {
			t.Errorf("%d conversations of the future", n)
		}
		before := collect(s, began.AddDate(0, 0, -3), began, true)
		time.Sleep(70 * 24 * time.Hour)
		after := collect(s, began.AddDate(0, 0, -3), began, true)
		openBefore, openAfter, changed := 0, 0, 0
		for i := range before {
			if before[i] != after[i] {
				changed++
			}
			if !strings.Contains(before[i], "conversationEnd") {
				openBefore++
			}
			if !strings.Contains(after[i], "conversationEnd") {
				openAfter++
			}
		}
		if openBefore == 0 || openAfter != 0 || changed <= openBefore {
			t.Errorf("open %d, then %d; %d changed", openBefore, openAfter, changed)
		}
	})
}

// TestReopened: a conversation that had ended goes on.
func TestReopened(t *testing.T) {
	s := New(fixed(Options{PerDay: 3000}))
	n := 0
	for ix := range s.world.cal.longOnes(s.world.cal.between(day(1).UnixMilli(), moment.UnixMilli())) {
		p := s.world.plan(ix)
		if p.gapFrom == 0 {
			continue
		}
		n++
		g := generator{w: s.world}
		during, later := string(g.append(nil, ix, true, p.gapFrom+1)), string(g.append(nil, ix, true, p.end))
		if e := lifetimes(t, []string{during, later}); e[0][1].UnixMilli() != p.gapFrom || e[1][1].UnixMilli() != p.end {
			t.Errorf("ended %s, then %s", e[0][1], e[1][1])
		}
		if p.overlaps(p.gapFrom+1, p.gapTo-1, p.gapFrom+1) || !p.overlaps(p.gapFrom+1, p.gapTo-1, p.end) {
			t.Error("overlap does not follow")
		}
	}
	if n == 0 {
		t.Error("none is reopened")
	}
}
