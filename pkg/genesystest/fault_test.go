package genesystest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test against a server in memory and in virtual time.
func bubble(t *testing.T, o Options, f func(*testing.T, *Server, *api)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(fixed(o))
		f(t, s, dial(t, s))
	})
}

func TestFaultsOfAnswers(t *testing.T) {
	cases := []struct {
		name  string
		opt   Options
		fault Fault
		check func(*testing.T, reply)
	}{
		{"status", Options{}, Fault{Action: Status{Code: 503}}, func(t *testing.T, r reply) {
			if r.status != 503 || r.code() != "service.unavailable" || r.header.Get("Retry-After") != "" {
				t.Errorf("status %d, code %q", r.status, r.code())
			}
		}},
		{"429 with Retry-After", Options{}, Fault{Action: Status{Code: 429, RetryAfter: "5"}}, func(t *testing.T, r reply) {
			if r.status != 429 || r.header.Get("Retry-After") != "5" || r.code() != "too.many.requests.retry.after" ||
				r.message() != "Rate limit exceeded the maximum. Retry the request in [5] seconds" {
				t.Errorf("status %d, Retry-After %q, body %s", r.status, r.header.Get("Retry-After"), r.body)
			}
		}},
		{"own body", Options{}, Fault{Action: Status{Code: 500, Body: "oops"}}, func(t *testing.T, r reply) {
			if string(r.body) != "oops" {
				t.Errorf("body %q", r.body)
			}
		}},
		{"HTML", Options{}, Fault{Action: HTML502{}}, func(t *testing.T, r reply) {
			if r.status != 502 || r.header.Get("Content-Type") != "text/html" || json.Valid(r.body) {
				t.Errorf("status %d, type %s, body %s", r.status, r.header.Get("Content-Type"), r.body)
			}
		}},
		{"error body with 200", Options{}, Fault{Action: ErrorBody{}}, func(t *testing.T, r reply) {
			if r.status != 200 || r.code() != "internal.server.error" {
				t.Errorf("status %d, body %s", r.status, r.body)
			}
		}},
		{"reset", Options{}, Fault{Action: Reset{}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, syscall.ECONNRESET) || r.status != 0 {
				t.Errorf("status %d, error %v", r.status, r.err)
			}
		}},
		{"cut", Options{}, Fault{Action: Cut{At: 0.25}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, io.ErrUnexpectedEOF) || r.status != 200 || len(r.body) == 0 {
				t.Errorf("status %d, error %v, %d bytes", r.status, r.err, len(r.body))
			}
		}},
		{"cut at a byte", Options{}, Fault{Action: Cut{Bytes: 7}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, io.ErrUnexpectedEOF) || len(r.body) != 7 {
				t.Errorf("error %v, %d bytes", r.err, len(r.body))
			}
		}},
		{"cut, chunked", Options{}, Fault{Action: Cut{Chunked: true}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, io.ErrUnexpectedEOF) || r.header.Get("Content-Length") != "" {
				t.Errorf("error %v, header %v", r.err, r.header)
			}
		}},
		{"cut hard", Options{}, Fault{Action: Cut{Hard: true}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, syscall.ECONNRESET) || len(r.body) == 0 {
				t.Errorf("error %v, %d bytes", r.err, len(r.body))
			}
		}},
		{"shorten", Options{}, Fault{Action: Shorten{At: 0.5}}, func(t *testing.T, r reply) {
			if r.err != nil || json.Valid(r.body) || len(r.body) < 100 {
				t.Errorf("error %v, %d bytes", r.err, len(r.body))
			}
		}},
		{"garble", Options{Gzip: true}, Fault{Action: Garble{}}, func(t *testing.T, r reply) {
			if r.err != nil || r.status != 200 || json.Valid(r.body) || !bytes.HasSuffix(r.body, []byte("}")) {
				t.Errorf("status %d, error %v, valid %v", r.status, r.err, json.Valid(r.body))
			}
		}},
		{"bad checksum", Options{Gzip: true}, Fault{Action: BadGzip{}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, gzip.ErrChecksum) || !json.Valid(r.body) {
				t.Errorf("error %v, valid %v", r.err, json.Valid(r.body))
			}
		}},
		{"no trailer", Options{Gzip: true}, Fault{Action: BadGzip{Cut: true}}, func(t *testing.T, r reply) {
			if !errors.Is(r.err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v", r.err)
			}
		}},
		{"expired cursor", Options{}, Fault{Action: ExpiredCursor{Status: 404}}, func(t *testing.T, r reply) {
			if r.status != 404 || r.code() != "not.found" {
				t.Errorf("status %d, body %s", r.status, r.body)
			}
		}},
		{"watermark back", Options{}, Fault{Action: WatermarkBack{By: 48 * time.Hour}}, func(t *testing.T, r reply) {
			if got := r.page(t).DataAvailable; got != "2026-03-18T12:00:00Z" {
				t.Errorf("dataAvailabilityDate %s", got)
			}
		}},
		{"slow", Options{}, Fault{Action: Slow{BytesPerSecond: 100}}, func(t *testing.T, r reply) {
			if n := len(r.page(t).Conversations); n != 20 {
				t.Errorf("%d records", n)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, c.opt, func(t *testing.T, s *Server, a *api) {
				c.fault.Kind = Page
				s.AddFault(c.fault)
				job := a.submit(jobText(day(2), day(3)))
				began := time.Now()
				c.check(t, a.results(job, "", 20))
				if _, slow := c.fault.Action.(Slow); slow && time.Since(began) < 30*time.Second {
					t.Errorf("took only %v", time.Since(began))
				}
				if n := len(a.results(job, "", 20).page(t).Conversations); n != 20 {
					t.Errorf("%d records when asked again, want 20", n)
				}
				log := s.Requests()
				if want := c.fault.String(); log[len(log)-2].Fault != want {
					t.Errorf("log names %q, want %q", log[len(log)-2].Fault, want)
				}
			})
		})
	}
}

func TestLateResetCarriesOut(t *testing.T) {
	bubble(t, Options{Faults: []Fault{{Kind: Submit, Action: Reset{Late: true}}}}, func(t *testing.T, s *Server, a *api) {
		if r := a.do("POST", jobsPath, jobText(day(2), day(3))); !errors.Is(r.err, syscall.ECONNRESET) {
			t.Errorf("status %d, error %v", r.status, r.err)
		}
		if n := len(s.OpenJobs()); n != 1 {
			t.Errorf("%d jobs, want the orphan", n)
		}
	})
}

func TestHangsEndWithTheClient(t *testing.T) {
	for _, f := range []Fault{
		{Kind: Page, Action: Hang{}},
		{Kind: Page, Action: Hang{Body: true, At: 0.5}},
		{Kind: Page, Action: Delay{For: time.Hour}},
		{Kind: Page, Action: Slow{BytesPerSecond: 1}},
	} {
		t.Run(f.String(), func(t *testing.T) {
			bubble(t, Options{Faults: []Fault{f}}, func(t *testing.T, _ *Server, a *api) {
				job := a.submit(jobText(day(2), day(3)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r, _ := http.NewRequestWithContext(ctx, "GET", a.base+jobsPath+"/"+job+"/results", nil)
				r.Header.Set("Authorization", "Bearer "+a.token)
				began := time.Now()
				got := a.send(r)
				if !errors.Is(got.err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
					t.Errorf("error %v after %v", got.err, time.Since(began))
				}
			})
		})
	}
}

func TestFaultsOfJobs(t *testing.T) {
	for _, state := range []string{failed, cancelled, expired} {
		t.Run(state, func(t *testing.T) {
			f := Fault{Kind: Submit, After: 1, Action: JobState{State: state, Message: "told so"}}
			bubble(t, Options{Faults: []Fault{f}}, func(t *testing.T, _ *Server, a *api) {
				good, bad := a.submit(jobText(day(2), day(3))), a.submit(jobText(day(2), day(3)))
				if a.state(good) != fulfilled || a.state(bad) != state {
					t.Errorf("states %s and %s", a.state(good), a.state(bad))
				}
				if r := a.results(bad, "", 10); r.status != 400 {
					t.Errorf("results: status %d", r.status)
				}
			})
		})
	}
	t.Run("expires while it is read", func(t *testing.T) {
		f := Fault{Kind: Page, Page: 2, Action: JobState{State: expired}}
		bubble(t, Options{Faults: []Fault{f}}, func(t *testing.T, _ *Server, a *api) {
			job := a.submit(jobText(day(2), day(3)))
			p := a.results(job, "", 10).page(t)
			if r := a.results(job, p.Cursor, 10); r.status != 400 || a.state(job) != expired {
				t.Errorf("status %d, state %s", r.status, a.state(job))
			}
		})
	})
	t.Run("endless", func(t *testing.T) {
		bubble(t, Options{Faults: []Fault{{Kind: Submit, Action: JobEndless{}}}}, func(t *testing.T, _ *Server, a *api) {
			r := a.do("POST", jobsPath, jobText(day(2), day(3)))
			var got struct{ JobID string }
			if err := json.Unmarshal(r.body, &got); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Hour)
			if st := a.state(got.JobID); st != pending {
				t.Errorf("state %s", st)
			}
		})
	})
}

func TestFaultsOfPaging(t *testing.T) {
	read := func(t *testing.T, f Fault, pages int) (records []string, cursors []string) {
		f.Kind = Page
		bubble(t, Options{Faults: []Fault{f}}, func(t *testing.T, s *Server, a *api) {
			job := a.submit(jobText(day(2), day(3)))
			cursor := ""
			for range pages {
				p := a.results(job, cursor, 10).page(t)
				for _, m := range p.Conversations {
					records = append(records, compact(t, m))
				}
				if cursor = p.Cursor; cursor == "" {
					break
				}
				cursors = append(cursors, cursor)
			}
		})
		return records, cursors
	}
	t.Run("repeated cursor", func(t *testing.T) {
		_, cursors := read(t, Fault{Page: 3, Times: -1, Action: RepeatCursor{}}, 5)
		if cursors[1] != cursors[2] || cursors[2] != cursors[4] {
			t.Errorf("cursors %q", cursors)
		}
	})
	t.Run("empty page", func(t *testing.T) {
		records, _ := read(t, Fault{Page: 2, Action: EmptyPage{}}, 1000)
		want, _ := read(t, Fault{Page: 9999, Action: Garble{}}, 1000)
		if !slices.Equal(records, want) {
			t.Errorf("%d records, want %d", len(records), len(want))
		}
	})
	t.Run("duplicate", func(t *testing.T) {
		records, _ := read(t, Fault{Page: 2, Action: Duplicate{Records: 2}}, 2)
		if len(records) != 22 || records[8] != records[10] || records[9] != records[11] {
			t.Errorf("%d records", len(records))
		}
	})
}

func TestRevokedToken(t *testing.T) {
	bubble(t, Options{Faults: []Fault{{Kind: Query, After: 1, Action: RevokeToken{}}}}, func(t *testing.T, s *Server, a *api) {
		ask := func() int { return a.do("POST", queryPath, queryText(day(2), day(3), 25, 1)).status }
		if got := []int{ask(), ask(), ask(), a.login("demo", "demo"), ask()}; !slices.Equal(got, []int{200, 401, 401, 200, 200}) {
			t.Errorf("statuses %v", got)
		}
		s.RevokeTokens()
		if got := ask(); got != 401 {
			t.Errorf("status %d after all were revoked", got)
		}
	})
}

func TestFaultRules(t *testing.T) {
	cases := []struct {
		rule string
		want string // x where the query is hit
	}{
		{"query:503", "x........."},
		{"query:503:after=3,times=2", "...xx....."},
		{"query:503:times=-1", "xxxxxxxxxx"},
		{"query:503:every=3", "..x..x..x."},
		{"query:503:every=3,times=2", "..x..x...."},
		{"query:503:page=4", "...x......"},
		{"any:503:after=8", "........x."},
		{"poll:503", ".........."},
		{"query:503:path=/details/query,after=1", ".x........"},
		{"query:503:path=/elsewhere", ".........."},
		{"query:503:p=0.5,seed=3", ".x...x.xx."},
		{"any:503:job=1", ".........."},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			f, err := ParseFault(c.rule)
			if err != nil {
				t.Fatal(err)
			}
			bubble(t, Options{}, func(t *testing.T, s *Server, a *api) {
				s.AddFault(f)
				var got strings.Builder
				for n := range 10 {
					mark := "."
					if a.do("POST", queryPath, queryText(day(2), day(3), 5, n+1)).status == 503 {
						mark = "x"
					}
					got.WriteString(mark)
				}
				if got.String() != c.want {
					t.Errorf("hit %s, want %s", &got, c.want)
				}
			})
		})
	}
}
