package genesys

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// An allowance is how many requests a minute a limiter may let through.
type allowance struct {
	perMinute float64 // what the token may make, as configured
	reserve   float64 // the part of it that is left to others, from 0 to below 1
	share     float64 // of the rest, the part that is this process's, above 0 to 1
	burst     int     // how many may follow each other at once; 0: what 3 seconds bring
}

// A limiter lets requests through one by one: never more in any 60 seconds than
// the allowance, wherever those begin, and none at all during a pause.
//
// It holds to the allowance as the server counts, who sees a request at some
// time between its sending and its answer: a request has its place in the window
// from when it is sent until 60 seconds after it was answered. So at the moment
// when the last request of any 60 seconds is sent, all the others that arrive in
// them have their places still, and places there are as many as allowed. How
// long requests travel, and how unevenly, does not matter.
//
// Within the window a pace keeps requests apart; a pause of the callers' own may
// be made good by a short burst.
type limiter struct {
	line chan struct{} // held by the first of the callers that are not urgent
	turn chan struct{} // held by the caller at the head of all
	news chan struct{} // tells it that something has changed

	mu     sync.Mutex
	grant  allowance
	window window
	pace   *rate.Limiter
	until  time.Time // end of the pause
	calm   bool      // behind the pause, what the pace has saved up is not spent at once
	others neighbours
	brake  brake
}

func newLimiter(a allowance) *limiter {
	l := &limiter{grant: a, line: make(chan struct{}, 1), turn: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	l.pace = rate.NewLimiter(rate.Limit(l.own()/60), l.burst(l.own()))
	return l
}

// A pass lets one request through.
type pass struct {
	l    *limiter
	once sync.Once
}

// answered says that the server has seen the request for sure: its answer has
// come, or never will. It is called once at least, and may be called again.
func (p *pass) answered() {
	p.once.Do(func() {
		p.l.mu.Lock()
		defer p.l.mu.Unlock()
		p.l.window.answered(time.Now())
		p.l.tell()
	})
}

// wait returns when one request may be sent, and how long that took. Callers
// are served in the order they came, urgent ones first. If ctx ends first, the error is the cause.
// The caller must say when the request was answered.
//
// Only the caller at the head looks at the state, and takes its place in the
// window when it leaves: so a lower rate, a pause and a cancelled caller take
// effect at once, for everybody behind it.
func (l *limiter) wait(ctx context.Context, urgent bool) (*pass, time.Duration, error) {
	start := time.Now()
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	if !urgent {
		if err := acquire(ctx, l.line); err != nil {
			return nil, time.Since(start), err
		}
		defer func() { <-l.line }()
	}
	if err := acquire(ctx, l.turn); err != nil {
		return nil, time.Since(start), err
	}
	defer func() { <-l.turn }()
	for {
		wait := l.admit(time.Now())
		if wait <= 0 {
			return &pass{l: l}, time.Since(start), nil
		}
		if err := l.rest(ctx, wait); err != nil {
			return nil, time.Since(start), err
		}
	}
}

// rest returns after d, or when there is news, or with the cause once ctx ends.
func (l *limiter) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.news:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// tell wakes the caller at the head, if there is one. The caller holds l.mu.
func (l *limiter) tell() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// admit takes a place for a request, or says how long there will be none.
func (l *limiter) admit(now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limit(now)
	probe := time.Duration(float64(time.Minute) / (l.own() * floor))
	wait = max(l.until.Sub(now), l.window.full(now, places(limit)), l.others.hold(now, l.window.open, probe))
	if wait > 0 {
		return wait
	}
	l.pace.SetLimitAt(now, rate.Limit(limit/60))
	l.pace.SetBurstAt(now, l.burst(limit))
	if saved := int(l.pace.TokensAt(now)); l.calm && saved > 1 {
		l.pace.AllowN(now, saved-1)
	}
	l.calm = false
	r := l.pace.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now) // the place is for who is at the head when it comes
		return wait
	}
	l.window.open++
	return 0
}

// places is the number of requests that a limit lets into a window.
func places(limit float64) int { return max(1, int(limit+1e-9)) }

// burst is how many requests may follow each other at once.
func (l *limiter) burst(limit float64) int {
	wish := l.grant.burst
	if wish <= 0 {
		wish = int(limit / 20)
	}
	return max(1, min(wish, int(limit/2)))
}

// own is this process's part of the allowance, in requests a minute.
func (l *limiter) own() float64 {
	perMinute := l.grant.perMinute
	if l.others.allowed > 0 {
		perMinute = min(perMinute, l.others.allowed)
	}
	return perMinute * (1 - l.grant.reserve) * l.grant.share
}

// floor is the part of its own share that a process never goes below, so that
// neither neighbours nor refusals starve it.
const floor = 0.2

// limit is how many requests a minute may be sent now: its own part, less what
// others are taking from it, less the brake.
func (l *limiter) limit(now time.Time) float64 {
	own := l.own()
	limit := own * l.brake.factor(now)
	if left, known := l.others.left(now); known {
		limit = min(limit, left)
	}
	return max(limit, own*floor)
}

// pause lets nobody through for d, and a little longer by chance, so that
// several processes that were paused together do not come back together. It
// never shortens a pause. Behind it requests begin at the pace, without a burst.
func (l *limiter) pause(d time.Duration) {
	spread := min(max(d/10, 250*time.Millisecond), 5*time.Second)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pauseUntil(time.Now().Add(d + rand.N(spread)))
}

func (l *limiter) pauseUntil(until time.Time) {
	if !until.After(l.until) {
		return
	}
	l.until, l.calm = until, true
	l.tell()
}

// throttled pauses everybody because of a 429 that concerns everybody: for d at
// least, and for longer the more of them come one after the other. An answer to
// a request that was sent before the pause at hand is no new reason.
func (l *limiter) throttled(d time.Duration) {
	now := time.Now()
	spread := min(max(d/10, 250*time.Millisecond), 5*time.Second)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.After(l.until) {
		d = max(d, l.brake.step(now))
	}
	l.pauseUntil(now.Add(d + rand.N(spread)))
}

func (l *limiter) pauseLeft() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// allow replaces the allowance of the token.
func (l *limiter) allow(perMinute float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant.perMinute = perMinute
	l.tell()
}

// busy reports whether a request is waiting.
func (l *limiter) busy() bool { return len(l.turn) > 0 }

// budget is this process's part of the allowance.
func (l *limiter) budget() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own()
}

// perMinute is the limit in force.
func (l *limiter) perMinute() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit(time.Now())
}

// recent is how many requests have a place in the window.
func (l *limiter) recent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.window.held(time.Now())
}

// A window knows which requests have a place in the last 60 seconds.
type window struct {
	open  int         // requests that are on their way
	leave []time.Time // when those that were answered lose their place, in order
}

// hair makes up for clocks that do not run alike.
const hair = 20 * time.Millisecond

// answered moves a request from those on their way to those that leave.
func (w *window) answered(now time.Time) {
	w.open--
	w.leave = append(w.leave, now.Add(windowLength+hair))
}

// held counts the places that are taken.
func (w *window) held(now time.Time) int {
	gone := 0
	for gone < len(w.leave) && !w.leave[gone].After(now) {
		gone++
	}
	w.leave = w.leave[gone:]
	return w.open + len(w.leave)
}

// full says how long the window has no place for another request.
func (w *window) full(now time.Time, places int) time.Duration {
	over := w.held(now) - places // as many must leave, and one more
	switch {
	case over < 0:
		return 0
	case over >= len(w.leave): // some must be answered first, which is news
		return time.Minute
	}
	return w.leave[over].Sub(now)
}

// A brake slows down where refusals come again and again, as they do where
// others use the same allowance and no header tells of them.
type brake struct {
	shrunk float64   // the factor, as it was when last set; 0: never
	set    time.Time // when
	streak int       // refusals that followed each other, with little between
	mark   time.Time // the first of the streak, or when the factor was last set
	last   time.Time // the last one
}

const (
	// streakGap is how long after a refusal the next one still belongs to it.
	streakGap = 3 * time.Minute
	// otherWindow is how far apart refusals are that are not of one window.
	otherWindow = 45 * time.Second
	// shrink is by how much the rate goes down, recovery what it wins back in a
	// minute, and leastFactor where it stops.
	shrink      = 0.75
	recovery    = 0.05
	leastFactor = 0.25
	// longestStep bounds the pause that a streak asks for by itself.
	longestStep = 15 * time.Second
)

// step notes a refusal, and returns how long to pause for it at least.
func (b *brake) step(now time.Time) time.Duration {
	if b.streak == 0 || now.Sub(b.last) > streakGap {
		b.streak, b.mark = 0, now
	}
	b.streak++
	b.last = now
	if now.Sub(b.mark) >= otherWindow {
		b.shrunk = max(b.factor(now)*shrink, leastFactor)
		b.set, b.mark = now, now
	}
	if b.streak > 4 {
		return longestStep
	}
	return min(time.Second<<(b.streak-1), longestStep)
}

// factor is what the rate is multiplied by.
func (b *brake) factor(now time.Time) float64 {
	if b.shrunk == 0 {
		return 1
	}
	return math.Min(1, b.shrunk+recovery*now.Sub(b.set).Minutes())
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
