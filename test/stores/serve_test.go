package conformance

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// TestServe is no test: it lends an S3 store to a test of another module, which
// need not build one then. It says where the bucket is, copies all objects to
// each directory that it reads from stdin, counts the open uploads where it reads
// "uploads" there, and ends with stdin.
func TestServe(t *testing.T) {
	if os.Getenv("GCEXPORT_TEST_SERVE") != "s3" {
		t.Skip("runs for test/warehouses and test/deploy only")
	}
	s := stores.S3(t)
	fmt.Printf("serving %s\n", s.URL)
	for k, v := range s.Env {
		fmt.Printf("env %s=%s\n", k, v)
	}
	fmt.Println("ready")
	st := s.Open(t, store.Options{})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "uploads" {
			open, err := s.Raw.Unfinished(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println("uploads", len(open))
			continue
		}
		names, err := s.Raw.Objects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := st.Bucket.ReadAll(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(strings.TrimSpace(lines.Text()), name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Println("copied", len(names))
	}
}
