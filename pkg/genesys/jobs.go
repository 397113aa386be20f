package genesys

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

const (
	jobsPath = "/api/v2/analytics/conversations/details/jobs"

	opSubmit  = "submit job"
	opResults = "read results"

	// submitAttempts is small: a submission whose answer was lost leaves a job
	// behind that nobody knows of.
	submitAttempts = 3
	// emptyPages is how many empty pages in a row may still name a next one.
	emptyPages = 3
	// farewell is how long to try to delete a job once the context has ended, and
	// lastWord how much of it is for the answer to a submission under way: it may
	// name a job, which nobody would know of otherwise.
	farewell = 10 * time.Second
	lastWord = 3 * time.Second
	// courtesy is the same while there is time: others may stand at the limiter.
	courtesy       = 30 * time.Second
	deleteAttempts = 3
)

// JobOptions says how to run jobs. The zero value works.
type JobOptions struct {
	// PageSize is the number of records asked for in a page. 0 means 1000.
	PageSize int
	// Concurrent is how many jobs may be in preparation at once, over all callers.
	// 0 means DefaultConcurrent.
	Concurrent int
	// SubmitsPerSecond is how many jobs may be submitted in a second, one after
	// the other. 0 means half of Concurrent, 1 at least.
	SubmitsPerSecond float64
	// Timeout is how long a job may take until its results are there, and how long
	// its submission may wait while too many others run. 0 means 30 minutes.
	Timeout time.Duration
	// MaxResults is how many records are read of one job gladly: a job with more is
	// given up, and its interval cut. 0 means 300,000.
	MaxResults int
	// Floor is the shortest interval that a cut may leave. 0 means an hour; less
	// than a minute is a minute.
	Floor time.Duration
	// PageAttempts is how often a page that comes damaged is fetched. 0 means 4.
	PageAttempts int
}

// DefaultConcurrent is how many jobs are in preparation at once where nothing is
// known of the organisation's limit.
const DefaultConcurrent = 2

// Jobs is the source that reads the results of asynchronous details jobs. It is
// safe for concurrent use.
type Jobs struct {
	c *Client
	o JobOptions
	*queue
	polls polls
}

// Jobs returns a source of the given options. Callers that share a limit of
// concurrent jobs must share the source, or have those of one [Pool].
func (c *Client) Jobs(o JobOptions) *Jobs {
	setDefault(&o.PageSize, 1000)
	setDefault(&o.Concurrent, DefaultConcurrent)
	setDefault(&o.SubmitsPerSecond, max(1, float64(o.Concurrent)/2))
	setDefault(&o.Timeout, 30*time.Minute)
	setDefault(&o.MaxResults, 300_000)
	setDefault(&o.Floor, time.Hour)
	o.Floor = max(o.Floor, time.Minute)
	return &Jobs{c: c, o: o, queue: newQueue(o.Concurrent)}
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
// [*PageError].
//
// A job that ends badly, or is lost while it is read (its results expired, its
// cursor was refused), is run once more. If that does not help, or the job takes
// longer than JobOptions.Timeout or has more than JobOptions.MaxResults, the
// interval is cut in two and each half is read in its turn, down to
// JobOptions.Floor. Results come from the beginning then: the consumer drops the
// records that it has already.
//
// An error ends the sequence. Wherever it ends before the last page of a job,
// the job is deleted, as far as that takes no more than half a minute, and no
// more than 10 seconds once the context has ended.
func (j *Jobs) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return j.c.pages(iv, j.o.PageAttempts, func(f *feed) error {
		r := &reading{Jobs: j, feed: f, left: jobsPerInterval}
		return r.read(ctx, iv)
	})
}

// run takes one job through its life. Results past the bound, 0 for none, are
// errGrown.
func (j *Jobs) run(ctx context.Context, f *feed, bound int) (err error) {
	last, cancel := linger(ctx, farewell)
	defer cancel()
	id, err := j.prepare(ctx, last, f.interval)
	if err != nil {
		return err
	}
	read := false
	defer func() { // also when the consumer panics
		if !read && !needless(err) {
			j.abandon(ctx, last, id, false)
		}
	}()
	if err = record.Ready(ctx); err != nil {
		return err
	}
	read, err = j.drain(ctx, f, id, bound)
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
func (j *Jobs) prepare(ctx, last context.Context, iv interval.Interval) (id string, err error) {
	began := time.Now()
	j.waiting.Add(1)
	err = acquire(ctx, j.slots)
	j.waiting.Add(-1)
	j.c.ledger.waited(time.Since(began))
	if err != nil {
		return "", err
	}
	defer func() { <-j.slots }()
	if id, err = j.submit(ctx, iv); err != nil {
		return "", err
	}
	j.room.join()
	defer j.room.leave()
	if err = j.await(ctx, id, iv); err != nil && !needless(err) {
		j.abandon(ctx, last, id, true)
	}
	return id, err
}

// acquire takes a place in the channel, unless ctx ends first.
func acquire(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// submit submits a job: one at a time, as fast as is allowed. Where the API has
// no room for it, it waits for one of ours to end, and for as long as a job may
// take at most.
func (j *Jobs) submit(ctx context.Context, iv interval.Interval) (id string, err error) {
	began := time.Now()
	if err := acquire(ctx, j.turn); err != nil {
		return "", err
	}
	defer func() { <-j.turn }()
	start := time.Now()
	for n, wait := 1, time.Until(j.next); ; n++ {
		if err := j.room.await(ctx, wait); err != nil {
			return "", err
		}
		j.c.ledger.waited(time.Since(began))
		id, err = j.post(ctx, iv)
		began = time.Now()
		j.next = time.Now().Add(time.Duration(float64(time.Second) / j.o.SubmitsPerSecond))
		if !crowded(err) {
			return id, err
		}
		j.room.refused(err, time.Now())
		wait = pacedWait(n, retryAfterOf(err), rand.Float64())
		if time.Since(start)+wait > j.o.Timeout {
			return "", err
		}
		j.c.log.Debug("no room for another job, waiting", "interval", iv.String(), "error", err)
	}
}

// jobQuery is the body of a submission.
type jobQuery struct {
	Interval   string `json:"interval"`
	Order      string `json:"order"`
	OrderBy    string `json:"orderBy"`
	StartOfDay bool   `json:"startOfDayIntervalMatching,omitempty"`
}

// post makes the submission.
func (j *Jobs) post(ctx context.Context, iv interval.Interval) (id string, err error) {
	var answer struct {
		JobID string `json:"jobId"`
	}
	r := request{
		op: opSubmit, kind: KindSubmit, method: http.MethodPost, path: jobsPath,
		body: jobQuery{
			Interval: iv.String(), Order: "asc", OrderBy: "conversationStart",
			StartOfDay: iv.Start.Equal(midnight(iv.Start)),
		},
		into: &answer, attempts: submitAttempts, patience: j.o.Timeout, linger: lastWord, ownRoom: true,
	}
	rep, err := j.c.send(ctx, &r, nil)
	if err != nil {
		return "", err
	}
	if answer.JobID == "" {
		return "", j.c.connError(&r, ErrAnswer)
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
	submitted, unready := time.Now(), time.Duration(0)
	j.polls.spend(submitted, j.c.limiter.perMinute(), true)
	for n, gap := 1, j.polls.first(); ; n++ {
		err := sleep(limited, gap)
		j.c.ledger.waited(gap)
		asked := time.Since(submitted)
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
			return asLost(err, "", iv, id)
		case e.State == "FULFILLED":
			j.polls.learn(asked, unready, j.part())
			return nil
		case ended(e.State):
			return e
		}
		unready = asked
		gap = max(j.polls.gap(n), j.polls.spend(time.Now(), j.c.limiter.perMinute(), false))
	}
}

// part is the part of jobs that the first poll should find ended: it comes
// early, and more often in vain, where jobs are waited for and requests are not.
func (j *Jobs) part() float64 {
	if j.waiting.Load() > 0 && !j.c.limiter.busy() {
		return eager
	}
	return patient
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

// abandon deletes a job that nobody will read, so that it does not count
// against the limit of concurrent jobs. ctx may have ended, and be why; last is
// what remains of it then. A job that is still in preparation counts against the
// limit, so its deletion comes before that of results nobody reads, which expire
// by themselves.
func (j *Jobs) abandon(ctx, last context.Context, id string, unfinished bool) {
	limit := courtesy
	if ctx.Err() != nil {
		limit = farewell
	}
	if j.c.limiter.pauseLeft() >= limit {
		j.c.log.Info("an abandoned job is not deleted: all requests are paused", "job", id)
		return
	}
	last, cancel := context.WithTimeout(last, limit)
	defer cancel()
	r := request{op: "delete job", kind: KindDelete, method: http.MethodDelete, path: jobPath(id), attempts: deleteAttempts, urgent: unfinished}
	if _, err := j.c.send(last, &r, nil); err != nil {
		j.c.log.Info("an abandoned job is not deleted", "job", id, "error", err)
	}
}

// linger returns a context that ends when ctx has been over for the grace time.
func linger(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	if grace <= 0 {
		return ctx, func() {}
	}
	last, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if sleep(last, grace) == nil {
			end(context.Cause(ctx))
		}
	})
	return last, func() { stop(); end(nil) }
}

// jobPath is the path of a job. The id is the server's: it must not get out of
// its place.
func jobPath(id string) string { return jobsPath + "/" + url.PathEscape(id) }
