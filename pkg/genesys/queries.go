package genesys

import (
	"context"
	"errors"
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

	// Pages this deep are known to fail, and will not recover: so they are tried
	// less often.
	queryDepth   = 5000
	deepAttempts = 4
)

// QueryOptions says how to query. The zero value works.
type QueryOptions struct {
	// PageSize is the number of records asked for in a page. 0 means 100, which is
	// the most that the API gives.
	PageSize int
	// Depth is how many results of one query are paged through gladly: a query
	// with more is cut in time. 0 means 5000; deep pages are known to fail. More
	// than the API pages through is less.
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
	setDefault(&o.Depth, queryDepth)
	o.PageSize = min(o.PageSize, queryPage)
	o.Depth = min(o.Depth, queryCap-o.PageSize) // the page behind the last one must be seen
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

// read reads what is left of a span: the further pages, or pieces of it where
// there are too many of them, or a deep one fails.
func (q *Queries) read(ctx context.Context, f *feed, s span) error {
	if s.end {
		return nil
	}
	if s.hits > int64(q.o.Depth) {
		pieces, err := q.halve(ctx, f, s)
		if err != nil {
			return err
		}
		if pieces != nil {
			return q.each(ctx, f, pieces)
		}
		return q.turn(ctx, f, s)
	}
	err := q.turn(ctx, f, s)
	if !tooDeep(err) || ctx.Err() != nil {
		return err
	}
	pieces, cutErr := q.halve(ctx, f, s)
	if cutErr != nil || pieces == nil {
		return errors.Join(err, cutErr)
	}
	q.c.log.Warn("a deep page cannot be read, cutting the interval of the query in two",
		"interval", s.String(), "at", interval.Format(pieces[1].Start), "error", err)
	return q.each(ctx, f, pieces)
}

func (q *Queries) each(ctx context.Context, f *feed, spans []span) error {
	for _, s := range spans {
		if err := q.read(ctx, f, s); err != nil {
			return err
		}
	}
	return nil
}

// halve opens the halves of a span. It returns none where the span cannot be
// cut, or not to any use.
func (q *Queries) halve(ctx context.Context, f *feed, s span) ([]span, error) {
	first, second, ok := q.cut(s.Interval)
	if !ok {
		return nil, nil
	}
	a, err := q.open(ctx, f, first)
	if err != nil {
		return nil, err
	}
	b, err := q.open(ctx, f, second)
	if err != nil {
		return nil, err
	}
	// Inside a day the API may match by the day alone. Both pieces have all the
	// hits then, and cutting finer would only repeat them.
	if s.hits >= 0 && a.hits+b.hits > s.hits+s.hits/2 {
		return nil, nil
	}
	return []span{a, b}, nil
}

// cut cuts an interval in two: at midnight while it can, because two pieces that
// touch the same day may both have all of it.
func (q *Queries) cut(iv interval.Interval) (first, second interval.Interval, ok bool) {
	if at, ok := midnightWithin(iv); ok {
		first, second = cutAt(iv, at)
		return first, second, true
	}
	if iv.Length() < 2*q.o.Floor {
		return first, second, false
	}
	return iv.Halves(time.Millisecond)
}

// turn reads the pages of a span from the second on. An absent or empty page is
// the end; a short one is not, because duplicates are taken out after paging,
// and nor is the number of hits, which is approximate.
func (q *Queries) turn(ctx context.Context, f *feed, s span) error {
	if s.hits > queryCap {
		return &PageError{Interval: s.Interval, Err: fmt.Errorf(
			"%d hits, and a query gives %d at most: read such intervals by jobs", s.hits, queryCap)}
	}
	for number := 2; number <= queryCap/q.o.PageSize; number++ {
		r := q.request(s.Interval, number)
		if (number-1)*q.o.PageSize >= queryDepth {
			r.attempts = min(deepAttempts, q.c.cfg.Attempts)
		}
		p, err := f.page(ctx, r, "")
		if err != nil {
			return deep(err, s.Interval, number)
		}
		if p.Records == 0 {
			return nil
		}
	}
	return &PageError{Interval: s.Interval, Err: fmt.Errorf(
		"the last of the %d results that a query gives may not be the end: read such intervals by jobs", queryCap)}
}

// A deepError is an answer to one of the later pages that says that the server
// failed: it may be the depth that it cannot cope with.
type deepError struct{ *PageError }

// Unwrap returns what the error is but for its meaning.
func (e deepError) Unwrap() error { return e.PageError }

func tooDeep(err error) bool {
	_, ok := errors.AsType[deepError](err)
	return ok
}

// deep marks the answers to a page that may be about its depth.
func deep(err error, iv interval.Interval, page int) error {
	if e, ok := errors.AsType[*Error](err); !ok || e.Status < 500 {
		return err
	}
	return deepError{&PageError{Interval: iv, Err: fmt.Errorf(
		"page %d, in an interval that is not cut further: %w", page, err)}}
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
