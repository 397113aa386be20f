package genesys

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// window60 is the server's window, which others use too: theirs says how many
// requests they have made in it so far, after a time since its beginning.
type window60 struct {
	opened time.Time
	own    int
	theirs func(window int, gone time.Duration) int
	number int
}

// answer takes a request, and gives the headers of the answer and whether it was
// granted.
func (w *window60) answer() (http.Header, bool) {
	if time.Since(w.opened) >= time.Minute {
		w.opened, w.own, w.number = time.Now(), 0, w.number+1
	}
	gone := time.Since(w.opened)
	granted := w.own+w.theirs(w.number, gone) < 300
	if granted {
		w.own++
	}
	return http.Header{
		"Inin-Ratelimit-Count":   {strconv.Itoa(w.own + w.theirs(w.number, gone))},
		"Inin-Ratelimit-Allowed": {"300"},
		"Inin-Ratelimit-Reset":   {strconv.Itoa(int(math.Ceil((time.Minute - gone).Seconds())))},
	}, granted
}

// Others get what they use, whether they use it evenly, at once or for a time
// only; and what they leave is ours.
func TestLimiterLeavesOthersTheirPart(t *testing.T) {
	evenly := func(n int) func(int, time.Duration) int {
		return func(_ int, gone time.Duration) int { return int(float64(n) * gone.Seconds() / 60) }
	}
	for _, tc := range []struct {
		name    string
		theirs  func(window int, gone time.Duration) int
		grant   allowance
		least   int // requests of ours in the last 5 of 15 minutes
		most    int
		refused int // in all
	}{
		{"nobody", evenly(0), whole(300), 1490, 1515, 0},
		{"a third", evenly(100), whole(300), 980, 1025, 15},
		{"a third, and a reserve of less", evenly(100), allowance{300, 0.2, 1, 0}, 980, 1025, 15},
		{"a third, and a reserve of more", evenly(100), allowance{300, 0.5, 1, 0}, 735, 760, 0},
		{"nearly all", evenly(295), whole(300), 100, 310, 60},
		{"a third at once", func(_ int, gone time.Duration) int { return 100 }, whole(300), 500, 1010, 15},
		{"a third at the end", func(_ int, gone time.Duration) int { return 100 * int(gone/(50*time.Second)) }, whole(300), 900, 1050, 60},
		{"for 5 minutes", func(n int, gone time.Duration) int {
			if n > 5 {
				return 0
			}
			return evenly(100)(n, gone)
		}, whole(300), 1490, 1515, 15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l, w := newLimiter(tc.grant), &window60{theirs: tc.theirs}
				start := time.Now()
				late, refused := 0, 0
				for time.Since(start) < 15*time.Minute {
					p, _, err := l.wait(t.Context(), false)
					if err != nil {
						t.Fatal(err)
					}
					h, granted := w.answer()
					p.answered()
					status := 200
					if !granted {
						status, refused = 429, refused+1
						l.throttled(time.Second)
					}
					l.obey(h, status, 5*time.Minute)
					if granted && time.Since(start) >= 10*time.Minute {
						late++
					}
				}
				if late < tc.least || late > tc.most || refused > tc.refused {
					t.Errorf("%d requests in 5 minutes, want %d to %d; %d refused, want %d at most", late, tc.least, tc.most, refused, tc.refused)
				}
			})
		})
	}
}

// Refusals that follow each other pause for longer and longer; those of
// different windows slow down, and a time without brings back the full speed.
func TestBrake(t *testing.T) {
	now := time.Unix(0, 0)
	var b brake
	for i, want := range []time.Duration{1, 2, 4, 8, 15, 15, 15} {
		if got := b.step(now); got != want*time.Second || b.factor(now) != 1 {
			t.Errorf("refusal %d: %v, factor %g", i, got, b.factor(now))
		}
		now = now.Add(2 * time.Second)
	}
	for i, want := range []float64{0.75, 0.6, 0.4875, 0.403, 0.34, 0.29, 0.25, 0.25} {
		now = now.Add(time.Minute)
		if b.step(now); math.Abs(b.factor(now)-want) > 0.01 {
			t.Errorf("window %d: factor %g, want %g", i, b.factor(now), want)
		}
	}
	if f := b.factor(now.Add(15 * time.Minute)); f != 1 {
		t.Errorf("a quarter of an hour later the factor is %g", f)
	}
	now = now.Add(time.Hour)
	if got := b.step(now); got != time.Second || b.factor(now) != 1 {
		t.Errorf("much later: %v, factor %g", got, b.factor(now))
	}
}

// No header leads to a limit of nothing or to a long wait.
func FuzzNeighbours(f *testing.F) {
	f.Add(int64(10), int64(300), int64(60), int64(20), uint8(3))
	f.Add(int64(1<<40), int64(1), int64(1<<40), int64(-5), uint8(200))
	f.Fuzz(func(t *testing.T, count, allowed, reset, later int64, open uint8) {
		l := newLimiter(whole(300))
		for i := range int64(3) {
			l.window.open = int(open)
			l.obey(http.Header{"Inin-Ratelimit-Count": {fmt.Sprint(count * i)}, "Inin-Ratelimit-Allowed": {fmt.Sprint(allowed)},
				"Inin-Ratelimit-Reset": {fmt.Sprint(reset)}}, 200, 5*time.Minute)
		}
		now := time.Now().Add(time.Duration(later%3600) * time.Second)
		if limit := l.limit(now); !(limit >= min(l.own(), floor*l.own()) && limit <= 300) {
			t.Errorf("limit %g of %g", limit, l.own())
		}
		if hold := l.others.hold(now, int(open), time.Second); hold > 5*time.Minute+time.Hour {
			t.Errorf("held for %v", hold)
		}
	})
}
