package dirblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

func newBucket(t *testing.T) (*bucket, *blob.Bucket) {
	t.Helper()
	b, err := open(filepath.Join(t.TempDir(), "not", "yet", "there"))
	if err != nil {
		t.Fatal(err)
	}
	return b, blob.NewBucket(b)
}

func create(b *blob.Bucket, key, content string) error {
	return b.Upload(context.Background(), key, strings.NewReader(content), &blob.WriterOptions{ContentType: "a/b", IfNotExist: true})
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

// A listing does not follow links to directories, as writing does: it says so.
func TestLinks(t *testing.T) {
	d, b := newBucket(t)
	if err := create(b, "a/b/c", "first"); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"a/nowhere": "x", "a/file": "b/c"} {
		if err := os.Symlink(to, filepath.Join(d.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := d.walk(t.Context(), ""); err != nil || len(got) != 2 {
		t.Errorf("%d objects, %v; want a/b/c and a/file", len(got), err)
	}
	if err := os.Symlink("a", filepath.Join(d.dir, "z")); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "z/", "z/b/"} {
		if _, err := d.walk(t.Context(), prefix); (prefix == "z/b/") == errors.Is(err, ErrLink) {
			t.Errorf("listing %q: %v", prefix, err)
		}
	}
	whole, err := open(filepath.Join(d.dir, "z"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := whole.walk(t.Context(), "b/"); err != nil || len(got) != 1 {
		t.Errorf("a bucket that is a link has %d objects, %v", len(got), err)
	}
}

func TestCreate(t *testing.T) {
	for name, link := range map[string]func(string, string) error{
		"hard links":    os.Link,
		"no hard links": func(string, string) error { return syscall.EPERM },
	} {
		t.Run(name, func(t *testing.T) {
			d, b := newBucket(t)
			d.link = link
			if err := create(b, "a/b/c", "first"); err != nil {
				t.Fatal(err)
			}
			if err := create(b, "a/b/c", "second"); gcerrors.Code(err) != gcerrors.FailedPrecondition {
				t.Errorf("overwriting gave %v", err)
			}
			got, err := b.ReadAll(t.Context(), "a/b/c")
			if err != nil || string(got) != "first" {
				t.Errorf("read %q, %v", got, err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			left := slices.DeleteFunc(files(t, d.dir), func(s string) bool { return s == "_gcexport/lock" })
			if !slices.Equal(left, []string{"a/b/c"}) {
				t.Errorf("files %q", left)
			}
			if _, err := os.Stat(d.tempDir()); err == nil {
				t.Error("temporary directory is left")
			}
		})
	}
}

func TestCreateRace(t *testing.T) {
	for name, link := range map[string]func(string, string) error{
		"hard links":    os.Link,
		"no hard links": func(string, string) error { return syscall.ENOTSUP },
	} {
		t.Run(name, func(t *testing.T) {
			d, one := newBucket(t)
			d.link = link
			e, err := open(d.dir) // another bucket of the same directory: as of another process
			if err != nil {
				t.Fatal(err)
			}
			e.link = link
			buckets := []*blob.Bucket{one, blob.NewBucket(e)}
			for key := range 20 {
				errs := make([]error, 6)
				var wg sync.WaitGroup
				for i := range errs {
					wg.Go(func() { errs[i] = create(buckets[i%2], fmt.Sprintf("x/%d", key), fmt.Sprint(i)) })
				}
				wg.Wait()
				got, err := one.ReadAll(t.Context(), fmt.Sprintf("x/%d", key))
				if err != nil {
					t.Fatal(err)
				}
				for i, err := range errs {
					if won := string(got) == fmt.Sprint(i); won != (err == nil) {
						t.Errorf("key %d: writer %d: %v, content %q", key, i, err, got)
					}
				}
			}
		})
	}
}

// A network file system may say "exists" about the link it has just made.
func TestLostAnswerToLink(t *testing.T) {
	d, b := newBucket(t)
	d.link = func(from, to string) error {
		if err := os.Link(from, to); err != nil {
			return err
		}
		return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EEXIST}
	}
	if err := create(b, "a", "x"); err != nil {
		t.Error(err)
	}
}

func TestAbort(t *testing.T) {
	d, b := newBucket(t)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := b.NewWriter(ctx, "a/b", &blob.WriterOptions{ContentType: "a/b", IfNotExist: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}
	if got := files(t, d.dir); len(got) != 1 || !strings.HasPrefix(got[0], TempDir+"/") {
		t.Errorf("while writing: %q", got)
	}
	if list(t, b, "", "") != nil {
		t.Error("unfinished object is listed")
	}
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("close gave %v", err)
	}
	if got := files(t, d.dir); got != nil {
		t.Errorf("left: %q", got)
	}
	if err := b.Upload(t.Context(), "a/b", io.MultiReader(strings.NewReader("half"), broken{}), &blob.WriterOptions{ContentType: "a/b"}); err == nil {
		t.Error("broken reader was accepted")
	}
	if got := files(t, d.dir); got != nil {
		t.Errorf("left after a broken reader: %q", got)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestStaleFilesAreRemoved(t *testing.T) {
	d, b := newBucket(t)
	if err := os.MkdirAll(d.tempDir(), 0o777); err != nil {
		t.Fatal(err)
	}
	old, young, foreign := filepath.Join(d.tempDir(), "OLD.tmp"), filepath.Join(d.tempDir(), "YOUNG.tmp"), filepath.Join(d.tempDir(), "notes.txt")
	for _, name := range []string{old, young, foreign} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-staleAfter - time.Hour)
	for _, name := range []string{old, foreign} {
		if err := os.Chtimes(name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(b, "a", "x"); err != nil {
		t.Fatal(err)
	}
	want := []string{"_gcexport/tmp/YOUNG.tmp", "_gcexport/tmp/notes.txt", "a"}
	if got := files(t, d.dir); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func list(t *testing.T, b *blob.Bucket, prefix, delimiter string) (keys []string) {
	t.Helper()
	it := b.List(&blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
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

func TestList(t *testing.T) {
	_, b := newBucket(t)
	if got := list(t, b, "", ""); got != nil {
		t.Errorf("directory that does not exist: %q", got)
	}
	all := []string{"_gcexport/x.json", "a-b", "a/1", "a/2", "ab/1", "b"} // "-" sorts before "/"
	for _, key := range slices.Backward(all) {
		if err := create(b, key, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", all},
		{"a", "", all[1:5]},
		{"a/", "", all[2:4]},
		{"a/1", "", all[2:3]},
		{"", "/", []string{"_gcexport/", "a-b", "a/", "ab/", "b"}},
		{"a/", "/", all[2:4]},
		{"_gcexport/", "", all[:1]},
		{"../", "", nil},
		{"zzz/", "", nil},
	} {
		if got := list(t, b, tc.prefix, tc.delimiter); !slices.Equal(got, tc.want) {
			t.Errorf("list %q %q: %q, want %q", tc.prefix, tc.delimiter, got, tc.want)
		}
	}
	var paged []string
	token := blob.FirstPageToken
	for token != nil {
		page, next, err := b.ListPage(t.Context(), token, 2, nil)
		if err != nil || len(page) > 2 {
			t.Fatal(len(page), err)
		}
		for _, o := range page {
			paged = append(paged, o.Key)
		}
		token = next
	}
	if !slices.Equal(paged, all) {
		t.Errorf("in pages: %q", paged)
	}
}

func TestUnreadableDirectoryIsAnError(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	d, b := newBucket(t)
	if err := create(b, "a/b", "x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d.dir, "a"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(d.dir, "a"), 0o700) })
	if _, err := b.List(nil).Next(t.Context()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("listing gave %v", err)
	}
}

func TestKeysThatAreNoNames(t *testing.T) {
	d, b := newBucket(t)
	for _, key := range []string{"..", "../x", "a/../../x", "/abs", "a//b", "a/", ".", "a/./b", `a\b`, TempDir + "/x", TempDir} {
		if err := create(b, key, "x"); gcerrors.Code(err) != gcerrors.InvalidArgument {
			t.Errorf("%q: %v", key, err)
		}
	}
	if got := files(t, filepath.Dir(d.dir)); got != nil {
		t.Errorf("files %q", got)
	}
}

func TestReadAndAttributes(t *testing.T) {
	_, b := newBucket(t)
	if err := create(b, "a/x.jsonl.gz", "0123456789"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/y", "a/x.jsonl.gz/deeper"} {
		if _, err := b.Attributes(t.Context(), key); gcerrors.Code(err) != gcerrors.NotFound {
			t.Errorf("%q: %v", key, err)
		}
	}
	a, err := b.Attributes(t.Context(), "a/x.jsonl.gz")
	if err != nil || a.Size != 10 || a.ContentType != "application/gzip" {
		t.Errorf("%+v, %v", a, err)
	}
	r, err := b.NewRangeReader(t.Context(), "a/x.jsonl.gz", 3, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); string(got) != "3456" || err != nil || r.Size() != 10 {
		t.Errorf("%q, size %d, %v", got, r.Size(), err)
	}
	if err := b.Delete(t.Context(), "a/x.jsonl.gz"); err != nil {
		t.Error(err)
	}
}
