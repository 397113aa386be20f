package genesystest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// post submits a job and does not wait.
func (a *api) post(text string) (string, reply) {
	r := a.do("POST", jobsPath, text)
	var got struct{ JobID string }
	_ = json.Unmarshal(r.body, &got) // "" for what is not a job
	return got.JobID, r
}

func TestJobLife(t *testing.T) {
	o := Options{JobTime: 10 * time.Second, Retention: time.Hour, RunningStatus: 202, EarlyStatus: 409}
	bubble(t, o, func(t *testing.T, s *Server, a *api) {
		job, r := a.post(jobText(day(2), day(3)))
		if r.status != 202 || string(r.body) != `{"jobId":"`+job+`"}` {
			t.Errorf("status %d, body %s", r.status, r.body)
		}
		steps := []struct {
			wait   time.Duration
			state  string
			fields string // of the status
			status int    // of the poll
			page   int    // status of the results
		}{
			{0, queued, "state submissionDate", 202, 409},
			{5 * time.Second, pending, "state submissionDate", 202, 409},
			{5 * time.Second, fulfilled, "completionDate expirationDate state submissionDate", 200, 200},
			{59 * time.Minute, fulfilled, "completionDate expirationDate state submissionDate", 200, 200},
			{time.Minute, expired, "completionDate expirationDate state submissionDate", 200, 409},
		}
		for _, st := range steps {
			time.Sleep(st.wait)
			r := a.do("GET", jobsPath+"/"+job, "")
			var got map[string]string
			if err := json.Unmarshal(r.body, &got); err != nil {
				t.Fatal(err)
			}
			if f := strings.Join(sortedKeys(got), " "); r.status != st.status || got["state"] != st.state || f != st.fields {
				t.Errorf("status %d, body %s, want %s", r.status, r.body, st.state)
			}
			if p := a.results(job, "", 10); p.status != st.page {
				t.Errorf("%s: results answered %d, want %d", st.state, p.status, st.page)
			}
		}
	})
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestJobDeleted(t *testing.T) {
	for gone, want := range map[bool]int{false: 200, true: 404} {
		bubble(t, Options{DeletedIsGone: gone}, func(t *testing.T, s *Server, a *api) {
			job := a.submit(jobText(day(2), day(3)))
			if open := s.OpenJobs(); !slices.Equal(open, []string{job}) {
				t.Errorf("open jobs %q", open)
			}
			r := a.do("DELETE", jobsPath+"/"+job, "")
			if r.status != 204 || len(r.body) > 0 || len(s.OpenJobs()) > 0 {
				t.Errorf("status %d, body %s, open %q", r.status, r.body, s.OpenJobs())
			}
			r = a.do("GET", jobsPath+"/"+job, "")
			if r.status != want || want == 200 && !strings.Contains(string(r.body), cancelled) {
				t.Errorf("status %d, body %s", r.status, r.body)
			}
			if r := a.results(job, "", 10); r.status != 400 && r.status != 404 {
				t.Errorf("results: status %d", r.status)
			}
		})
	}
}

func TestJobLimits(t *testing.T) {
	bubble(t, Options{MaxJobs: 2, JobTime: 10 * time.Second, JobLimitRetryAfter: 4 * time.Second}, func(t *testing.T, _ *Server, a *api) {
		first, _ := a.post(jobText(day(2), day(3)))
		a.post(jobText(day(2), day(3)))
		_, r := a.post(jobText(day(2), day(3)))
		if r.status != 429 || r.header.Get("Retry-After") != "4" || !strings.Contains(string(r.body), `"limit":{"key":"`+keyJobs+`","namespace":"analytics","value":2}`) {
			t.Errorf("status %d, header %v, body %s", r.status, r.header, r.body)
		}
		a.do("DELETE", jobsPath+"/"+first, "")
		if _, r := a.post(jobText(day(2), day(3))); r.status != 202 {
			t.Errorf("after a deletion: status %d", r.status)
		}
		time.Sleep(10 * time.Second)
		if _, r := a.post(jobText(day(2), day(3))); r.status != 202 {
			t.Errorf("after the others finished: status %d", r.status)
		}
	})
	bubble(t, Options{SubmitsPerSecond: 2}, func(t *testing.T, _ *Server, a *api) {
		var got []int
		for range 3 {
			_, r := a.post(jobText(day(2), day(3)))
			got = append(got, r.status)
		}
		time.Sleep(time.Second)
		_, r := a.post(jobText(day(2), day(3)))
		if got = append(got, r.status); !slices.Equal(got, []int{202, 202, 429, 202}) {
			t.Errorf("statuses %v", got)
		}
	})
	bubble(t, Options{MaxJobInterval: 24 * time.Hour}, func(t *testing.T, _ *Server, a *api) {
		_, day1 := a.post(jobText(day(2), day(3)))
		if _, r := a.post(jobText(day(2), day(4))); r.status != 400 || day1.status != 202 {
			t.Errorf("statuses %d and %d", day1.status, r.status)
		}
	})
}

func TestJobTimes(t *testing.T) {
	o := Options{JobTime: 3 * time.Second, JobTimeMax: 20 * time.Second, RequestsPerMinute: -1}
	bubble(t, o, func(t *testing.T, _ *Server, a *api) {
		times := make(map[time.Duration]bool)
		for range 10 {
			began := time.Now()
			a.submit(jobText(day(2), day(3)))
			d := time.Since(began)
			if d < 3*time.Second || d > 21*time.Second {
				t.Errorf("a job of %v", d)
			}
			times[d] = true
		}
		if len(times) < 5 {
			t.Errorf("only %d different times", len(times))
		}
	})
}

func TestJobOptions(t *testing.T) {
	bubble(t, Options{OmitEmpty: true}, func(t *testing.T, _ *Server, a *api) {
		empty := a.results(a.submit(jobText(moment.AddDate(1, 0, 0), moment.AddDate(1, 0, 1))), "", 10)
		if string(empty.body) != `{"dataAvailabilityDate":"2026-03-20T12:00:00Z"}` {
			t.Errorf("body %s", empty.body)
		}
	})
	bubble(t, Options{}, func(t *testing.T, s *Server, a *api) {
		empty := a.results(a.submit(jobText(moment.AddDate(1, 0, 0), moment.AddDate(1, 0, 1))), "", 10)
		if string(empty.body) != `{"conversations":[],"dataAvailabilityDate":"2026-03-20T12:00:00Z"}` {
			t.Errorf("body %s", empty.body)
		}
		whole := a.readJob(a.submit(jobText(day(2), day(3))), 100)
		text := strings.TrimSuffix(jobText(day(2), day(3)), "}")
		if got := a.readJob(a.submit(text+`,"limit":15}`), 10); !slices.Equal(got, whole[:15]) {
			t.Errorf("limit 15: %d records", len(got))
		}
		slices.Reverse(whole)
		if got := a.readJob(a.submit(text+`,"order":"desc"}`), 33); !slices.Equal(got, whole) {
			t.Errorf("descending: %d records, want %d", len(got), len(whole))
		}
	})
}
