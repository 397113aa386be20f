package rate

import (
	"slices"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// A score is what the log of a scenario says.
type score struct {
	requests  int     // of the exporters
	used      float64 // of the allowance in steady state, by the exporters
	throttled int     // 429s to the exporters
	densest   int     // most requests in any 60 seconds, of everybody with the same OAuth client
	pages     int
	polls     int
	jobs      int
	others    float64 // requests a minute of the neighbour
}

// rampUp is how long an export may take to have pages from several jobs, tail
// how long it may take to end the last chunks; neither is steady.
const (
	rampUp = 3 * time.Minute
	tail   = 2 * time.Minute
)

// judge reads the log.
func (r *result) judge() score {
	log := r.server.Requests()
	var s score
	steady := 0
	from, to := r.began.Add(rampUp), r.began.Add(r.took)
	for _, p := range r.summaries { // from the first end on, not all have work
		to = earliest(to, p.Finished.Add(-tail))
	}
	for _, q := range log {
		if q.Path == usersPath {
			continue
		}
		s.requests++
		if q.Status == 429 {
			s.throttled++
		}
		if q.Status != 429 && !q.Time.Before(from) && q.Time.Before(to) {
			steady++
		}
		switch {
		case q.Kind == genesystest.Page || q.Kind == genesystest.Query:
			s.pages++
		case q.Kind == genesystest.Poll:
			s.polls++
		case q.Kind == genesystest.Submit && q.Status == 202:
			s.jobs++
		}
	}
	if minutes := to.Sub(from).Minutes(); minutes > 0 {
		s.used = float64(steady) / minutes / float64(300*r.clients)
	}
	for n := range r.clients {
		s.densest = max(s.densest, densest(slices.DeleteFunc(slices.Clone(log), func(q genesystest.Request) bool {
			return q.Client != clientName(n)
		})))
	}
	s.others = float64(r.theirs) / r.took.Minutes()
	return s
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// densest is the most requests in any 60 seconds, granted or not. It does
// not use the simulator's own count, so that one can be checked by the other.
func densest(log []genesystest.Request) int {
	times := make([]time.Time, 0, len(log))
	for _, q := range log {
		times = append(times, q.Time)
	}
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// row logs the scenario as a row of the table that make bench-rate prints; the
// Makefile has its head.
func (r *result) row(t *testing.T, s score) {
	t.Helper()
	t.Logf("| %-36s | %7s | %8d | %5.1f %% | %7d | %6.2f %% | %11d | %8.2f | %6.1f |", r.name, r.took.Round(time.Second),
		s.requests, 100*s.used, s.throttled, 100*share(s.throttled, s.requests), s.densest, share(s.requests-s.pages, s.jobs), s.others)
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// orphans are the jobs that are open and were not read to their end.
func (r *result) orphans() (left []string) {
	read := map[string]int{}
	for _, q := range r.server.Requests() {
		if q.Kind == genesystest.Page && q.Status == 200 {
			read[q.Job] += q.Records
		}
	}
	for _, id := range r.server.OpenJobs() {
		if read[id] < r.options.PerDay {
			left = append(left, id)
		}
	}
	return left
}

// whole wants the export to be complete: as many conversations as there are, in
// as many chunks as planned.
func (r *result) whole(t *testing.T) {
	t.Helper()
	records, chunks := int64(0), 0
	for i, s := range r.summaries {
		if r.errs[i] != nil || !s.Complete() {
			t.Fatalf("process %d: %v, failed %v, postponed %d", i, r.errs[i], s.Failed, len(s.Postponed))
		}
		records, chunks = records+s.Records, chunks+s.Chunks.Exported
	}
	if want := int64(r.days * r.options.PerDay); records != want || chunks != r.days {
		t.Errorf("%d conversations in %d chunks, want %d in %d", records, chunks, want, r.days)
	}
}
