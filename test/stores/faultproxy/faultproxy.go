// Package faultproxy puts faults between a program and a store: it hands
// requests on unchanged, with their Host header, so that signatures stay good,
// and does to some of them what a test asks for.
package faultproxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fault is what happens to one request. The zero value is nothing.
type Fault struct {
	// Status is answered without asking the store.
	Status int
	// Header goes with Status.
	Header http.Header
	// Body goes with Status.
	Body string
	// LoseAnswer lets the store do its work and then cuts the connection.
	LoseAnswer bool
	// Done, if not nil, is called between the two.
	Done func()
	// CutRequest cuts the connection after so many bytes of the request's body.
	CutRequest int64
	// CutAnswer cuts the connection after so many bytes of the answer's body.
	CutAnswer int64
	// Hang gives no answer until the client goes away.
	Hang bool
}

// Rule decides the fault of a request; n counts the requests from 1.
type Rule func(n int, r *http.Request) Fault

// Proxy stands before one store.
type Proxy struct {
	// Host is host:port of the proxy.
	Host string

	server *httptest.Server
	rule   atomic.Pointer[Rule]
	mu     sync.Mutex
	log    []string
}

// New starts a proxy for the store at host:port, which ends with the test.
func New(t testing.TB, target string) *Proxy {
	p := &Proxy{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(forward, w, r)
	}))
	p.server.Config.ErrorLog = nil
	p.server.Start()
	p.Host = strings.TrimPrefix(p.server.URL, "http://")
	t.Cleanup(func() {
		p.Set(nil)
		p.server.CloseClientConnections()
		p.server.Close()
		forward.Transport.(*http.Transport).CloseIdleConnections()
	})
	return p
}

// Set makes rule decide from now on; nil stops the faults.
func (p *Proxy) Set(rule Rule) {
	if rule == nil {
		p.rule.Store(nil)
		return
	}
	p.rule.Store(&rule)
}

// Requests gives the method and path with query of all requests so far.
func (p *Proxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

func (p *Proxy) serve(forward *httputil.ReverseProxy, w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.log = append(p.log, r.Method+" "+r.URL.RequestURI())
	n := len(p.log)
	p.mu.Unlock()

	var f Fault
	if rule := p.rule.Load(); rule != nil {
		f = (*rule)(n, r)
	}
	switch {
	case f.Hang:
		// The server notices that the client has gone only when the body is read.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case f.CutRequest > 0:
		_, _ = io.CopyN(io.Discard, r.Body, f.CutRequest)
		panic(http.ErrAbortHandler)
	case f.LoseAnswer:
		// The client's going away must not reach the store.
		forward.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		if f.Done != nil {
			f.Done()
		}
		panic(http.ErrAbortHandler)
	case f.CutAnswer > 0:
		forward.ServeHTTP(&cutter{ResponseWriter: w, left: f.CutAnswer}, r)
	default:
		forward.ServeHTTP(w, r)
	}
}

// cutter cuts the connection when it has written enough.
type cutter struct {
	http.ResponseWriter
	left int64
}

func (c *cutter) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= int64(len(p))
	return c.ResponseWriter.Write(p)
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// For answers status to all requests of a duration that starts with the first.
func For(d time.Duration, status int) Rule {
	var once sync.Once
	var end time.Time
	return func(int, *http.Request) Fault {
		once.Do(func() { end = time.Now().Add(d) })
		if time.Now().Before(end) {
			return Fault{Status: status}
		}
		return Fault{}
	}
}

// Always makes the same of every request that match says; nil matches all.
func Always(f Fault, match func(*http.Request) bool) Rule {
	return func(_ int, r *http.Request) Fault {
		if match == nil || match(r) {
			return f
		}
		return Fault{}
	}
}

// Once makes f of the first request that match says, and nothing of the others.
func Once(f Fault, match func(*http.Request) bool) Rule {
	var once sync.Once
	return func(_ int, r *http.Request) (out Fault) {
		if match == nil || match(r) {
			once.Do(func() { out = f })
		}
		return out
	}
}
