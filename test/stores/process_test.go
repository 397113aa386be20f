package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// racerEnv makes the test binary a process that writes one object and tells how
// it went; its value is URL, key and content.
const racerEnv = "GCEXPORT_TEST_RACER"

func race() int {
	f := strings.SplitN(os.Getenv(racerEnv), "\n", 3)
	s, err := store.Open(context.Background(), f[0], store.Options{Writers: 64})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	switch f[1] {
	case "memory":
		return measure(s)
	case "killed":
		for i := 0; ; i++ {
			if err := put(context.Background(), s, fmt.Sprintf("killed/%d", i), random(killedBytes)); err != nil {
				fmt.Println(err)
				return 1
			}
		}
	}
	for i := range 50 {
		switch err := put(context.Background(), s, fmt.Sprintf("%s-%d", f[1], i), []byte(f[2])); {
		case err == nil:
			fmt.Println("won", i)
		case !errors.Is(err, object.ErrExists):
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// command runs the test binary as such a process.
func command(t *testing.T, s stores.Store, key, content string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), racerEnv+"="+strings.Join([]string{s.URL, key, content}, "\n"))
	for k, v := range s.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// Processes that write the same 50 keys into a directory: each key has one
// winner, and its content.
func TestDirectoryAmongProcesses(t *testing.T) {
	t.Parallel()
	s := stores.Directory(t)
	out := make([]string, 4)
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() {
			b, err := command(t, s, "a/b/key", fmt.Sprint("writer ", i)).CombinedOutput()
			if err != nil {
				t.Errorf("process %d: %v\n%s", i, err, b)
			}
			out[i] = string(b)
		})
	}
	wg.Wait()
	st := s.Open(t, store.Options{})
	for k := range 50 {
		winner := -1
		for i, o := range out {
			if !strings.Contains(o, fmt.Sprintf("won %d\n", k)) {
				continue
			}
			if winner >= 0 {
				t.Errorf("key %d has two winners, %d and %d", k, winner, i)
			}
			winner = i
		}
		mustHold(t, st, fmt.Sprintf("a/b/key-%d", k), []byte(fmt.Sprint("writer ", winner)))
	}
	mustBeClean(t, s)
}

// killedBytes is the size of an object that takes two parts on every store.
const killedBytes = 9 << 20

// A process that is killed in the middle of an object leaves nothing that a
// listing shows, on all stores.
func TestKilledWriter(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, s, "killed", "")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1300 * time.Millisecond)
			_ = cmd.Process.Kill()
			if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
				t.Errorf("process ended by itself: %v", err)
			}
			st := s.Open(t, store.Options{})
			names, err := s.Raw.Objects(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				mustHold(t, st, name, random(killedBytes))
			}
			left, err := s.Raw.Unfinished(t.Context())
			t.Logf("%d whole objects; left behind: %q, %v", len(names), left, err)
		})
	}
}

// TestMemory measures what 64 writers take, in a process of their own. It is no
// part of a normal run, because it is slow and depends on the machine.
func TestMemory(t *testing.T) {
	if os.Getenv("GCEXPORT_TEST_MEMORY") == "" {
		t.Skip("set GCEXPORT_TEST_MEMORY=1 to measure memory")
	}
	const limit = 1500 // MiB
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			out, err := command(t, s, "memory", "").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var kib int
			if _, err := fmt.Sscanf(string(out), "peak %d KiB", &kib); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Logf("64 writers: %d MiB", kib>>10)
			if kib>>10 > limit {
				t.Errorf("more than %d MiB", limit)
			}
		})
	}
}

// measure writes 64 objects of several parts at once and prints the peak of the
// resident memory.
func measure(s *store.Store) int {
	data := random(1 << 20)
	var wg sync.WaitGroup
	code := 0
	for i := range 64 {
		wg.Go(func() {
			err := object.Write(context.Background(), s.Bucket, fmt.Sprintf("memory/%d", i), &s.Object, func(w io.Writer) error {
				for range 24 {
					if _, err := w.Write(data); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				fmt.Println(err)
				code = 1
			}
		})
	}
	wg.Wait()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	_, _ = fmt.Sscan(peak, &kib)
	fmt.Println("peak", kib, "KiB")
	return code
}
