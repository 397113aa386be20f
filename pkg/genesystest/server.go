package genesystest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxRequestBytes is the platform's request.bytes.max.
const maxRequestBytes = 512_000

// A Server is one simulated organisation. It is an [http.Handler] for both the
// API and its login host, and safe for concurrent use.
type Server struct {
	opt   Options
	world *world
	pages pageCache

	mu          sync.Mutex
	requests    []*Request
	corrections uint64 // how many correlation ids were given out
	issued      uint64 // how many tokens
	tokens      map[string]*token
	windows     map[string]*window // of token requests by client, and of shared allowances
	jobs        map[string]*job
	jobCount    uint64
	submits     []time.Time
	faults      []*rule
}

// New makes a server. It panics if the options make no sense; see
// [Options.Check].
func New(o Options) *Server {
	if err := o.Check(); err != nil {
		panic("genesystest: " + err.Error())
	}
	o = o.withDefaults(time.Now())
	s := &Server{
		opt:     o,
		world:   newWorld(o),
		pages:   pageCache{limit: o.PageCache},
		tokens:  make(map[string]*token),
		windows: make(map[string]*window),
		jobs:    make(map[string]*job),
	}
	for i, f := range o.Faults {
		s.faults = append(s.faults, &rule{Fault: f, seed: hash(o.Seed, 'f', uint64(i), f.Seed)})
	}
	return s
}

// An exchange is one request on its way through the server.
type exchange struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	log  *Request
	id   string // correlation id
	body []byte
	// token is the one that was presented; nil for token requests.
	token *token
	fault Action
	// jobID and page of what is asked for, as far as the request tells.
	jobID string
	page  int
}

// An answer is what a handler wants to be sent.
type answer struct {
	status  int
	header  map[string]string
	body    []byte
	gzipped bool
	// html marks a body that is not JSON.
	html bool
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r}
	kind, handle := s.route(x)
	x.begin(kind)
	if err := pause(r.Context(), s.latency(x.id)); err != nil {
		x.hangUp()
	}
	x.deliver(x.answer(kind, handle))
}

// answer passes a request through the gates that the real one has to pass:
// size, credentials, allowance, and then whatever goes wrong.
func (x *exchange) answer(kind Kind, handle func(*exchange) answer) answer {
	if a := x.readBody(); a != nil {
		return *a
	}
	if kind != Token {
		if a := x.authenticate(); a != nil {
			return *a
		}
		if a := x.admit(); a != nil {
			return *a
		}
	}
	x.locate(kind)
	x.fault = x.s.match(x, kind)
	if a := x.interfere(); a != nil {
		return *a
	}
	return handle(x)
}

// readBody reads the request body, up to the size that the platform takes.
func (x *exchange) readBody() *answer {
	b, err := io.ReadAll(io.LimitReader(x.r.Body, maxRequestBytes+1))
	if err != nil {
		x.hangUp()
	}
	if len(b) > maxRequestBytes {
		a := x.fail(413, "request.entity.too.large", "The request is over the size limit. Maximum bytes: "+strconv.Itoa(maxRequestBytes))
		return &a
	}
	x.body = b
	return nil
}

const (
	jobsPath  = "/api/v2/analytics/conversations/details/jobs"
	queryPath = "/api/v2/analytics/conversations/details/query"
	limitPath = "/api/v2/organizations/limits/"
)

// route finds what a request is about from its path and method.
func (s *Server) route(x *exchange) (Kind, func(*exchange) answer) {
	path, method := x.r.URL.Path, x.r.Method
	on := func(want string, k Kind, h func(*exchange) answer) (Kind, func(*exchange) answer) {
		if method != want {
			return Other, func(x *exchange) answer { return x.wrongMethod(want) }
		}
		return k, h
	}
	switch {
	case path == "/oauth/token":
		return on("POST", Token, (*exchange).issueToken)
	case path == jobsPath:
		return on("POST", Submit, (*exchange).submit)
	case path == jobsPath+"/availability":
		return on("GET", Availability, (*exchange).availability)
	case path == queryPath:
		return on("POST", Query, (*exchange).query)
	case strings.HasPrefix(path, limitPath):
		return on("GET", Limits, (*exchange).limits)
	case listings()[path] != "":
		return on("GET", Other, (*exchange).listing)
	}
	rest, ok := strings.CutPrefix(path, jobsPath+"/")
	id, results := strings.CutSuffix(rest, "/results")
	if !ok || id == "" || strings.Contains(id, "/") {
		return Other, (*exchange).notFound
	}
	x.jobID = id
	switch {
	case results:
		return on("GET", Page, (*exchange).results)
	case method == "DELETE":
		return Delete, (*exchange).remove
	}
	return on("GET", Poll, (*exchange).status)
}

// begin names the request and enters it into the log.
func (x *exchange) begin(kind Kind) {
	s := x.s
	x.log = &Request{
		Time: time.Now(), Kind: kind, Method: x.r.Method, Path: x.r.URL.Path, Query: x.r.URL.RawQuery, Job: x.jobID,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corrections++
	x.id = uid{hash(s.opt.Seed, 'x', s.corrections), hash(s.opt.Seed, 'y', s.corrections)}.String()
	x.log.CorrelationID = x.id
	s.requests = append(s.requests, x.log)
}

// note changes the log entry of the request.
func (x *exchange) note(change func(*Request)) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	change(x.log)
}

// latency is how long an answer is held back.
func (s *Server) latency(id string) time.Duration {
	if s.opt.LatencyMax <= 0 {
		return 0
	}
	r := rng{s.opt.Seed}
	for _, c := range []byte(id) {
		r.s = r.s*31 + uint64(c)
	}
	return time.Duration(r.between(int64(s.opt.Latency), int64(s.opt.LatencyMax)))
}

// pause waits; it returns the context's error if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hangUp ends the connection without another byte.
func (x *exchange) hangUp() { panic(http.ErrAbortHandler) }

// isJSON reports whether the request says that its body is JSON.
func (x *exchange) isJSON() bool {
	kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

var errNoBody = errors.New("no body")

// decode reads the request body into v.
func (x *exchange) decode(v any) *answer {
	if !x.isJSON() {
		a := x.fail(415, "unsupported.media.type", "HTTP 415 Unsupported Media Type")
		return &a
	}
	if err := strictJSON(bytes.NewReader(x.body), v); err != nil {
		a := x.fail(400, "bad.request", "The request could not be understood by the server due to malformed syntax.")
		return &a
	}
	return nil
}
