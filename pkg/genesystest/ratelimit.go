package genesystest

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// A window is the platform's allowance: fixed, opened by the first request, and
// closed a minute later.
type window struct {
	opened time.Time
	count  int
}

// take counts a request. It reports how many were counted in this window,
// whether this one still fits, and how long the window lasts.
func (w *window) take(now time.Time, allowed int, length time.Duration, others int) (count int, fits bool, left time.Duration) {
	if w.opened.IsZero() || now.Sub(w.opened) >= length {
		w.opened, w.count = now, 0
	}
	gone := now.Sub(w.opened)
	foreign := int(float64(others) * float64(gone) / float64(length))
	left = length - gone
	if allowed >= 0 && w.count+foreign >= allowed {
		return w.count + foreign, false, left
	}
	w.count++
	return w.count + foreign, true, left
}

// sharedWindow returns the window of a name; the caller holds s.mu.
func (s *Server) sharedWindow(name string) *window {
	w := s.windows[name]
	if w == nil {
		w = new(window)
		s.windows[name] = w
	}
	return w
}

// admit counts an API request against its token's allowance.
func (x *exchange) admit() *answer {
	o := &x.s.opt
	x.s.mu.Lock()
	count, fits, left := x.token.window.take(time.Now(), o.RequestsPerMinute, o.Window, o.Neighbours)
	x.s.mu.Unlock()
	if !o.NoRateHeaders && o.RequestsPerMinute >= 0 {
		h := x.w.Header()
		h.Set("inin-ratelimit-count", strconv.Itoa(count))
		h.Set("inin-ratelimit-allowed", strconv.Itoa(o.RequestsPerMinute))
		h.Set("inin-ratelimit-reset", strconv.Itoa(seconds(left)))
	}
	if fits {
		return nil
	}
	a := x.tooMany(seconds(left), &limitEntity{"token.rate.per.minute", "platform.api", int64(o.RequestsPerMinute)})
	return &a
}

// admitToken counts a token request against its client's allowance.
func (x *exchange) admitToken(client string) *answer {
	o := &x.s.opt
	x.s.mu.Lock()
	_, fits, left := x.s.sharedWindow("login "+client).take(time.Now(), o.TokensPerMinute, o.Window, 0)
	x.s.mu.Unlock()
	if fits {
		return nil
	}
	a := x.tooMany(seconds(left), &limitEntity{"client.credentials.token.rate.per.minute", "auth.api", int64(o.TokensPerMinute)})
	return &a
}

// tooMany is the 429 in force since 2021; without retryAfter (0) in its older form.
func (x *exchange) tooMany(retryAfter int, limit *limitEntity) answer {
	e := errorBody{
		Status: 429, Code: "too.many.requests", Limit: limit,
		Message: fmt.Sprintf("Rate limit exceeded the maximum [%d] requests within [%d] seconds", limit.Value, seconds(x.s.opt.Window)),
	}
	if retryAfter <= 0 {
		return x.failWith(e)
	}
	e.Code = "too.many.requests.retry.after"
	e.Message = fmt.Sprintf("Rate limit exceeded the maximum. Retry the request in [%d] seconds", retryAfter)
	a := x.failWith(e)
	a.header = map[string]string{"Retry-After": strconv.Itoa(retryAfter)}
	return a
}

// seconds rounds up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
