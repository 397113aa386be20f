package genesys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/record"
)

func scanPage(p *record.Page) error {
	return record.NewScanner(record.Options{}).Scan(p, func(record.Record) error { return nil })
}

// No way out leaves a job behind.
func TestJobsAreDeleted(t *testing.T) {
	var errEnough = errors.New("enough")
	endless := genesystest.Fault{Kind: genesystest.Submit, Times: -1, Action: genesystest.JobEndless{}}
	slow := func(kind genesystest.Kind, d time.Duration) genesystest.Fault {
		return genesystest.Fault{Kind: kind, Times: -1, Action: genesystest.Delay{For: d}}
	}
	page := func(a genesystest.Action) genesystest.Fault {
		return genesystest.Fault{Kind: genesystest.Page, Page: 2, Times: -1, Action: a}
	}
	for _, tc := range []struct {
		name    string
		fault   genesystest.Fault
		latency time.Duration
		cancel  time.Duration // 0: not at all
		at      int           // page at which consume is called
		consume func(*record.Page) error
		took    time.Duration // at most, behind the cancellation
	}{
		{name: "cancelled while the submission is on its way", latency: 4 * time.Second, cancel: 6 * time.Second, took: 6 * time.Second},
		{name: "cancelled before the submission is looked at", fault: slow(genesystest.Submit, 3*time.Second), cancel: 200 * time.Millisecond, took: farewell},
		{name: "cancelled while a job is waited for", fault: endless, cancel: 20 * time.Second, took: time.Second},
		{name: "cancelled in a poll", fault: slow(genesystest.Poll, 30*time.Second), cancel: 10 * time.Second, took: time.Second},
		{name: "cancelled in a page", fault: slow(genesystest.Page, 30*time.Second), cancel: 10 * time.Second, took: time.Second},
		{name: "cancelled in the middle of a page", fault: page(genesystest.Hang{Body: true}), cancel: 10 * time.Second, took: time.Second},
		{name: "the consumer stops", at: 1, consume: func(*record.Page) error { return errEnough }},
		{name: "the consumer stops behind a page", at: 2, consume: func(p *record.Page) error { return errors.Join(scanPage(p), errEnough) }},
		{name: "the consumer panics", at: 2, consume: func(p *record.Page) error { panic(errEnough) }},
		{name: "the consumer does not scan", at: 1, consume: func(*record.Page) error { return nil }},
		{name: "page stays damaged", fault: page(genesystest.Garble{})},
		{name: "page stays unavailable", fault: page(genesystest.Status{Code: 503})},
		{name: "circle", fault: page(genesystest.RepeatCursor{})},
		{name: "polls are refused", fault: genesystest.Fault{Kind: genesystest.Poll, Times: -1, Action: genesystest.Status{Code: 400}}},
		{name: "polls fail", fault: genesystest.Fault{Kind: genesystest.Poll, Times: -1, Action: genesystest.Status{Code: 503}}},
		{name: "cursor is refused", fault: page(genesystest.ExpiredCursor{})},
		{name: "endless", fault: endless},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o := genesystest.Options{PerDay: 400, Flat: true, Latency: tc.latency}
				if tc.fault.Action != nil {
					o.Faults = []genesystest.Fault{tc.fault}
				}
				s, c := simulate(t, o)
				if err := c.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.cancel > 0 {
					time.AfterFunc(tc.cancel, cancel)
				}
				start := time.Now()
				err := consume(c.Jobs(JobOptions{PageSize: 5}), ctx, tc.at, tc.consume)
				if took := time.Since(start) - tc.cancel; err == nil || tc.cancel > 0 && took > tc.took {
					t.Errorf("%v after %v", err, took)
				}
				if tc.cancel > 0 && !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
				synctest.Wait()
				if n := s.Tally()[genesystest.Submit][202]; n == 0 {
					t.Error("no job was submitted")
				}
				if open := s.OpenJobs(); len(open) > 0 {
					t.Errorf("%d jobs are left", len(open))
				}
			})
		})
	}
}

// consume reads a day, and hands the page of a number to fn.
func consume(j *Jobs, ctx context.Context, at int, fn func(*record.Page) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	n := 0
	for p, err := range j.Pages(ctx, december(3, 3)) {
		if err != nil {
			return err
		}
		if n++; n != at {
			err = scanPage(p)
		} else {
			err = fn(p)
		}
		if err != nil && p.Damage() == nil {
			return err
		}
	}
	return nil
}

// The answer to a submission is waited for a little longer than the context
// lives, and nothing else is.
func TestJobsLastWord(t *testing.T) {
	late := func(d time.Duration) fault {
		return func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(d):
				return nil, nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
	}
	for _, tc := range []struct {
		name         string
		submit       fault
		delete       fault
		took         time.Duration
		polls, kills int
	}{
		{"answer in time", late(12 * time.Second), nil, 2 * time.Second, 0, 1},
		{"answer at the last moment", late(10*time.Second + lastWord - 1), nil, lastWord - 1, 0, 1},
		{"answer too late", late(20 * time.Second), nil, lastWord, 0, 0},
		{"answer in time, deletion hangs", late(12 * time.Second), hang, farewell, 0, 1},
		{"refusal", func(r *http.Request) (*http.Response, error) {
			late(12 * time.Second)(r)
			return refuse(503)(r)
		}, nil, 2 * time.Second, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := threePages()
				f.always["submit"], f.always["delete"] = tc.submit, tc.delete
				why := errors.New("enough")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(why) })
				start := time.Now()
				_, err := collect(f.client(t).Jobs(JobOptions{}).Pages(ctx, day(1)))
				if took := time.Since(start) - 10*time.Second; !errors.Is(err, why) || took != tc.took {
					t.Errorf("%v after %v", err, took)
				}
				if len(f.calls("submit")) != 1 || len(f.calls("poll")) != 0 || len(f.calls("delete")) != tc.kills {
					t.Error(f.kinds())
				}
			})
		})
	}
}

// Behind a queue at the limiter a job is deleted all the same.
func TestJobsAreDeletedInTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := threePages()
		c := f.client(t, func(cfg *Config) { cfg.RequestsPerMinute = 60 })
		for range 15 {
			go letThrough(c.limiter, t.Context())
		}
		for range c.Jobs(JobOptions{}).Pages(t.Context(), day(1)) {
			for range 15 {
				go letThrough(c.limiter, t.Context())
			}
			synctest.Wait()
			break
		}
		if n := len(f.calls("delete")); n != 1 {
			t.Errorf("%d deleted", n)
		}
	})
}

// A job in preparation is deleted before the requests that stand in line.
func TestUnfinishedJobsAreDeletedFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := threePages()
		f.fail("poll", refuse(400))
		c := f.client(t, func(cfg *Config) { cfg.RequestsPerMinute = 60 })
		for range 30 {
			go letThrough(c.limiter, t.Context())
		}
		synctest.Wait()
		collect(c.Jobs(JobOptions{}).Pages(t.Context(), day(1)))
		if p, d := f.calls("poll"), f.calls("delete"); len(d) != 1 || d[0].at.Sub(p[0].at) > 3*time.Second {
			t.Errorf("%d polls, %v deleted", len(p), d)
		}
	})
}

// The limit of concurrent jobs costs waiting, and no more.
func TestJobsLimit(t *testing.T) {
	for _, tc := range []struct {
		name       string
		concurrent int
		retryAfter time.Duration
	}{
		{"known", 2, 0}, {"not known", 16, 0}, {"not known, with Retry-After", 16, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, c := simulate(t, genesystest.Options{PerDay: 100, MaxJobs: 2, JobTime: 20 * time.Second, JobLimitRetryAfter: tc.retryAfter})
				iv := december(1, 16)
				start := time.Now()
				h, err := export(t.Context(), c.Jobs(JobOptions{Concurrent: tc.concurrent}), iv, 6*time.Hour, 16)
				if err != nil {
					t.Fatal(err)
				}
				h.compare(t, s, iv, true)
				if took := time.Since(start); took > time.Hour {
					t.Errorf("took %v", took)
				}
				if n := s.Tally()[genesystest.Submit][429]; (n > 0) != (tc.concurrent > 2) {
					t.Errorf("%d submissions were refused", n)
				}
			})
		})
	}
}

// A submission is patient for as long as a job may take.
func TestJobsPatience(t *testing.T) {
	for _, tc := range []struct {
		name          string
		timeout, busy time.Duration
		header        []string
		fails         bool
	}{
		{"a while", 30 * time.Minute, 28 * time.Minute, []string{"Retry-After: 1"}, false},
		{"a while, no word when", 30 * time.Minute, 28 * time.Minute, nil, false},
		{"hours", 5 * time.Hour, 4 * time.Hour, []string{"Retry-After: 20"}, false},
		{"too long", 30 * time.Minute, 31 * time.Minute, []string{"Retry-After: 1"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake(page("", "a"))
				start := time.Now()
				f.always["submit"] = func(r *http.Request) (*http.Response, error) {
					if time.Since(start) > tc.busy {
						return nil, nil
					}
					resp := answer(429, `{"status":429,"limit":{"key":"details.jobs.concurrent.access.max","value":2}}`, tc.header...)
					return resp, nil
				}
				_, err := collect(f.client(t).Jobs(JobOptions{Timeout: tc.timeout}).Pages(t.Context(), day(1)))
				took := time.Since(start)
				if !tc.fails {
					if err != nil || took > tc.busy+2*time.Minute {
						t.Errorf("%v after %v", err, took)
					}
					return
				}
				if e := wantErr[*Error](t, err); e.Status != 429 || took > tc.timeout {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}
