package genesys

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// htmlError is what a CDN answers.
func htmlError(*http.Request) (*http.Response, error) {
	return answer(502, "<html><body>Bad\x00gateway</body></html>", "Content-Type: text/html; charset=utf-8"), nil
}

// breaks sends some of a body, then an error.
var breaks = body(func(_ context.Context, p []byte) (int, error) {
	return copy(p, `{"dataAv`), errors.New("connection reset by peer")
})

// stalls sends a byte, then nothing more.
func stalls() fault {
	sent := false
	return body(func(ctx context.Context, p []byte) (int, error) {
		if !sent {
			sent = true
			return copy(p, "{"), nil
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
}

// drips sends a byte every ten seconds.
var drips = body(func(ctx context.Context, p []byte) (int, error) {
	return copy(p, " "), sleep(ctx, 10*time.Second)
})

func TestRequestIsTriedAgain(t *testing.T) {
	for _, tc := range []struct {
		name        string
		fault       fault
		kind        string // of the exchange
		least, most time.Duration
	}{
		{"408", refuse(408), "status", 0, 4 * time.Second},
		{"429 with a pause", refuse(429, "Retry-After: 42"), "status", 84 * time.Second, 100 * time.Second},
		{"429 without", refuse(429), "status", 2 * time.Second, 6 * time.Second},
		{"429 with an absurd pause", refuse(429, "Retry-After: 999999999"), "status", 10 * time.Minute, 11 * time.Minute},
		{"429 with a pause of no time", refuse(429, "Retry-After: 0"), "status", 2 * time.Second, 6 * time.Second},
		{"500", refuse(500), "status", 0, 4 * time.Second},
		{"502 in HTML", htmlError, "status", 0, 4 * time.Second},
		{"503 with a pause", refuse(503, "Retry-After: 7"), "status", 14 * time.Second, 16 * time.Second},
		{"504", refuse(504), "status", 0, 4 * time.Second},
		{"reset before headers", reset, "connection", 0, 4 * time.Second},
		{"reset in the body", breaks, "connection", 0, 4 * time.Second},
		{"no answer", hang, "stalled", 2 * time.Minute, 124 * time.Second},
		{"body stalls", stalls(), "stalled", time.Minute, 125 * time.Second},
		{"body drips", drips, "slow", 20 * time.Minute, 21 * time.Minute},
		{"body cut", cut(`{"dataAvailabilityDate":"2024-03-05T02:00:00Z"}`), "short", 0, 4 * time.Second},
		{"garbage", say("<html>"), "answer", 0, 4 * time.Second},
		{"empty body", say(""), "answer", 0, 4 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var seen []Exchange
				f := newFake().fail("availability", tc.fault, tc.fault)
				c := f.client(t, func(cfg *Config) { cfg.Observe = func(_ context.Context, x Exchange) { seen = append(seen, x) } })
				start := time.Now()
				if _, err := c.Availability(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < tc.least || took > tc.most {
					t.Errorf("took %v, want %v to %v", took, tc.least, tc.most)
				}
				if got := f.kinds(); got != "token availability availability availability" {
					t.Errorf("requests %s", got)
				}
				first, last := seen[1], seen[len(seen)-1]
				if first.Err != tc.kind || first.Attempt != 1 || last.Err != "" || last.Attempt != 3 ||
					last.Status != 200 || last.Bytes == 0 || last.CorrelationID != "corr-1" {
					t.Errorf("observed %+v … %+v", first, last)
				}
			})
		})
	}
}

func TestRequestGivesUp(t *testing.T) {
	for _, tc := range []struct {
		name     string
		fault    fault
		attempts int
		text     string
		fatal    bool
	}{
		{"400", refuse(400), 1, "get data availability: the API answered 400 Bad Request, some.code: no (GET " + jobsPath + "/availability, correlation id corr-1)", false},
		{"403", refuse(403), 1, "403 Forbidden, some.code: no", true},
		{"404", refuse(404), 1, "404 Not Found", false},
		{"409", refuse(409), 1, "409 Conflict", false},
		{"413", refuse(413), 1, "413 ", false},
		{"redirect", refuse(302, "Location: https://evil.example.com/"), 1, "redirects are not followed", false},
		{"500", refuse(500), 3, "500 Internal Server Error, some.code: no (GET " + jobsPath + "/availability, 3 attempts, correlation id corr-1)", false},
		{"502 in HTML", htmlError, 10, "502 Bad Gateway: the body is no error of the API (text/html; charset=utf-8) (GET", false},
		{"429", refuse(429), 60, "429 Too Many Requests", false},
		{"reset", reset, 10, "connection reset by peer (10 attempts)", false},
		{"stall", hang, 10, "get data availability: GET api.example.com" + jobsPath + "/availability: nothing came from the server in time (10 attempts)", false},
		{"garbage", say("<html>"), 3, "not the JSON", false},
		{"foreign encoding", func(*http.Request) (*http.Response, error) { return answer(200, "x", "Content-Encoding: br"), nil }, 1, "encoding", false},
		{"too large", say(strings.Repeat("x", 2000)), 1, "larger than allowed", false},
		{"too large, of unknown length", body(func(_ context.Context, p []byte) (int, error) { return len(p), nil }), 1, "larger than allowed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.always["availability"] = tc.fault
				c := f.client(t, func(cfg *Config) { cfg.MaxBody = 1000 })
				_, err := c.Availability(t.Context())
				if n := len(f.calls("availability")); n != tc.attempts {
					t.Errorf("%d attempts, want %d", n, tc.attempts)
				}
				if err == nil || !strings.Contains(err.Error(), tc.text) || strings.ContainsAny(err.Error(), "\n\x00") {
					t.Errorf("error %q, want %q in it", err, tc.text)
				}
				var f2 interface{ Fatal() bool }
				if fatal := errors.As(err, &f2) && f2.Fatal(); fatal != tc.fatal {
					t.Errorf("fatal: %v", fatal)
				}
			})
		})
	}
}

func TestErrorBody(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, `{"code":"zipped"}`)
	z.Close()
	for _, tc := range []struct {
		name, body string
		header     string
		want       Error
	}{
		{"full", `{"message":"Rate limit","code":"too.many","contextId":"other","details":[{}],"limit":{"key":"token.rate.per.minute","namespace":"platform.api","value":300}}`, "",
			Error{Code: "too.many", Message: "Rate limit", LimitKey: "token.rate.per.minute", LimitValue: 300, CorrelationID: "corr-1"}},
		{"context id", `{"contextId":"ctx-9"}`, "Inin-Correlation-Id: ", Error{CorrelationID: "ctx-9"}},
		{"odd types", `{"message":"m","code":17,"limit":"none"}`, "", Error{Message: "m", CorrelationID: "corr-1"}},
		{"control characters", `{"message":"a\r\nb\u0000\u001b[31mc\u2028d"}`, "", Error{Message: "a b [31mc d", CorrelationID: "corr-1"}},
		{"long", `{"message":"` + strings.Repeat("ä", 5000) + `"}`, "", Error{Message: strings.Repeat("ä", 300) + "…", CorrelationID: "corr-1"}},
		{"empty", "", "", Error{CorrelationID: "corr-1"}},
		{"null", "null", "", Error{CorrelationID: "corr-1"}},
		{"zipped", zipped.String(), "Content-Encoding: gzip", Error{Code: "zipped", CorrelationID: "corr-1"}},
		{"cut zip", zipped.String()[:12], "Content-Encoding: gzip", Error{Message: "the body is no error of the API (application/json)", CorrelationID: "corr-1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := answer(400, tc.body)
			if name, value, ok := strings.Cut(tc.header, ": "); ok {
				resp.Header.Set(name, value)
			}
			got := refusal(&request{}, resp, resp.Body, time.Minute)
			tc.want.Status = 400
			if *got != tc.want {
				t.Errorf("got  %+v\nwant %+v", *got, tc.want)
			}
		})
	}
}

// The limits of jobs concern the submission alone; any other 429 concerns all.
func TestTooManyRequestsPausesEverybody(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		others    bool // go on meanwhile
	}{
		{"token", "token.rate.per.minute", false},
		{"unknown", "", false},
		{"jobs", "analytics.conversations.details.jobs.concurrent.access.max", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				text := fmt.Sprintf(`{"status":429,"limit":{"key":%q,"value":2}}`, tc.key)
				f := newFake().fail("submit", func(*http.Request) (*http.Response, error) {
					return answer(429, text, "Retry-After: 30"), nil
				})
				f.pages = []string{page("")}
				c := f.client(t)
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := collect(c.Jobs(JobOptions{}).Pages(t.Context(), day(1))); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				start := time.Now()
				if _, err := c.Availability(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); (took < time.Second) != tc.others {
					t.Errorf("another caller waited %v", took)
				}
				wg.Wait()
				if again := f.calls("submit")[1].at.Sub(f.calls("submit")[0].at); again < 30*time.Second {
					t.Errorf("submitted again after %v", again)
				}
			})
		})
	}
}

func TestWindowThatIsUsedUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.header = func(kind string) http.Header {
			return http.Header{"Inin-Ratelimit-Count": {"180"}, "Inin-Ratelimit-Allowed": {"180"}, "Inin-Ratelimit-Reset": {"25"}}
		}
		c := f.client(t)
		for range 2 {
			if _, err := c.Availability(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		calls := f.calls("availability")
		if gap := calls[1].at.Sub(calls[0].at); gap < 25*time.Second || gap > 28*time.Second {
			t.Errorf("the second request came %v later", gap)
		}
	})
}

func TestCancelled(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault fault
		text  string
	}{
		{"in an attempt", hang, "enough"},
		{"in a body", stalls(), "enough"},
		{"in a backoff", refuse(503, "Retry-After: 60"), "enough; before that: get data availability: the API answered 503"},
		{"in a pause", refuse(429, "Retry-After: 60"), "enough; before that: get data availability: the API answered 429"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.always["availability"] = tc.fault
				why := errors.New("enough")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(why) })
				start := time.Now()
				_, err := f.client(t).Availability(ctx)
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("returned after %v", took)
				}
				if !errors.Is(err, why) || !strings.HasPrefix(err.Error(), tc.text) {
					t.Errorf("error %v, want %s", err, tc.text)
				}
			})
		})
	}
	t.Run("before", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			why := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(why)
			if _, err := f.client(t).Availability(ctx); err != why || len(f.calls("")) > 0 {
				t.Errorf("error %v, requests %s", err, f.kinds())
			}
		})
	})
}

// What is logged and what errors say holds no secret, token, cursor or body.
func TestNothingSecretIsLogged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		f := newFake(page("c=1", "private-a"), page("", "private-b"))
		f.fail("token", reset, refuse(500))
		f.fail("submit", refuse(429), reset)
		f.fail("poll", refuse(503), htmlError)
		f.fail("results", cut("private-x"), say(`{"conversations":[{"conversationId":"private-y"`), through, breaks, refuse(500))
		c := f.client(t, func(cfg *Config) {
			cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		ids, err := collect(c.Jobs(JobOptions{}).Pages(t.Context(), day(1)))
		if err != nil || len(ids) != 2 {
			t.Fatal(ids, err)
		}
		for _, leak := range []string{"s3cret", "token-1", "private", "c=1", "c%3D1", "<html", "cursor="} {
			if strings.Contains(log.String(), leak) {
				t.Errorf("%q is in the log:\n%s", leak, log.String())
			}
		}
		if !strings.Contains(log.String(), `"correlation_id":"corr-1"`) || !strings.Contains(log.String(), `"job":"job-1"`) {
			t.Errorf("the log lacks what one needs:\n%s", log.String())
		}
	})
}

func TestNewRefuses(t *testing.T) {
	good := Config{APIURL: "https://a.example", LoginURL: "https://l.example", ClientID: "id", ClientSecret: NewSecret("s")}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no id", func(c *Config) { c.ClientID = "" }, "id and the secret"},
		{"no secret", func(c *Config) { c.ClientSecret = Secret{} }, "id and the secret"},
		{"no API", func(c *Config) { c.APIURL = "" }, "read API URL"},
		{"no login", func(c *Config) { c.LoginURL = "login.example" }, "read login URL"},
		{"negative rate", func(c *Config) { c.RequestsPerMinute = -1 }, "-1 requests per minute"},
		{"no number", func(c *Config) { c.RequestsPerMinute = c.RequestsPerMinute / c.RequestsPerMinute }, "NaN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := good
			tc.change(&cfg)
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
}
