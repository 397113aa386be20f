package genesys

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// pool makes a simulator that knows OAuth clients of these names, and a pool of
// them; their secrets are their names.
func pool(t *testing.T, o genesystest.Options, names ...string) (*genesystest.Server, *Pool) {
	t.Helper()
	o.Clients = map[string]string{}
	for _, name := range names {
		o.Clients[name] = name
	}
	o.Size, o.PerClient = genesystest.SizeSmall, true
	s := genesystest.New(o)
	var clients []*Client
	for _, name := range names {
		c, err := New(Config{APIURL: "https://api.example.com", LoginURL: "https://login.example.com",
			ClientID: name, ClientSecret: NewSecret(name), Transport: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	return s, NewPool(clients[0], clients[1:]...)
}

// All that concerns a job is asked by the client that has submitted it, also
// where jobs fail; the clients get the same to do, the places for jobs are
// shared, and what they spend is counted together.
func TestPoolKeepsAnIntervalOnOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := pool(t, genesystest.Options{PerDay: 600, MaxJobs: 2, JobTime: 2 * time.Second, JobTimeMax: 9 * time.Second, Faults: []genesystest.Fault{
			{Kind: genesystest.Submit, After: 3, Every: 7, Action: genesystest.JobState{State: "FAILED"}},
			{Kind: genesystest.Page, After: 40, Times: 3, Action: genesystest.Status{Code: 404}},
		}}, "one", "two", "three")
		src, iv := p.Jobs(JobOptions{PageSize: 100, Concurrent: 2}), december(1, 30)
		h, err := export(t.Context(), src, iv, 24*time.Hour, 6)
		if err != nil {
			t.Fatal(err)
		}
		h.compare(t, s, iv, true)
		if n := s.Tally()[genesystest.Submit][429]; n > 0 {
			t.Errorf("%d submissions were one too many", n)
		}
		owner, pages := map[string]string{}, map[string]int{}
		for _, q := range s.Requests() {
			if q.Kind == genesystest.Page {
				pages[q.Client]++
			}
			if q.Job == "" {
				continue
			}
			if owner[q.Job] == "" {
				owner[q.Job] = q.Client
			}
			if q.Client != owner[q.Job] {
				t.Errorf("the %s for a job of %s is of %s", q.Kind, owner[q.Job], q.Client)
			}
		}
		for _, name := range []string{"one", "two", "three"} {
			if pages[name] < 40 || pages[name] > 110 {
				t.Errorf("%v pages, want them shared out", pages)
				break
			}
		}
		if u := p.Usage(); u.Total() != int64(len(s.Requests())) || u.PerMinute != 900 {
			t.Errorf("%d requests of %v a minute are counted, and %d were made", u.Total(), u.PerMinute, len(s.Requests()))
		}
		for _, n := range src.open {
			if n != 0 {
				t.Errorf("%v intervals are in work at the end", src.open)
			}
		}
	})
}

// A client that others slow down gets less to do.
func TestPoolSparesTheBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := pool(t, genesystest.Options{}, "free", "busy")
		p.clients[1].Allow(100)
		src, iv := p.Queries(QueryOptions{}), december(1, 1)
		for range 8 {
			src.take()
		}
		if src.open[0] != 6 || src.open[1] != 2 {
			t.Errorf("%v intervals at allowances of 300 and 100", src.open)
		}
		src.give(1)
		for _, err := range src.Pages(t.Context(), iv) {
			if src.open[1] != 2 || err != nil {
				t.Errorf("%v intervals, and %v", src.open, err)
			}
			break
		}
		if src.open[1] != 1 {
			t.Errorf("%v intervals behind a loop that was left", src.open)
		}
	})
}

// Refused credentials are those of one client, and the error says whose.
func TestPoolNamesWhoIsRefused(t *testing.T) {
	for _, row := range []struct {
		name  string
		names []string
		bad   int
		want  int // number in the error; 0: none
	}{
		{"one of three", []string{"a", "b", "c"}, 1, 2},
		{"the last", []string{"a", "b"}, 1, 2},
		{"the only one", []string{"a"}, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, p := pool(t, genesystest.Options{}, row.names...)
				p.clients[row.bad].cfg.ClientSecret = NewSecret("canary")
				errs := []error{p.Each(func(c *Client) error { return c.Token(t.Context()) })}
				src := p.Jobs(JobOptions{})
				for i := range src.open {
					src.open[i] = 9
				}
				src.open[row.bad] = 0 // so the interval is for who is refused
				for _, err := range src.Pages(t.Context(), december(1, 1)) {
					errs = append(errs, err)
				}
				for _, err := range errs {
					which, ok := errors.AsType[*ClientError](err)
					refused, fatal := errors.AsType[*Error](err)
					if ok != (row.want > 0) || ok && which.Number != row.want || !fatal || !refused.Fatal() {
						t.Errorf("error %v", err)
					}
				}
			})
		})
	}
}
