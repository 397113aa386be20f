package deploy

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

// A place is a bucket, and how programs get at it.
type place struct {
	url string
	env []string
	// uploads counts those that were begun and neither ended nor aborted; nil
	// where there is no such thing.
	uploads func() string
}

func directory(t *testing.T) place { return place{url: filepath.Join(t.TempDir(), "bucket")} }

// lendS3 gives an S3 store with an empty bucket, served by a process of the tests of
// the stores, which build one anyway.
func lendS3(t *testing.T) (p place) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stores.test")
	build := exec.Command("go", "test", "-c", "-tags=grpcnotrace,disable_grpc_modules", "-o", binary, ".")
	build.Dir, build.Env = "../stores", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-test.run", "^TestServe$", "-test.v")
	cmd.Dir, cmd.Env = build.Dir, append(os.Environ(), "GCEXPORT_TEST_SERVE=s3")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the store ended with %v", err)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		if url, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			p.url = url
		} else if setting, ok := strings.CutPrefix(lines.Text(), "env "); ok {
			p.env = append(p.env, setting)
		}
	}
	if p.url == "" {
		t.Fatalf("no store is served: %v", lines.Err())
	}
	p.uploads = func() string {
		if _, err := fmt.Fprintln(stdin, "uploads"); err != nil || !lines.Scan() {
			return fmt.Sprint(err, lines.Err())
		}
		return lines.Text()
	}
	return p
}
