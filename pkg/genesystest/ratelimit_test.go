package genesystest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAllowance(t *testing.T) {
	bubble(t, Options{RequestsPerMinute: 5}, func(t *testing.T, s *Server, a *api) {
		ask := func() reply { return a.do("GET", limitPath+"namespaces", "") }
		var got []string
		for range 7 {
			r := ask()
			h := r.header.Get
			got = append(got, fmt.Sprintf("%d %s %s %s", r.status, h("inin-ratelimit-count"), h("inin-ratelimit-reset"), h("Retry-After")))
			time.Sleep(2500 * time.Millisecond)
		}
		want := []string{"200 1 60 ", "200 2 58 ", "200 3 55 ", "200 4 53 ", "200 5 50 ", "429 5 48 48", "429 5 45 45"}
		if !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
		r := ask()
		wantBody := `"message":"Rate limit exceeded the maximum. Retry the request in [43] seconds","code":"too.many.requests.retry.after","status":429`
		if !strings.Contains(string(r.body), wantBody) || !strings.Contains(string(r.body), "token.rate.per.minute") {
			t.Errorf("body %s", r.body)
		}
		time.Sleep(42500 * time.Millisecond)
		if r := ask(); r.status != 200 || r.header.Get("inin-ratelimit-count") != "1" {
			t.Errorf("after a minute: status %d, count %s", r.status, r.header.Get("inin-ratelimit-count"))
		}
		if err := s.CheckAllowance(); err == nil || !strings.Contains(err.Error(), `client "demo" made 9 requests`) {
			t.Errorf("allowance: %v", err)
		}
		if n := s.Window(time.Minute); n != 9 {
			t.Errorf("%d requests in a minute, want 9", n)
		}
		if n := s.Tally()[Limits]; n[200] != 6 || n[429] != 3 {
			t.Errorf("tally %v", n)
		}
		s.ForgetRequests()
		if err := s.CheckAllowance(); err != nil || len(s.Requests()) != 0 {
			t.Errorf("allowance: %v", err)
		}
	})
}

func TestAllowanceVariants(t *testing.T) {
	used := func(o Options, logins int) (statuses []int) {
		bubble(t, o, func(t *testing.T, _ *Server, a *api) {
			for range logins {
				a.login("demo", "demo")
				for range 3 {
					statuses = append(statuses, a.do("GET", limitPath+"namespaces", "").status)
				}
			}
		})
		return statuses
	}
	cases := []struct {
		name   string
		opt    Options
		logins int
		want   []int
	}{
		{"each token its own", Options{RequestsPerMinute: 3}, 2, []int{200, 200, 200, 200, 200, 200}},
		{"all tokens of a client", Options{RequestsPerMinute: 3, PerClient: true}, 2, []int{200, 200, 200, 429, 429, 429}},
		{"no limit", Options{RequestsPerMinute: -1}, 1, []int{200, 200, 200}},
		{"nothing allowed to tokens", Options{TokensPerMinute: 1}, 1, []int{401, 401, 401}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := used(c.opt, c.logins); !slices.Equal(got, c.want) {
				t.Errorf("statuses %v, want %v", got, c.want)
			}
		})
	}
}

// TestNeighbours: others use the same token, a third of the window in all.
func TestNeighbours(t *testing.T) {
	bubble(t, Options{RequestsPerMinute: 60, Neighbours: 20, Window: 10 * time.Second}, func(t *testing.T, _ *Server, a *api) {
		good := 0
		for range 100 {
			if a.do("GET", limitPath+"namespaces", "").status == 200 {
				good++
			}
			time.Sleep(99 * time.Millisecond)
		}
		if good < 48 || good > 52 { // after 5 seconds, 10 of theirs and 50 of ours
			t.Errorf("%d requests were answered in a window, want about 50", good)
		}
	})
}

func TestNoRateHeaders(t *testing.T) {
	bubble(t, Options{NoRateHeaders: true}, func(t *testing.T, _ *Server, a *api) {
		for name := range a.do("GET", limitPath+"namespaces", "").header {
			if strings.HasPrefix(strings.ToLower(name), "inin-ratelimit") {
				t.Errorf("header %s", name)
			}
		}
	})
}

func TestLimitsAreThoseInForce(t *testing.T) {
	bubble(t, Options{RequestsPerMinute: 77, MaxJobs: 3, SubmitsPerSecond: 2}, func(t *testing.T, _ *Server, a *api) {
		for path, want := range map[string]string{
			"namespaces/platform.api":          `{"key":"token.rate.per.minute","namespace":"platform.api","value":77}`,
			"namespaces/platform.api/defaults": `{"key":"token.rate.per.minute","namespace":"platform.api","value":300}`,
			"namespaces/analytics":             `{"key":"` + keyJobs + `","namespace":"analytics","value":3}`,
			"docs":                             `{"url":"`,
		} {
			if r := a.do("GET", limitPath+path, ""); !strings.Contains(string(r.body), want) {
				t.Errorf("%s: %s, want %s", path, r.body, want)
			}
		}
	})
}

func TestLatency(t *testing.T) {
	bubble(t, Options{Latency: 100 * time.Millisecond, LatencyMax: 300 * time.Millisecond}, func(t *testing.T, _ *Server, a *api) {
		seen := make(map[time.Duration]bool)
		for range 20 {
			began := time.Now()
			a.do("GET", limitPath+"namespaces", "")
			d := time.Since(began)
			if d < 100*time.Millisecond || d > 300*time.Millisecond {
				t.Errorf("took %v", d)
			}
			seen[d] = true
		}
		if len(seen) < 10 {
			t.Errorf("only %d different latencies", len(seen))
		}
	})
}

func TestDensest(t *testing.T) {
	at := func(seconds ...float64) (out []time.Time) {
		for _, s := range seconds {
			out = append(out, moment.Add(time.Duration(s*float64(time.Second))))
		}
		return out
	}
	for _, c := range []struct {
		times []time.Time
		want  int
	}{
		{nil, 0},
		{at(5), 1},
		{at(0, 60), 1},
		{at(0, 59.999), 2},
		{at(100, 0, 30, 59, 61, 89), 4},
	} {
		if n, _ := densest(c.times, time.Minute); n != c.want {
			t.Errorf("%v: %d, want %d", c.times, n, c.want)
		}
	}
}
