package genesys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// simulate makes a simulator and a client of it.
func simulate(t *testing.T, o genesystest.Options, change ...func(*Config)) (*genesystest.Server, *Client) {
	t.Helper()
	o.Size = genesystest.SizeSmall
	s := genesystest.New(o)
	cfg := Config{
		APIURL: "https://api.example.com", LoginURL: "https://login.example.com",
		ClientID: "demo", ClientSecret: NewSecret("demo"), Transport: s.Transport(),
	}
	for _, ch := range change {
		ch(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// holdings are records by id, as an exporter would keep them.
type holdings struct {
	mu       sync.Mutex
	records  map[string]string
	repeated int
}

// read reads one chunk: it keeps what the chunk owns, once, of whole pages.
func (h *holdings) read(ctx context.Context, src source, iv interval.Interval) error {
	scanner := record.NewScanner(record.Options{})
	for p, err := range src.Pages(ctx, iv) {
		if err != nil {
			return err
		}
		mine := map[string]string{}
		if scanner.Scan(p, func(r record.Record) error {
			if iv.Contains(r.Start) {
				mine[string(r.ID)] = string(r.JSON)
			}
			return nil
		}) != nil {
			continue
		}
		h.mu.Lock()
		for id, json := range mine {
			if _, again := h.records[id]; again {
				h.repeated++
			}
			h.records[id] = json
		}
		h.mu.Unlock()
	}
	return nil
}

// compare compares what was read with the truth.
func (h *holdings) compare(t *testing.T, s *genesystest.Server, iv interval.Interval, attributes bool) {
	t.Helper()
	missing, altered, n := 0, 0, 0
	for c := range s.Truth(iv.Start, iv.End, attributes) {
		n++
		switch json, ok := h.records[c.ID]; {
		case !ok:
			missing++
		case json != string(c.JSON):
			altered++
		}
	}
	if missing+altered > 0 || n != len(h.records) {
		t.Errorf("of %d records %d are missing, %d altered; %d were read", n, missing, altered, len(h.records))
	}
}

// export reads an interval in chunks with some workers.
func export(ctx context.Context, src source, iv interval.Interval, chunk time.Duration, workers int) (*holdings, error) {
	h := &holdings{records: map[string]string{}}
	chunks := make(chan interval.Interval, 1000)
	for c := range iv.Split(chunk) {
		chunks <- c
	}
	close(chunks)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for c := range chunks {
				errs[w] = errors.Join(errs[w], h.read(ctx, src, c))
			}
		})
	}
	wg.Wait()
	return h, errors.Join(errs...)
}

// december is days of 1999-12: the clock of a bubble starts with 2000.
func december(first, last int) interval.Interval {
	return interval.Interval{
		Start: time.Date(1999, 12, first, 0, 0, 0, 0, time.UTC),
		End:   time.Date(1999, 12, last+1, 0, 0, 0, 0, time.UTC),
	}
}

func TestSimulator(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options genesystest.Options
		chunk   time.Duration
		workers int
	}{
		{"plain", genesystest.Options{}, 24 * time.Hour, 1},
		{"hours", genesystest.Options{}, time.Hour, 8},
		{"odd chunks", genesystest.Options{}, 37 * time.Hour, 3},
		{"one chunk", genesystest.Options{}, 31 * 24 * time.Hour, 64},
		{"pretty", genesystest.Options{Pretty: true}, 24 * time.Hour, 2},
		{"gzip", genesystest.Options{Gzip: true}, 24 * time.Hour, 2},
		{"gzip in chunks", genesystest.Options{Gzip: true, Chunked: true, Pretty: true}, 24 * time.Hour, 2},
		{"other fields", genesystest.Options{ExtraFields: true}, 24 * time.Hour, 2},
		{"empty days", genesystest.Options{PerDay: 1, OmitEmpty: true}, 6 * time.Hour, 4},
		{"accepted status", genesystest.Options{RunningStatus: 202, JobTime: time.Minute}, 24 * time.Hour, 4},
		{"cursors work once", genesystest.Options{CursorOnce: true}, 24 * time.Hour, 2},
		{"short-lived tokens", genesystest.Options{TokenLife: 10 * time.Second, Latency: time.Second}, 24 * time.Hour, 2},
		{"short pages", genesystest.Options{ShortPages: true, FuzzyHits: true, Drift: 5}, 24 * time.Hour, 2},
		{"no headers", genesystest.Options{NoRateHeaders: true}, 24 * time.Hour, 2},
		{"two jobs at once", genesystest.Options{MaxJobs: 2, JobTime: 5 * time.Second, JobTimeMax: 20 * time.Second}, 24 * time.Hour, 8},
		{"fewer jobs than we think", genesystest.Options{MaxJobs: 1, JobTime: 5 * time.Second}, 24 * time.Hour, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tc.options.PerDay = or(tc.options.PerDay, 400)
				iv := december(3, 8)
				s, c := simulate(t, tc.options)
				for name, src := range map[string]source{"job": c.Jobs(JobOptions{PageSize: 150}), "query": c.Queries(QueryOptions{Depth: 500})} {
					h, err := export(t.Context(), src, iv, tc.chunk, tc.workers)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					h.compare(t, s, iv, name == "job")
				}
				if err := s.CheckAllowance(); err != nil {
					t.Error(err)
				}
				for kind, byStatus := range s.Tally() {
					if n := byStatus[429]; n > 0 && tc.options.MaxJobs == 0 {
						t.Errorf("%d %ss were answered 429", n, kind)
					}
				}
			})
		})
	}
}

func or(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

// Each fault befalls a job or a query over and over, and no record is lost.
func TestSimulatorFaults(t *testing.T) {
	for _, f := range []genesystest.Fault{
		{Kind: genesystest.Token, Action: genesystest.Status{Code: 500}},
		{Kind: genesystest.Token, Action: genesystest.Status{Code: 429, RetryAfter: "5"}},
		{Kind: genesystest.Token, Action: genesystest.Hang{}},
		{Action: genesystest.Status{Code: 408}},
		{Action: genesystest.Status{Code: 429}},
		{Action: genesystest.Status{Code: 429, RetryAfter: "3"}},
		{Action: genesystest.Status{Code: 429, RetryAfter: "1e9"}},
		{Action: genesystest.Status{Code: 429, RetryAfter: "-1"}},
		{Action: genesystest.Status{Code: 500}},
		{Action: genesystest.Status{Code: 503, RetryAfter: "Mon, 03 Jan 2000 00:00:00 GMT"}},
		{Action: genesystest.Status{Code: 504}},
		{Action: genesystest.HTML502{}},
		{Action: genesystest.Reset{}},
		{Action: genesystest.Reset{Late: true}},
		{Action: genesystest.Hang{}},
		{Action: genesystest.Hang{Body: true, At: 0.5}},
		{Action: genesystest.Delay{For: 30 * time.Second}},
		{After: 4, Times: 1, Action: genesystest.RevokeToken{}},
		{Kind: genesystest.Page, Action: genesystest.ErrorBody{}},
		{Kind: genesystest.Page, Action: genesystest.Cut{}},
		{Kind: genesystest.Page, Action: genesystest.Cut{Chunked: true}},
		{Kind: genesystest.Page, Action: genesystest.Cut{Hard: true, At: 0.9}},
		{Kind: genesystest.Page, Action: genesystest.Shorten{}},
		{Kind: genesystest.Page, Action: genesystest.Shorten{At: 0.99}},
		{Kind: genesystest.Page, Action: genesystest.Garble{}},
		{Kind: genesystest.Page, Action: genesystest.BadGzip{}},
		{Kind: genesystest.Page, Action: genesystest.BadGzip{Cut: true}},
		{Kind: genesystest.Page, Action: genesystest.EmptyPage{}},
		{Kind: genesystest.Page, Action: genesystest.Duplicate{Records: 3}},
		{Kind: genesystest.Page, Action: genesystest.Slow{BytesPerSecond: 2000}},
		{Kind: genesystest.Page, Page: 2, Times: 1, Action: genesystest.ExpiredCursor{}},
		{Kind: genesystest.Page, Page: 2, Times: 1, Action: genesystest.JobState{State: "EXPIRED"}},
		{Kind: genesystest.Query, Action: genesystest.ErrorBody{}},
		{Kind: genesystest.Query, Action: genesystest.Cut{}},
		{Kind: genesystest.Query, Action: genesystest.Shorten{}},
		{Kind: genesystest.Query, Action: genesystest.Garble{}},
	} {
		t.Run(f.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				if f.Times == 0 { // every third request, for a while
					f.Times, f.Every = 6, 3
				}
				iv := december(3, 5)
				s, c := simulate(t, genesystest.Options{PerDay: 400, Gzip: true, Faults: []genesystest.Fault{f}})
				for name, src := range map[string]source{"job": c.Jobs(JobOptions{PageSize: 150}), "query": c.Queries(QueryOptions{})} {
					h, err := export(t.Context(), src, iv, 24*time.Hour, 1) // so that no request is hit twice in a row
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					h.compare(t, s, iv, name == "job")
				}
			})
		})
	}
}

// What cannot be had fails its chunk, in a time that is bounded.
func TestSimulatorFaultsForEver(t *testing.T) {
	for _, f := range []genesystest.Fault{
		{Kind: genesystest.Page, Action: genesystest.Garble{}},
		{Kind: genesystest.Page, Action: genesystest.Cut{}},
		{Kind: genesystest.Page, Action: genesystest.Hang{}},
		{Kind: genesystest.Page, Action: genesystest.RepeatCursor{}},
		{Kind: genesystest.Page, Action: genesystest.EmptyPage{}},
		{Kind: genesystest.Page, Action: genesystest.ErrorBody{}},
		{Kind: genesystest.Page, Page: 2, Action: genesystest.ExpiredCursor{}},
		{Kind: genesystest.Page, Action: genesystest.Slow{BytesPerSecond: 1}},
		{Kind: genesystest.Submit, Action: genesystest.JobState{State: "FAILED"}},
		{Kind: genesystest.Submit, Action: genesystest.JobState{State: "CANCELLED"}},
		{Kind: genesystest.Submit, Action: genesystest.JobEndless{}},
		{Kind: genesystest.Submit, Action: genesystest.Reset{Late: true}},
		{Action: genesystest.Status{Code: 503}},
		{Action: genesystest.Status{Code: 429, RetryAfter: "7"}},
		{Action: genesystest.Hang{}},
	} {
		t.Run(f.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f.Times = -1
				_, c := simulate(t, genesystest.Options{PerDay: 400, Faults: []genesystest.Fault{f}})
				start := time.Now()
				_, err := export(t.Context(), c.Jobs(JobOptions{PageSize: 50}), december(3, 3), 24*time.Hour, 1)
				if err == nil {
					t.Error("no error")
				}
				if took := time.Since(start); took > 3*time.Hour {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// Jobs that nobody reads are deleted, whatever the reason.
func TestSimulatorLeavesNoJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, c := simulate(t, genesystest.Options{PerDay: 400, JobTime: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := export(ctx, c.Jobs(JobOptions{Concurrent: 4}), december(3, 12), 24*time.Hour, 8); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		submitted, deleted := s.Tally()[genesystest.Submit][202], s.Tally()[genesystest.Delete][204]
		if submitted != 4 || deleted != 4 {
			t.Errorf("%d submitted, %d deleted", submitted, deleted)
		}
	})
}

// The allowance is used, and never exceeded.
func TestSimulatorAllowance(t *testing.T) {
	for _, workers := range []int{1, 8, 64} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				iv := december(3, 5)
				s, c := simulate(t, genesystest.Options{PerDay: 2000, Latency: 100 * time.Millisecond, LatencyMax: 300 * time.Millisecond})
				start := time.Now()
				h, err := export(t.Context(), c.Jobs(JobOptions{PageSize: 4, Concurrent: 16}), iv, time.Hour, workers)
				if err != nil {
					t.Fatal(err)
				}
				h.compare(t, s, iv, true)
				if err := s.CheckAllowance(); err != nil {
					t.Error(err)
				}
				n, took := len(s.Requests()), time.Since(start)
				if perMinute := float64(n) / took.Minutes(); perMinute < 290 && workers > 1 {
					t.Errorf("%d requests in %v are %.0f a minute", n, took, perMinute)
				}
				for kind, byStatus := range s.Tally() {
					if byStatus[429] > 0 {
						t.Errorf("%d %ss were answered 429", byStatus[429], kind)
					}
				}
			})
		})
	}
}

// Other programs use the same token: we yield, and both go on.
func TestSimulatorNeighbours(t *testing.T) {
	bubble(t, func(t *testing.T) {
		iv := december(3, 5)
		s, c := simulate(t, genesystest.Options{PerDay: 2000, Neighbours: 100})
		h, err := export(t.Context(), c.Jobs(JobOptions{PageSize: 4, Concurrent: 16}), iv, time.Hour, 8)
		if err != nil {
			t.Fatal(err)
		}
		h.compare(t, s, iv, true)
		refused := 0
		for _, byStatus := range s.Tally() {
			refused += byStatus[429]
		}
		if n := len(s.Requests()); refused*100 > n {
			t.Errorf("%d of %d requests were answered 429", refused, n)
		}
	})
}

func TestSimulatorRefuses(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options genesystest.Options
		status  int
	}{
		{"secret", genesystest.Options{ClientSecret: "another"}, 400},
		{"secret, 401", genesystest.Options{ClientSecret: "another", BadClientStatus: 401}, 401},
		{"permission", genesystest.Options{Permissions: []string{}}, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, c := simulate(t, tc.options)
				for _, src := range []source{c.Jobs(JobOptions{}), c.Queries(QueryOptions{})} {
					_, err := export(t.Context(), src, december(3, 3), 24*time.Hour, 1)
					e := wantErr[*Error](t, err)
					if !e.Fatal() || e.Status != tc.status {
						t.Errorf("%v", err)
					}
				}
				if n := len(s.Requests()); n > 3 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

func TestSimulatorLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c := simulate(t, genesystest.Options{})
		names, err := c.Namespaces(t.Context())
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		limits, err := c.Limits(t.Context(), "platform.api")
		if err != nil || len(limits) == 0 {
			t.Error(limits, err)
		}
	})
}
