package genesys

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a failed attempt means for the next one.
type class int

const (
	final     class = iota // no attempt will be answered otherwise
	transient              // the network or the service is unwell: back off
	suspect                // may be lasting: a few attempts, no more
	paced                  // the server sets the pace (429)
	expired                // the token is refused (401): one new token
)

const (
	backoffBase     = time.Second
	backoffCap      = time.Minute
	defaultAttempts = 10
	suspectAttempts = 3
	pacedAttempts   = 60 // each waits as long as the server says, so this is hours at most
)

// classify says what an answer of this status means.
func classify(status int) class {
	switch {
	case status == http.StatusTooManyRequests:
		return paced
	case status == http.StatusUnauthorized:
		return expired
	case status == http.StatusInternalServerError:
		return suspect
	case status == http.StatusRequestTimeout, status > 501: // 502, 503, 504, and what proxies make up
		return transient
	}
	return final
}

// classOf says what the error of an attempt means.
func classOf(err error) class {
	if e, ok := errors.AsType[*Error](err); ok {
		if c := classify(e.Status); c != expired || e.Op != opToken {
			return c
		}
		return final // there is no token to renew when it is the secret that is refused
	}
	if e, ok := errors.AsType[*ConnError](err); ok {
		return e.class()
	}
	return final
}

// A tally counts the attempts of one request. Each class has its own budget,
// so that a server that only asks for patience does not use up the others'.
type tally struct {
	limit    int           // of transient failures
	patience time.Duration // with the server's pace; 0: counted in attempts
	failed   int
	suspect  int
	paced    int
	renewed  bool
}

// next says whether to try again after err, when so much time has passed since
// the first attempt, and how long to wait before. rnd in [0,1) spreads the waits.
func (t *tally) next(err error, passed time.Duration, rnd float64) (wait time.Duration, again bool) {
	switch classOf(err) {
	case transient:
		t.failed++
		return max(backoff(t.failed, rnd), retryAfterOf(err)), t.failed < t.limit
	case suspect:
		t.suspect++
		t.failed++
		return backoff(t.suspect, rnd), t.suspect < suspectAttempts && t.failed < t.limit
	case paced:
		t.paced++
		wait = pacedWait(t.paced, retryAfterOf(err), rnd)
		if t.patience > 0 {
			return wait, passed+wait <= t.patience
		}
		return wait, t.paced < pacedAttempts
	case expired:
		first := !t.renewed
		t.renewed = true
		return 0, first
	}
	return 0, false
}

// backoff is the wait after the nth failure in a row: anything up to a bound
// that doubles (full jitter), so that callers that failed together come back
// apart.
func backoff(n int, rnd float64) time.Duration {
	bound := backoffCap
	if n < 1 {
		n = 1
	}
	if shift := n - 1; shift < 6 {
		bound = min(backoffBase<<shift, backoffCap)
	}
	return time.Duration(float64(bound) * rnd)
}

// pacedWait is the wait after the nth 429 of a request: what the server asks
// for, at least a second, and more once the server's own word has not helped.
func pacedWait(n int, retryAfter time.Duration, rnd float64) time.Duration {
	wait := max(retryAfter, time.Second)
	if retryAfter <= 0 || n > 2 {
		wait = max(wait, backoff(n, rnd))
	}
	return wait
}

func retryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// parseRetryAfter reads the value of a Retry-After header, seconds or a date:
// 0 if it is absent, meaningless or over, and never more than limit.
func parseRetryAfter(value string, now time.Time, limit time.Duration) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return capSeconds(seconds, limit)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), limit))
}

// capSeconds turns seconds into a duration between 0 and limit.
func capSeconds(seconds float64, limit time.Duration) time.Duration {
	switch {
	case math.IsNaN(seconds) || seconds <= 0:
		return 0
	case seconds >= limit.Seconds():
		return limit
	}
	return time.Duration(seconds * float64(time.Second))
}
