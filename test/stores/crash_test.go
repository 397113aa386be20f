package conformance

import (
	"bytes"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/test/stores/faultproxy"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// A process is killed at each step of the commit protocol that a store can see:
// when the request for it arrives, and when the store has done it but not yet
// said so; each is the first of its kind in the run. Another process is at work
// on the same range. Then one run completes the export.
func TestCrashAtEachStep(t *testing.T) {
	for _, s := range stores.Without(stores.All(t), "file") {
		for _, step := range []struct {
			name  string
			match func(r *http.Request, key string) bool
		}{
			{"run begun", func(r *http.Request, key string) bool { return isCommit(r) && strings.Contains(key, ".begun.json") }},
			{"manifest looked for", func(r *http.Request, key string) bool { return !isWrite(r) && strings.Contains(key, "Z.r0.json") }},
			{"parts looked for", func(r *http.Request, key string) bool {
				return !isWrite(r) && strings.Contains(key, "Z.r0.p") && !strings.Contains(key, "Z.r0.p0")
			}},
			{"part written", func(r *http.Request, key string) bool { return isWrite(r) && strings.Contains(key, "Z.r0.p") }},
			{"part committed", func(r *http.Request, key string) bool { return isCommit(r) && strings.Contains(key, "Z.r0.p") }},
			{"manifest committed", func(r *http.Request, key string) bool {
				return isCommit(r) && strings.Contains(key, "Z.r0.json")
			}},
			{"run ended", func(r *http.Request, key string) bool {
				return isCommit(r) && strings.Contains(key, "_gcexport/runs/") && !strings.Contains(key, ".begun.json")
			}},
		} {
			for _, after := range []bool{false, true} {
				name := s.Name + "/" + step.name + map[bool]string{false: ", before", true: ", after"}[after]
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					// The other process may be quicker in all of it: then once more.
					for range 5 {
						own, _ := storeNamed(t, s.Name)
						w := newWorld(t, own, genesystest.Options{PerDay: 60, Size: genesystest.SizeSmall, Latency: 5 * time.Millisecond})
						if w.crashes(t, step.match, after) || t.Failed() {
							return
						}
					}
					t.Error("the step never came")
				})
			}
		}
	}
}

// crashes reports whether the process was killed: whether the step came.
func (w *world) crashes(t *testing.T, match func(*http.Request, string) bool, after bool) bool {
	t.Helper()
	well := w.store
	behind, proxy := well.Through(t)
	w.store = behind
	victim := w.command(t.Context(), t, "--workers", "2")
	proxy.Set(killAt(victim, match, after))
	var out bytes.Buffer
	victim.Stdout, victim.Stderr = &out, &out
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	w.store = well
	other := w.command(t.Context(), t, "--workers", "2", "--chunk", "1d")
	otherOut, otherErr := other.CombinedOutput()
	_ = victim.Wait()
	code := victim.ProcessState.ExitCode()
	if code > 0 {
		t.Errorf("exit code %d instead of the step\n%s", code, out.String())
	}
	if otherErr != nil {
		t.Errorf("the other process: %v\n%s", otherErr, otherOut)
	}
	w.run(t, 0)
	w.checkHolds(t)
	w.checkManifests(t)
	w.verify(t)
	return code < 0
}

// killAt kills the process at the first request that matches.
func killAt(victim *exec.Cmd, match func(*http.Request, string) bool, after bool) faultproxy.Rule {
	var once sync.Once
	return func(_ int, r *http.Request) (f faultproxy.Fault) {
		key, err := url.QueryUnescape(r.URL.RequestURI())
		if err != nil || !match(r, key) {
			return f
		}
		once.Do(func() {
			kill := func() { _ = victim.Process.Kill() }
			if after {
				f = faultproxy.Fault{LoseAnswer: true, Done: kill}
				return
			}
			kill()
			f = faultproxy.Fault{CutRequest: 1}
		})
		return f
	}
}
