package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/test/stores/faultproxy"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// A store fails in the middle of an export. The export completes, or says
// truthfully that it has not and has the rest committed; once the store is well
// again, the same command completes it.
func TestStoreFailsMidway(t *testing.T) {
	for _, s := range stores.Without(stores.All(t), "file") {
		for _, c := range []struct {
			name string
			rule func(store string) faultproxy.Rule
			code int
			// committed is how many of the ten chunks are at least there then.
			committed int
		}{
			{"each third answer to a commit is lost", loseCommits, 0, 10},
			{"one chunk is refused for ever", refuseChunk, 4, 9},
			{"no answers for 20 seconds", outage(20*time.Second, faultproxy.Fault{CutRequest: 1}), 0, 10},
			{"errors for 20 seconds", outage(20*time.Second, faultproxy.Fault{Status: 503}), 0, 10},
			{"the right to write is withdrawn", withdraw(isWrite), 3, 1},
			{"all rights are withdrawn", withdraw(func(*http.Request) bool { return true }), 3, 1},
		} {
			t.Run(s.Name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				own, _ := storeNamed(t, s.Name)
				w := newWorld(t, own, genesystest.Options{PerDay: 300, Latency: 20 * time.Millisecond})
				w.failsMidway(t, c.rule(s.Name), c.code, c.committed)
			})
		}
	}
}

func (w *world) failsMidway(t *testing.T, rule faultproxy.Rule, code, committed int) {
	t.Helper()
	well := w.store
	behind, proxy := well.Through(t)
	proxy.Set(rule)
	w.store = behind
	began := time.Now()
	w.run(t, code, "--workers", "2")
	t.Logf("exit code %d after %v, %d requests", code, time.Since(began).Round(time.Millisecond), len(proxy.Requests()))
	w.store = well
	if n := w.committed(t); n < committed || n == 10 != (code == 0) {
		t.Errorf("%d chunks are committed, want at least %d", n, committed)
	}
	if out, err := gcexport(t.Context(), t, w.store, "verify", w.store.URL, "--quiet").CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	w.run(t, 0)
	w.checkHolds(t)
	w.checkManifests(t)
	w.verify(t)
}

// committed counts the manifests.
func (w *world) committed(t *testing.T) (n int) {
	t.Helper()
	names, err := w.store.Raw.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := (export.Layout{Dataset: export.Conversations}).ParseManifest(name); ok {
			n++
		}
	}
	return n
}

// loseCommits loses the answer to each third commit.
func loseCommits(string) faultproxy.Rule {
	var n atomic.Int64
	return func(_ int, r *http.Request) (f faultproxy.Fault) {
		f.LoseAnswer = isCommit(r) && n.Add(1)%3 == 0
		return f
	}
}

// refuseChunk refuses all that would write to the data of one chunk.
func refuseChunk(string) faultproxy.Rule {
	return faultproxy.Always(faultproxy.Fault{Status: 400}, func(r *http.Request) bool {
		uri, err := url.QueryUnescape(r.URL.RequestURI())
		return err == nil && isWrite(r) && strings.Contains(uri, "/20240303T000000Z-")
	})
}

// outage does the same to all requests for a time, from the fortieth on.
func outage(d time.Duration, f faultproxy.Fault) func(string) faultproxy.Rule {
	return func(string) faultproxy.Rule {
		var began atomic.Pointer[time.Time]
		return func(n int, _ *http.Request) faultproxy.Fault {
			now := time.Now()
			if n < 40 || !began.CompareAndSwap(nil, &now) && now.Sub(*began.Load()) > d {
				return faultproxy.Fault{}
			}
			return f
		}
	}
}

// withdraw refuses all requests of a kind that come after the one that commits
// the first chunk.
func withdraw(what func(*http.Request) bool) func(string) faultproxy.Rule {
	return func(store string) faultproxy.Rule {
		var committed atomic.Bool
		return func(_ int, r *http.Request) faultproxy.Fault {
			if committed.Load() && what(r) {
				return denied(store)
			}
			if uri, err := url.QueryUnescape(r.URL.RequestURI()); err == nil && isCommit(r) && strings.Contains(uri, "Z.r0.json") {
				committed.Store(true)
			}
			return faultproxy.Fault{}
		}
	}
}

func isWrite(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPost }
