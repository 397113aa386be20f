package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gcexport/gcexport/internal/store/dirblob"
)

// openDir opens a directory. It is created when the first object is written.
func openDir(t *target) (*driver, error) {
	if err := checkDir(t.dir); err != nil {
		return nil, err
	}
	bucket, err := dirblob.Open(t.dir)
	if err != nil {
		return nil, err
	}
	return &driver{
		bucket: bucket,
		base:   fileURL(t.dir) + "/",
		probe:  func(context.Context, string) error { return checkDir(t.dir) },
	}, nil
}

// checkDir sees whether dir can be listed, or if it does not exist, whether it
// lies in a directory, so that it can be created.
func checkDir(dir string) error {
	fi, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && !isDangling(dir) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		return checkDir(parent)
	}
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return &Error{Kind: Config, Message: fmt.Sprintf("%s is a file, not a directory", oneLine(dir)), Hint: "check the path", Err: syscall.ENOTDIR}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if _, err := d.Readdirnames(1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// isDangling says whether dir is a link to nowhere, which cannot be created.
func isDangling(dir string) bool {
	_, err := os.Lstat(dir)
	return err == nil
}
