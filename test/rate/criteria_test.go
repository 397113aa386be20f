package rate

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// Criteria 1 and 2: in steady state at least 97 % of the allowance is used while
// there is work, fewer than 0.2 % of the requests are answered 429, and no 60
// seconds hold more than the allowance, wherever they begin.
func TestSteadyState(t *testing.T) {
	for _, row := range []struct{ workers, processes, days int }{
		{1, 1, 70}, {8, 1, 70}, {64, 1, 140}, {8, 2, 80}, {8, 4, 80}, {1, 4, 80}, {64, 4, 280},
	} {
		name := fmt.Sprintf("%d workers, %d processes", row.workers, row.processes)
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{name: name, options: organisation(), days: row.days, workers: row.workers, processes: row.processes,
					jobs: genesys.JobOptions{PageSize: 5}}
				r := s.play(t)
				r.whole(t)
				got := r.judge()
				r.row(t, got)
				if got.used < 0.97 {
					t.Errorf("%.1f %% of the allowance are used", 100*got.used)
				}
				if share(got.throttled, got.requests) >= 0.002 {
					t.Errorf("%d of %d requests were answered 429", got.throttled, got.requests)
				}
				if got.densest > 300 {
					t.Errorf("%d requests in 60 seconds", got.densest)
				}
			})
		})
	}
}

// Several OAuth clients make as many times as many requests, and none of them
// more than its allowance in any 60 seconds, also where one has a neighbour.
func TestClients(t *testing.T) {
	for _, row := range []struct {
		name                          string
		clients, processes, neighbour int
		least, most                   float64
	}{
		{"2 clients", 2, 1, 0, 0.97, 1},
		{"3 clients, 2 processes", 3, 2, 0, 0.97, 1},
		{"2 clients, one with a neighbour", 2, 1, 100, 0.77, 0.85},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{name: row.name, options: organisation(), days: 90 * row.clients / 2, workers: 8, clients: row.clients,
					processes: row.processes, neighbour: row.neighbour, jobs: genesys.JobOptions{PageSize: 5, Concurrent: 4}}
				r := s.play(t)
				r.whole(t)
				got := r.judge()
				r.row(t, got)
				if got.used < row.least || got.used > row.most {
					t.Errorf("%.1f %% of the allowances are used", 100*got.used)
				}
				if row.neighbour == 0 && (got.densest > 300 || share(got.throttled, got.requests) >= 0.002) {
					t.Errorf("%d requests of one client in 60 seconds, %d of %d were answered 429", got.densest, got.throttled, got.requests)
				}
			})
		})
	}
}

// Criterion 3: a million conversations by jobs cost at most 1.05 requests for
// each page of them, and 4 for each job: here 8000 at pages of 10, and at pages
// so large that a job has only two, where jobs and not requests are what limits.
func TestRequestsPerJob(t *testing.T) {
	for _, row := range []struct {
		name     string
		page     int
		mostJobs int
	}{{"requests for a million, small pages", 10, 0}, {"requests for a million, large pages", 200, 0}, {"requests for a million, 10 jobs", 200, 10}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{name: row.name, options: organisation(), days: 60, workers: 8,
					jobs: genesys.JobOptions{PageSize: row.page, Concurrent: row.mostJobs}}
				r := s.play(t)
				r.whole(t)
				got := r.judge()
				r.row(t, got)
				if most := 1.05*float64(s.days*s.options.PerDay/row.page) + 4*float64(got.jobs); float64(got.requests) > most {
					t.Errorf("%d requests, want %.0f at most", got.requests, most)
				}
				if most := 0.05*300*r.took.Minutes() + float64(got.jobs); float64(got.polls) > most {
					t.Errorf("%d polls, want %.0f at most", got.polls, most)
				}
			})
		})
	}
}

// Criterion 4: others take a third of the allowance in the same window. Neither
// side starves, and fewer than 1 % of the requests are answered 429.
func TestNeighbour(t *testing.T) {
	third := organisation()
	third.Neighbours = 100
	silent := organisation()
	silent.NoRateHeaders = true
	for _, row := range []struct {
		name      string
		options   genesystest.Options
		neighbour int
		processes int
		reserve   float64
		least     float64 // of the allowance that the exporters use
		most      float64
	}{
		{"a third, evenly", third, 0, 1, 0, 0.58, 0.68},
		{"a third, evenly, 2 processes", third, 0, 2, 0, 0.58, 0.68},
		{"a second client", organisation(), 100, 1, 0, 0.58, 0.68},
		{"a second client, 4 processes", organisation(), 100, 4, 0, 0.58, 0.68},
		{"a second client, reserve 40 %", organisation(), 100, 1, 0.4, 0.58, 0.60},
		{"a second client, no headers", silent, 100, 1, 0, 0.50, 0.68},
		{"a second client wants it all", organisation(), 300, 1, 0, 0.12, 0.55},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{name: row.name, options: row.options, days: 40, workers: 8, processes: row.processes,
					jobs: genesys.JobOptions{PageSize: 5}, neighbour: row.neighbour, reserve: row.reserve}
				r := s.play(t)
				r.whole(t)
				got := r.judge()
				r.row(t, got)
				if got.used < row.least || got.used > row.most {
					t.Errorf("the exporters use %.1f %% of the allowance", 100*got.used)
				}
				if row.neighbour == 100 && got.others < 92 {
					t.Errorf("the neighbour gets %.1f of 100 requests a minute", got.others)
				}
				// Where two want more than there is, somebody has to be refused.
				if all := got.requests + r.theirs + r.refused; row.neighbour < 300 && share(got.throttled+r.refused, all) >= 0.01 {
					t.Errorf("%d and %d of %d requests were answered 429", got.throttled, r.refused, all)
				}
			})
		})
	}
}

// Criterion 5: half of all answers are 429 for a minute, whatever they say about
// when to come back. The export ends complete, with few requests in vain.
func TestStorm(t *testing.T) {
	for _, after := range []string{"", "7", "86400"} {
		name := "storm, no Retry-After"
		if after != "" {
			name = "storm, Retry-After: " + after
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{name: name, options: organisation(), days: 40, workers: 8, jobs: genesys.JobOptions{PageSize: 5}}
				s.during = func(server *genesystest.Server) {
					time.Sleep(3 * time.Minute)
					server.AddFault(genesystest.Fault{Probability: 0.5, Times: -1, Action: genesystest.Status{Code: 429, RetryAfter: after}})
					time.Sleep(time.Minute)
					server.ClearFaults()
				}
				r := s.play(t)
				r.whole(t)
				got := r.judge()
				r.row(t, got)
				if got.throttled > 25 {
					t.Errorf("%d requests in vain", got.throttled)
				}
				if got.densest > 300 {
					t.Errorf("%d requests in 60 seconds", got.densest)
				}
				if r.took > 25*time.Minute {
					t.Errorf("took %v", r.took)
				}
			})
		})
	}
}

// Criterion 6: where the API runs two jobs at once, and more are asked for, it
// costs waiting and no failure.
func TestJobLimit(t *testing.T) {
	for _, retryAfter := range []time.Duration{0, 5 * time.Second} {
		name := fmt.Sprintf("2 jobs at most, 8 wanted, %v", retryAfter)
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := organisation()
				o.MaxJobs, o.JobLimitRetryAfter, o.SubmitsPerSecond = 2, retryAfter, 1
				s := scenario{name: name, options: o, days: 60, workers: 8, jobs: genesys.JobOptions{PageSize: 5, Concurrent: 8}}
				r := s.play(t)
				r.whole(t)
				got := r.judge()
				r.row(t, got)
				if got.throttled > 10 {
					t.Errorf("%d requests were answered 429", got.throttled)
				}
				if got.used < 0.97 {
					t.Errorf("%.1f %% of the allowance are used", 100*got.used)
				}
			})
		})
	}
}

// Criterion 7: no way out leaves a job behind that nobody will read.
func TestNoOrphans(t *testing.T) {
	for _, stop := range []time.Duration{500 * time.Millisecond, 5 * time.Second, 17 * time.Second, 5*time.Minute + 300*time.Millisecond} {
		name := fmt.Sprintf("told to end after %v", stop)
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{name: name, options: organisation(), days: 60, workers: 4, processes: 2, stop: stop,
					jobs: genesys.JobOptions{PageSize: 5, Concurrent: 6}}
				r := s.play(t)
				got := r.judge()
				r.row(t, got)
				if r.took > stop+10*time.Second {
					t.Errorf("took %v to end", r.took-stop)
				}
				if orphans := r.orphans(); len(orphans) > 0 {
					t.Errorf("%d of %d jobs are left behind", len(orphans), got.jobs)
				}
			})
		})
	}
}

// Queries need no run-ahead within a chunk: chunks at work fill the allowance.
func TestQueries(t *testing.T) {
	const name = "queries, 8 workers"
	synctest.Test(t, func(t *testing.T) {
		o := organisation()
		o.PerDay = 2000
		s := scenario{name: name, mode: "query", options: o, days: 250, workers: 8}
		r := s.play(t)
		r.whole(t)
		got := r.judge()
		r.row(t, got)
		if got.used < 0.97 || got.throttled > 0 || got.densest > 300 {
			t.Errorf("%+v", got)
		}
	})
}
