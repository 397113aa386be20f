package genesystest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// handle makes a client of the in-memory transport for any handler.
func handle(f http.HandlerFunc) *http.Client { return &http.Client{Transport: &transport{f}} }

func get(ctx context.Context) *http.Request {
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://api.example.com/x?y=z", nil)
	return r
}

func TestTransportAborts(t *testing.T) {
	cases := []struct {
		name    string
		handler http.HandlerFunc
		early   bool // the request fails, not the body
		want    error
		body    string
	}{
		{"before the header", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, true, io.ErrUnexpectedEOF, ""},
		{"reset before the header", func(w http.ResponseWriter, _ *http.Request) {
			w.(resetter).reset()
			panic(http.ErrAbortHandler)
		}, true, syscall.ECONNRESET, ""},
		{"in the body", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}, false, io.ErrUnexpectedEOF, "half"},
		{"too short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "short")
		}, false, io.ErrUnexpectedEOF, "short"},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			io.WriteString(w, "long")
			if _, err := io.WriteString(w, "er"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("writing on: %v", err)
			}
		}, false, nil, "long"},
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, false, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res, err := handle(c.handler).Do(get(t.Context()))
				if c.early {
					if !errors.Is(err, c.want) {
						t.Errorf("error %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				if !errors.Is(err, c.want) || string(b) != c.body || res.StatusCode != 200 {
					t.Errorf("status %d, body %q, error %v", res.StatusCode, b, err)
				}
				res.Body.Close()
			})
		})
	}
}

// TestTransportCancel: whatever a handler waits for, it ends with the client;
// the bubble would not end before it.
func TestTransportCancel(t *testing.T) {
	hang := func(header, body bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if header {
				w.WriteHeader(200)
			}
			for body {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			<-r.Context().Done()
		}
	}
	t.Run("before the header", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := handle(hang(false, false)).Do(get(ctx)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		})
	})
	t.Run("while reading", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			res, err := handle(hang(true, false)).Do(get(ctx))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			res.Body.Close()
		})
	})
	t.Run("closed unread", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			res, err := handle(hang(true, true)).Do(get(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if _, err := res.Body.Read(make([]byte, 1)); err == nil {
				t.Error("reading on after Close")
			}
		})
	})
	t.Run("before it began", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := handle(hang(true, true)).Do(get(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("client timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := handle(hang(true, false))
			c.Timeout = time.Minute
			res, err := c.Do(get(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("no error")
			}
			res.Body.Close()
		})
	})
}

func TestTransportRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	c := handle(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Late", "no")
		w.WriteHeader(201)
		w.Header().Set("X-Late", "yes")
	})
	r, _ := http.NewRequest("POST", "http://api.example.com/a%20b?y=z", strings.NewReader("hello"))
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	if got.RequestURI != "/a%20b?y=z" || got.Host != "api.example.com" || string(body) != "hello" || got.Header.Get("Content-Length") != "5" {
		t.Errorf("request %s %s %v, body %s", got.Host, got.RequestURI, got.Header, body)
	}
	if res.StatusCode != 201 || res.Header.Get("X-Late") != "no" || res.ContentLength != -1 {
		t.Errorf("response %+v", res)
	}
}

func TestTransportGzip(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "hello")
	z.Close()
	c := handle(func(w http.ResponseWriter, r *http.Request) {
		if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
			io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zipped.Bytes())
	})
	for accept, want := range map[string]string{"": "hello", "identity": "plain", "gzip": zipped.String(), "br, gzip;q=0": "plain"} {
		r := get(t.Context())
		if accept != "" {
			r.Header.Set("Accept-Encoding", accept)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || string(b) != want || res.Uncompressed != (accept == "") {
			t.Errorf("%q: %q, %v, uncompressed %v", accept, b, err, res.Uncompressed)
		}
		res.Body.Close()
	}
}

// TestListen compares the server behind a socket with the one in memory, as far
// as a client can tell them apart.
func TestListen(t *testing.T) {
	cases := []struct {
		name  string
		fault Fault
		check func(error) bool
	}{
		{"no fault", Fault{Kind: Delete, Action: Reset{}}, func(err error) bool { return err == nil }},
		{"reset", Fault{Kind: Query, Action: Reset{}}, isBroken},
		{"cut", Fault{Kind: Query, Action: Cut{}}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"cut chunked", Fault{Kind: Query, Action: Cut{Chunked: true}}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"cut hard", Fault{Kind: Query, Action: Cut{Hard: true}}, isBroken},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := New(fixed(Options{Faults: []Fault{c.fault}}))
			url, stop, err := s.Listen("")
			if err != nil {
				t.Fatal(err)
			}
			tr := &http.Transport{DisableKeepAlives: true}
			a := &api{t: t, client: &http.Client{Transport: tr}, base: url}
			a.login("demo", "demo")
			r := a.do("POST", queryPath, queryText(day(2), day(3), 100, 1))
			if !c.check(r.err) {
				t.Errorf("error %v, status %d, %d bytes", r.err, r.status, len(r.body))
			}
			if r.err == nil && len(r.page(t).Conversations) != 100 {
				t.Errorf("body %.200s", r.body)
			}
			if err := stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
}

func isBroken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// TestListenStops: stopping does not wait for requests that would hang for ever.
func TestListenStops(t *testing.T) {
	before := runtime.NumGoroutine()
	s := New(fixed(Options{Faults: []Fault{{Kind: Query, Action: Hang{}}}}))
	url, stop, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	a := &api{t: t, client: &http.Client{Transport: tr}, base: url}
	a.login("demo", "demo")
	answered := make(chan reply)
	go func() { answered <- a.do("POST", queryPath, queryText(day(2), day(3), 100, 1)) }()
	for len(s.Requests()) < 2 {
		runtime.Gosched()
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if r := <-answered; r.err == nil {
		t.Errorf("status %d", r.status)
	}
	for i := 0; runtime.NumGoroutine() > before; i++ { // the client's own need a moment
		if i > 1000 {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
	if _, _, err := s.Listen("not an address"); err == nil {
		t.Error("listening on nothing")
	}
}
