package genesys

import (
	"maps"
	"sync"
	"time"
)

// A Usage says what a client has spent since it was made. Times are sums over
// all callers, who wait at the same time.
type Usage struct {
	// Requests counts attempts by kind and HTTP status; 0 stands for no answer.
	Requests map[Kind]map[int]int64
	// Bytes is the size of the answers, as transferred.
	Bytes int64
	// Limiter is the time that requests waited to be sent, API that for answers,
	// Jobs that for jobs: for a place, and until they had results.
	Limiter, API, Jobs time.Duration
	// PerMinute is the allowance of this process: its share of what the token may
	// make, less the reserve.
	PerMinute float64
	// Elapsed is the time since the client was made.
	Elapsed time.Duration
}

// Total is the number of requests.
func (u Usage) Total() (n int64) {
	for _, statuses := range u.Requests {
		for _, k := range statuses {
			n += k
		}
	}
	return n
}

// Throttled is the number of requests that were answered 429.
func (u Usage) Throttled() (n int64) {
	for _, statuses := range u.Requests {
		n += statuses[429]
	}
	return n
}

// Utilisation is the part of the allowance that was used.
func (u Usage) Utilisation() float64 {
	if u.Elapsed <= 0 || u.PerMinute <= 0 {
		return 0
	}
	return float64(u.Total()) / (u.PerMinute * u.Elapsed.Minutes())
}

// A ledger keeps the usage.
type ledger struct {
	mu    sync.Mutex
	usage Usage
	since time.Time
}

func newLedger() *ledger {
	return &ledger{since: time.Now(), usage: Usage{Requests: map[Kind]map[int]int64{}}}
}

func (l *ledger) add(x Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := &l.usage
	if u.Requests[x.Kind] == nil {
		u.Requests[x.Kind] = map[int]int64{}
	}
	u.Requests[x.Kind][x.Status]++
	u.Bytes += x.Bytes
	u.Limiter += x.Waited
	u.API += x.Took
}

// waited notes how long a job was waited for.
func (l *ledger) waited(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.usage.Jobs += d
}

// Usage returns what the client has spent so far.
func (c *Client) Usage() Usage {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	u := c.ledger.usage
	u.Requests = make(map[Kind]map[int]int64, len(c.ledger.usage.Requests))
	for kind, statuses := range c.ledger.usage.Requests {
		u.Requests[kind] = maps.Clone(statuses)
	}
	u.PerMinute = c.limiter.budget()
	u.Elapsed = time.Since(c.ledger.since)
	return u
}
