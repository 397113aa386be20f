package genesys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

func parse(t *testing.T, text string) interval.Interval {
	t.Helper()
	iv, err := interval.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return iv
}

func TestBisect(t *testing.T) {
	for _, tc := range []struct {
		name  string
		iv    string
		floor time.Duration
		at    string // "" if it is not cut
	}{
		{"a day", "2024-03-01/2024-03-02", time.Hour, "2024-03-01T12:00:00Z"},
		{"two days", "2024-03-01/2024-03-03", time.Hour, "2024-03-02"},
		{"three days", "2024-03-01/2024-03-04", time.Hour, "2024-03-03"},
		{"a leap month", "2024-02-01/2024-03-01", time.Hour, "2024-02-16"},
		{"noon to noon", "2024-03-01T12:00:00Z/2024-03-02T12:00:00Z", time.Hour, "2024-03-02"},
		{"midnight near the start", "2024-03-01T22:00:00Z/2024-03-02T20:00:00Z", time.Hour, "2024-03-02"},
		{"midnight nearer than the floor", "2024-03-01T23:30:00Z/2024-03-02T20:30:00Z", time.Hour, "2024-03-02T10:00:00Z"},
		{"midnight at the floor", "2024-03-01T23:00:00Z/2024-03-02T20:00:00Z", time.Hour, "2024-03-02"},
		{"the nearer of two midnights", "2024-03-01T20:00:00Z/2024-03-03T02:00:00Z", time.Hour, "2024-03-02"},
		{"whole minutes", "2024-03-01T00:00:00Z/2024-03-01T04:01:30Z", time.Hour, "2024-03-01T02:00:00Z"},
		{"whole minutes of the clock", "2024-03-01T00:00:59.999Z/2024-03-01T04:00:59.999Z", time.Hour, "2024-03-01T02:00:00Z"},
		{"twice the floor", "2024-03-01T01:00:00Z/2024-03-01T03:00:00Z", time.Hour, "2024-03-01T02:00:00Z"},
		{"less", "2024-03-01T01:00:00Z/2024-03-01T02:59:59.999Z", time.Hour, ""},
		{"less, around midnight", "2024-03-01T23:10:00Z/2024-03-02T00:50:00Z", time.Hour, ""},
		{"two minutes", "2024-03-01T01:00:30Z/2024-03-01T01:02:30Z", time.Minute, "2024-03-01T01:01:00Z"},
		{"a minute", "2024-03-01T01:00:00Z/2024-03-01T01:01:00Z", time.Minute, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			iv := parse(t, tc.iv)
			first, second, ok := bisect(iv, tc.floor)
			if tc.at == "" {
				if ok {
					t.Errorf("cut at %s", interval.Format(second.Start))
				}
				return
			}
			at, err := interval.ParseTime(tc.at)
			if err != nil {
				t.Fatal(err)
			}
			if !ok || first != (interval.Interval{Start: iv.Start, End: at}) || second != (interval.Interval{Start: at, End: iv.End}) {
				t.Errorf("%v: %s and %s", ok, first, second)
			}
		})
	}
}

// Any interval comes down to pieces of the floor in few cuts, without a gap.
func TestBisectToTheEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		floor := time.Minute + rand.N(time.Hour)
		start := day(1).Start.Add(time.Duration(r.Int64N(int64(interval.Day)))).Truncate(time.Millisecond)
		iv := interval.Interval{Start: start, End: start.Add(time.Duration(1 + r.Int64N(int64(10*interval.Day))))}
		next, deepest := iv.Start, 0
		var walk func(iv interval.Interval, depth int)
		walk = func(iv interval.Interval, depth int) {
			first, second, ok := bisect(iv, floor)
			if ok {
				walk(first, depth+1)
				walk(second, depth+1)
				return
			}
			if !iv.Start.Equal(next) || iv.Empty() || depth > 0 && iv.Length() <= floor-time.Minute {
				t.Fatalf("%s behind %s, floor %v", iv, next, floor)
			}
			next, deepest = iv.End, max(deepest, depth)
		}
		walk(iv, 0)
		most := 2
		for l := iv.Length(); l >= floor; l /= 2 {
			most++
		}
		if !next.Equal(iv.End) || deepest > most {
			t.Errorf("%s, floor %v: %d cuts deep, want %d at most; ends at %s", iv, floor, deepest, most, next)
		}
	}
}

// Whatever becomes of the jobs, the pages hold all of the interval together.
func TestJobsAreSplit(t *testing.T) {
	ending := func(state string) genesystest.Action {
		return genesystest.JobState{State: state, Message: "too big"}
	}
	submit := func(action genesystest.Action, times int) []genesystest.Fault {
		return []genesystest.Fault{{Kind: genesystest.Submit, Action: action, Times: times}}
	}
	const oneDay, odd = "1999-12-03/1999-12-04", "1999-12-03T07:13:00Z/1999-12-04T20:00:30Z"
	for _, tc := range []struct {
		name       string
		ask        string
		options    JobOptions
		simulator  genesystest.Options
		jobs, cuts int
		took       time.Duration // at least
	}{
		{"failed once", oneDay, JobOptions{}, genesystest.Options{Faults: submit(ending("FAILED"), 1)}, 2, 0, 0},
		{"failed twice", oneDay, JobOptions{}, genesystest.Options{Faults: submit(ending("FAILED"), 2)}, 4, 1, 0},
		{"cancelled twice", odd, JobOptions{}, genesystest.Options{Faults: submit(ending("CANCELLED"), 2)}, 4, 1, 0},
		{"expired twice", oneDay, JobOptions{}, genesystest.Options{Faults: submit(ending("EXPIRED"), 2)}, 4, 1, 0},
		{"failed at three levels", oneDay, JobOptions{}, genesystest.Options{Faults: submit(ending("FAILED"), 6)}, 10, 3, 0},
		{"endless", oneDay, JobOptions{}, genesystest.Options{Faults: submit(genesystest.JobEndless{}, 1)}, 3, 1, 30 * time.Minute},
		{"endless at all levels but one", oneDay, JobOptions{Timeout: time.Minute}, genesystest.Options{Faults: submit(genesystest.JobEndless{}, 4)}, 9, 4, 4 * time.Minute},
		{"endless, odd interval", odd, JobOptions{Timeout: time.Minute}, genesystest.Options{Faults: submit(genesystest.JobEndless{}, 3)}, 7, 3, 3 * time.Minute},
		{"every other one fails then", odd, JobOptions{}, genesystest.Options{Faults: append(submit(ending("FAILED"), 2),
			genesystest.Fault{Kind: genesystest.Submit, Every: 2, Action: ending("FAILED")})}, 5, 1, 0},
		{"expires while it is read", oneDay, JobOptions{PageSize: 150}, genesystest.Options{Faults: []genesystest.Fault{
			{Kind: genesystest.Page, Page: 2, Times: 2, Action: genesystest.JobState{State: "EXPIRED"}}}}, 4, 1, 0},
		{"cursors that never work", oneDay, JobOptions{PageSize: 300}, genesystest.Options{Faults: []genesystest.Fault{
			{Kind: genesystest.Page, Page: 2, Times: -1, Action: genesystest.ExpiredCursor{}}}}, 7, 2, 0},
		{"just within the bound", oneDay, JobOptions{PageSize: 100, MaxResults: 400}, genesystest.Options{Flat: true}, 1, 0, 0},
		{"just over the bound", oneDay, JobOptions{PageSize: 100, MaxResults: 399}, genesystest.Options{Flat: true, PerDay: 401}, 3, 1, 0},
		{"over the bound, days", "1999-12-03/1999-12-10", JobOptions{PageSize: 100, MaxResults: 500}, genesystest.Options{Flat: true}, 13, 6, 0},
		{"over the bound at the floor", oneDay, JobOptions{PageSize: 5, MaxResults: 5}, genesystest.Options{Flat: true, PerDay: 300}, 31, 15, 0},
		{"a higher floor", oneDay, JobOptions{PageSize: 5, MaxResults: 5, Floor: 6 * time.Hour}, genesystest.Options{Flat: true, PerDay: 300}, 7, 3, 0},
		{"a lower floor", "1999-12-03T23:00:00Z/1999-12-04T01:00:00Z", JobOptions{PageSize: 5, MaxResults: 5, Floor: 30 * time.Minute}, genesystest.Options{PerDay: 4000}, 7, 3, 0},
		{"interval too long", "1999-12-03/1999-12-13", JobOptions{}, genesystest.Options{MaxJobInterval: 72 * time.Hour}, 4, 3, 0},
		{"day too long, says the message", oneDay, JobOptions{}, genesystest.Options{MaxJobInterval: 6 * time.Hour}, 4, 3, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				iv := parse(t, tc.ask)
				tc.simulator.PerDay = or(tc.simulator.PerDay, 400)
				var log bytes.Buffer
				s, c := simulate(t, tc.simulator, func(cfg *Config) { cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
				start := time.Now()
				h, err := export(t.Context(), c.Jobs(tc.options), iv, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				h.compare(t, s, iv, true)
				if jobs := s.Tally()[genesystest.Submit][202]; jobs != tc.jobs {
					t.Errorf("%d jobs, want %d", jobs, tc.jobs)
				}
				if took := time.Since(start); took < tc.took || took > tc.took+time.Hour {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				checkCuts(t, &log, tc.cuts)
			})
		})
	}
}

// checkCuts counts the cuts in a log, and wants each to say what is cut and why.
func checkCuts(t *testing.T, log io.Reader, want int) {
	t.Helper()
	n := 0
	for d := json.NewDecoder(log); ; {
		var line struct{ Level, Msg, Interval, At, Job, Error string }
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(line.Msg, "cutting") {
			continue
		}
		if n++; line.Level != "WARN" || line.Interval == "" || line.At == "" || line.Error == "" ||
			line.Job == "" && !strings.HasPrefix(line.Error, opSubmit) {
			t.Errorf("%+v", line)
		}
	}
	if n != want {
		t.Errorf("%d cuts, want %d", n, want)
	}
}

// A job that ends badly down to the floor fails the interval, by name.
func TestJobsSplitInVain(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ask   string
		o     JobOptions
		fault genesystest.Action
		text  string
		jobs  int
	}{
		{"failed", "1999-12-03/1999-12-04", JobOptions{}, genesystest.JobState{State: "FAILED", Message: "too big"},
			" for 1999-12-03T00:00:00.000Z/1999-12-03T01:30:00.000Z is FAILED: too big (correlation id ", 10},
		{"endless", "1999-12-03/1999-12-04", JobOptions{}, genesystest.JobEndless{},
			" for 1999-12-03T00:00:00.000Z/1999-12-03T01:30:00.000Z is PENDING: the results are not ready in time (30m0s) (correlation id ", 5},
		{"a higher floor", "1999-12-03/1999-12-04", JobOptions{Floor: 13 * time.Hour}, genesystest.JobEndless{},
			" for 1999-12-03T00:00:00.000Z/1999-12-04T00:00:00.000Z is PENDING", 1},
		{"at the floor", "1999-12-03T01:00:00Z/1999-12-03T02:59:00Z", JobOptions{}, genesystest.JobState{State: "CANCELLED"},
			" for 1999-12-03T01:00:00.000Z/1999-12-03T02:59:00.000Z is CANCELLED", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, c := simulate(t, genesystest.Options{PerDay: 400, Faults: []genesystest.Fault{{Kind: genesystest.Submit, Times: -1, Action: tc.fault}}})
				_, err := export(t.Context(), c.Jobs(tc.o), parse(t, tc.ask), 0, 1)
				e := wantErr[*JobError](t, err)
				if !strings.Contains(err.Error(), e.JobID) || e.JobID == "" || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("%v", err)
				}
				if n := s.Tally()[genesystest.Submit][202]; n != tc.jobs {
					t.Errorf("%d jobs, want %d", n, tc.jobs)
				}
				if open := s.OpenJobs(); len(open) > 0 {
					t.Errorf("%d jobs are left", len(open))
				}
			})
		})
	}
}

// Only jobs that smaller ones may help are given up for them.
func TestJobsAreNotSplit(t *testing.T) {
	for _, tc := range []struct {
		name  string
		kind  string
		fault fault
	}{
		{"refused submission of a day", "submit", refuse(400)},
		{"unclear submission", "submit", reset},
		{"permissions", "poll", refuse(403)},
		{"polls fail", "poll", refuse(503)},
		{"results fail", "results", refuse(503)},
		{"damage", "results", say("{")},
		{"circle", "results", say(page("c=1", "a"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := threePages()
				f.always[tc.kind] = tc.fault
				if _, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1))); err == nil {
					t.Error("no error")
				}
				for _, c := range f.calls("submit") {
					if !strings.Contains(c.body, day(1).String()) {
						t.Errorf("submitted %s", c.body)
					}
				}
			})
		})
	}
}

// A refusal of the length is asked for once a level, and ends at a day.
func TestJobsRefusedByLength(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake(page(""))
		f.always["submit"] = refuse(400)
		_, err := collect(f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(16)))
		if e := wantErr[*Error](t, err); e.Status != 400 || len(f.calls("submit")) != 5 {
			t.Errorf("%v after %d submissions", err, len(f.calls("submit")))
		}
	})
	bubble(t, func(t *testing.T) {
		s, c := simulate(t, genesystest.Options{PerDay: 10, MaxJobInterval: 24 * time.Hour})
		if _, err := export(t.Context(), c.Jobs(JobOptions{}), december(3, 18), 0, 1); err != nil {
			t.Fatal(err)
		}
		if n := s.Tally()[genesystest.Submit][400]; n != 4 {
			t.Errorf("%d submissions were refused", n)
		}
	})
}

// The jobs of one interval are bounded, wherever the bound is met.
func TestJobsBudget(t *testing.T) {
	for days := 27; days < 34; days++ {
		t.Run(fmt.Sprint(days), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := failLong(time.Hour)
				_, err := collect(f.client(t).Jobs(JobOptions{Floor: 30 * time.Minute}).Pages(t.Context(), day(days)))
				if e := wantErr[*JobError](t, err); e.State != "FAILED" || !strings.HasPrefix(err.Error(), "200 jobs were not enough: ") {
					t.Errorf("%v", err)
				}
				if n := len(f.calls("submit")); n != jobsPerInterval {
					t.Errorf("%d jobs", n)
				}
			})
		})
	}
}

// failLong is an API whose jobs fail if their interval is longer than good.
func failLong(good time.Duration) *fake {
	f := newFake(page("", "a"))
	f.always["submit"] = func(r *http.Request) (*http.Response, error) {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		var q jobQuery
		if err := json.NewDecoder(body).Decode(&q); err != nil {
			return nil, err
		}
		iv, err := interval.Parse(q.Interval)
		if err == nil && iv.Length() > good {
			return answer(202, fmt.Sprintf(`{"jobId":"failing-%d"}`, len(f.calls("submit")))), nil
		}
		return nil, err
	}
	f.always["poll"] = func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "failing") {
			return state(200, "FAILED")(r)
		}
		return nil, nil
	}
	return f
}

// A consumer that stops at the last page of a piece has stopped.
func TestJobsConsumerStopsBetweenPieces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake(page("", "a"))
		f.fail("poll", state(200, "FAILED"), state(200, "FAILED"))
		stop := errors.New("stop")
		n := 0
		err := func() error {
			for p, err := range f.client(t).Jobs(JobOptions{}).Pages(t.Context(), day(1)) {
				if err != nil {
					return err
				}
				n++
				if err := scanPage(p); err != nil {
					return err
				}
				return stop
			}
			return nil
		}()
		if err != stop || n != 1 || len(f.calls("submit")) != 3 || len(f.calls("delete")) != 0 {
			t.Errorf("%v after %d pages: %s", err, n, f.kinds())
		}
	})
}
