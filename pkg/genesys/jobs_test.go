package genesys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// state answers a poll.
func state(status int, name string) fault {
	return func(*http.Request) (*http.Response, error) {
		return answer(status, fmt.Sprintf(`{"state":%q,"errorMessage":"because\nof that"}`, name)), nil
	}
}

func threePages() *fake {
	return newFake(page("c=1", "a", "b"), page("c=2", "c"), page("", "d"))
}

func TestJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := threePages()
		f.fail("poll", state(202, "QUEUED"), state(200, "PENDING"), state(200, "SOMETHING_NEW"))
		ids, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d"}, ids); diff != "" {
			t.Error(diff)
		}
		if got, want := f.kinds(), "token submit poll poll poll poll results results results"; got != want {
			t.Errorf("requests %s", got)
		}
		want := `{"interval":"2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z","order":"asc","orderBy":"conversationStart","startOfDayIntervalMatching":true}`
		if got := f.calls("submit")[0].body; got != want {
			t.Errorf("submitted %s", got)
		}
		var queries []string
		for _, c := range f.calls("results") {
			queries = append(queries, c.path[len(jobsPath):]+"?"+c.query)
		}
		if diff := cmp.Diff([]string{"/job-1/results?pageSize=1000", "/job-1/results?cursor=c%3D1&pageSize=1000", "/job-1/results?cursor=c%3D2&pageSize=1000"}, queries); diff != "" {
			t.Error(diff)
		}
	})
}

func TestJobsStartOfDay(t *testing.T) {
	for _, tc := range []struct {
		start string
		want  bool
	}{{"2024-03-01T00:00:00Z", true}, {"2024-03-01T02:00:00+02:00", true}, {"2024-03-01T00:00:00.001Z", false}, {"2024-03-01T12:00:00Z", false}} {
		t.Run(tc.start, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				start, err := interval.ParseTime(tc.start)
				if err != nil {
					t.Fatal(err)
				}
				f := newFake(page(""))
				if _, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), interval.Interval{Start: start, End: start.Add(time.Hour)})); err != nil {
					t.Fatal(err)
				}
				if got := strings.Contains(f.calls("submit")[0].body, `"startOfDayIntervalMatching":true`); got != tc.want {
					t.Errorf("submitted %s", f.calls("submit")[0].body)
				}
			})
		})
	}
}

func TestJobsPollSlowerAndSlower(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake(page(""))
		f.fail("poll", slices.Repeat([]fault{state(200, "QUEUED")}, 9)...)
		if _, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1))); err != nil {
			t.Fatal(err)
		}
		var gaps []time.Duration
		last := f.calls("submit")[0].at
		for _, c := range f.calls("poll") {
			gaps = append(gaps, c.at.Sub(last).Round(500*time.Millisecond))
			last = c.at
		}
		if gaps[0] != 2*time.Second || gaps[1] != 3*time.Second || gaps[8] != 30*time.Second || gaps[9] != 30*time.Second || !slices.IsSorted(gaps) {
			t.Errorf("gaps %v", gaps)
		}
	})
}

func TestJobsThatEndBadly(t *testing.T) {
	for _, tc := range []struct {
		name    string
		poll    fault
		state   string
		text    string
		deleted int
	}{
		{"failed", state(200, "FAILED"), "FAILED", "job job-2 for 2024-03-01T00:00:00.000Z/2024-03-01T01:00:00.000Z is FAILED: because of that (correlation id corr-1)", 0},
		{"cancelled", state(200, "CANCELLED"), "CANCELLED", "is CANCELLED", 0},
		{"expired", state(200, "EXPIRED"), "EXPIRED", "is EXPIRED", 0},
		{"never ready", state(202, "QUEUED"), "QUEUED", "the results are not ready in time (30m0s)", 1},
		{"no state", say("{}"), "", "the results are not ready in time", 1},
		{"poll hangs", hang, "unknown", "the results are not ready in time", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake(page(""))
				f.always["poll"] = tc.poll
				// Attempts without end, so that it is the job's deadline that ends it.
				c := f.client(t, func(cfg *Config) { cfg.Attempts = 1e6 })
				start := time.Now()
				hour := interval.Interval{Start: day(1).Start, End: day(1).Start.Add(time.Hour)} // which is not cut
				_, err := collect(c.Jobs(JobOptions{}).Pages(t.Context(), hour))
				e := wantErr[*JobError](t, err)
				if e.State != tc.state || e.JobID != fmt.Sprintf("job-%d", 2-tc.deleted) || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("%+v: %v", e, err)
				}
				if n := len(f.calls("delete")); n != tc.deleted {
					t.Errorf("%d deleted", n)
				}
				if took := time.Since(start); took > 30*time.Minute+farewell {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestJobsRetry(t *testing.T) {
	for _, tc := range []struct {
		name   string
		kind   string
		faults []fault
		kinds  string // the requests, from the submission on
	}{
		{"damaged page", "results", []fault{through, say(`{"conversations":[{"conversationId":"c"`)},
			"submit poll results results results results"},
		{"page cut but for its length", "results", []fault{cut(page("c=1", "a", "b"))},
			"submit poll results results results results"},
		{"page that is no JSON", "results", []fault{through, through, say("<html>")},
			"submit poll results results results results"},
		{"error instead of records", "results", []fault{through, say(`{"message":"oops","code":"internal.server.error","status":500}`)},
			"submit poll results results results results"},
		{"service is unwell", "results", []fault{refuse(503), reset, through, refuse(429), htmlError},
			"submit poll results results results results results results results"},
		{"cursor is refused", "results", []fault{through, refuse(400)},
			"submit poll results results delete submit poll results results results"},
		{"results are gone", "results", []fault{through, refuse(404)},
			"submit poll results results submit poll results results results"},
		{"job is gone", "poll", []fault{refuse(404)},
			"submit poll submit poll results results results"},
		{"submission is unclear", "submit", []fault{func(r *http.Request) (*http.Response, error) { return reset(r) }},
			"submit submit poll results results results"},
		{"too many jobs", "submit", slices.Repeat([]fault{refuse(429, "Retry-After: 10")}, 4),
			"submit submit submit submit submit poll results results results"},
		{"token revoked while reading", "results", []fault{through, refuse(401)},
			"submit poll results results token results results"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := threePages().fail(tc.kind, tc.faults...)
				ids, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1)))
				if err != nil {
					t.Fatal(err)
				}
				slices.Sort(ids)
				if diff := cmp.Diff([]string{"a", "b", "c", "d"}, slices.Compact(ids)); diff != "" {
					t.Error(diff)
				}
				if got := f.kinds(); got != "token "+tc.kinds {
					t.Errorf("requests\n%s, want\ntoken %s", got, tc.kinds)
				}
			})
		})
	}
}

func TestJobsGiveUp(t *testing.T) {
	const broken = `{"conversations":[{"conversationId":"c"`
	for _, tc := range []struct {
		name    string
		kind    string
		fault   fault
		text    string
		calls   int // of the kind
		deleted int
	}{
		{"page stays damaged", "results", say(broken), "read job job-1 for 2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z: ", 4, 1},
		{"page stays an error", "results", say(`{"message":"oops"}`), "an error instead of records: oops (correlation id corr-1)", 4, 1},
		{"page stays something else", "results", say(`{"error":"backend down"}`), "nothing of what results have", 4, 1},
		{"cursor repeats", "results", say(page("c=1", "a")), "the cursor comes back", 2, 1},
		{"empty pages", "results", func(r *http.Request) (*http.Response, error) {
			return answer(200, page("c=x"+r.URL.Query().Get("cursor"))), nil
		}, "3 empty pages in a row", 3, 1},
		{"first page is refused", "results", refuse(400), "read results: the API answered 400", 1, 1},
		{"results are gone", "results", refuse(404), "read job job-10 for 2024-03-01T00:00:00.000Z/2024-03-01T01:30:00.000Z: read results: the API answered 404", 10, 0},
		{"permissions", "results", refuse(403), "403 Forbidden", 1, 0},
		{"submission is refused", "submit", refuse(400), "submit job: the API answered 400", 1, 0},
		{"submission stays unclear", "submit", reset, "submit job: POST api.example.com", 3, 0},
		{"submission without a job", "submit", say("{}"), "not the JSON", 1, 0},
		{"poll is refused", "poll", refuse(400), "poll job: the API answered 400", 1, 1},
		{"polls fail", "poll", refuse(503), "poll job: the API answered 503", 10, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := threePages()
				f.always[tc.kind] = tc.fault
				_, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1)))
				if err == nil || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("error %v, want %q in it", err, tc.text)
				}
				if n := len(f.calls(tc.kind)); n != tc.calls {
					t.Errorf("%d %ss, want %d", n, tc.kind, tc.calls)
				}
				if n := len(f.calls("delete")); n != tc.deleted {
					t.Errorf("%d deleted, want %d: %s", n, tc.deleted, f.kinds())
				}
			})
		})
	}
}

func TestJobsConsumer(t *testing.T) {
	scan := func(p *record.Page) error {
		return record.NewScanner(record.Options{}).Scan(p, func(record.Record) error { return nil })
	}
	for _, tc := range []struct {
		name    string
		consume func(n int, p *record.Page) (goOn bool)
		err     error
		kinds   string
	}{
		{"does not scan", func(int, *record.Page) bool { return true }, errUnread, "results delete"},
		{"stops", func(n int, p *record.Page) bool { return scan(p) == nil && n < 2 }, nil, "results results delete"},
		{"stops without a scan", func(n int, p *record.Page) bool { return false }, nil, "results delete"},
		{"stops at the last page", func(n int, p *record.Page) bool { return scan(p) == nil && n < 3 }, nil, "results results results"},
		{"fails in the scan", func(n int, p *record.Page) bool {
			record.NewScanner(record.Options{}).Scan(p, func(record.Record) error { return io.ErrClosedPipe })
			return true
		}, errUnread, "results delete"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := threePages()
				n, last := 0, error(nil)
				for p, err := range f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1)) {
					if n++; err != nil {
						last = err
						continue // the sequence must end by itself
					}
					if !tc.consume(n, p) {
						break
					}
				}
				if !errors.Is(last, tc.err) {
					t.Errorf("error %v, want %v", last, tc.err)
				}
				if got := f.kinds(); got != "token submit poll "+tc.kinds {
					t.Errorf("requests %s", got)
				}
			})
		})
	}
}

func TestJobsCancelled(t *testing.T) {
	for _, tc := range []struct {
		name    string
		kind    string
		deleted int
		took    time.Duration
	}{{"submitting", "submit", 0, lastWord}, {"polling", "poll", 1, 0}, {"reading", "results", 1, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := threePages()
				f.always[tc.kind] = hang
				why := errors.New("enough")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(why) })
				start := time.Now()
				_, err := collect(f.client(t).Jobs(JobOptions{}).Pages(ctx, day(1)))
				if err != why || time.Since(start) != 10*time.Second+tc.took {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if n := len(f.calls("delete")); n != tc.deleted {
					t.Errorf("%d deleted", n)
				}
			})
		})
	}
	t.Run("and the delete hangs", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := threePages()
			f.always["poll"], f.always["delete"] = hang, hang
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			_, err := collect(f.client(t).Jobs(JobOptions{}).Pages(ctx, day(1)))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second+farewell {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("in a long pause the job is left", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := threePages()
			f.always["poll"] = refuse(429, "Retry-After: 100")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			_, err := collect(f.client(t).Jobs(JobOptions{}).Pages(ctx, day(1)))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("waiting for a slot", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := threePages()
			jobs := f.client(t).Jobs(JobOptions{Concurrent: 1})
			jobs.slots <- struct{}{}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := collect(jobs.Pages(ctx, day(1))); !errors.Is(err, context.DeadlineExceeded) || len(f.calls("")) > 0 {
				t.Errorf("%v, requests %s", err, f.kinds())
			}
		})
	})
}

// A slot is held until the results are there, and no longer.
func TestJobsConcurrent(t *testing.T) {
	for _, limit := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake(page("", "a"))
				var mu sync.Mutex
				submitted, open, most := map[string]time.Time{}, 0, 0
				f.always["submit"] = func(*http.Request) (*http.Response, error) {
					mu.Lock()
					defer mu.Unlock()
					open++
					submitted[fmt.Sprintf("%s/job-%d", jobsPath, len(submitted)+1)] = time.Now()
					most = max(most, open)
					return nil, nil
				}
				f.always["poll"] = func(r *http.Request) (*http.Response, error) {
					mu.Lock()
					defer mu.Unlock()
					if time.Since(submitted[r.URL.Path]) < 8*time.Second {
						return state(200, "PENDING")(r)
					}
					open--
					return nil, nil
				}
				f.always["results"] = func(*http.Request) (*http.Response, error) {
					time.Sleep(5 * time.Minute)
					return nil, nil
				}
				jobs := f.client(t, func(cfg *Config) { cfg.StallTimeout = time.Hour }).Jobs(JobOptions{Concurrent: limit})
				start := time.Now()
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						if _, err := collect(jobs.Pages(t.Context(), day(1))); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				synctest.Wait()
				if most != limit {
					t.Errorf("%d jobs at once, want %d", most, limit)
				}
				if took := time.Since(start); took > 5*time.Minute+20*15*time.Second {
					t.Errorf("took %v: readers hold slots", took)
				}
			})
		})
	}
}

// The memory of a page is used for the next one.
func TestJobsReuseTheBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := threePages()
		where := map[*byte]bool{}
		s := record.NewScanner(record.Options{})
		for p, err := range f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1)) {
			if err != nil {
				t.Fatal(err)
			}
			where[&p.Body[0]] = true
			if err := s.Scan(p, func(record.Record) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if len(where) != 1 {
			t.Errorf("%d buffers for 3 pages", len(where))
		}
	})
}

func TestWatermarks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newFake().client(t)
		at, err := c.Jobs(JobOptions{}).Watermark(t.Context())
		if want := time.Date(2024, 3, 5, 2, 0, 0, 0, time.UTC); err != nil || !at.Equal(want) {
			t.Errorf("%v, %v", at, err)
		}
		at, err = c.Queries(QueryOptions{Lag: time.Hour}).Watermark(t.Context())
		if err != nil || time.Since(at) != time.Hour || at.Location() != time.UTC {
			t.Errorf("%v, %v", at, err)
		}
	})
}
