package genesys

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokenRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		c := f.client(t)
		if err := c.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := f.calls("token")[0]
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("demo:s3cret"))
		if got.body != "grant_type=client_credentials" || got.auth != basic {
			t.Errorf("body %q, authorization %q", got.body, got.auth)
		}
	})
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		c := f.client(t)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := c.Availability(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(f.calls("token")); n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
		for _, call := range f.calls("availability") {
			if call.auth != "Bearer token-1" {
				t.Errorf("authorization %q", call.auth)
			}
		}
	})
}

func TestTokenIsRenewedEarly(t *testing.T) {
	for _, tc := range []struct {
		name string
		life int
		use  time.Duration // longest use of one token
	}{
		{"a day", 86400, 86340 * time.Second},
		{"five minutes", 300, 240 * time.Second},
		{"ten seconds", 10, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.life = tc.life
				c := f.client(t)
				for _, step := range []struct {
					after  time.Duration
					tokens int
				}{{0, 1}, {tc.use - time.Millisecond, 1}, {time.Second, 2}} {
					time.Sleep(step.after)
					if err := c.Token(t.Context()); err != nil {
						t.Fatal(err)
					}
					if n := len(f.calls("token")); n != step.tokens {
						t.Fatalf("%v later: %d token requests, want %d", step.after, n, step.tokens)
					}
				}
			})
		})
	}
}

// A token that runs out while its request waits is not sent.
func TestTokenThatEndsInAPauseIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.life = 300
		c := f.client(t)
		if err := c.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.limiter.pause(5 * time.Minute)
		if _, err := c.Availability(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.calls("availability")[0].auth; got != "Bearer token-2" {
			t.Errorf("authorization %q", got)
		}
	})
}

func TestTokenRefused(t *testing.T) {
	const oauth = `{"error":"invalid_client","description":"no such\nclient","error_description":"no such\nclient"}`
	for _, tc := range []struct {
		name string
		fault
		status     int
		code, text string
	}{
		{"401", func(*http.Request) (*http.Response, error) { return answer(401, oauth), nil }, 401, "invalid_client", "no such client"},
		{"400", func(*http.Request) (*http.Response, error) { return answer(400, oauth), nil }, 400, "invalid_client", "no such client"},
		{"platform's shape", refuse(403), 403, "some.code", "no"},
		{"wrong host", func(*http.Request) (*http.Response, error) {
			return answer(404, "<html>s3cret</html>", "Content-Type: text/html"), nil
		}, 404, "", "the body is no error of the API (text/html)"},
		{"error with 200", say(oauth), 200, "invalid_client", "no such client"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.always["token"] = tc.fault
				c := f.client(t)
				for range 3 { // a refusal is for good: it is not asked for again
					err := c.Token(t.Context())
					e := wantErr[*Error](t, err)
					if !e.Fatal() || e.Status != tc.status || e.Code != tc.code || e.Message != tc.text || e.CorrelationID == "" {
						t.Errorf("%+v", e)
					}
					if text := err.Error(); strings.Contains(text, "s3cret") || strings.Contains(text, "\n") {
						t.Errorf("error text %q", text)
					}
				}
				if n := len(f.calls("")); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		})
	}
}

func TestTokenIsTriedAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		fault
		least time.Duration
	}{
		{"500", refuse(500), 0},
		{"502 in HTML", func(*http.Request) (*http.Response, error) {
			return answer(502, "<html>", "Content-Type: text/html"), nil
		}, 0},
		{"503", refuse(503, "Retry-After: 20"), 20 * time.Second},
		{"429", refuse(429, "Retry-After: 30"), 30 * time.Second},
		{"reset", reset, 0},
		{"hangs", hang, 30 * time.Second},
		{"not JSON", say("<html>"), 0},
		{"no token in it", say("{}"), 0},
		{"body hangs", body(func(ctx context.Context, _ []byte) (int, error) { <-ctx.Done(); return 0, ctx.Err() }), 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake().fail("token", tc.fault, tc.fault)
				start := time.Now()
				if err := f.client(t).Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				took := time.Since(start)
				if n := len(f.calls("token")); n != 3 || took < 2*tc.least {
					t.Errorf("%d requests in %v", n, took)
				}
			})
		})
	}
}

func TestTokenGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.always["token"] = reset
		err := f.client(t).Token(t.Context())
		e := wantErr[*ConnError](t, err)
		if e.Attempts != 10 || e.Host != "login.example.com" || !strings.Contains(err.Error(), "connection reset by peer (10 attempts)") {
			t.Errorf("%v", err)
		}
		// The API's requests do not multiply the attempts.
		f2 := newFake()
		f2.always["token"] = refuse(503)
		if _, err := f2.client(t).Availability(t.Context()); wantErr[*Error](t, err).Op != opToken {
			t.Errorf("%v", err)
		}
		if n := len(f2.calls("")); n != 10 {
			t.Errorf("%d requests", n)
		}
	})
}

// Whoever waits for another's renewal can leave, and takes over if the other does.
func TestTokenWaitIsCancellable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake().fail("token", hang)
		c := f.client(t)
		first, cancelFirst := context.WithCancelCause(t.Context())
		second, cancelSecond := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		results := make(chan error, 3)
		get := func(ctx context.Context) { results <- c.Token(ctx) }
		go get(first)
		synctest.Wait()
		go get(second)
		synctest.Wait()
		cancelSecond(why)
		if err := <-results; err != why {
			t.Errorf("the waiting one: %v", err)
		}
		go get(t.Context())
		synctest.Wait()
		cancelFirst(why)
		one, two := <-results, <-results
		if !(one == why && two == nil) && !(one == nil && two == why) {
			t.Errorf("the renewing one and its heir: %v, %v", one, two)
		}
		if n := len(f.calls("token")); n != 2 {
			t.Errorf("%d token requests", n)
		}
	})
}

func TestTokenRevoked(t *testing.T) {
	t.Run("one new token for all who met it", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			f.always["availability"] = func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") == "Bearer token-1" {
					time.Sleep(time.Second) // all of them are under way with it
					return refuse(401)(r)
				}
				return nil, nil
			}
			c := f.client(t)
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					if _, err := c.Availability(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := len(f.calls("token")); n != 2 {
				t.Errorf("%d token requests, want 2", n)
			}
		})
	})
	t.Run("refused again is fatal", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			f.always["availability"] = refuse(401)
			_, err := f.client(t).Availability(t.Context())
			if e := wantErr[*Error](t, err); !e.Fatal() || e.Attempts != 2 {
				t.Errorf("%v", err)
			}
			if got := f.kinds(); got != "token availability token availability" {
				t.Errorf("requests %s", got)
			}
		})
	})
}
