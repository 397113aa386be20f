package dirblob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gocloud.dev/blob/driver"
)

// ErrLink is what a listing ends with that comes to a link to a directory: the
// walk does not follow it, and writing would.
var ErrLink = errors.New("a link to a directory")

// ListPaged walks the part of the tree that the prefix names. Without a page
// size there is one page, so that listing costs one walk.
func (b *bucket) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	if o.BeforeList != nil {
		if err := o.BeforeList(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	objects, err := b.walk(ctx, o.Prefix)
	if err != nil {
		return nil, err
	}
	// A walk goes by names within a directory, a listing by whole keys.
	slices.SortFunc(objects, func(x, y *driver.ListObject) int { return strings.Compare(x.Key, y.Key) })
	if o.Delimiter != "" {
		objects = collapse(objects, o.Prefix, o.Delimiter)
	}
	if token := string(o.PageToken); token != "" {
		i, _ := slices.BinarySearchFunc(objects, token, func(x *driver.ListObject, t string) int { return strings.Compare(x.Key, t) })
		for i < len(objects) && objects[i].Key <= token {
			i++
		}
		objects = objects[i:]
	}
	page := &driver.ListPage{Objects: objects}
	if n := o.PageSize; n > 0 && len(objects) > n {
		page.Objects = objects[:n]
		page.NextPageToken = []byte(objects[n-1].Key)
	}
	return page, nil
}

// walk gives the files whose keys start with prefix.
func (b *bucket) walk(ctx context.Context, prefix string) ([]*driver.ListObject, error) {
	root := b.dir
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if !isKey(prefix[:i]) {
			return nil, nil // no key starts so
		}
		root = filepath.Join(root, filepath.FromSlash(prefix[:i]))
	}
	var objects []*driver.ListObject
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile, or never there
		}
		if err != nil {
			return err
		}
		key, err := filepath.Rel(b.dir, name)
		if err != nil {
			return err
		}
		key = filepath.ToSlash(key)
		if d.IsDir() {
			if isTemp(key) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(key, prefix) && key+"/" != prefix {
			return nil
		}
		fi, err := os.Stat(name) // follows a link
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile, or a link to nowhere
		case err != nil:
			return err
		case fi.IsDir() && name != b.dir: // behind a link
			return &fs.PathError{Op: "list", Path: name, Err: ErrLink}
		case !fi.Mode().IsRegular():
			return nil // a socket is no object
		}
		objects = append(objects, &driver.ListObject{Key: key, ModTime: fi.ModTime(), Size: fi.Size()})
		return nil
	})
	return objects, err
}

// collapse replaces the keys that have the delimiter behind the prefix by one
// entry for each of their "directories". The result is sorted like its input.
func collapse(objects []*driver.ListObject, prefix, delimiter string) []*driver.ListObject {
	out := objects[:0]
	for _, obj := range objects {
		i := strings.Index(obj.Key[len(prefix):], delimiter)
		if i < 0 {
			out = append(out, obj)
			continue
		}
		dir := obj.Key[:len(prefix)+i+len(delimiter)]
		if n := len(out); n > 0 && out[n-1].IsDir && out[n-1].Key == dir {
			continue
		}
		out = append(out, &driver.ListObject{Key: dir, IsDir: true})
	}
	return out
}
