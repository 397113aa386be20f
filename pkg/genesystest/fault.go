package genesystest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Fault is a rule for what goes wrong. Its first fields say with which
// requests; all that are set have to match. Then it lets After of the matching
// requests pass, and hits the next Times.
type Fault struct {
	// Kind of the request; "" is any.
	Kind Kind
	// Path must be a part of the request's path, query included.
	Path string
	// Job counts jobs in order of submission, from 1; 0 is any. It matches
	// polls, pages and deletions.
	Job int
	// Page counts the pages of a job or query from 1; 0 is any.
	Page int

	// After is how many matching requests pass unharmed first.
	After int
	// Times is how many are hit then, negative all; 0 means 1, and with Every or
	// Probability all.
	Times int
	// Every hits only each Every-th: with 10 the 10th, 20th and so on.
	Every int
	// Probability of being hit, by the seed; 0 means always.
	Probability float64
	// Seed varies which are hit, for rules with a probability.
	Seed uint64

	// Action is what goes wrong: one of the types below.
	Action Action
}

// An Action is what a fault does. The types of this package that have Name are
// all there are.
type Action interface {
	// Name is that of the text form; see [ParseFault].
	Name() string
}

// Status answers with an error instead. The body is the platform's own for the
// status unless given.
type Status struct {
	Code int
	// RetryAfter is the header's value, sensible or not; "" leaves it out.
	RetryAfter string
	Body       string
}

// HTML502 is a bad gateway with a page of HTML, as from a content network.
type HTML502 struct{}

// ErrorBody is an error body that comes with status 200.
type ErrorBody struct{}

// Reset breaks the connection before a byte is answered. Late has the request
// carried out first: a job is submitted, and nobody is told.
type Reset struct{ Late bool }

// Cut breaks the connection within the body, after Bytes, or at the fraction At
// of it; by default in the middle. Content-Length is that of the whole body;
// Chunked leaves it out. Hard resets the connection instead of closing it.
type Cut struct {
	Bytes         int
	At            float64
	Chunked, Hard bool
}

// Shorten ends the body early with a Content-Length that says it was all, so
// that only its content shows the damage. Bytes and At are those of [Cut].
type Shorten struct {
	Bytes int
	At    float64
}

// Garble puts invalid JSON into the middle of a page, below intact compression.
type Garble struct{}

// BadGzip damages the compression: a wrong checksum, or with Cut the trailer is
// missing.
type BadGzip struct{ Cut bool }

// RepeatCursor has a page name itself as the next.
type RepeatCursor struct{}

// ExpiredCursor refuses the cursor, by default as [Options.UnknownCursorStatus] says.
type ExpiredCursor struct{ Status int }

// EmptyPage answers a page of results without records; the cursor leads on.
type EmptyPage struct{}

// Duplicate has a page begin with the last Records (1 if 0) of the page before it.
type Duplicate struct{ Records int }

// JobState gives the job at hand an outcome: FAILED, CANCELLED or EXPIRED. A job
// that is just submitted runs first.
type JobState struct{ State, Message string }

// JobEndless has the job at hand never finish.
type JobEndless struct{}

// Slow delivers the body at so many bytes a second.
type Slow struct{ BytesPerSecond int }

// Hang answers nothing until the client goes away; with Body, nothing after the
// part of the body that Bytes or At give, as in [Cut].
type Hang struct {
	Body  bool
	Bytes int
	At    float64
}

// Delay holds the answer back.
type Delay struct{ For time.Duration }

// RevokeToken makes the token that was presented invalid, from this request on.
type RevokeToken struct{}

// WatermarkBack has dataAvailabilityDate lie further back.
type WatermarkBack struct{ By time.Duration }

// Name returns "status"; in the text form the number alone.
func (Status) Name() string { return "status" }

// Name returns "html502".
func (HTML502) Name() string { return "html502" }

// Name returns "error-body".
func (ErrorBody) Name() string { return "error-body" }

// Name returns "reset".
func (Reset) Name() string { return "reset" }

// Name returns "cut".
func (Cut) Name() string { return "cut" }

// Name returns "shorten".
func (Shorten) Name() string { return "shorten" }

// Name returns "garble".
func (Garble) Name() string { return "garble" }

// Name returns "bad-gzip".
func (BadGzip) Name() string { return "bad-gzip" }

// Name returns "repeat-cursor".
func (RepeatCursor) Name() string { return "repeat-cursor" }

// Name returns "expired-cursor".
func (ExpiredCursor) Name() string { return "expired-cursor" }

// Name returns "empty-page".
func (EmptyPage) Name() string { return "empty-page" }

// Name returns "duplicate".
func (Duplicate) Name() string { return "duplicate" }

// Name returns "job-state"; in the text form also job-failed and the like.
func (JobState) Name() string { return "job-state" }

// Name returns "job-endless".
func (JobEndless) Name() string { return "job-endless" }

// Name returns "slow".
func (Slow) Name() string { return "slow" }

// Name returns "hang".
func (Hang) Name() string { return "hang" }

// Name returns "delay".
func (Delay) Name() string { return "delay" }

// Name returns "revoke-token".
func (RevokeToken) Name() string { return "revoke-token" }

// Name returns "watermark-back".
func (WatermarkBack) Name() string { return "watermark-back" }

// check reports a rule that can never do what it says.
func (f Fault) check() error {
	switch {
	case f.Action == nil:
		return fmt.Errorf("fault %q has no action", f)
	case f.Kind != "" && !slices.Contains(Kinds(), f.Kind):
		return fmt.Errorf("fault %q: unknown kind of request", f)
	case f.After < 0 || f.Every < 0 || f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("fault %q: number out of range", f)
	}
	switch a := f.Action.(type) {
	case Status:
		if a.Code < 200 || a.Code > 599 {
			return fmt.Errorf("fault %q: status %d", f, a.Code)
		}
	case JobState:
		if a.State != failed && a.State != cancelled && a.State != expired {
			return fmt.Errorf("fault %q: state %q", f, a.State)
		}
	case Slow:
		if a.BytesPerSecond <= 0 {
			return fmt.Errorf("fault %q: needs a rate", f)
		}
	}
	return nil
}

// A rule is a fault and how often it has matched; guarded by Server.mu.
type rule struct {
	Fault
	seed uint64
	seen int
	hits int
}

// AddFault adds a rule while the server runs. It panics if the rule makes no sense.
func (s *Server) AddFault(f Fault) {
	if err := f.check(); err != nil {
		panic("genesystest: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &rule{Fault: f, seed: hash(s.opt.Seed, 'f', uint64(len(s.faults)), f.Seed)})
}

// ClearFaults ends all rules: from now on nothing goes wrong.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// match returns what goes wrong with a request, if anything.
func (s *Server) match(x *exchange, kind Kind) Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		if r.applies(s, x, kind) && r.hit() {
			x.log.Fault = r.String()
			return r.Action
		}
	}
	return nil
}

func (r *rule) applies(s *Server, x *exchange, kind Kind) bool {
	if r.Kind != "" && r.Kind != kind || r.Page != 0 && r.Page != x.page {
		return false
	}
	if r.Path != "" && !strings.Contains(x.r.URL.RequestURI(), r.Path) {
		return false
	}
	if r.Job == 0 {
		return true
	}
	j := s.jobs[x.jobID]
	return j != nil && j.number == r.Job
}

// hit counts a matching request and decides whether it is one to be hit.
func (r *rule) hit() bool {
	r.seen++
	n := r.seen - r.After
	times := r.Times
	if times == 0 {
		times = 1
		if r.Every > 0 || r.Probability > 0 {
			times = -1
		}
	}
	switch {
	case n <= 0, n%max(r.Every, 1) != 0:
		return false
	case times >= 0 && r.hits >= times:
		return false
	case r.Probability > 0 && float64(hash(r.seed, uint64(r.seen))>>11)/(1<<53) >= r.Probability:
		return false
	}
	r.hits++
	return true
}

// interfere carries out what goes wrong before a request is even looked at.
func (x *exchange) interfere() *answer {
	switch f := x.fault.(type) {
	case Status:
		a := x.statusAnswer(f)
		return &a
	case HTML502:
		a := badGateway()
		return &a
	case ErrorBody:
		a := x.fail(500, "internal.server.error", "An internal error occurred")
		a.status = 200
		return &a
	case Reset:
		if !f.Late {
			x.reset()
		}
	case Hang:
		if !f.Body {
			<-x.r.Context().Done()
			x.hangUp()
		}
	case Delay:
		if pause(x.r.Context(), f.For) != nil {
			x.hangUp()
		}
	case RevokeToken:
		return x.revoke()
	}
	return nil
}

// revoke makes the presented token invalid.
func (x *exchange) revoke() *answer {
	if x.token == nil {
		return nil
	}
	x.s.mu.Lock()
	x.token.revoked = true
	x.s.mu.Unlock()
	a := x.fail(401, "bad.credentials", "Invalid login credentials.")
	return &a
}

// statusAnswer is what the platform says with a status.
func (x *exchange) statusAnswer(f Status) answer {
	known := map[int]string{
		400: "bad.request", 401: "bad.credentials", 403: "not.authorized", 404: "not.found", 408: "client.timeout",
		409: "conflict", 413: "request.entity.too.large", 415: "unsupported.media.type", 429: "too.many.requests",
		500: "internal.server.error", 503: "service.unavailable", 504: "request.timeout",
	}
	message := http.StatusText(f.Code)
	code := or(known[f.Code], strings.ReplaceAll(strings.ToLower(message), " ", "."))
	if f.Code == 429 {
		message = "Rate limit exceeded the maximum [300] requests within [60] seconds"
		if f.RetryAfter != "" {
			code = "too.many.requests.retry.after"
			message = "Rate limit exceeded the maximum. Retry the request in [" + f.RetryAfter + "] seconds"
		}
	}
	a := x.fail(f.Code, code, message)
	if f.RetryAfter != "" {
		a.header = map[string]string{"Retry-After": f.RetryAfter}
	}
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	return a
}

// badGateway is a page that does not come from the platform at all.
func badGateway() answer {
	return answer{status: 502, html: true, body: []byte("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n" +
		"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>CloudFront</center>\r\n</body>\r\n</html>\r\n")}
}

// afflict applies the faults that befall jobs.
func (x *exchange) afflict(j *job) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	switch f := x.fault.(type) {
	case JobState:
		j.outcome, j.message = f.State, or(f.Message, "The query could not be executed")
		if now := time.Now(); x.log.Kind != Submit && (j.done.IsZero() || now.Before(j.done)) {
			j.done = now
		}
	case JobEndless:
		j.done = time.Time{}
	}
}
