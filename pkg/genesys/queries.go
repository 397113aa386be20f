package genesys

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

const (
	queryPath = "/api/v2/analytics/conversations/details/query"
	opQuery   = "query conversations"

	longestQuery = 7 * interval.Day // without a filter
	queryPage    = 100              // the API's maximum
	queryCap     = 100_000          // results that can be paged through
)

// QueryOptions says how to query. The zero value works.
type QueryOptions struct {
	// PageSize is the number of records asked for in a page. 0 means 100, which is
	// the most that the API gives.
	PageSize int
	// Depth is how many results of one query are paged through gladly: a query
	// with more is cut in time. 0 means 5000; deep pages are known to fail.
	Depth int
	// Floor is the shortest interval that a cut may leave. 0 means an hour.
	Floor time.Duration
	// Lag is how long ago a conversation must have started to be found for sure.
	// 0 means 10 minutes.
	Lag time.Duration
	// PageAttempts is how often a page that comes damaged is fetched. 0 means 4.
	PageAttempts int
}

// Queries is the source that pages through the synchronous details query: for
// fresh data, in moderate amounts, without participant attributes. It is safe
// for concurrent use.
type Queries struct {
	c *Client
	o QueryOptions
}

// Queries returns a source of the given options.
func (c *Client) Queries(o QueryOptions) *Queries {
	setDefault(&o.PageSize, queryPage)
	setDefault(&o.Depth, 5000)
	setDefault(&o.Floor, time.Hour)
	setDefault(&o.Lag, 10*time.Minute)
	return &Queries{c: c, o: o}
}

// Watermark returns the instant up to which queries are taken to be complete;
// it asks nobody.
func (q *Queries) Watermark(context.Context) (time.Time, error) {
	return time.Now().Add(-q.o.Lag).UTC(), nil
}

// Pages queries the interval and returns the results, page by page: each
// conversation that started on a UTC day that the interval touches. Where a
// query has many results the interval is cut and asked for in pieces, so a
// record may come more than once. What [Jobs.Pages] asks of the consumer holds
// here too.
func (q *Queries) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return q.c.pages(iv, q.o.PageAttempts, func(f *feed) error {
		for piece := range iv.Split(longestQuery) {
			s, err := q.open(ctx, f, piece)
			if err == nil {
				err = q.read(ctx, f, s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// A span is a query whose first page has been read.
type span struct {
	interval.Interval
	hits int64 // -1: not known
	end  bool  // the first page was empty
}

func (q *Queries) open(ctx context.Context, f *feed, iv interval.Interval) (span, error) {
	p, err := f.page(ctx, q.request(iv, 1), "")
	if err != nil {
		return span{}, err
	}
	return span{Interval: iv, hits: p.Envelope.TotalHits, end: p.Records == 0}, nil
}

// read reads what is left of a span: the further pages, or pieces of it.
func (q *Queries) read(ctx context.Context, f *feed, s span) error {
	first, second, ok := q.cut(s)
	if !ok {
		return q.turn(ctx, f, s)
	}
	a, err := q.open(ctx, f, first)
	if err != nil {
		return err
	}
	b, err := q.open(ctx, f, second)
	if err != nil {
		return err
	}
	// Inside a day the API may match by the day alone. Both pieces have all the
	// hits then, and cutting finer would only repeat them.
	if a.hits+b.hits > s.hits+s.hits/2 {
		return q.turn(ctx, f, s)
	}
	if err := q.read(ctx, f, a); err != nil {
		return err
	}
	return q.read(ctx, f, b)
}

// cut halves a span that has too many hits. It cuts at midnight while it can:
// two pieces that touch the same day would both have all of it.
func (q *Queries) cut(s span) (first, second interval.Interval, ok bool) {
	if s.end || s.hits <= int64(q.o.Depth) {
		return first, second, false
	}
	middle := s.Start.Add(s.Length() / 2)
	for _, at := range []time.Time{midnight(middle), midnight(middle).Add(interval.Day)} {
		if s.Start.Before(at) && at.Before(s.End) {
			return interval.Interval{Start: s.Start, End: at}, interval.Interval{Start: at, End: s.End}, true
		}
	}
	if s.Length() < 2*q.o.Floor {
		return first, second, false
	}
	return s.Halves(time.Millisecond)
}

// turn reads the pages of a span from the second on. An absent or empty page is
// the end; a short one is not, because duplicates are taken out after paging.
func (q *Queries) turn(ctx context.Context, f *feed, s span) error {
	if s.end {
		return nil
	}
	if s.hits > queryCap {
		return tooMany(s)
	}
	for number := 2; number <= queryCap/q.o.PageSize; number++ {
		p, err := f.page(ctx, q.request(s.Interval, number), "")
		if err != nil {
			return err
		}
		if p.Records == 0 {
			return nil
		}
	}
	return tooMany(s)
}

func tooMany(s span) error {
	return &PageError{Interval: s.Interval, Err: fmt.Errorf(
		"%d hits, and a query gives %d at most: read such intervals by jobs", s.hits, queryCap)}
}

// detailsQuery is the body of a query.
type detailsQuery struct {
	Interval string `json:"interval"`
	Order    string `json:"order"`
	OrderBy  string `json:"orderBy"`
	Paging   paging `json:"paging"`
}

type paging struct {
	Size   int `json:"pageSize"`
	Number int `json:"pageNumber"`
}

func (q *Queries) request(iv interval.Interval, number int) *request {
	return &request{
		op: opQuery, kind: KindQuery, method: http.MethodPost, path: queryPath,
		body: detailsQuery{
			Interval: iv.String(), Order: "asc", OrderBy: "conversationStart",
			Paging: paging{Size: q.o.PageSize, Number: number},
		},
	}
}
