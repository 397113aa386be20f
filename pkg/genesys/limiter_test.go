package genesys

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	for _, tc := range []struct {
		perMinute float64
		wish      int
		burst     int
	}{
		{300, 0, 5}, {300, 30, 30}, {300, 1000, 150}, {60, 0, 1}, {75, 0, 1},
		{300.0 / 64, 0, 1}, {300.0 / 7, 0, 1}, {2, 0, 1}, {2, 9, 1}, {1.5, 3, 1}, {1, 0, 1}, {0.25, 0, 1},
	} {
		t.Run(fmt.Sprintf("%g,%d", tc.perMinute, tc.wish), func(t *testing.T) {
			perSecond, burst := budget(tc.perMinute, tc.wish)
			if burst != tc.burst || perSecond <= 0 {
				t.Errorf("burst %d, %g a second", burst, perSecond)
			}
			if sum := float64(burst) + 60*float64(perSecond); tc.perMinute >= 2 && sum > tc.perMinute+1e-9 {
				t.Errorf("burst + 60·rate = %g", sum)
			}
			if long := 60 * float64(perSecond); long > tc.perMinute {
				t.Errorf("%g a minute in the long run", long)
			}
		})
	}
}

// spend lets callers take turns until the time is over, and returns when they did.
func spend(l *limiter, callers int, length time.Duration) []time.Time {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var mu sync.Mutex
	var times []time.Time
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				if _, err := l.wait(ctx); err != nil {
					return
				}
				mu.Lock()
				times = append(times, time.Now())
				mu.Unlock()
			}
		})
	}
	wg.Wait()
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

func TestLimiterKeepsTheAllowanceInEveryWindow(t *testing.T) {
	for _, perMinute := range []float64{300, 300.0 / 4, 300.0 / 64, 61, 2, 1.5, 1, 0.5} {
		for _, callers := range []int{1, 16} {
			t.Run(fmt.Sprintf("%.3g by %d", perMinute, callers), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newLimiter(perMinute, 0)
					times := spend(l, callers, 10*time.Minute)
					// Half-open windows: what a window of the server holds.
					most := busiest(times, time.Minute-time.Nanosecond)
					if most > int(math.Max(perMinute, 1)) {
						t.Errorf("%d requests in 60 s", most)
					}
					if perMinute == 300 && len(times) < 2910 {
						t.Errorf("%d requests in 10 minutes use less than 97 %% of the allowance", len(times))
					}
				})
			})
		}
	}
}

func TestLimiterPausesEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(300, 0)
		time.AfterFunc(70*time.Second, func() { l.pause(30 * time.Second) })
		time.AfterFunc(80*time.Second, func() { l.pause(time.Second) }) // does not shorten it
		start := time.Now()
		times := spend(l, 16, 3*time.Minute)
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
		l := newLimiter(60, 1) // one at once, then 59 a minute
		if _, err := l.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := l.wait(ctx); err != why {
					t.Errorf("error is %v, want the cause", err)
				}
			})
		}
		synctest.Wait()
		cancel(why)
		wg.Wait()
		if waited, err := l.wait(t.Context()); err != nil || waited > 1100*time.Millisecond {
			t.Errorf("waited %v, %v: the places of those who left are still taken", waited, err)
		}
	})
}

// A deadline that is nearer than the turn is no reason to fail before it.
func TestLimiterWaitsForTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(1, 0)
		l.wait(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		waited, err := l.wait(ctx)
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
				l := newLimiter(300, 0)
				pause := l.obey(tc.header, 5*time.Minute)
				if l.allowed != tc.allowed || pause != tc.pause {
					t.Errorf("allowed %g, pause %v", l.allowed, pause)
				}
				if left := max(0, l.pauseLeft()); left < tc.pause || left > tc.pause+6*time.Second {
					t.Errorf("paused for %v", left)
				}
			})
		})
	}
	t.Run("and goes back to full speed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLimiter(300, 0)
			l.obey(header("1", "60", "60"), time.Minute)
			slow := spend(l, 4, 5*time.Minute)
			l.obey(header("1", "300", "60"), time.Minute)
			fast := spend(l, 4, 5*time.Minute)
			// The bucket was full when the allowance shrank: that is one burst more.
			if busiest(slow, time.Minute) > 60+5 || len(slow) < 290 || len(fast) < 1450 {
				t.Errorf("%d requests, at most %d in a minute, while 60 were allowed, then %d",
					len(slow), busiest(slow, time.Minute), len(fast))
			}
		})
	})
}
