package dirblob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gocloud.dev/blob/driver"
)

const (
	tempSuffix = ".tmp"
	// staleAfter is the age from which an unfinished object is taken for that
	// of a dead process. A living one writes far more often.
	staleAfter = 24 * time.Hour
)

func (b *bucket) NewTypedWriter(ctx context.Context, key, _ string, o *driver.WriterOptions) (driver.Writer, error) {
	name, err := b.file(key)
	if err != nil {
		return nil, err
	}
	b.sweep.Do(b.removeStale)
	f, err := b.createTemp()
	if err != nil {
		return nil, err
	}
	if o.BeforeWrite != nil {
		if err := o.BeforeWrite(func(any) bool { return false }); err != nil {
			discard(f)
			return nil, err
		}
	}
	return &writer{ctx: ctx, b: b, f: f, name: name, create: o.IfNotExist}, nil
}

// createTemp creates an empty file in the temporary directory, and that too if
// need be; another process may remove it at any time while it is empty.
func (b *bucket) createTemp() (*os.File, error) {
	dir := b.tempDir()
	for try := 0; ; try++ {
		f, err := os.OpenFile(filepath.Join(dir, rand.Text()+tempSuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil || try == 5 || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
}

// removeStale removes what killed processes have left.
func (b *bucket) removeStale() {
	entries, err := os.ReadDir(b.tempDir())
	if err != nil {
		return // most often because there is none
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), tempSuffix) && time.Since(fi.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(b.tempDir(), e.Name()))
		}
	}
}

func discard(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// writer is a temporary file until it is closed.
type writer struct {
	ctx    context.Context // the driver contract keeps it for Close
	b      *bucket
	f      *os.File
	name   string
	create bool
	failed bool // a write has failed: Close must not publish
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.failed = w.failed || err != nil
	return n, err
}

// Upload implements driver.Uploader.
func (w *writer) Upload(r io.Reader) error {
	_, err := io.Copy(w.f, r)
	w.failed = w.failed || err != nil
	return err
}

// Close publishes the file unless the context is over or a write has failed.
func (w *writer) Close() error {
	defer discard(w.f)
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.failed {
		return errors.New("file is incomplete")
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	if err := w.f.Close(); err != nil {
		return err
	}
	if err := w.b.makeDirs(filepath.Dir(w.name)); err != nil {
		return err
	}
	if err := w.publish(); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(w.name)); err != nil {
		// Not certain to last, so it must not be there either.
		return errors.Join(err, os.Remove(w.name))
	}
	return nil
}

func (w *writer) publish() error {
	if !w.create {
		return os.Rename(w.f.Name(), w.name)
	}
	err := w.b.link(w.f.Name(), w.name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		if sameFile(w.f.Name(), w.name) {
			return nil // a network file system whose first answer was lost
		}
		return fmt.Errorf("%w: %s", errExists, w.name)
	case errors.Is(err, fs.ErrNotExist):
		return err
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.Errno(1)): // EPERM; ERROR_INVALID_FUNCTION of Windows
		return w.b.createLocked(w.f.Name(), w.name)
	}
	return err // with an unknown answer, others may have linked
}

func sameFile(a, b string) bool {
	x, err := os.Lstat(a)
	if err != nil {
		return false
	}
	y, err := os.Lstat(b)
	return err == nil && os.SameFile(x, y)
}

// createLocked is for file systems without hard links (FAT, some network and
// object-store mounts): it looks and renames while it holds a lock, which keeps
// out the other writers of this process and, where the system has advisory
// locks, those of others.
func (b *bucket) createLocked(temp, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	unlock, err := lockFile(filepath.Join(b.dir, "_gcexport", "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%w: %s", errExists, name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, name)
}

// makeDirs creates the directory dir below the bucket, and sees to it that the
// names of all that it creates are on the disk.
func (b *bucket) makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for dir != b.dir && len(dir) > len(b.dir) {
		dir = filepath.Dir(dir)
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
