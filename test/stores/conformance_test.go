package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/stores"
)

const part = "conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz"

// TestStores asks the same of all stores, each with its own bucket.
func TestStores(t *testing.T) {
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				name string
				test func(*testing.T, stores.Store)
			}{
				{"abort leaves nothing", abortLeavesNothing}, // first: the bucket is empty
				{"write and read back", writeAndReadBack},
				{"create only", createOnly},
				{"prefix", underPrefix},
				{"listing", listing},
			} {
				t.Run(c.name, func(t *testing.T) { c.test(t, s) })
			}
			mustBeClean(t, s)
		})
	}
}

func writeAndReadBack(t *testing.T, s stores.Store) {
	st := s.Open(t, store.Options{Writers: 4})
	if err := st.Check(t.Context()); err != nil {
		t.Fatalf("check: %v", err)
	}
	// Around the sizes of parts and blocks: 5, 8, 16 MiB.
	for _, n := range []int{0, 1, 100_000, 5 << 20, 8<<20 - 1, 8 << 20, 8<<20 + 1, 20 << 20} {
		t.Run(size(n), func(t *testing.T) {
			key := fmt.Sprintf("conversations/dt=2024-03-02/%d.jsonl.gz", n)
			if err := put(t.Context(), st, key, random(n)); err != nil {
				t.Fatal(err)
			}
			mustHold(t, st, key, random(n))
			a, err := st.Bucket.Attributes(t.Context(), key)
			if err != nil || a.Size != int64(n) {
				t.Errorf("size %d, %v", a.Size, err)
			}
			contentType, encoding, err := s.Raw.Header(t.Context(), key)
			if err != nil || contentType != "application/gzip" || encoding != "" {
				t.Errorf("content type %q, encoding %q, %v", contentType, encoding, err)
			}
		})
	}
}

// abortLeavesNothing ends writes in all ways and at many places, above all
// around the boundaries of parts.
func abortLeavesNothing(t *testing.T, s stores.Store) {
	st := s.Open(t, store.Options{Writers: 64})
	positions := []int{0, 1, 4 << 20, 5<<20 - 1, 5 << 20, 5<<20 + 1, 8 << 20, 10<<20 + 1, 12 << 20}
	cause := errors.New("page is damaged")
	var wg sync.WaitGroup
	gate := make(chan struct{}, 4)
	for _, n := range positions {
		for _, how := range []string{"error", "panic", "cancel"} {
			wg.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				defer func() {
					if r := recover(); r != nil && how != "panic" {
						t.Errorf("%s at %d: panic %v", how, n, r)
					}
				}()
				err := object.Write(ctx, st.Bucket, fmt.Sprintf("aborted/%s-%d.jsonl.gz", how, n), &st.Object, func(w io.Writer) error {
					if _, err := w.Write(random(n)); err != nil {
						return err
					}
					switch how {
					case "panic":
						panic(cause)
					case "cancel":
						cancel()
						return nil
					}
					return cause
				})
				if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
					t.Errorf("%s at %d: %v", how, n, err)
				}
			})
		}
	}
	wg.Wait()
	mustBeEmpty(t, s)
}

func createOnly(t *testing.T, s stores.Store) {
	st := s.Open(t, store.Options{Writers: 4})
	for _, n := range []int{1000, 12 << 20} {
		t.Run(size(n), func(t *testing.T) {
			key := fmt.Sprintf("race/%d.jsonl.gz", n)
			contents := make([][]byte, 4)
			errs := make([]error, len(contents))
			var wg sync.WaitGroup
			for i := range contents {
				contents[i] = bytes.Repeat([]byte{byte(i + 1)}, n)
				wg.Go(func() { errs[i] = put(t.Context(), st, key, contents[i]) })
			}
			wg.Wait()
			winner := -1
			for i, err := range errs {
				switch {
				case err == nil && winner < 0:
					winner = i
				case err == nil:
					t.Errorf("writers %d and %d both won", winner, i)
				case !errors.Is(err, object.ErrExists):
					t.Errorf("writer %d lost with %v", i, err)
				}
			}
			if winner < 0 {
				t.Fatal("nobody won")
			}
			mustHold(t, st, key, contents[winner])
			// And long after, when nothing races any more.
			if err := put(t.Context(), st, key, contents[(winner+1)%4]); !errors.Is(err, object.ErrExists) {
				t.Errorf("overwriting gave %v", err)
			}
			mustHold(t, st, key, contents[winner])
		})
	}
}

// underPrefix shows that the path of a URL is where objects go, by their names
// as the store has them.
func underPrefix(t *testing.T, s stores.Store) {
	st := s.At("exports/genesys").Open(t, store.Options{})
	if err := put(t.Context(), st, part, []byte("x")); err != nil {
		t.Fatal(err)
	}
	mustHold(t, st, part, []byte("x"))
	names, err := s.Raw.Objects(t.Context())
	if err != nil || !slices.Contains(names, "exports/genesys/"+part) {
		t.Errorf("stored as %q, %v", names, err)
	}
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func listing(t *testing.T, s stores.Store) {
	st := s.At("listed").Open(t, store.Options{})
	want := []string{
		"_gcexport/conversations/20240301T000000Z-20240302T000000Z.r0.json",
		"conversations/dt=2024-03-01/a.p0000.jsonl.gz",
		"conversations/dt=2024-03-01/a.p0001.jsonl.gz",
		"conversations/dt=2024-03-02/a.p0000.jsonl.gz",
		"conversations_oversize/dt=2024-03-01/a.p0000.jsonl.gz",
	}
	for _, key := range slices.Backward(want) {
		if err := put(t.Context(), st, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	list := func(prefix, delimiter string) (keys []string) {
		it := st.Bucket.List(&blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
		for {
			o, err := it.Next(t.Context())
			if errors.Is(err, io.EOF) {
				return keys
			}
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, o.Key)
		}
	}
	for _, tc := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", want},
		{"conversations/", "", want[1:4]},
		{"conversations/dt=2024-03-01/a.p0001", "", want[2:3]},
		{"nothing/", "", nil},
		{"conversations/", "/", []string{"conversations/dt=2024-03-01/", "conversations/dt=2024-03-02/"}},
		{"", "/", []string{"_gcexport/", "conversations/", "conversations_oversize/"}},
	} {
		if got := list(tc.prefix, tc.delimiter); !slices.Equal(got, tc.want) {
			t.Errorf("list %q %q: %q, want %q", tc.prefix, tc.delimiter, got, tc.want)
		}
	}
}
