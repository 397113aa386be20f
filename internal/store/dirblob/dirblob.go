// Package dirblob is a directory as a bucket of gocloud.dev/blob, for objects
// that are created whole and once.
//
// It differs from gocloud's fileblob where that one cannot promise enough:
//
//   - Creating is atomic between processes: of any number of writers of a key
//     one wins, and nobody ever sees a part of an object.
//   - A process that is killed leaves nothing behind but a file under [TempDir],
//     which no listing shows and a later writer removes.
//   - Content and name of an object are on the disk when its writer is closed.
//   - A directory that cannot be read is an error, not an empty listing.
//
// Nothing is created before the first object is written. Content types and
// metadata are not kept. Copying and signed URLs are not supported.
package dirblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// TempDir is where unfinished objects are, below the directory.
const TempDir = "_gcexport/tmp"

var (
	errExists      = errors.New("file exists already")
	errKey         = errors.New("not a key that can be a file name")
	errUnsupported = errors.New("not supported for directories")
)

// Open opens a directory, which need not exist.
func Open(dir string) (*blob.Bucket, error) {
	b, err := open(dir)
	if err != nil {
		return nil, err
	}
	return blob.NewBucket(b), nil
}

type bucket struct {
	dir   string
	link  func(oldname, newname string) error // os.Link, or what a test puts there
	sweep sync.Once
	mu    sync.Mutex // see createLocked
}

func open(dir string) (*bucket, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &bucket{dir: abs, link: os.Link}, nil
}

// file gives the name of the file of a key.
func (b *bucket) file(key string) (string, error) {
	if !isKey(key) {
		return "", fmt.Errorf("%w: %q", errKey, key)
	}
	return filepath.Join(b.dir, filepath.FromSlash(key)), nil
}

func isKey(key string) bool {
	return key != "." && path.Clean(key) == key && filepath.IsLocal(filepath.FromSlash(key)) &&
		!strings.ContainsAny(key, "\\\x00") && !isTemp(key)
}

// isTemp says whether a key is that of the temporary directory or below it.
func isTemp(key string) bool {
	return key == TempDir || strings.HasPrefix(key, TempDir+"/")
}

// Close removes the temporary directory if nobody needs it.
func (b *bucket) Close() error {
	_ = os.Remove(b.tempDir())
	return nil
}

func (b *bucket) tempDir() string { return filepath.Join(b.dir, filepath.FromSlash(TempDir)) }

func (b *bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errExists):
		return gcerrors.FailedPrecondition
	case errors.Is(err, errKey):
		return gcerrors.InvalidArgument
	case errors.Is(err, errUnsupported):
		return gcerrors.Unimplemented
	case errors.Is(err, fs.ErrNotExist):
		return gcerrors.NotFound
	case errors.Is(err, fs.ErrPermission):
		return gcerrors.PermissionDenied
	}
	return gcerrors.Unknown
}

func (b *bucket) As(any) bool { return false }

func (b *bucket) ErrorAs(err error, i any) bool {
	p, ok := i.(**fs.PathError)
	return ok && errors.As(err, p)
}

// stat finds the file of a key. What is not a file is not there.
func (b *bucket) stat(key string) (string, fs.FileInfo, error) {
	name, err := b.file(key)
	if err != nil {
		return "", nil, err
	}
	fi, err := os.Stat(name)
	if errors.Is(err, syscall.ENOTDIR) || (err == nil && !fi.Mode().IsRegular()) {
		err = &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return name, fi, err
}

func (b *bucket) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	_, fi, err := b.stat(key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{
		ContentType: contentType(key),
		ModTime:     fi.ModTime(),
		Size:        fi.Size(),
		ETag:        fmt.Sprintf("\"%x-%x\"", fi.ModTime().UnixNano(), fi.Size()),
	}, nil
}

// contentType guesses by the name, because nothing else is kept.
func contentType(key string) string {
	switch path.Ext(key) {
	case ".gz":
		return "application/gzip"
	case ".json":
		return "application/json"
	}
	return "application/octet-stream"
}

func (b *bucket) NewRangeReader(_ context.Context, key string, offset, length int64, o *driver.ReaderOptions) (driver.Reader, error) {
	name, fi, err := b.stat(key)
	if err != nil {
		return nil, err
	}
	if o.BeforeRead != nil {
		if err := o.BeforeRead(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = max(fi.Size()-offset, 0)
	}
	return &reader{
		SectionReader: io.NewSectionReader(f, offset, length),
		f:             f,
		attrs:         driver.ReaderAttributes{ContentType: contentType(key), ModTime: fi.ModTime(), Size: fi.Size()},
	}, nil
}

type reader struct {
	*io.SectionReader
	f     *os.File
	attrs driver.ReaderAttributes
}

func (r *reader) Close() error                         { return r.f.Close() }
func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }
func (r *reader) As(any) bool                          { return false }

func (b *bucket) Delete(_ context.Context, key string, o *driver.DeleteOptions) error {
	name, _, err := b.stat(key)
	if err != nil {
		return err
	}
	if o.BeforeDelete != nil {
		if err := o.BeforeDelete(func(any) bool { return false }); err != nil {
			return err
		}
	}
	return os.Remove(name)
}

func (b *bucket) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return errUnsupported
}

func (b *bucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errUnsupported
}
