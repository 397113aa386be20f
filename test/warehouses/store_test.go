package warehouses

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An s3 is an S3 store with an empty bucket, served by a process of the tests of
// the stores: what it takes to build it is built there anyway, without cgo.
type s3 struct {
	url, bucket string
	env         map[string]string

	stdin  io.WriteCloser
	stdout *bufio.Scanner
}

func newS3(t *testing.T) *s3 {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stores.test")
	build := exec.Command("go", "test", "-c", "-tags=grpcnotrace,disable_grpc_modules", "-o", binary, ".")
	build.Dir = filepath.Join(os.Getenv(rootEnv), "test/stores")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, build)

	cmd := exec.Command(binary, "-test.run", "^TestServe$", "-test.v")
	cmd.Dir = build.Dir
	cmd.Env = append(os.Environ(), "GCEXPORT_TEST_SERVE=s3")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	s := &s3{env: map[string]string{}, stdin: stdin, stdout: bufio.NewScanner(stdout)}
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the store ended with %v", err)
		}
	})
	s.url, _ = s.line(t, "serving ")
	for {
		setting, last := s.line(t, "env ", "ready")
		if last {
			break
		}
		k, v, _ := strings.Cut(setting, "=")
		s.env[k] = v
	}
	place, _, _ := strings.Cut(strings.TrimPrefix(s.url, "s3://"), "?")
	s.bucket = place
	return s
}

// line is what follows the word on the next line that begins with it; last if
// the line is the other word instead.
func (s *s3) line(t testing.TB, word string, other ...string) (rest string, last bool) {
	t.Helper()
	for s.stdout.Scan() {
		if rest, ok := strings.CutPrefix(s.stdout.Text(), word); ok {
			return rest, false
		}
		if len(other) > 0 && s.stdout.Text() == other[0] {
			return "", true
		}
	}
	t.Fatalf("the store does not say %q: %v", word, s.stdout.Err())
	return "", true
}

// copy reads all objects of the bucket into a new directory.
func (s *s3) copy(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	_, err := fmt.Fprintln(s.stdin, dir)
	must(t, err)
	s.line(t, "copied ")
	return dir
}

// at is the bucket URL with a prefix.
func (s *s3) at(prefix string) string {
	base, query, _ := strings.Cut(s.url, "?")
	return base + "/" + prefix + "?" + query
}
