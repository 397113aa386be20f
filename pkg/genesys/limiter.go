package genesys

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A limiter lets requests through one by one: never more in any 60 seconds than
// the allowance, and none at all during a pause.
type limiter struct {
	own   float64 // the allowance that was configured, in requests a minute
	burst int     // the burst that was wished for
	turn  chan struct{}
	rate  *rate.Limiter

	mu      sync.Mutex
	until   time.Time // end of the pause
	allowed float64   // the allowance in force: own, or less if the server says so
}

func newLimiter(perMinute float64, burst int) *limiter {
	return &limiter{
		own:     perMinute,
		burst:   burst,
		allowed: perMinute,
		turn:    make(chan struct{}, 1),
		rate:    rate.NewLimiter(budget(perMinute, burst)),
	}
}

// budget turns an allowance per minute into a token bucket that keeps it in any
// window of 60 seconds, wherever the window begins: burst + 60·rate <= perMinute.
// A wish for a burst is granted up to half of the allowance; without one it is
// what a second brings, because each request of the burst costs one a minute of
// the steady rate. Below two a minute the law leaves no rate, so requests are
// then set at least a minute apart: one in each window.
func budget(perMinute float64, wish int) (perSecond rate.Limit, burst int) {
	if perMinute < 2 {
		return rate.Limit(min(perMinute, 1) / 60), 1
	}
	if wish <= 0 {
		wish = int(perMinute / 60)
	}
	burst = max(1, min(wish, int(perMinute/2)))
	return rate.Limit((perMinute - float64(burst)) / 60), burst
}

// wait returns when one request may be sent, and how long that took. Callers
// are served in the order they came. If ctx ends first, the place is given back
// and the error is the cause.
//
// Only the caller at the head holds a reservation: so a lower rate, a pause and
// a cancelled caller take effect at once, for everybody behind it.
func (l *limiter) wait(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return time.Since(start), context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	for {
		if err := sleep(ctx, l.pauseLeft()); err != nil {
			return time.Since(start), err
		}
		r := l.rate.Reserve()
		if err := sleep(ctx, r.Delay()); err != nil {
			r.Cancel()
			return time.Since(start), err
		}
		if l.pauseLeft() <= 0 {
			return time.Since(start), nil
		}
		// A pause began meanwhile. A place kept through it would come on top of
		// the bucket, which fills up during the pause; so stand in line again.
	}
}

// pause lets nobody through for d, and a little longer by chance, so that
// several processes that were paused together do not come back together. It
// never shortens a pause.
func (l *limiter) pause(d time.Duration) {
	spread := min(max(d/10, 250*time.Millisecond), 5*time.Second)
	until := time.Now().Add(d + rand.N(spread))
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.until) {
		l.until = until
	}
}

func (l *limiter) pauseLeft() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// obey reads what the server says about its window, where it says so: a smaller
// allowance replaces ours, and a window that is used up is waited out, longest
// for limit. It returns the length of such a pause.
func (l *limiter) obey(h http.Header, limit time.Duration) time.Duration {
	allowed, ok := headerNumber(h, "Inin-Ratelimit-Allowed")
	if !ok || allowed < 1 {
		return 0
	}
	l.lower(allowed)
	count, ok := headerNumber(h, "Inin-Ratelimit-Count")
	if !ok || count < allowed {
		return 0
	}
	reset, ok := headerNumber(h, "Inin-Ratelimit-Reset")
	if !ok || reset <= 0 {
		return 0
	}
	d := capSeconds(reset, limit)
	l.pause(d)
	return d
}

// lower sets the allowance to what the server allows, at most to our own.
func (l *limiter) lower(allowed float64) {
	allowed = min(allowed, l.own)
	l.mu.Lock()
	defer l.mu.Unlock()
	if allowed == l.allowed {
		return
	}
	l.allowed = allowed
	perSecond, burst := budget(allowed, l.burst)
	l.rate.SetLimit(perSecond)
	l.rate.SetBurst(burst)
}

// headerNumber reads a header that holds a number; ok is false if it does not.
func headerNumber(h http.Header, name string) (n float64, ok bool) {
	v, err := strconv.ParseInt(strings.TrimSpace(h.Get(name)), 10, 64)
	return float64(v), err == nil
}

// sleep returns after d, or with the cause once ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
