package genesys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A Config says whose data to read, and how. ClientID and ClientSecret, APIURL
// and LoginURL are required; of all else the zero value works.
type Config struct {
	// APIURL and LoginURL are the base URLs of the services; see [Hosts].
	APIURL, LoginURL string
	// ClientID and ClientSecret are those of an OAuth client with the grant
	// "client credentials".
	ClientID     string
	ClientSecret Secret
	// RequestsPerMinute is the allowance of the token, over all callers and kinds
	// of request. 0 means 300. It may be a fraction. [Client.Allow] replaces it.
	RequestsPerMinute float64
	// Reserve is the part of the allowance that is left to others, from 0 to below
	// 1. Share is the part of the rest that is for this process, where several
	// share an allowance; 0 means all of it.
	Reserve, Share float64
	// Burst is how many requests may follow each other at once; a part of the
	// allowance, not on top of it. 0 means 3 seconds' worth.
	Burst int
	// MaxRetryAfter caps what the server may ask to wait. 0 means 5 minutes.
	MaxRetryAfter time.Duration
	// StallTimeout ends an attempt when no byte has come for so long. 0 means a
	// minute. There is no timeout over a whole transfer that makes progress.
	StallTimeout time.Duration
	// BodyTimeout is when a body that comes at less than 4 KiB a second on
	// average is given up. 0 means 10 minutes.
	BodyTimeout time.Duration
	// TokenTimeout ends one request for a token. 0 means 30 seconds.
	TokenTimeout time.Duration
	// Attempts is how often a request is tried against a service or network that
	// is unwell. 0 means 10, which takes some 2 minutes, and 4 at most.
	Attempts int
	// MaxBody is the largest body, in bytes as transferred. 0 means 256 MiB.
	MaxBody int64
	// MaxIdleConns is how many connections are kept for the next request: as many
	// as there are callers at once. 0 means 64.
	MaxIdleConns int
	// Version is sent as the User-Agent "gcexport/Version".
	Version string
	// Transport replaces the HTTP transport, for tests.
	Transport http.RoundTripper
	// Logger gets retries and pauses. nil means none.
	Logger *slog.Logger
	// Observe, if not nil, is called after each attempt with the context of the
	// request, by many goroutines at once. It must not block.
	Observe func(context.Context, Exchange)
}

// A Kind is the kind of a request, for counting.
type Kind string

// The kinds of requests.
const (
	KindToken        Kind = "token"
	KindSubmit       Kind = "submit"
	KindPoll         Kind = "poll"
	KindResults      Kind = "results"
	KindDelete       Kind = "delete"
	KindQuery        Kind = "query"
	KindAvailability Kind = "availability"
	KindLimits       Kind = "limits"
)

// An Exchange is one attempt of one request, as it went.
type Exchange struct {
	Kind Kind
	// Attempt counts from 1 for each request.
	Attempt int
	// Status is the HTTP status; 0 if no answer came.
	Status int
	// Err is "" for success, else one of "status", "connection", "stalled",
	// "slow", "short", "too large", "answer" and "cancelled".
	Err string
	// Waited is the time before the attempt, for the limiter; Took is the time
	// from sending to the end of the body.
	Waited, Took time.Duration
	// Bytes counts those of the body of the answer, as transferred.
	Bytes int64
	// CorrelationID is the API's name for the answer.
	CorrelationID string
}

// A Client reads one organisation. It is safe for concurrent use.
type Client struct {
	cfg     Config
	api     *url.URL
	login   *url.URL
	http    *http.Client
	own     *http.Transport // nil if the transport was given
	limiter *limiter
	ledger  *ledger
	tokens  *tokens
	log     *slog.Logger
	buffers sync.Pool // of *buffer
}

// New makes a client. It sends nothing.
func New(cfg Config) (*Client, error) {
	if cfg.ClientID == "" || cfg.ClientSecret.Empty() {
		return nil, errors.New("the id and the secret of the OAuth client are both needed")
	}
	api, err := baseURL(cfg.APIURL)
	if err != nil {
		return nil, fmt.Errorf("read API URL: %w", err)
	}
	login, err := baseURL(cfg.LoginURL)
	if err != nil {
		return nil, fmt.Errorf("read login URL: %w", err)
	}
	if !(cfg.RequestsPerMinute >= 0 && cfg.RequestsPerMinute <= 1e5) { // so written, it refuses NaN too
		return nil, fmt.Errorf("%g requests per minute is no sensible allowance", cfg.RequestsPerMinute)
	}
	if !(cfg.Reserve >= 0 && cfg.Reserve < 1 && cfg.Share >= 0 && cfg.Share <= 1) {
		return nil, fmt.Errorf("a reserve of %g and a share of %g are no parts of an allowance", cfg.Reserve, cfg.Share)
	}
	cfg = withDefaults(cfg)
	if login.Scheme == "http" && !loopback(login.Hostname()) {
		cfg.Logger.Warn("the client secret will be sent unencrypted", "host", login.Host)
	}
	c := &Client{
		cfg:     cfg,
		api:     api,
		login:   login,
		limiter: newLimiter(allowance{cfg.RequestsPerMinute, cfg.Reserve, cfg.Share, cfg.Burst}),
		ledger:  newLedger(),
		log:     cfg.Logger,
	}
	c.buffers.New = func() any { return new(buffer) }
	transport := cfg.Transport
	if transport == nil {
		c.own = newTransport(cfg)
		transport = c.own
	}
	c.http = newHTTPClient(transport, cfg.Version)
	c.tokens = newTokens(c.fetchToken)
	return c, nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func withDefaults(cfg Config) Config {
	setDefault(&cfg.RequestsPerMinute, DefaultRequestsPerMinute)
	setDefault(&cfg.Share, 1)
	setDefault(&cfg.MaxRetryAfter, 5*time.Minute)
	setDefault(&cfg.StallTimeout, time.Minute)
	setDefault(&cfg.BodyTimeout, 10*time.Minute)
	setDefault(&cfg.TokenTimeout, 30*time.Second)
	setDefault(&cfg.Attempts, defaultAttempts)
	setDefault(&cfg.MaxBody, 256<<20)
	setDefault(&cfg.MaxIdleConns, 64)
	setDefault(&cfg.Version, "dev")
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// setDefault sets what is zero, or a negative number, to the default.
func setDefault[T int | int64 | float64 | time.Duration | string](field *T, value T) {
	var zero T
	if *field <= zero {
		*field = value
	}
}

// Close closes the connections that are kept. The client must not be in use.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// DefaultRequestsPerMinute is what the API allows a token unless the
// organisation has agreed otherwise.
const DefaultRequestsPerMinute = 300

// Allow replaces Config.RequestsPerMinute by what has become known since.
func (c *Client) Allow(perMinute float64) {
	if perMinute > 0 {
		c.limiter.allow(perMinute)
	}
}

// Token makes sure that there is a token, which proves host and credentials.
func (c *Client) Token(ctx context.Context) error {
	_, err := c.tokens.get(ctx)
	return err
}

// Availability returns the instant up to which jobs give complete data.
func (c *Client) Availability(ctx context.Context) (time.Time, error) {
	var answer struct {
		Date string `json:"dataAvailabilityDate"`
	}
	r := request{
		op: "get data availability", kind: KindAvailability,
		method: http.MethodGet, path: jobsPath + "/availability", into: &answer,
	}
	if _, err := c.send(ctx, &r, nil); err != nil {
		return time.Time{}, err
	}
	t, err := interval.ParseTime(answer.Date)
	if err != nil {
		return time.Time{}, c.connError(&r, ErrAnswer)
	}
	return t, nil
}

// A request is one call of the API; its attempts are all alike.
type request struct {
	op       string // for people
	kind     Kind
	method   string
	path     string // escaped
	query    url.Values
	body     any // sent as JSON unless nil
	into     any // filled from the JSON of the answer unless nil
	attempts int // against a service that is unwell; 0 means Config.Attempts
	// patience, if not 0, is how long 429 may be answered; else a number of
	// attempts sets the end.
	patience time.Duration
	// ownRoom has a 429 about jobs returned at once: the caller knows what to wait
	// for.
	ownRoom bool
	// urgent requests go before all that are not.
	urgent bool
	// linger is how long an attempt under way may go on when the context has ended.
	linger time.Duration
}

// A reply is a good answer. Its body lies in the buffer given to send.
type reply struct {
	status        int
	body          []byte
	gzip          bool
	correlationID string
}

// stop wraps an error that ends the attempts whatever it is: it has been tried
// enough already, elsewhere.
type stop struct{ error }

// Unwrap returns the error.
func (s stop) Unwrap() error { return s.error }

// send makes the attempts that a request is worth. A nil buffer is for answers
// that are wanted only through request.into.
func (c *Client) send(ctx context.Context, r *request, buf *buffer) (rep reply, err error) {
	if buf == nil {
		buf = c.buffers.Get().(*buffer)
		defer c.buffers.Put(buf)
	}
	err = c.try(ctx, r, func(attempt int) error {
		token, pass, waited, err := c.admit(ctx, r.urgent)
		if err != nil {
			return stop{err}
		}
		defer pass.answered()
		x := Exchange{Kind: r.kind, Attempt: attempt, Waited: waited}
		last, cancel := linger(ctx, r.linger)
		defer cancel()
		rep, err = c.exchange(last, r, token, pass, buf, &x)
		c.observe(ctx, x)
		if x.Status == http.StatusUnauthorized {
			c.tokens.forget(token)
		}
		return err
	})
	return rep, err
}

// admit returns a token and a pass when the request may be sent. The token comes
// first, because a pass is for now; a pause may outlast the token.
func (c *Client) admit(ctx context.Context, urgent bool) (token, *pass, time.Duration, error) {
	var waited time.Duration
	for last := false; ; last = true {
		tok, err := c.tokens.get(ctx)
		if err != nil {
			return token{}, nil, waited, err
		}
		p, w, err := c.limiter.wait(ctx, urgent)
		waited += w
		if err != nil || last || tok.fresh(time.Now()) {
			return tok, p, waited, err
		}
		p.answered() // it was not used
	}
}

// try calls attempt until it succeeds, fails for good, or the budget of the
// request is used up. A 429 makes everybody wait, unless the limit that was hit
// is one of jobs alone.
func (c *Client) try(ctx context.Context, r *request, attempt func(n int) error) error {
	t := tally{limit: r.attempts, patience: r.patience}
	setDefault(&t.limit, c.cfg.Attempts)
	start, last := time.Now(), error(nil)
	for n := 1; ; n++ {
		err := attempt(n)
		if err == nil {
			return nil
		}
		s, stopped := err.(stop)
		switch {
		case ctx.Err() != nil && !detailed(err):
			return interrupted(ctx, last)
		case stopped:
			return s.error
		case ctx.Err() != nil && r.linger > 0:
			return interrupted(ctx, err) // it came too late to be the reason
		case ctx.Err() != nil:
			return err
		}
		wait, again := t.next(err, time.Since(start), rand.Float64())
		if !again || r.ownRoom && crowded(err) {
			return counted(err, n)
		}
		c.logRetry(r, err, n, wait)
		if pausesAll(err) {
			c.limiter.throttled(wait)
			wait = 0
		}
		if sleep(ctx, wait) != nil {
			return interrupted(ctx, err)
		}
		last = err
	}
}

func (c *Client) logRetry(r *request, err error, attempt int, wait time.Duration) {
	attrs := []any{"op", r.op, "attempt", attempt, "wait", wait.Round(time.Millisecond).String()}
	if e, ok := errors.AsType[*Error](err); ok {
		attrs = append(attrs, "status", e.Status, "correlation_id", e.CorrelationID)
	}
	level := slog.LevelWarn
	if classOf(err) == paced {
		level = slog.LevelInfo // part of the game
	}
	c.log.Log(context.Background(), level, "request failed, trying again", append(attrs, "error", err)...)
}

func (c *Client) observe(ctx context.Context, x Exchange) {
	c.ledger.add(x)
	if c.cfg.Observe != nil {
		c.cfg.Observe(ctx, x)
	}
}

// marshal is json.Marshal for requests, which hold nothing that can fail.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
