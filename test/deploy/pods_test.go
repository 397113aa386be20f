package deploy

import (
	"bytes"
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
	place   place
	kills   bool // the first pod of each index
	url     string
	secrets string

	mu   sync.Mutex
	ends map[string]int // how pods have ended
}

// TestIndexedJob has pods killed and evicted at random instants. The job ends as
// complete, its pods have divided the work and lost or doubled none of it; and those
// that were evicted, not killed, have left no job and no upload open.
func TestIndexedJob(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "kubernetes/base/indexed-job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	program := buildProgram(t)
	for _, row := range []struct {
		store string
		kills bool
		lend  func(t *testing.T) place
	}{{"directory", true, directory}, {"S3", true, lendS3}, {"S3, evictions alone", false, lendS3}} {
		t.Run(row.store, func(t *testing.T) {
			t.Parallel() // pods wait more than they work
			c := &cluster{t: t, spec: decode(t, string(text)).spec(t), program: program, secrets: writeSecrets(t), kills: row.kills, place: row.lend(t), ends: map[string]int{}}
			c.run()
		})
	}
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "gcexport")
	build := exec.Command("go", "build", "-tags=grpcnotrace,disable_grpc_modules", "-o", program, "./cmd/gcexport")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func writeSecrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"client-id", "client-secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("demo\n"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs the job to its end, and looks at what it leaves.
func (c *cluster) run() {
	t, today := c.t, time.Now().UTC().Truncate(24*time.Hour)
	server := genesystest.New(genesystest.Options{From: today.AddDate(0, 0, -20), To: today, PerDay: 400, Size: genesystest.SizeSmall,
		RequestsPerMinute: -1, Latency: 30 * time.Millisecond, Watermark: today, Gzip: true})
	url, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
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
	if c.ends["complete"] != int(*c.spec.Completions) || (c.ends["killed"] > 0) != c.kills || c.ends["evicted"] == 0 {
		t.Errorf("pods ended as %v", c.ends)
	}
	verify := exec.Command(c.program, "verify", c.place.url, "--start", start.Format(time.DateOnly), "--end", "yesterday", "--output", "json")
	verify.Env = append(os.Environ(), c.place.env...)
	out, err := verify.Output()
	if err != nil {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	want := strconv.FormatInt(server.Count(start, today.AddDate(0, 0, -1)), 10)
	if !strings.Contains(string(out), `"records":`+want) && !strings.Contains(string(out), `"records": `+want) {
		t.Errorf("verify does not find %s records: %s", want, out)
	}
	if c.kills {
		return // jobs expire by themselves, and a lifecycle rule removes uploads
	}
	if left := orphans(server); len(left) > 0 {
		t.Errorf("jobs are left that nobody has read: %v", left)
	}
	if c.place.uploads == nil {
		return
	}
	if got := c.place.uploads(); got != "uploads 0" {
		t.Errorf("the store says: %s", got)
	}
}

// orphans are the jobs that are there and were never read. Those that were expire by
// themselves.
func orphans(server *genesystest.Server) (left []string) {
	read := map[string]bool{}
	for _, r := range server.Requests() {
		if r.Kind == genesystest.Page && r.Status == 200 {
			read[r.Job] = true
		}
	}
	for _, id := range server.OpenJobs() {
		if !read[id] {
			left = append(left, id)
		}
	}
	return left
}

// index brings one index to its completion, pod by pod.
func (c *cluster) index(index int, start time.Time) {
	for tries := 0; ; {
		// The first pod loses its machine, the second one is evicted.
		var signal syscall.Signal
		switch lives := c.lives(index); {
		case lives == 0 && c.kills:
			signal = syscall.SIGKILL
		case lives <= 1:
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
			a = c.place.url
		case strings.HasPrefix(a, "--start="):
			a = "--start=" + start.Format(time.DateOnly)
		}
		args = append(args, a)
	}
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(append(c.environment(container), c.place.env...), "JOB_COMPLETION_INDEX="+strconv.Itoa(index),
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
