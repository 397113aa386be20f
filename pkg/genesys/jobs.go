package genesys

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

const (
	jobsPath = "/api/v2/analytics/conversations/details/jobs"

	opResults = "read results"

	firstPoll  = 2 * time.Second
	longestGap = 30 * time.Second
	// submitAttempts is small: a submission whose answer was lost leaves a job
	// behind that nobody knows of.
	submitAttempts = 3
	// emptyPages is how many empty pages in a row may still name a next one.
	emptyPages = 3
	// farewell is how long to try to delete a job that is not needed any more.
	farewell = 5 * time.Second
)

// JobOptions says how to run jobs. The zero value works.
type JobOptions struct {
	// PageSize is the number of records asked for in a page. 0 means 1000.
	PageSize int
	// Concurrent is how many jobs may be in preparation at once, over all callers.
	// 0 means 2.
	Concurrent int
	// Timeout is how long a job may take until its results are there. 0 means 30
	// minutes.
	Timeout time.Duration
	// PageAttempts is how often a page that comes damaged is fetched. 0 means 4.
	PageAttempts int
}

// Jobs is the source that reads the results of asynchronous details jobs. It is
// safe for concurrent use.
type Jobs struct {
	c     *Client
	o     JobOptions
	slots chan struct{}
}

// Jobs returns a source of the given options. Callers that share a limit of
// concurrent jobs must share the source.
func (c *Client) Jobs(o JobOptions) *Jobs {
	setDefault(&o.PageSize, 1000)
	setDefault(&o.Concurrent, 2)
	setDefault(&o.Timeout, 30*time.Minute)
	return &Jobs{c: c, o: o, slots: make(chan struct{}, o.Concurrent)}
}

// Watermark returns the instant up to which jobs give complete data. A job that
// reaches past it lacks the rest, without an error.
func (j *Jobs) Watermark(ctx context.Context) (time.Time, error) { return j.c.Availability(ctx) }

// Pages runs a job for the interval and returns its results, page by page. They
// hold each conversation that was active in the interval, whenever it started;
// if the interval starts at midnight UTC, only those that started since then.
//
// The consumer scans each page with [record.Scanner.Scan] inside the loop body,
// and keeps nothing of it: the memory is used again. A page that the scan found
// damaged is fetched and given again; so is one that is whole but holds an error
// instead of records. A page that was not scanned ends the sequence with a
// [*PageError]. If the job is lost while it is read (its results expired, its
// cursor was refused), a new one is run, once, and its results come from the
// beginning: the consumer drops the records that it has already.
//
// An error ends the sequence. Wherever it ends before the last page, the job is
// deleted, as far as that takes no more than 5 seconds.
func (j *Jobs) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return j.c.pages(iv, j.o.PageAttempts, func(f *feed) error {
		err := j.run(ctx, f)
		if lost(err) {
			j.c.log.Warn("job is lost, running a new one", "interval", iv.String(), "error", err)
			f.release()
			err = j.run(ctx, f)
		}
		return err
	})
}

// lostError is the error of a request that says that the job is gone.
type lostError struct{ error }

// Unwrap returns the answer of the API.
func (e lostError) Unwrap() error { return e.error }

func lost(err error) bool {
	_, ok := errors.AsType[lostError](err)
	return ok
}

// asLost marks the answers that mean that the job is gone, or knows nothing of
// the cursor. (To a request without a cursor, 400 says that the request is bad.)
func asLost(err error, cursor string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone:
		return lostError{err}
	case http.StatusBadRequest:
		if cursor != "" {
			return lostError{err}
		}
	}
	return err
}

// run takes one job through its life.
func (j *Jobs) run(ctx context.Context, f *feed) error {
	id, err := j.prepare(ctx, f.interval)
	if err != nil {
		return err
	}
	if err = j.drain(ctx, f, id); err != nil && !needless(err) {
		j.abandon(ctx, id)
	}
	return err
}

// needless reports whether err says that there is nothing to delete: the job is
// not there, or has ended, or nothing is allowed to us.
func needless(err error) bool {
	if e, ok := errors.AsType[*JobError](err); ok {
		return ended(e.State)
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Fatal() || e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// prepare submits a job and waits for its results. It holds a slot until the
// server has no more work with the job.
func (j *Jobs) prepare(ctx context.Context, iv interval.Interval) (id string, err error) {
	select {
	case j.slots <- struct{}{}:
		defer func() { <-j.slots }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if id, err = j.submit(ctx, iv); err != nil {
		return "", err
	}
	if err = j.await(ctx, id, iv); err != nil && !needless(err) {
		j.abandon(ctx, id)
	}
	return id, err
}

// jobQuery is the body of a submission.
type jobQuery struct {
	Interval   string `json:"interval"`
	Order      string `json:"order"`
	OrderBy    string `json:"orderBy"`
	StartOfDay bool   `json:"startOfDayIntervalMatching,omitempty"`
}

func (j *Jobs) submit(ctx context.Context, iv interval.Interval) (id string, err error) {
	var answer struct {
		JobID string `json:"jobId"`
	}
	r := request{
		op: "submit job", kind: KindSubmit, method: http.MethodPost, path: jobsPath,
		body: jobQuery{
			Interval: iv.String(), Order: "asc", OrderBy: "conversationStart",
			StartOfDay: iv.Start.Equal(midnight(iv.Start)),
		},
		into: &answer, attempts: submitAttempts,
	}
	rep, err := j.c.send(ctx, &r, nil)
	if err != nil {
		return "", err
	}
	if answer.JobID == "" {
		return "", j.c.connError(&r, errAnswer)
	}
	j.c.log.Debug("job submitted", "interval", iv.String(), "job", answer.JobID, "correlation_id", rep.correlationID)
	return answer.JobID, nil
}

// jobStatus is the answer to a poll.
type jobStatus struct {
	State   string `json:"state"`
	Message string `json:"errorMessage"`
}

// errJobTimeout is the cause of the context of a job that takes too long.
var errJobTimeout = errors.New("the results are not ready in time")

// await polls until the results are there.
func (j *Jobs) await(ctx context.Context, id string, iv interval.Interval) error {
	limited, cancel := context.WithTimeoutCause(ctx, j.o.Timeout, errJobTimeout)
	defer cancel()
	e := &JobError{JobID: id, Interval: iv, State: "unknown"}
	for gap := firstPoll; ; gap = min(gap*3/2, longestGap) {
		err := sleep(limited, gap)
		if err == nil {
			err = j.poll(limited, e)
		}
		switch {
		case ctx.Err() != nil && err != nil:
			return err
		case limited.Err() != nil && err != nil:
			e.Message = fmt.Sprintf("%v (%v)", errJobTimeout, j.o.Timeout)
			return e
		case err != nil:
			return asLost(err, "")
		case e.State == "FULFILLED":
			return nil
		case ended(e.State):
			return e
		}
	}
}

// poll reads the state of the job into e.
func (j *Jobs) poll(ctx context.Context, e *JobError) error {
	var status jobStatus
	r := request{op: "poll job", kind: KindPoll, method: http.MethodGet, path: jobPath(e.JobID), into: &status}
	rep, err := j.c.send(ctx, &r, nil)
	if err != nil {
		return err
	}
	e.State, e.Message = clean(status.State, 40), clean(status.Message, 300)
	e.CorrelationID = rep.correlationID
	return nil
}

// ended reports whether a job in this state will never have results. A state
// that is not known is not an end.
func ended(state string) bool {
	return state == "FAILED" || state == "CANCELLED" || state == "EXPIRED"
}

// drain reads the results from the first page to the last.
func (j *Jobs) drain(ctx context.Context, f *feed, id string) error {
	cursor, turns := "", trail{seen: map[uint64]bool{}, seed: maphash.MakeSeed()}
	for {
		r := j.resultsRequest(id, cursor)
		p, err := f.page(ctx, r, id)
		if errors.Is(err, errStopped) && p.Whole() && verdict(p) == nil && p.Envelope.Cursor == "" {
			return nil // stopped behind the last page: there is nothing to delete
		}
		if err != nil {
			return asLost(err, cursor)
		}
		next := p.Envelope.Cursor
		if next == "" {
			return nil
		}
		if err := turns.add(cursor, next, p.Records); err != nil {
			return f.fail(p, err)
		}
		if err := sleep(ctx, turns.patience()); err != nil {
			return err
		}
		cursor = next
	}
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

// abandon deletes a job that nobody will read, so that it does not count
// against the limit of concurrent jobs. The context may have ended: it is why.
func (j *Jobs) abandon(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if j.c.limiter.pauseLeft() >= farewell {
		return
	}
	r := request{op: "delete job", kind: KindDelete, method: http.MethodDelete, path: jobPath(id), attempts: 1}
	if _, err := j.c.send(ctx, &r, nil); err != nil {
		j.c.log.Info("an abandoned job is not deleted", "job", id, "error", err)
	}
}

// jobPath is the path of a job. The id is the server's: it must not get out of
// its place.
func jobPath(id string) string { return jobsPath + "/" + url.PathEscape(id) }

// midnight is the start of the UTC day of t.
func midnight(t time.Time) time.Time { return t.UTC().Truncate(interval.Day) }
