package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// rootEnv holds the folder of the program's module.
const rootEnv = "GCEXPORT_TEST_ROOT"

func TestMain(m *testing.M) {
	if os.Getenv(racerEnv) != "" {
		os.Exit(race())
	}
	log.SetOutput(io.Discard) // the SDKs' own log, as the program does it
	here, err := os.Getwd()   // now: the S3 store changes it
	if err != nil {
		panic(err)
	}
	_ = os.Setenv(rootEnv, filepath.Join(here, "../.."))
	os.Exit(stores.Main(m))
}

// random gives n bytes that do not compress and are the same each time.
func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n)})
	p := make([]byte, n)
	_, _ = r.Read(p)
	return p
}

// put writes data in pieces as the exporter does.
func put(ctx context.Context, s *store.Store, key string, data []byte) error {
	return object.Write(ctx, s.Bucket, key, &s.Object, func(w io.Writer) error {
		for p := range chunks(data, 700_000) {
			if _, err := w.Write(p); err != nil {
				return err
			}
		}
		return nil
	})
}

func chunks(p []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			k := min(n, len(p))
			if !yield(p[:k]) {
				return
			}
			p = p[k:]
		}
	}
}

// mustHold fails unless the object holds exactly data.
func mustHold(t *testing.T, s *store.Store, key string, data []byte) {
	t.Helper()
	got, err := object.Read(t.Context(), s.Bucket, key, &s.Object, int64(len(data)))
	if err != nil {
		t.Errorf("read back: %v", err)
	} else if !bytes.Equal(got, data) {
		t.Errorf("read back %d bytes that differ from the %d written", len(got), len(data))
	}
}

// mustBeEmpty fails if anything at all is in the bucket.
func mustBeEmpty(t *testing.T, s stores.Store) {
	t.Helper()
	names, err := s.Raw.Objects(t.Context())
	if err != nil || len(names) > 0 {
		t.Errorf("objects left: %q, %v", names, err)
	}
	mustBeClean(t, s)
}

// mustBeClean fails if an unfinished write has left something.
func mustBeClean(t *testing.T, s stores.Store) {
	t.Helper()
	left, err := s.Raw.Unfinished(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("unfinished writes left: %q, %v", left, err)
	}
}

// kindOf gives the kind and the line of a store error.
func kindOf(t *testing.T, err error) (store.Kind, *store.Error) {
	t.Helper()
	var e *store.Error
	if !errors.As(store.Explain(err), &e) {
		t.Fatalf("no store error: %v", err)
	}
	if bytes.ContainsAny([]byte(e.Message+e.Hint), "\n\r") || len(e.Message) > 400 {
		t.Errorf("not one line: %q", e.Message)
	}
	return e.Kind, e
}

func size(n int) string { return fmt.Sprintf("%dB", n) }
