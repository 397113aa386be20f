package genesys

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// A Pool is one or several clients of one organisation. Each has an OAuth client
// of its own, and with it a token, an allowance and pauses that do not concern
// the others. A source of a Pool reads each interval by one client from its
// beginning to its end, so that a job is only asked for by who submitted it.
type Pool struct{ clients []*Client }

// NewPool makes a pool of clients, one at least. Two of the same OAuth client
// would share an allowance without knowing.
func NewPool(first *Client, others ...*Client) *Pool {
	return &Pool{append([]*Client{first}, others...)}
}

// A ClientError says which client of a pool was refused, where there are several.
type ClientError struct {
	// Number is the client's place in the pool, from 1.
	Number int
	Err    error
}

// Error returns one line.
func (e *ClientError) Error() string { return fmt.Sprintf("client %d: %v", e.Number, e.Err) }

// Unwrap returns the error as it is without a pool.
func (e *ClientError) Unwrap() error { return e.Err }

// blame marks the refusal of a client as such.
func (p *Pool) blame(client int, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Fatal() && len(p.clients) > 1 {
		return &ClientError{Number: client + 1, Err: err}
	}
	return err
}

// Each calls do with each client, until it returns an error, and returns that.
func (p *Pool) Each(do func(*Client) error) error {
	for i, c := range p.clients {
		if err := do(c); err != nil {
			return p.blame(i, err)
		}
	}
	return nil
}

// Size is the number of clients.
func (p *Pool) Size() int { return len(p.clients) }

// Close closes the connections that are kept. No client may be in use.
func (p *Pool) Close() {
	for _, c := range p.clients {
		c.Close()
	}
}

// Allow is [Client.Allow] for each client.
func (p *Pool) Allow(perMinute float64) {
	for _, c := range p.clients {
		c.Allow(perMinute)
	}
}

// Quotas reads the organisation's limits; see [Client.Quotas].
func (p *Pool) Quotas(ctx context.Context) (Quotas, error) { return p.clients[0].Quotas(ctx) }

// Count counts conversations; see [Client.Count].
func (p *Pool) Count(ctx context.Context, iv interval.Interval) (int64, error) {
	return p.clients[0].Count(ctx, iv)
}

// Usage is what all clients have spent together, of their allowances together.
func (p *Pool) Usage() Usage {
	sum := p.clients[0].Usage()
	for _, c := range p.clients[1:] {
		u := c.Usage()
		for kind, statuses := range u.Requests {
			if sum.Requests[kind] == nil {
				sum.Requests[kind] = map[int]int64{}
			}
			for status, n := range statuses {
				sum.Requests[kind][status] += n
			}
		}
		sum.Bytes += u.Bytes
		sum.Limiter, sum.API, sum.Jobs = sum.Limiter+u.Limiter, sum.API+u.API, sum.Jobs+u.Jobs
		sum.PerMinute += u.PerMinute
	}
	return sum
}

// A source is what a client of the pool reads by.
type source interface {
	Pages(context.Context, interval.Interval) iter.Seq2[*record.Page, error]
	Watermark(context.Context) (time.Time, error)
}

// A Shared is a source that shares out intervals among the clients of a [Pool].
// It is safe for concurrent use.
type Shared struct {
	pool    *Pool
	sources []source

	mu   sync.Mutex
	open []int // intervals in work, by client
}

// Jobs returns a source that reads the results of jobs. The limits of jobs are
// the organisation's: they hold for all clients together.
func (p *Pool) Jobs(o JobOptions) *Shared {
	s := p.shared()
	var first *Jobs
	for _, c := range p.clients {
		j := c.Jobs(o)
		if first == nil {
			first = j
		}
		j.queue = first.queue
		s.sources = append(s.sources, j)
	}
	return s
}

// Queries returns a source that pages through queries.
func (p *Pool) Queries(o QueryOptions) *Shared {
	s := p.shared()
	for _, c := range p.clients {
		s.sources = append(s.sources, c.Queries(o))
	}
	return s
}

func (p *Pool) shared() *Shared { return &Shared{pool: p, open: make([]int, len(p.clients))} }

// Watermark is that of the clients' source.
func (s *Shared) Watermark(ctx context.Context) (time.Time, error) {
	at, err := s.sources[0].Watermark(ctx)
	return at, s.pool.blame(0, err)
}

// Pages reads an interval by the client that has most room; see [Jobs.Pages] and
// [Queries.Pages].
func (s *Shared) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return func(yield func(*record.Page, error) bool) {
		client := s.take()
		defer s.give(client)
		for p, err := range s.sources[client].Pages(ctx, iv) {
			if !yield(p, s.pool.blame(client, err)) {
				return
			}
		}
	}
}

// take chooses the client that has the fewest intervals in work for each request
// that it may make a minute: one that is slowed down by its neighbours or by
// refusals gets less to do. Of equal ones, it is the one that has made the fewest
// requests in the last minute.
func (s *Shared) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	best, least, fewest := 0, 0.0, 0
	for i, c := range s.pool.clients {
		load, recent := float64(s.open[i]+1)/c.limiter.perMinute(), c.limiter.recent()
		if i == 0 || load < least || load == least && recent < fewest {
			best, least, fewest = i, load, recent
		}
	}
	s.open[best]++
	return best
}

func (s *Shared) give(client int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[client]--
}
