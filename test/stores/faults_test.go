package conformance

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/faultproxy"
	"github.com/gcexport/gcexport/test/stores/stores"
)

const large = 12 << 20 // of several parts on every store

// isCommit tells the request that makes an object visible.
func isCommit(r *http.Request) bool {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploadId"): // S3, many parts
		return true
	case r.Method == http.MethodPut && q.Get("comp") == "blocklist": // Azure, blocks
		return true
	case r.Method == http.MethodPost && q.Get("uploadType") == "multipart": // GCS, one request
		return true
	case r.Method == http.MethodPut && q.Has("upload_id"): // GCS, the last chunk
		return !strings.HasSuffix(r.Header.Get("Content-Range"), "/*")
	}
	return r.Method == http.MethodPut && len(q) == 0 || r.URL.Query().Get("x-id") == "PutObject" // S3 and Azure, one request
}

// TestFaults sends one object each through a proxy that makes trouble, and
// expects it to arrive.
func TestFaults(t *testing.T) {
	cases := []struct {
		name string
		size int
		rule func() faultproxy.Rule
	}{
		{"lost answer to the commit", large, func() faultproxy.Rule {
			return faultproxy.Once(faultproxy.Fault{LoseAnswer: true}, isCommit)
		}},
		{"lost answer to the only request", 1000, func() faultproxy.Rule {
			return faultproxy.Once(faultproxy.Fault{LoseAnswer: true}, isCommit)
		}},
		{"too many requests", large, func() faultproxy.Rule { return faultproxy.For(3*time.Second, 429) }},
		{"first request refused", 1000, func() faultproxy.Rule { return faultproxy.Once(faultproxy.Fault{Status: 503}, nil) }},
		{"connection breaks in the body", large, func() faultproxy.Rule {
			return faultproxy.Once(faultproxy.Fault{CutRequest: 1 << 20}, func(r *http.Request) bool { return r.ContentLength > 2<<20 || r.ContentLength < 0 })
		}},
		{"outage of 20 seconds", large, func() faultproxy.Rule { return faultproxy.For(20*time.Second, 503) }},
	}
	for _, s := range stores.Without(stores.All(t), "file") {
		for _, c := range cases {
			t.Run(s.Name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				if strings.Contains(c.name, "outage") && testing.Short() {
					t.Skip("takes half a minute")
				}
				behind, proxy := s.Through(t)
				st := behind.Open(t, store.Options{Writers: 32, Stall: 2 * time.Minute})
				proxy.Set(c.rule())
				key := strings.ReplaceAll(c.name, " ", "-") + ".jsonl.gz"
				start := time.Now()
				if err := put(t.Context(), st, key, random(c.size)); err != nil {
					t.Fatalf("after %v: %v\n%s", time.Since(start), err, strings.Join(proxy.Requests(), "\n"))
				}
				proxy.Set(nil)
				mustHold(t, s.Open(t, store.Options{}), key, random(c.size))
				t.Logf("%d requests in %v", len(proxy.Requests()), time.Since(start).Round(time.Millisecond))
			})
		}
	}
}

// TestReadGoesOn breaks the connection in the middle of what is read.
func TestReadGoesOn(t *testing.T) {
	for _, s := range stores.Without(stores.All(t), "file") {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if err := put(t.Context(), s.Open(t, store.Options{}), part, random(large)); err != nil {
				t.Fatal(err)
			}
			behind, proxy := s.Through(t)
			st := behind.Open(t, store.Options{})
			proxy.Set(faultproxy.Once(faultproxy.Fault{CutAnswer: 5_000_001}, nil))
			mustHold(t, st, part, random(large))
			if n := len(proxy.Requests()); n < 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestStall has the store fall silent in the middle of an object.
func TestStall(t *testing.T) {
	for _, s := range stores.Without(stores.All(t), "file") {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			behind, proxy := s.Through(t)
			st := behind.Open(t, store.Options{Stall: 3 * time.Second})
			proxy.Set(faultproxy.Always(faultproxy.Fault{Hang: true}, func(r *http.Request) bool {
				return r.Method == http.MethodPut || r.Method == http.MethodPost
			}))
			start := time.Now()
			err := put(t.Context(), st, part, random(large))
			if kind, e := kindOf(t, err); kind != store.Unreachable {
				t.Errorf("%v: %v", kind, e)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			mustBeEmpty(t, s)
		})
	}
}
