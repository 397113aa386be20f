package deploy

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// A cluster runs the shipped Indexed Job as processes of this machine: with its own
// arguments and environment, its indices, its number of tries and its rules of what
// is tried again.
type cluster struct {
	t       *testing.T
	spec    batchv1.JobSpec
	program string
	bucket  string
	url     string
	secrets string

	mu   sync.Mutex
	ends map[string]int // how pods have ended
}

// TestIndexedJob has pods killed and evicted at random instants. The job ends as
// complete, its pods have divided the work and lost or doubled none of it.
func TestIndexedJob(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "kubernetes/indexed-job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &cluster{t: t, spec: decode(t, string(text)).spec(t), program: filepath.Join(dir, "gcexport"),
		bucket: filepath.Join(dir, "bucket"), secrets: filepath.Join(dir, "secrets"), ends: map[string]int{}}
	build := exec.Command("go", "build", "-tags=grpcnotrace,disable_grpc_modules", "-o", c.program, "./cmd/gcexport")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"client-id", "client-secret"} {
		if err := errors.Join(os.MkdirAll(c.secrets, 0o700), os.WriteFile(filepath.Join(c.secrets, name), []byte("demo\n"), 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	server := genesystest.New(genesystest.Options{From: today.AddDate(0, 0, -20), To: today, PerDay: 400, Size: genesystest.SizeSmall,
		RequestsPerMinute: -1, Latency: 30 * time.Millisecond, Watermark: today, Gzip: true})
	url, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	c.url = url
	start := today.AddDate(0, 0, -13)

	var group sync.WaitGroup
	for index := range int(*c.spec.Completions) {
		group.Go(func() { c.index(index, start) })
	}
	group.Wait()
	if t.Failed() {
		return
	}
	if c.ends["complete"] != int(*c.spec.Completions) || c.ends["killed"] == 0 || c.ends["evicted"] == 0 {
		t.Errorf("pods ended as %v", c.ends)
	}
	verify := exec.Command(c.program, "verify", c.bucket, "--start", start.Format(time.DateOnly), "--end", "yesterday", "--output", "json")
	out, err := verify.Output()
	if err != nil {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	want := strconv.FormatInt(server.Count(start, today.AddDate(0, 0, -1)), 10)
	if !strings.Contains(string(out), `"records":`+want) && !strings.Contains(string(out), `"records": `+want) {
		t.Errorf("verify does not find %s records: %s", want, out)
	}
}

// index brings one index to its completion, pod by pod.
func (c *cluster) index(index int, start time.Time) {
	for tries := 0; ; {
		// The first pod loses its machine, the second one is evicted.
		var signal syscall.Signal
		switch c.lives(index) {
		case 0:
			signal = syscall.SIGKILL
		case 1:
			signal = syscall.SIGTERM
		}
		code, stderr := c.pod(index, start, signal)
		switch disrupted := code < 0 || code == 143; {
		case code == 0:
			c.note("complete")
			return
		case code < 0:
			c.note("killed")
		case code == 143:
			c.note("evicted")
		case c.fails(code):
			c.t.Errorf("index %d: exit code %d fails the job: %s", index, code, stderr)
			return
		case !disrupted:
			if tries++; tries > int(*c.spec.BackoffLimitPerIndex) {
				c.t.Errorf("index %d: exit code %d after %d tries: %s", index, code, tries, stderr)
				return
			}
		}
	}
}

func (c *cluster) note(end string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[end]++
}

// lives counts the pods that an index has had.
func (c *cluster) lives(index int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := "index " + strconv.Itoa(index)
	c.ends[key]++
	return c.ends[key] - 1
}

// fails reports whether the policy fails the job for an exit code.
func (c *cluster) fails(code int) bool {
	return slices.ContainsFunc(c.spec.PodFailurePolicy.Rules, func(r batchv1.PodFailurePolicyRule) bool {
		return r.Action == batchv1.PodFailurePolicyActionFailJob && r.OnExitCodes != nil && slices.Contains(r.OnExitCodes.Values, int32(code))
	})
}

// pod runs one pod, which gets the signal after a random while, and returns its
// exit code, negative if it was killed.
func (c *cluster) pod(index int, start time.Time, signal syscall.Signal) (code int, stderr string) {
	container := c.spec.Template.Spec.Containers[0]
	var args []string
	for _, a := range container.Args {
		switch {
		case strings.HasPrefix(a, "s3://"):
			a = c.bucket
		case strings.HasPrefix(a, "--start="):
			a = "--start=" + start.Format(time.DateOnly)
		}
		args = append(args, a)
	}
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(c.environment(container), "JOB_COMPLETION_INDEX="+strconv.Itoa(index),
		"GCEXPORT_API_URL="+c.url, "GCEXPORT_LOGIN_URL="+c.url, "GCEXPORT_PAGE_SIZE=20", "GCEXPORT_JOBS=8", "GCEXPORT_RATE=100000")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		c.t.Error(err)
		return 2, ""
	}
	if signal != 0 {
		life := 500*time.Millisecond + rand.N(2*time.Second)
		timer := time.AfterFunc(life, func() { _ = cmd.Process.Signal(signal) })
		defer timer.Stop()
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), errs.String()
}

// environment is the container's, with the secrets where they are here.
func (c *cluster) environment(container corev1.Container) (env []string) {
	for _, e := range container.Env {
		value := strings.Replace(e.Value, container.VolumeMounts[0].MountPath, c.secrets, 1)
		env = append(env, e.Name+"="+value)
	}
	return env
}
