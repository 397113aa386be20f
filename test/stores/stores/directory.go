package stores

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Directory gives an empty directory.
func Directory(t testing.TB) Store {
	dir := filepath.Join(t.TempDir(), newName())
	return Store{Name: "file", URL: "file://" + filepath.ToSlash(dir), Raw: rawDir(dir), bucket: filepath.Base(dir)}
}

type rawDir string

func (d rawDir) walk(temp bool) (names []string, err error) {
	err = filepath.WalkDir(string(d), func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(string(d), name)
		rel = filepath.ToSlash(rel)
		if strings.HasPrefix(rel, "_gcexport/tmp/") == temp {
			names = append(names, rel)
		}
		return err
	})
	return names, err
}

func (d rawDir) Objects(context.Context) ([]string, error)    { return d.walk(false) }
func (d rawDir) Unfinished(context.Context) ([]string, error) { return d.walk(true) }

func (d rawDir) Header(_ context.Context, name string) (string, string, error) {
	_, err := os.Stat(filepath.Join(string(d), name))
	return "application/gzip", "", err
}
