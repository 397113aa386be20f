package export

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
)

// ListFormat names the version of a load list.
const ListFormat = "gcexport.list/1"

// A loadList lists objects for those who load by list. The lists of a dataset
// are a log: list n is created, never replaced, and whoever writes it has seen
// lists 1 to n-1. So each object of a committed chunk comes to stand in one list,
// whichever run has committed the chunk, and whether it lived to list it or not.
type loadList struct {
	Format string `json:"format"`
	Number int    `json:"number"`
	Run    string `json:"run"`
	// Total counts the objects in this list and all before it.
	Total int64 `json:"total"`
	// KeySum is that of their keys.
	KeySum  keySum       `json:"key_sum"`
	Objects []listObject `json:"objects"`
}

// A keySum is the sum, modulo 2^64, of the first eight bytes of the SHA-256 of each
// key: equal for the same keys in whatever order, and not if one stands twice.
type keySum uint64

func (s *keySum) add(key string) {
	sum := sha256.Sum256([]byte(key))
	*s += keySum(binary.BigEndian.Uint64(sum[:]))
}

// MarshalText writes 16 hexadecimal digits: as a JSON number it would be rounded.
func (s keySum) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(s)), nil }

// UnmarshalText reads what MarshalText writes.
func (s *keySum) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	*s = keySum(n)
	return err
}

type listObject struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"`
}

// lists is what a run knows of the load lists.
type lists struct {
	last     *loadList // nil if there is none
	rendered bool      // the last one is there in the forms that loaders take

	mu      sync.Mutex
	objects map[string]int64 // that wait to be listed, with their sizes
}

// waiting reports whether there is anything to write.
func (l *lists) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.objects) > 0 || l.last != nil && !l.rendered
}

// readLastList reads the last list. It comes before the inventory, which then has all
// that is listed: so that the list's sum of keys can be compared with it.
func (r *run) readLastList(ctx context.Context) error {
	if r.URI == nil {
		return nil
	}
	n := 0
	err := list(ctx, r.Bucket, r.layout.listPrefix(), func(o *blob.ListObject) {
		if number, ok := r.layout.parseList(o.Key); ok {
			n = max(n, number)
		}
	})
	if err != nil || n == 0 {
		return err
	}
	if r.lists.last, err = r.readList(ctx, n); err != nil {
		return err
	}
	r.lists.rendered, err = r.isRendered(ctx, r.lists.last)
	return err
}

// surveyLists finds out which of the committed objects stand in no list: those
// of runs that were killed before they wrote theirs, or that are still at work.
// As a rule, the last list's sum of keys tells that there are none. Where a chunk was done
// again, or data deleted, all lists are read.
func (r *run) surveyLists(ctx context.Context, committed map[string]int64) error {
	if r.URI == nil {
		return nil
	}
	var n int
	var listed, there keySum
	if l := r.lists.last; l != nil {
		n, listed = l.Number, l.KeySum
	}
	for key := range committed {
		there.add(key)
	}
	if listed == there {
		return nil
	}
	var mu sync.Mutex
	objects := maps.Clone(committed)
	err := parallel(ctx, manifestReaders, n, func() func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			l, err := r.readList(ctx, i+1)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			l.without(objects)
			return nil
		}
	})
	r.lists.objects = objects
	return err
}

// without takes the list's objects out of the set.
func (l *loadList) without(objects map[string]int64) {
	for _, o := range l.Objects {
		delete(objects, o.Key)
	}
}

// toList notes the parts of a manifest that this run has written. Siblings of
// the dataset are for people; no list has them.
func (r *run) toList(parts []Part) {
	r.lists.mu.Lock()
	defer r.lists.mu.Unlock()
	for _, p := range parts {
		if r.URI != nil && strings.HasPrefix(p.Key, r.layout.DataPrefix()) {
			r.lists.objects[p.Key] = p.Bytes
		}
	}
}

// writeLists lists what this run has committed, and what others have left
// unlisted, once everything else is written.
func (r *run) writeLists(ctx context.Context) error {
	l := &r.lists
	l.mu.Lock()
	defer l.mu.Unlock()
	for range maxConflicts {
		if l.last != nil && !l.rendered {
			if err := r.render(ctx, l.last); err != nil {
				return err
			}
			l.rendered = true
		}
		if len(l.objects) == 0 {
			return nil
		}
		next := l.next(r.summary.Run)
		err := r.writeList(ctx, next)
		if errors.Is(err, object.ErrExists) {
			next, err = r.readList(ctx, next.Number)
		}
		if err != nil {
			return err
		}
		l.last, l.rendered = next, false
		next.without(l.objects)
	}
	return fmt.Errorf("gave up after %d conflicts with other processes", maxConflicts)
}

// next is the list behind the last one, with all that waits.
func (l *lists) next(run string) *loadList {
	next := &loadList{Format: ListFormat, Number: 1, Run: run, Total: int64(len(l.objects))}
	if l.last != nil {
		next.Number += l.last.Number
		next.Total += l.last.Total
		next.KeySum = l.last.KeySum
	}
	for _, key := range slices.Sorted(maps.Keys(l.objects)) {
		next.Objects = append(next.Objects, listObject{key, l.objects[key]})
		next.KeySum.add(key)
	}
	return next
}

func (r *run) writeList(ctx context.Context, l *loadList) error {
	data, err := json.MarshalIndent(l, "", " ")
	if err != nil {
		return fmt.Errorf("encode load list %d: %w", l.Number, err)
	}
	return r.put(ctx, r.layout.list(l.Number), append(data, '\n'))
}

func (r *run) readList(ctx context.Context, number int) (*loadList, error) {
	data, err := object.Read(ctx, r.Bucket, r.layout.list(number), &r.Object, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read load list %d: %w", number, err)
	}
	l := new(loadList)
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("%s is no load list: %w", r.layout.list(number), err)
	}
	if l.Format != ListFormat || l.Number != number {
		return nil, fmt.Errorf("%s is no load list that this program reads (format %q, number %d)", r.layout.list(number), l.Format, l.Number)
	}
	return l, nil
}

// forms are a list's objects for loaders: name and content of each.
func (r *run) forms(l *loadList) (map[string][]byte, error) {
	type meta struct {
		Length int64 `json:"content_length"`
	}
	type entry struct {
		URL       string `json:"url"`
		Mandatory bool   `json:"mandatory"`
		Meta      meta   `json:"meta"`
	}
	var lines strings.Builder
	var entries []entry
	for _, o := range l.Objects {
		uri := r.URI(o.Key)
		lines.WriteString(uri + "\n")
		if strings.HasPrefix(uri, "s3://") {
			entries = append(entries, entry{uri, true, meta{o.Bytes}})
		}
	}
	forms := map[string][]byte{r.layout.RunFiles(l.Run): []byte(lines.String())}
	if len(entries) == 0 {
		return forms, nil
	}
	data, err := json.MarshalIndent(map[string]any{"entries": entries}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode Redshift's manifest: %w", err)
	}
	forms[r.layout.RunRedshift(l.Run)] = append(data, '\n')
	return forms, nil
}

// render writes what loaders read. Another process may do the same for a list.
func (r *run) render(ctx context.Context, l *loadList) error {
	forms, err := r.forms(l)
	if err != nil {
		return err
	}
	for key, data := range forms {
		kind := "application/json"
		if strings.HasSuffix(key, filesSuffix) {
			kind = "text/plain; charset=utf-8"
		}
		if err := r.create(ctx, key, kind, data); err != nil && !errors.Is(err, object.ErrExists) {
			return err
		}
	}
	return nil
}

func (r *run) isRendered(ctx context.Context, l *loadList) (bool, error) {
	forms, err := r.forms(l)
	for key := range forms {
		there, err := exists(ctx, r.Bucket, key)
		if err != nil || !there {
			return false, err
		}
	}
	return true, err
}
