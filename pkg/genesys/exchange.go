package genesys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// exchange makes one attempt, and notes in x how it went.
func (c *Client) exchange(ctx context.Context, r *request, tok token, p *pass, buf *buffer, x *Exchange) (reply, error) {
	start := time.Now()
	w := newWatch(ctx, c.cfg.StallTimeout)
	defer w.stop()
	rep, err := c.roundTrip(w, r, tok, p, buf, x)
	x.Took = time.Since(start)
	if err == nil {
		return rep, nil
	}
	if ctx.Err() != nil {
		x.Err = "cancelled"
		return reply{}, context.Cause(ctx)
	}
	if errors.Is(context.Cause(w.ctx), ErrStalled) {
		err = ErrStalled
	}
	if _, ok := errors.AsType[*Error](err); ok {
		x.Err = "status"
		return reply{}, err
	}
	e := c.connError(r, err)
	x.Err = e.kind()
	return reply{}, e
}

// roundTrip sends the request and reads the answer whole.
func (c *Client) roundTrip(w *watch, r *request, tok token, p *pass, buf *buffer, x *Exchange) (reply, error) {
	req, err := c.build(w.ctx, r, tok)
	if err != nil {
		return reply{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	rep := reply{status: resp.StatusCode, correlationID: correlationID(resp.Header)}
	x.Status, x.CorrelationID = rep.status, rep.correlationID
	p.answered()
	if pause := c.limiter.obey(resp.Header, rep.status, c.cfg.MaxRetryAfter); pause > 0 {
		c.log.Debug("the window of requests is used up, pausing", "op", r.op, "wait", pause.String())
	}
	body := w.reader(resp.Body, c.cfg.BodyTimeout)
	if rep.status < 200 || rep.status > 299 {
		return reply{}, refusal(r, resp, body, c.cfg.MaxRetryAfter)
	}
	if rep.gzip, err = encoding(resp.Header); err != nil {
		return reply{}, err
	}
	rep.body, err = buf.read(body, resp.ContentLength, c.cfg.MaxBody)
	x.Bytes = int64(len(rep.body))
	if err != nil || r.into == nil {
		return rep, err
	}
	return rep, rep.decode(r.into)
}

// build makes the HTTP request of an attempt.
func (c *Client) build(ctx context.Context, r *request, tok token) (*http.Request, error) {
	u, err := url.Parse(c.api.String() + r.path)
	if err != nil {
		return nil, err
	}
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(marshal(r.body))
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+tok.access.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// refusal reads an answer that is not a success into an error. What is left of
// a body of moderate size is read too, so that the connection can be used again.
func refusal(r *request, resp *http.Response, body io.Reader, maxRetryAfter time.Duration) *Error {
	const enough = 64 << 10
	text, _ := io.ReadAll(io.LimitReader(body, enough)) // what there is of it must do
	if zipped, _ := encoding(resp.Header); zipped {
		text, _ = inflate(text, enough)
	}
	e := &Error{
		Op: r.op, Method: r.method, Path: r.path,
		Status:        resp.StatusCode,
		CorrelationID: correlationID(resp.Header),
		RetryAfter:    parseRetryAfter(resp.Header.Get("Retry-After"), time.Now(), maxRetryAfter),
	}
	e.fill(text, resp.Header.Get("Content-Type"))
	if resp.StatusCode >= 300 && resp.StatusCode <= 399 {
		e.Message = "redirects are not followed; is this the right host?"
	}
	return e
}

// connError is the error of an answer that did not come, or not whole.
func (c *Client) connError(r *request, err error) *ConnError {
	host := c.api.Host
	if r.kind == KindToken {
		host = c.login.Host
	}
	return &ConnError{Op: r.op, Method: r.method, Host: host, Path: r.path, Err: withoutURL(err)}
}

// decode fills v from the body, which must be JSON and small.
func (rep reply) decode(v any) error {
	body := rep.body
	if rep.gzip {
		var err error
		if body, err = inflate(body, 16<<20); err != nil {
			return ErrAnswer
		}
	}
	if json.Unmarshal(body, v) != nil {
		return ErrAnswer
	}
	return nil
}

func correlationID(h http.Header) string { return clean(h.Get("Inin-Correlation-Id"), 100) }

// pausesAll reports whether err is a 429 that concerns every caller. The limits
// of jobs (how many run, how fast they are submitted) concern the submission
// alone: pausing the others would keep them from ending the jobs that are in
// the way.
func pausesAll(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && classify(e.Status) == paced && !crowded(err)
}
