package conformance

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// farewell is how long a process may take to end, and some for a busy machine.
const farewell = 12 * time.Second

// Processes are asked to end at random instants, as Kubernetes does it, and started
// again. Each says so truthfully and in time, and leaves neither an upload open nor
// a job at the API that nobody will read. Then one run completes the export.
func TestTerminations(t *testing.T) {
	terms := 4
	if n, err := strconv.Atoi(os.Getenv(killsEnv)); err == nil {
		terms = n
	} else if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel()
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s, genesystest.Options{PerDay: 120, Size: genesystest.SizeNormal, Latency: 5 * time.Millisecond, JobTime: time.Second})
			r := rand.New(rand.NewPCG(3, uint64(len(s.Name))))
			flags := []string{"--chunk", "3h", "--workers", "6", "--jobs", "8"}
			ended := 0
			for range terms {
				life := 300*time.Millisecond + time.Duration(r.ExpFloat64()*float64(2*time.Second))
				if w.terminated(t, w.command(t.Context(), t, flags...), life) {
					ended++
				}
				mustBeClean(t, s)
				if left := w.orphans(); len(left) > 0 {
					t.Errorf("%d jobs are left at the API", len(left))
				}
			}
			w.run(t, 0, append(flags, "--workers", "40", "--jobs", "64")...)
			w.checkHolds(t)
			w.checkManifests(t)
			w.verify(t)
			if ended == 0 {
				t.Error("no process was at work when it was asked to end")
			}
		})
	}
}

// terminated runs the program and asks it to end after a while. It reports whether
// the program was still at work then.
func (w *world) terminated(t *testing.T, cmd *exec.Cmd, life time.Duration) bool {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var asked time.Time
	timer := time.AfterFunc(life, func() {
		asked = time.Now()
		_ = cmd.Process.Signal(syscall.SIGTERM)
	})
	err := cmd.Wait()
	if timer.Stop() || err == nil {
		if err != nil || !strings.Contains(stdout.String(), "chunks") {
			t.Errorf("ended by itself: %v\n%s%s", err, stdout.String(), stderr.String())
		}
		return false
	}
	if took := time.Since(asked); took > farewell {
		t.Errorf("took %v to end", took)
	}
	if code := exitCode(err); code != 128+int(syscall.SIGTERM) || !strings.Contains(stderr.String(), "gcexport: error: stopped by SIGTERM") {
		t.Errorf("exit code %d:\n%s%s", code, stdout.String(), stderr.String())
	}
	return true
}

// orphans are the jobs that are open and were not read; each has one page.
func (w *world) orphans() (left []string) {
	var read []string
	for _, r := range w.Requests() {
		if r.Kind == genesystest.Page && r.Status == 200 {
			read = append(read, r.Job)
		}
	}
	for _, id := range w.OpenJobs() {
		if !slices.Contains(read, id) {
			left = append(left, id)
		}
	}
	return left
}
