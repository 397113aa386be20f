package conformance

import (
	"bytes"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/test/stores/faultproxy"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// The program answers a wrong bucket by one line, a hint and the right exit
// code within 15 seconds, and writes nothing.
func TestProgramRefusals(t *testing.T) {
	for _, s := range stores.All(t) {
		if s.Name == "file" {
			continue // see the scripts of the program
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s, genesystest.Options{PerDay: 20, Size: genesystest.SizeSmall})
			readOnly, proxy := s.Through(t)
			proxy.Set(faultproxy.Always(denied(s.Name), func(r *http.Request) bool {
				return r.Method == http.MethodPut || r.Method == http.MethodPost
			}))
			for _, row := range []struct {
				name  string
				store stores.Store
				env   []string
				code  int
			}{
				{"missing", s.WithBucket("no-such-bucket"), nil, 2},
				{"unreachable", s.WithHost("127.0.0.1:1"), nil, 1},
				{"read only", readOnly, nil, 3},
				{"wrong key", s, []string{"AWS_SECRET_ACCESS_KEY=wrong-canary", "AZURE_STORAGE_KEY=d3JvbmctY2FuYXJ5"}, 3},
			} {
				if row.env != nil && s.Name == "gs" {
					continue // the fake of GCS asks for no credentials
				}
				t.Run(row.name, func(t *testing.T) {
					w := *w
					w.store = row.store
					w.refused(t, row.code, row.env)
				})
			}
			mustBeEmpty(t, s)
		})
	}
}

// refused wants the program to end soon with the code, one line and a hint.
func (w *world) refused(t *testing.T, code int, env []string) {
	t.Helper()
	cmd := w.command(t.Context(), t, "--quiet")
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d (%v), want %d: %s", got, err, code, stderr.String())
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "gcexport: error: ") || !strings.HasPrefix(lines[1], "gcexport: hint: ") {
		t.Errorf("not one line and a hint:\n%s", stderr.String())
	}
	if strings.Contains(stderr.String(), "canary") || strings.Contains(stderr.String(), "d3JvbmctY2FuYXJ5") {
		t.Errorf("a secret is in %s", stderr.String())
	}
	t.Log(lines)
}

// A signal ends verify at once, also while the store is silent.
func TestProgramVerifyInterrupted(t *testing.T) {
	for _, s := range stores.Without(stores.All(t), "file") {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s, genesystest.Options{PerDay: 20, Size: genesystest.SizeSmall})
			w.run(t, 0)
			behind, proxy := s.Through(t)
			asked := make(chan struct{}, 100)
			proxy.Set(faultproxy.Always(faultproxy.Fault{Hang: true}, func(r *http.Request) bool {
				part := strings.Contains(r.URL.Path, ".jsonl.gz")
				if part {
					asked <- struct{}{}
				}
				return part
			}))
			var stdout, stderr bytes.Buffer
			cmd := gcexport(t.Context(), t, behind, "verify", behind.URL)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-asked
			began := time.Now()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			err := cmd.Wait()
			if code, took := cmd.ProcessState.ExitCode(), time.Since(began); code != 143 || took > 10*time.Second {
				t.Errorf("exit code %d after %v, %v", code, took, err)
			}
			if stdout.Len() > 0 || !strings.Contains(stderr.String(), "stopped by SIGTERM") {
				t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
			}
		})
	}
}

// A signal ends an export in time, also where store or API have stopped to
// answer; what was committed is kept, and the same command goes on from there.
func TestProgramInterruptedInSilence(t *testing.T) {
	for _, s := range stores.Without(stores.All(t), "file") {
		for _, silent := range []string{"store", "API"} {
			t.Run(s.Name+"/"+silent, func(t *testing.T) {
				t.Parallel()
				own, _ := storeNamed(t, s.Name)
				w := newWorld(t, own, genesystest.Options{PerDay: 400, Size: genesystest.SizeSmall, Latency: 200 * time.Millisecond})
				behind, proxy := own.Through(t)
				w.store = behind
				var stderr bytes.Buffer
				cmd := w.command(t.Context(), t, "--workers", "4", "--chunk", "12h", "--page-size", "20")
				cmd.Stderr = &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				w.store = own
				for began := time.Now(); w.committed(t) == 0; time.Sleep(20 * time.Millisecond) {
					if time.Since(began) > time.Minute {
						t.Fatalf("nothing is committed: %s", stderr.String())
					}
				}
				if silent == "API" {
					w.AddFault(genesystest.Fault{Times: -1, Action: genesystest.Hang{}})
				} else {
					proxy.Set(faultproxy.Always(faultproxy.Fault{Hang: true}, func(*http.Request) bool { return true }))
				}
				time.Sleep(300 * time.Millisecond) // for all to be waiting
				began := time.Now()
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
				err := cmd.Wait()
				if code, took := cmd.ProcessState.ExitCode(), time.Since(began); code != 143 || took > 10*time.Second {
					t.Errorf("exit code %d after %v, %v", code, took, err)
				}
				if !strings.Contains(stderr.String(), "gcexport: error: stopped by SIGTERM") {
					t.Errorf("stderr %q", stderr.String())
				}
				w.ClearFaults()
				w.run(t, 0, "--chunk", "12h")
				w.checkHolds(t)
				w.verify(t)
			})
		}
	}
}

// A store that ignores the condition that an object must not exist yet is
// refused before any data is written.
func TestProgramRefusesOverwriting(t *testing.T) {
	s, ok := storeNamed(t, "gs")
	if !ok {
		return
	}
	w := newWorld(t, s, genesystest.Options{PerDay: 20, Size: genesystest.SizeSmall})
	behind, proxy := s.Through(t)
	proxy.Set(func(_ int, r *http.Request) faultproxy.Fault {
		q := r.URL.Query()
		q.Del("ifGenerationMatch")
		r.URL.RawQuery = q.Encode()
		return faultproxy.Fault{}
	})
	w.store = behind
	out, err := w.command(t.Context(), t).CombinedOutput()
	if code := exitCode(err); code != 2 || !strings.Contains(string(out), "ignores the condition that an object must not exist yet") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	names, err := s.Raw.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "_gcexport/") {
			t.Errorf("%s was written", name)
		}
	}
	w.store = s
	w.run(t, 0) // with the condition in force
	w.checkHolds(t)
}

func exitCode(err error) int {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	return 0
}

// The doctor finds a good store right, leaves nothing in it, and finds one that
// replaces objects, refuses, or does not answer, wrong: within its time.
func TestProgramDoctor(t *testing.T) {
	for _, own := range stores.All(t) {
		t.Run(own.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, own, genesystest.Options{PerDay: 20, Size: genesystest.SizeSmall})
			w.doctor(t, 0, `{"check":"no replacing","status":"right"`, `{"check":"tidy up","status":"right"`)
			if names, err := own.Raw.Objects(t.Context()); err != nil || len(names) > 0 {
				t.Errorf("left behind: %q, %v", names, err)
			}
			if own.Name == "file" {
				return
			}
			behind, proxy := own.Through(t)
			w.store = behind
			proxy.Set(faultproxy.Always(faultproxy.Fault{Hang: true}, func(*http.Request) bool { return true }))
			w.doctor(t, 1, `{"check":"list","status":"wrong","detail":"no answer within 6s"`, `{"check":"create","status":"skipped"`)
			proxy.Set(faultproxy.Always(faultproxy.Fault{Hang: true}, isWrite))
			w.doctor(t, 1, `{"check":"list","status":"right"`, `{"check":"create","status":"wrong","detail":"no answer within 6s"`)
			proxy.Set(func(_ int, r *http.Request) faultproxy.Fault {
				q := r.URL.Query()
				q.Del("ifGenerationMatch")
				r.URL.RawQuery = q.Encode()
				return faultproxy.Fault{}
			})
			if own.Name == "gs" { // signatures of the others hold the condition
				w.doctor(t, 2, `{"check":"no replacing","status":"wrong","detail":"the bucket ignores the condition`)
			}
		})
	}
}

// doctor runs the doctor, and wants its exit code, and to find all that in what it
// says, within its time.
func (w *world) doctor(t *testing.T, code int, want ...string) {
	t.Helper()
	cmd := gcexport(t.Context(), t, w.store, "doctor", w.store.URL, "--api-url", w.url, "--login-url", w.url, "--output", "json")
	cmd.Env = append(cmd.Env, "GENESYSCLOUD_OAUTHCLIENT_ID=demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET=demo")
	began := time.Now()
	out, err := cmd.Output()
	if got := exitCode(err); got != code || time.Since(began) > 20*time.Second {
		t.Errorf("exit code %d after %v, want %d", got, time.Since(began), code)
	}
	for _, part := range want {
		if !strings.Contains(string(out), part) {
			t.Errorf("want %s in:\n%s", part, out)
		}
	}
}
