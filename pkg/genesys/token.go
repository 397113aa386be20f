package genesys

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	opToken   = "get token"
	tokenPath = "/oauth/token"
	// renewEarly is how long before its end a token is not used any more.
	renewEarly = time.Minute
)

// A token is an access token and when to stop using it.
type token struct {
	access Secret
	until  time.Time // zero: not known; the API will tell
}

// newToken makes a token that ends at expiry; a short life is shortened by a
// fifth only.
func newToken(access string, now, expiry time.Time) token {
	t := token{access: NewSecret(access)}
	if !expiry.IsZero() {
		t.until = expiry.Add(-min(renewEarly, expiry.Sub(now)/5))
	}
	return t
}

func (t token) fresh(now time.Time) bool {
	return !t.access.Empty() && (t.until.IsZero() || now.Before(t.until))
}

// tokens keeps the one token of a client, and the refusal if there was one: a
// secret that is wrong stays wrong, and many workers would ask for each chunk.
type tokens struct {
	fetch func(context.Context) (token, error)
	busy  chan struct{} // held by who renews

	mu      sync.Mutex
	current token
	refused error
}

func newTokens(fetch func(context.Context) (token, error)) *tokens {
	return &tokens{fetch: fetch, busy: make(chan struct{}, 1)}
}

// get returns a token that is good for a while. One caller fetches a new one,
// on its own context, while the others wait; if it gives up, the next one tries.
func (t *tokens) get(ctx context.Context) (token, error) {
	if tok, err := t.cached(); err != nil || tok.fresh(time.Now()) {
		return tok, err
	}
	select {
	case t.busy <- struct{}{}:
		defer func() { <-t.busy }()
	case <-ctx.Done():
		return token{}, context.Cause(ctx)
	}
	if tok, err := t.cached(); err != nil || tok.fresh(time.Now()) {
		return tok, err // renewed by whom we waited for
	}
	tok, err := t.fetch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := errors.AsType[*Error](err); ok && e.Fatal() && ctx.Err() == nil {
		t.refused = err
	}
	if err == nil {
		t.current = tok
	}
	return tok, err
}

func (t *tokens) cached() (token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current, t.refused
}

// forget drops a token that the API has refused, unless it has been replaced
// already.
func (t *tokens) forget(refused token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.access.Reveal() == refused.access.Reveal() {
		t.current = token{}
	}
}

// fetchToken asks the login service, as often as it is worth.
func (c *Client) fetchToken(ctx context.Context) (token, error) {
	r := request{op: opToken, kind: KindToken, method: http.MethodPost, path: tokenPath}
	var tok token
	err := c.try(ctx, &r, func(attempt int) error {
		pass, waited, err := c.limiter.wait(ctx, false)
		if err != nil {
			return stop{err}
		}
		defer pass.answered()
		x := Exchange{Kind: KindToken, Attempt: attempt, Waited: waited}
		tok, err = c.exchangeToken(ctx, &r, &x)
		c.observe(ctx, x)
		return err
	})
	return tok, err
}

// exchangeToken makes one attempt at a token.
func (c *Client) exchangeToken(ctx context.Context, r *request, x *Exchange) (token, error) {
	start := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, c.cfg.TokenTimeout, ErrStalled)
	defer cancel()
	credentials := clientcredentials.Config{
		ClientID:     c.cfg.ClientID,
		ClientSecret: c.cfg.ClientSecret.Reveal(),
		TokenURL:     c.login.String() + tokenPath,
		AuthStyle:    oauth2.AuthStyleInHeader, // finding out would send a refused secret twice
	}
	tok, err := credentials.Token(context.WithValue(limited, oauth2.HTTPClient, c.http))
	x.Took = time.Since(start)
	if err == nil {
		x.Status = http.StatusOK
		return newToken(tok.AccessToken, start, tok.Expiry), nil
	}
	if ctx.Err() != nil {
		x.Err = "cancelled"
		return token{}, context.Cause(ctx)
	}
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		x.Status, x.Err = refused.Response.StatusCode, "status"
		e := tokenRefusal(r, refused, c.cfg.MaxRetryAfter)
		x.CorrelationID = e.CorrelationID
		return token{}, e
	}
	e := c.connError(r, tokenFailure(limited, err))
	x.Err = e.kind()
	return token{}, e
}

// tokenFailure is the reason why no answer, or none that holds a token, came.
// What package oauth2 itself complains of is the answer; it may quote it.
func tokenFailure(limited context.Context, err error) error {
	if limited.Err() != nil {
		return ErrStalled
	}
	if inner := withoutURL(err); inner != err {
		return inner
	}
	return ErrAnswer
}

// tokenRefusal is the refusal of the login service, without its body.
func tokenRefusal(r *request, refused *oauth2.RetrieveError, maxRetryAfter time.Duration) *Error {
	h := refused.Response.Header
	e := &Error{
		Op: r.op, Method: r.method, Path: r.path,
		Status:        refused.Response.StatusCode,
		CorrelationID: correlationID(h),
		RetryAfter:    parseRetryAfter(h.Get("Retry-After"), time.Now(), maxRetryAfter),
	}
	body := refused.Body
	if !json.Valid(body) && refused.ErrorCode != "" { // a form, which oauth2 has read
		body = marshal(errorBody{Error: refused.ErrorCode, OAuthText: refused.ErrorDescription})
	}
	e.fill(body, h.Get("Content-Type"))
	return e
}
