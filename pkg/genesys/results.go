package genesys

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// errGrown says that a job has more results than are read of one.
var errGrown = errors.New("the job has more results than one should have")

// drain reads the results from the first page to the last, or to the bound if
// it is not 0. It reports whether the last page has been read: the consumer may
// stop there, too.
func (j *Jobs) drain(ctx context.Context, f *feed, id string, bound int) (read bool, err error) {
	cursor, turns := "", trail{seen: map[uint64]bool{}, seed: maphash.MakeSeed()}
	for records := 0; ; {
		p, err := f.page(ctx, j.resultsRequest(id, cursor), id)
		if err != nil {
			return p != nil && lastPage(p), asLost(err, cursor, f.interval, id)
		}
		if lastPage(p) {
			return true, nil
		}
		if records += p.Records; bound > 0 && records >= bound {
			return false, f.fail(p, errGrown)
		}
		next := p.Envelope.Cursor
		if err := turns.add(cursor, next, p.Records); err != nil {
			return false, f.fail(p, err)
		}
		if err := sleep(ctx, turns.patience()); err != nil {
			return false, err
		}
		cursor = next
	}
}

// lastPage reports whether a page is whole and names no next one.
func lastPage(p *record.Page) bool {
	return p.Whole() && verdict(p) == nil && p.Envelope.Cursor == ""
}

// A trail remembers the way through the pages of a job, to see that it ends.
type trail struct {
	seed  maphash.Seed
	seen  map[uint64]bool // hashes of the cursors
	empty int             // pages in a row
}

// add notes that the page at a cursor names the next one. An empty page that
// names itself may mean "not yet"; any other cursor that was there before means
// a circle.
func (t *trail) add(cursor, next string, records int) error {
	if t.empty++; records > 0 {
		t.empty = 0
	}
	if t.empty == emptyPages {
		return fmt.Errorf("%d empty pages in a row that name a next one", t.empty)
	}
	hash := maphash.String(t.seed, next)
	if t.seen[hash] && !(records == 0 && next == cursor) {
		return errors.New("the cursor comes back: the pages go in a circle")
	}
	t.seen[hash] = true
	return nil
}

// patience is how long to wait behind an empty page.
func (t *trail) patience() time.Duration {
	if t.empty == 0 {
		return 0
	}
	return backoff(t.empty, rand.Float64())
}

func (j *Jobs) resultsRequest(id, cursor string) *request {
	query := url.Values{"pageSize": {strconv.Itoa(j.o.PageSize)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return &request{
		op: opResults, kind: KindResults, method: http.MethodGet,
		path: jobPath(id) + "/results", query: query,
	}
}

// lostError is the error of a request that says that the job is gone.
type lostError struct{ *PageError }

// Unwrap returns what the error is but for its meaning.
func (e lostError) Unwrap() error { return e.PageError }

func lost(err error) bool {
	_, ok := errors.AsType[lostError](err)
	return ok
}

// asLost marks the answers that mean that the job is gone, or knows nothing of
// the cursor. (To a request without a cursor, 400 says that the request is bad.)
func asLost(err error, cursor string, iv interval.Interval, id string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone:
	case http.StatusBadRequest:
		if cursor == "" {
			return err
		}
	default:
		return err
	}
	return lostError{&PageError{Interval: iv, JobID: id, Err: err}} // the cause has a correlation id
}
