package genesys

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// neighbours is what the server's answers tell of its window, and so of others
// who use the same token. The window is fixed, lasts a minute and opens with a
// request. What the server has counted in it, and was not ours, is theirs.
type neighbours struct {
	allowed float64   // requests in a window; 0: the server says nothing
	end     time.Time // of the window at hand
	at      time.Time // when we were last told of it
	own     float64   // answers to us that were counted in it
	used    float64   // what others have used of it so far, at least
	before  float64   // what they used in the windows before, fading
	seen    bool      // a window before has been seen
}

const (
	windowLength = time.Minute
	// sameWindow is how far two estimates of a window's end may lie apart: the
	// header tells whole seconds, and answers travel.
	sameWindow = 10 * time.Second
	// tolerance is the part of the window by which the count of others may be
	// wrong before it costs us anything.
	tolerance = 0.01
	// lenience is the part of the window that is not kept for what others may yet
	// send in it. Without any, processes that share an allowance would leave its
	// last seconds to each other, and nobody would use them.
	lenience = 0.02
)

// obey reads what the server says about its window, where it says so, and
// reports whether there is no more room in it. No window is believed to last
// longer than limit.
func (l *limiter) obey(h http.Header, status int, limit time.Duration) (usedUp time.Duration) {
	allowed, ok := headerNumber(h, "Inin-Ratelimit-Allowed")
	if !ok || allowed < 1 {
		return 0
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others.allowed = allowed
	count, ok1 := headerNumber(h, "Inin-Ratelimit-Count")
	reset, ok2 := headerNumber(h, "Inin-Ratelimit-Reset")
	if !ok1 || !ok2 || reset <= 0 {
		return 0
	}
	had := l.others.hold(now, l.window.open, windowLength)
	l.others.see(now, now.Add(capSeconds(reset, limit)), count, l.window.open, status != http.StatusTooManyRequests)
	l.tell()
	if hold := l.others.hold(now, l.window.open, windowLength); had <= 0 {
		return hold
	}
	return 0
}

// see takes in an answer: the window at hand ends at the given time, holds so
// many requests, and the answered one is among them if it counts. So many other
// requests of ours are under way: the server may have counted them or not.
func (n *neighbours) see(now, end time.Time, count float64, open int, counts bool) {
	switch {
	case end.Before(n.end.Add(-sameWindow)):
		return // of a window that is over
	case end.After(n.end.Add(sameWindow)):
		n.roll(end)
	case end.Before(n.end):
		n.end = end
	}
	if counts {
		n.own++
	}
	n.at = now
	n.used = max(n.used, count-n.own-float64(open))
}

// roll begins a new window. What others used of the last one counts as soon as
// it grows, and fades by half with each window in which they use less.
func (n *neighbours) roll(end time.Time) {
	if !n.end.IsZero() {
		n.before, n.seen = n.fading(end.Add(-windowLength)), true
	}
	n.end, n.own, n.used = end, 0, 0
}

// fading is what others are taken to use in a window that begins at a time
// behind the end of the one at hand.
func (n *neighbours) fading(at time.Time) float64 {
	total := n.used + n.coming()
	last := max(total, (n.before+total)/2)
	if gap := at.Sub(n.end); gap > windowLength {
		last *= math.Pow(0.5, float64(gap/windowLength))
	}
	return last
}

// coming is how many requests of others the window has seen since we were last
// told, or will see, if they go on as before.
func (n *neighbours) coming() float64 {
	rest := max(n.end.Sub(n.at), 0)
	if n.seen {
		return n.before * rest.Seconds() / windowLength.Seconds()
	}
	gone := max(windowLength-rest, 5*time.Second)
	return n.used * rest.Seconds() / gone.Seconds()
}

// left is how many requests a minute others leave; known is false where the
// server says nothing of them.
func (n *neighbours) left(now time.Time) (perMinute float64, known bool) {
	if n.allowed == 0 || n.end.IsZero() {
		return 0, false
	}
	theirs := n.used + n.coming()
	if !now.Before(n.end) {
		theirs = n.fading(now)
	}
	return n.allowed*(1+tolerance) - theirs, true
}

// hold says how long to send nothing, because what is left of the window is
// spoken for: by the requests under way, and by those of others. While it is
// only expected to be, a request now and then, apart by the probe, finds out.
func (n *neighbours) hold(now time.Time, open int, probe time.Duration) time.Duration {
	if n.allowed == 0 || !now.Before(n.end) {
		return 0
	}
	taken := n.used + n.own + float64(open) + 1
	switch coming := max(0, n.coming()-n.allowed*lenience); {
	case taken > n.allowed:
		return n.end.Sub(now)
	case taken+coming > n.allowed:
		return min(n.end.Sub(now), n.at.Add(probe).Sub(now))
	}
	return 0
}

// headerNumber reads a header that holds a number; ok is false if it does not.
func headerNumber(h http.Header, name string) (n float64, ok bool) {
	v, err := strconv.ParseInt(strings.TrimSpace(h.Get(name)), 10, 64)
	return float64(v), err == nil
}
