package genesys

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// whole is an allowance that is all ours.
func whole(perMinute float64) allowance { return allowance{perMinute: perMinute, share: 1} }

// letThrough lets one request through and has it answered at once.
func letThrough(l *limiter, ctx context.Context) (time.Duration, error) {
	p, waited, err := l.wait(ctx, false)
	if err == nil {
		p.answered()
	}
	return waited, err
}

// spend lets callers take turns until the time is over, and returns when the
// server saw them: each request travels for a random time up to the latency, and
// as long back.
func spend(l *limiter, callers int, length, latency time.Duration) []time.Time {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var mu sync.Mutex
	var times []time.Time
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				p, _, err := l.wait(ctx, false)
				if err != nil {
					return
				}
				time.Sleep(rand.N(latency + 1))
				mu.Lock()
				times = append(times, time.Now())
				mu.Unlock()
				time.Sleep(rand.N(latency + 1))
				p.answered()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// busiest returns the most times that lie in one closed window.
func busiest(times []time.Time, window time.Duration) int {
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) > window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// However long and unevenly requests travel, no window of the server holds more
// than the allowance; and all of it is used, but for their time on the way.
func TestLimiterKeepsTheAllowanceInEveryWindow(t *testing.T) {
	for _, perMinute := range []float64{300, 300.0 / 4, 300.0 / 64, 61, 2, 1.5, 1, 0.5} {
		for _, callers := range []int{1, 64} {
			for _, latency := range []time.Duration{0, 150 * time.Millisecond, 10 * time.Second} {
				t.Run(fmt.Sprintf("%.3g by %d, %v", perMinute, callers, latency), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						l := newLimiter(whole(perMinute))
						times := spend(l, callers, 20*time.Minute, latency)
						// Half-open windows: what a window of the server holds.
						most := busiest(times, time.Minute-time.Nanosecond)
						if most > int(math.Max(perMinute, 1)) {
							t.Errorf("%d requests in 60 s", most)
						}
						want := 20 * math.Floor(perMinute) * 60 / (60 + latency.Seconds()) * 0.99
						if callers > 1 && perMinute > 60 && float64(len(times)) < want {
							t.Errorf("%d requests in 20 minutes, want %.0f", len(times), want)
						}
					})
				})
			}
		}
	}
}

func TestLimiterPausesEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(whole(300))
		time.AfterFunc(70*time.Second, func() { l.pause(30 * time.Second) })
		time.AfterFunc(80*time.Second, func() { l.pause(time.Second) }) // does not shorten it
		start := time.Now()
		times := spend(l, 16, 3*time.Minute, 0)
		inside := func(at time.Time) bool {
			return at.Sub(start) > 70*time.Second && at.Sub(start) < 100*time.Second
		}
		if slices.ContainsFunc(times, inside) {
			t.Error("a request was let through in the pause")
		}
		if most := busiest(times, time.Minute); most > 300 {
			t.Errorf("%d requests in 60 s", most)
		}
		if after := times[len(times)-1].Sub(start); after < 170*time.Second {
			t.Errorf("the last request was at %v: the limiter did not go on", after)
		}
	})
}

func TestLimiterGivesBackThePlaceOfACancelledCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(allowance{60, 0, 1, 1}) // one at once, then 59 a minute
		if _, err := letThrough(l, t.Context()); err != nil {
			t.Fatal(err)
		}
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := letThrough(l, ctx); err != why {
					t.Errorf("error is %v, want the cause", err)
				}
			})
		}
		synctest.Wait()
		cancel(why)
		wg.Wait()
		if waited, err := letThrough(l, t.Context()); err != nil || waited > 1100*time.Millisecond {
			t.Errorf("waited %v, %v: the places of those who left are still taken", waited, err)
		}
	})
}

// A deadline that is nearer than the turn is no reason to fail before it.
func TestLimiterWaitsForTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(whole(1))
		letThrough(l, t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		waited, err := letThrough(l, ctx)
		if waited != 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited %v, %v", waited, err)
		}
	})
}

func TestLimiterObeysHeaders(t *testing.T) {
	header := func(count, allowed, reset string) http.Header {
		return http.Header{"Inin-Ratelimit-Count": {count}, "Inin-Ratelimit-Allowed": {allowed}, "Inin-Ratelimit-Reset": {reset}}
	}
	for _, tc := range []struct {
		name    string
		header  http.Header
		allowed float64
		pause   time.Duration
	}{
		{"none", http.Header{}, 300, 0},
		{"more than ours", header("1", "3000", "60"), 300, 0},
		{"less than ours", header("1", "180", "60"), 180, 0},
		{"used up", header("300", "300", "17"), 300, 17 * time.Second},
		{"over", header("450", "180", "3"), 180, 3 * time.Second},
		{"absurd reset", header("300", "300", "99999999999"), 300, 5 * time.Minute},
		{"negative reset", header("300", "300", "-4"), 300, 0},
		{"garbage", header("x", "y", "z"), 300, 0},
		{"zero allowed", header("1", "0", "60"), 300, 0},
		{"overflow", header("1", "99999999999999999999999", "60"), 300, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLimiter(whole(300))
				pause := l.obey(tc.header, 200, 5*time.Minute)
				if l.own() != tc.allowed || pause != tc.pause {
					t.Errorf("allowed %g, pause %v", l.own(), pause)
				}
				if left := l.admit(time.Now()); left != tc.pause {
					t.Errorf("held for %v", left)
				}
			})
		})
	}
	t.Run("and goes back to full speed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLimiter(whole(300))
			l.obey(header("1", "60", "60"), 200, time.Minute)
			slow := spend(l, 4, 5*time.Minute, 0)
			l.obey(header("1", "300", "60"), 200, time.Minute)
			fast := spend(l, 4, 5*time.Minute, 0)
			if busiest(slow, time.Minute-1) > 60 || len(slow) < 290 || len(fast) < 1450 {
				t.Errorf("%d requests, at most %d in a minute, while 60 were allowed, then %d",
					len(slow), busiest(slow, time.Minute), len(fast))
			}
		})
	})
}
