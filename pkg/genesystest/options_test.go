package genesystest

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOptionsCheck(t *testing.T) {
	for name, c := range map[string]struct {
		opt  Options
		want string
	}{
		"good":       {Options{}, ""},
		"backwards":  {Options{From: day(3), To: day(2)}, "end before they begin"},
		"many":       {Options{PerDay: 1e9}, "a day"},
		"size":       {Options{Size: "huge"}, `unknown size "huge"`},
		"drift":      {Options{Drift: 100}, "drift"},
		"gzip level": {Options{GzipLevel: 10}, "gzip level"},
		"running":    {Options{RunningStatus: 404}, "running job"},
		"no action":  {Options{Faults: []Fault{{Kind: Page}}}, "no action"},
		"bad kind":   {Options{Faults: []Fault{{Kind: "pages", Action: Reset{}}}}, "unknown kind"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.opt.Check()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			defer func() {
				if p := recover(); (p == nil) != (c.want == "") {
					t.Errorf("New panicked with %v", p)
				}
			}()
			New(c.opt)
		})
	}
}

// TestDefaults: a server without options serves two years up to now.
func TestDefaults(t *testing.T) {
	s := New(Options{})
	i := s.Info()
	now := time.Now()
	if now.Sub(i.To) > time.Minute || i.To.Sub(i.From) < 729*24*time.Hour || i.ClientID != "demo" || i.RequestsPerMinute != 300 {
		t.Errorf("info %+v", i)
	}
	if d := now.Sub(i.Watermark); d < 59*time.Minute || d > 61*time.Minute {
		t.Errorf("the watermark is %v behind", d)
	}
	if i.Conversations < 1_350_000 || i.Conversations > 1_600_000 {
		t.Errorf("%d conversations in two years of 2000 a day", i.Conversations)
	}
	f := New(Options{Faults: []Fault{{Kind: Page, Action: HTML502{}}}}).Info().Faults
	if len(f) != 1 || f[0] != "page:html502" {
		t.Errorf("faults %q", f)
	}
}

func TestCountByDay(t *testing.T) {
	s := New(fixed(Options{Flat: true, PerDay: 77}))
	for d := range 10 {
		if n := s.Count(day(2+d), day(3+d)); n != 77 {
			t.Errorf("%d on day %d, want 77", n, d)
		}
	}
	s = New(fixed(Options{PerDay: 1000}))
	if sunday, monday := s.Count(day(8), day(9)), s.Count(day(9), day(10)); sunday*2 > monday {
		t.Errorf("%d on a Sunday, %d on a Monday", sunday, monday)
	}
	total := int64(0)
	for h := range 24 * 7 {
		total += s.Count(day(2).Add(time.Duration(h)*time.Hour), day(2).Add(time.Duration(h+1)*time.Hour))
	}
	if want := s.Count(day(2), day(9)); total != want {
		t.Errorf("hours add up to %d, the week has %d", total, want)
	}
}

// TestWire: how bodies travel.
func TestWire(t *testing.T) {
	cases := []struct {
		name             string
		opt              Options
		accept           string
		encoding, length bool
		lines            bool
	}{
		{"plain", Options{}, "gzip", false, true, false},
		{"gzip", Options{Gzip: true}, "gzip", true, true, false},
		{"gzip not asked for", Options{Gzip: true}, "identity", false, true, false},
		{"chunked", Options{Chunked: true, Gzip: true}, "gzip", true, false, false},
		{"pretty", Options{Pretty: true}, "identity", false, true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, c.opt, func(t *testing.T, _ *Server, a *api) {
				r, _ := http.NewRequest("POST", a.base+queryPath, strings.NewReader(queryText(day(2), day(3), 100, 1)))
				r.Header.Set("Authorization", "Bearer "+a.token)
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Accept-Encoding", c.accept)
				res, err := a.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if got := res.Header.Get("Content-Encoding") == "gzip"; got != c.encoding {
					t.Errorf("Content-Encoding %q", res.Header.Get("Content-Encoding"))
				}
				if got := res.ContentLength == int64(len(b)); got != c.length {
					t.Errorf("Content-Length %d of %d", res.ContentLength, len(b))
				}
				if !c.encoding && strings.Contains(string(b), "\n  ") != c.lines {
					t.Errorf("body %.100s", b)
				}
			})
		})
	}
}

// TestPageCacheIsBounded: and that pages come from it unchanged is a row of
// TestJobsAndQueryGiveTheTruth.
func TestPageCacheIsBounded(t *testing.T) {
	var c pageCache
	c.limit = 1000
	for i := range uint64(100) {
		c.put(cacheKey{page: i}, make([]byte, 300))
		c.put(cacheKey{page: i}, make([]byte, 300))
		if len(c.bodies) > 3 || c.size > 1000 || c.get(cacheKey{page: i}) == nil {
			t.Fatalf("%d bodies of %d bytes after %d", len(c.bodies), c.size, i)
		}
	}
	if c.put(cacheKey{page: 200}, make([]byte, 2000)); c.get(cacheKey{page: 200}) != nil {
		t.Error("a body larger than the cache is kept")
	}
}
