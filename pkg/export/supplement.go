package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A tally is what names and sizes tell of a chunk's objects.
type tally struct {
	parts       int
	supplements int
	manifest    int64 // size of the chunk's own manifest
}

// complete reports whether the manifests list as many parts as there are.
func (t tally) complete() bool {
	return (t.parts-t.supplements)%tallyModulus == int(t.manifest%tallyModulus)
}

// listAll sees to it that each part of a committed chunk is listed. Two
// processes at work on one chunk may be given different answers by the source:
// then one may commit while the other publishes a part with what only it was
// given. Such a part stands behind those that the manifest lists and repeats
// none of their records, so all that it lacks is to be listed, and that is what
// a supplement does. Usually there is nothing to do, which two listings tell.
func (r *run) listAll(ctx context.Context, iv interval.Interval) error {
	t := tally{}
	own := r.layout.Manifest(iv, 0)
	parts := map[string]*blob.ListObject{} // by key
	listed := map[string]bool{}
	for _, l := range r.layout.family() {
		found, err := r.partsOf(ctx, l, iv)
		if err != nil {
			return err
		}
		byNumber := map[int]string{}
		for _, o := range found {
			n, _ := l.ParsePart(o.Key)
			parts[o.Key], byNumber[n.Part] = o, o.Key
		}
		err = list(ctx, r.Bucket, l.revisionPrefix(iv, 0), func(o *blob.ListObject) {
			if n, ok := l.ParseSupplement(o.Key); ok {
				t.supplements++
				listed[byNumber[n.Part]] = true
			} else if o.Key == own {
				t.manifest = o.Size
			}
		})
		if err != nil {
			return err
		}
	}
	if t.parts = len(parts); t.complete() {
		return nil
	}
	m, err := ReadManifest(ctx, r.Bucket, own, &r.Object)
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	for _, p := range m.Parts {
		listed[p.Key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		if listed[key] {
			continue
		}
		if err := r.supplement(ctx, m, parts[key]); err != nil {
			return fmt.Errorf("list %s: %w", key, err)
		}
	}
	return nil
}

// supplement writes the manifest of one part that the chunk's own does not list.
func (r *run) supplement(ctx context.Context, of *Manifest, part *blob.ListObject) error {
	l, n, ok := r.layout.parseAnyPart(part.Key)
	if !ok {
		return errors.New("is not a part: the bucket was changed by something else")
	}
	f := r.newFilling(Chunk{Interval: n.Interval})
	f.manifest.Dataset = l.Dataset
	if err := f.recoverPart(ctx, l, part.Key); err != nil {
		return err
	}
	m := f.manifest
	m.sum()
	m.Supplement, m.Mode, m.Settled, m.Watermark = true, of.Mode, of.Settled, of.Watermark
	m.FetchedAt = part.ModTime.UTC().Truncate(time.Millisecond)
	err := r.writeManifest(ctx, l.Supplement(n.Interval, 0, n.Part), m)
	if errors.Is(err, object.ErrExists) {
		return nil // another process has seen the same
	}
	if err == nil {
		r.toList(m.Parts)
	}
	r.log.InfoContext(ctx, "listed a part that the chunk's manifest does not", "chunk", n.Interval, "key", part.Key, "records", m.Records)
	return err
}

// heal lists what processes left unlisted that died between a part and its
// supplement. What cannot be healed counts as failed.
func (r *run) heal(ctx context.Context) error {
	for _, iv := range r.unlisted {
		switch err := r.listAll(ctx, iv); {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			r.failed(Chunk{Interval: iv}, err)
		}
	}
	return nil
}
