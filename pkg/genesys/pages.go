package genesys

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

const defaultPageAttempts = 4

// errStopped says that the consumer has broken out of its loop.
var errStopped = errors.New("the consumer has stopped")

// errUnread is the consumer's mistake: see [Jobs.Pages].
var errUnread = errors.New("the page was not scanned before the next one was asked for")

// A feed gives the pages of one interval to its consumer.
type feed struct {
	c        *Client
	interval interval.Interval
	attempts int // at a page that comes damaged
	yield    func(*record.Page, error) bool
	buf      *buffer // nil until the first page: jobs take long to prepare
}

// pages makes a sequence of what read gives to its feed. If read fails, its
// error ends the sequence.
func (c *Client) pages(iv interval.Interval, attempts int, read func(*feed) error) iter.Seq2[*record.Page, error] {
	setDefault(&attempts, defaultPageAttempts)
	return func(yield func(*record.Page, error) bool) {
		f := &feed{c: c, interval: iv, attempts: attempts, yield: yield}
		defer f.release()
		if err := read(f); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// page fetches a page and gives it to the consumer, anew if it comes damaged.
// It returns a page that is whole. With errStopped it returns the page that the
// consumer stopped at.
func (f *feed) page(ctx context.Context, r *request, job string) (*record.Page, error) {
	if f.buf == nil {
		f.buf = f.c.buffers.Get().(*buffer)
	}
	for n := 1; ; n++ {
		rep, err := f.c.send(ctx, r, f.buf)
		if err != nil {
			return nil, err
		}
		p := &record.Page{Body: rep.body, Gzip: rep.gzip, Job: job, CorrelationID: rep.correlationID}
		if !f.yield(p, nil) {
			return p, errStopped
		}
		err = verdict(p)
		if err == nil {
			return p, nil
		}
		if n >= f.attempts || errors.Is(err, errUnread) {
			return nil, f.fail(p, err)
		}
		wait := backoff(n, rand.Float64())
		f.c.log.Warn("page is damaged, fetching it again", "interval", f.interval.String(), "job", job,
			"attempt", n, "wait", wait.Round(time.Millisecond).String(), "correlation_id", p.CorrelationID, "error", err)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (f *feed) release() {
	if f.buf != nil {
		f.c.buffers.Put(f.buf)
		f.buf = nil
	}
}

// verdict says what is wrong with a page that the consumer has had.
func verdict(p *record.Page) error {
	if err := p.Damage(); err != nil {
		return err
	}
	if !p.Whole() {
		return errUnread
	}
	if e := p.Envelope; !e.HasRecords && (e.Code != "" || e.Message != "") {
		return fmt.Errorf("the page holds an error instead of records: %s", clean(e.Code+" "+e.Message, 300))
	}
	if p.Envelope.Foreign { // {} is the page behind the last one
		return errors.New("the page has nothing of what results have: something on the way to the API has answered")
	}
	return nil
}

// fail is the error of an interval that cannot be read to its end.
func (f *feed) fail(p *record.Page, err error) *PageError {
	return &PageError{Interval: f.interval, JobID: p.Job, CorrelationID: p.CorrelationID, Err: err}
}
