package genesys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

// jobsPerInterval bounds the jobs that are run for one interval, those of its
// pieces included.
const jobsPerInterval = 200

// A reading reads one interval: by one job, or by more of them.
type reading struct {
	*Jobs
	feed *feed
	left int // jobs that may still be run
	last error
	// refusal is that of the shortest interval that the API found too long.
	refusal *Error
	tooLong time.Duration
}

// read reads an interval whole or, where that fails for a reason that smaller
// jobs may not have, in halves.
func (r *reading) read(ctx context.Context, iv interval.Interval) error {
	if r.left == 0 {
		return fmt.Errorf("%d jobs were not enough: %w", jobsPerInterval, r.last)
	}
	err := r.whole(ctx, iv)
	if err == nil || ctx.Err() != nil || !divisible(err, iv) {
		return err
	}
	r.last = err
	first, second, ok := bisect(iv, r.o.Floor)
	if !ok {
		return err
	}
	r.c.log.Warn("job is given up, cutting its interval in two", "interval", iv.String(),
		"at", interval.Format(second.Start), "job", jobOf(err), "error", err)
	if err := r.read(ctx, first); err != nil {
		return err
	}
	return r.read(ctx, second)
}

// whole reads an interval by one job, or by a second one if the first had an
// accident that may not come again.
func (r *reading) whole(ctx context.Context, iv interval.Interval) error {
	if r.refusal != nil && iv.Length() >= r.tooLong {
		return r.refusal
	}
	err := r.job(ctx, iv)
	if accident(err) && ctx.Err() == nil && r.left > 0 {
		r.c.log.Warn("job is lost, running a new one", "interval", iv.String(), "job", jobOf(err), "error", err)
		err = r.job(ctx, iv)
	}
	if e, ok := errors.AsType[*Error](err); ok && tooLong(e, iv) {
		r.refusal, r.tooLong = e, iv.Length()
	}
	return err
}

// job runs a job for an interval. Its results are bounded only where cutting
// could make them fewer: a server that gives more may give them all.
func (r *reading) job(ctx context.Context, iv interval.Interval) error {
	r.left--
	r.feed.interval = iv
	r.feed.release() // the job before had its pages; this one takes long to have any
	bound := r.o.MaxResults
	if _, _, ok := bisect(iv, r.o.Floor); !ok || r.left < 2 {
		bound = 0
	}
	return r.run(ctx, r.feed, bound)
}

// accident reports whether err is the end of a job that the next one may be
// spared. A job that ran into its time limit would only do so again.
func accident(err error) bool {
	if e, ok := errors.AsType[*JobError](err); ok {
		return ended(e.State)
	}
	return lost(err)
}

// divisible reports whether an interval that failed with err may be read in
// pieces.
func divisible(err error, iv interval.Interval) bool {
	if _, ok := errors.AsType[*JobError](err); ok || lost(err) || errors.Is(err, errGrown) {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	return ok && tooLong(e, iv)
}

// tooLong reports whether a refusal may be one of the interval's length. There
// is a limit that nobody has published; up to a day is asked for everywhere.
func tooLong(e *Error, iv interval.Interval) bool {
	return e.Op == opSubmit && e.Status == http.StatusBadRequest &&
		(iv.Length() > interval.Day || strings.Contains(strings.ToLower(e.Message), "interval"))
}

// jobOf returns the id of the job that an error is about, "" if there is none.
func jobOf(err error) string {
	if e, ok := errors.AsType[*JobError](err); ok {
		return e.JobID
	}
	if e, ok := errors.AsType[*PageError](err); ok {
		return e.JobID
	}
	return ""
}

// bisect cuts an interval in two: at the midnight nearest to its middle, else in
// the middle, at a whole minute. It does not cut an interval shorter than twice
// the floor, which is a minute or more.
//
// A piece that starts at midnight is spared the conversations that started
// before; see [Jobs.Pages].
func bisect(iv interval.Interval, floor time.Duration) (first, second interval.Interval, ok bool) {
	if iv.Length() < 2*floor {
		return first, second, false
	}
	at, ok := midnightWithin(iv)
	if !ok || at.Sub(iv.Start) < floor || iv.End.Sub(at) < floor {
		at = iv.Start.Add(iv.Length() / 2).Truncate(time.Minute)
	}
	first, second = cutAt(iv, at)
	return first, second, true
}

// cutAt cuts an interval at an instant.
func cutAt(iv interval.Interval, at time.Time) (first, second interval.Interval) {
	return interval.Interval{Start: iv.Start, End: at}, interval.Interval{Start: at, End: iv.End}
}

// midnightWithin returns the midnight that is nearest to the middle of an
// interval, if one lies between its ends.
func midnightWithin(iv interval.Interval) (at time.Time, ok bool) {
	at = midnight(iv.Start.Add(iv.Length() / 2).Add(interval.Day / 2))
	return at, iv.Start.Before(at) && at.Before(iv.End)
}

// midnight is the start of the UTC day of t.
func midnight(t time.Time) time.Time { return t.UTC().Truncate(interval.Day) }
