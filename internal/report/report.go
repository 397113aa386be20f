// Package report makes one HTML page of what a bucket holds: which days are there,
// how much, in objects of which size, by which runs. It reads manifests and the
// records of runs, and no data but to count media types.
//
// The page is one file without scripts, fonts or pictures from elsewhere; a browser
// that opens it asks nobody for anything.
package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// ErrEmpty says that the bucket holds no export.
var ErrEmpty = errors.New("the bucket holds no export")

// Data is what a page tells.
type Data struct {
	// Bucket is its name for people.
	Bucket string
	// Made is when it was looked at.
	Made time.Time
	// Range is what is told of: the range that was asked for, or from the first to
	// the last chunk that was begun.
	Range interval.Interval
	// Days are those of the range, in order.
	Days []Day
	// Sizes counts data objects by size.
	Sizes []Size
	// Runs are the last ones, the newest first.
	Runs []Run

	Records, RawBytes, Bytes int64
	Chunks, Open, Objects    int
	// Diverted counts the records that were put aside, by folder.
	Diverted map[string]int64
	// Media are the media types, if they were counted.
	Media []Media

	manifests []*export.Manifest // of the chunks that the page tells of
}

// A Day is a day in UTC.
type Day struct {
	Start                    time.Time
	Records, RawBytes, Bytes int64
	// Covered is the part of the day that is committed, from 0 to 1; of its chunks
	// some may not be settled, and some be open.
	Covered         float64
	Unsettled, Open bool
}

// State names how a day is: "done", "unsettled", "open", "part" or "missing".
func (d Day) State() string {
	switch {
	case d.Covered > 0.9999 && d.Unsettled:
		return "unsettled"
	case d.Covered > 0.9999:
		return "done"
	case d.Open:
		return "open"
	case d.Covered > 0:
		return "part"
	}
	return "missing"
}

// A Size is a class of objects.
type Size struct {
	Name    string
	Below   int64 // bytes
	Objects int
}

// A Run is the record of a run; docs/format.md.
type Run struct {
	Run      string
	Program  string
	Started  time.Time
	Finished *time.Time
	Result   string
	Shard    string
	Range    struct{ Start, End time.Time }
	Chunks   struct{ Planned, Skipped, Exported, Elsewhere, Postponed, Failed int }
	Records  int64
	Bytes    int64
	Usage    struct {
		Total, Throttled int64
		Utilisation      float64
	}
	Failures []struct {
		Interval struct{ Start, End time.Time }
		Error    string
	}
}

const (
	readers    = 16
	mostRuns   = 50
	maxRun     = 16 << 20
	runsPrefix = "_gcexport/runs/"
)

// Gather reads what the page tells from the bucket. An empty scope is all that is
// there.
func Gather(ctx context.Context, b *blob.Bucket, o *export.ObjectOptions, name string, scope interval.Interval) (*Data, error) {
	layout := export.Layout{Dataset: export.Conversations}
	inv, err := export.TakeInventory(ctx, b, layout)
	if err != nil {
		return nil, err
	}
	d := &Data{Bucket: name, Made: time.Now().UTC(), Range: scope, Diverted: map[string]int64{}, Sizes: []Size{
		{Name: "under 1 MiB", Below: 1 << 20}, {Name: "1 to 16 MiB", Below: 16 << 20}, {Name: "16 to 100 MiB", Below: 100 << 20},
		{Name: "100 to 250 MiB", Below: 250 << 20}, {Name: "250 MiB and more", Below: 1 << 62},
	}}
	if scope.Empty() {
		d.Range = hull(slices.Concat(inv.Committed, inv.Open))
	}
	if d.Range.Empty() {
		return nil, ErrEmpty
	}
	d.days()
	manifests, err := readManifests(ctx, b, o, layout, inv.Committed)
	if err != nil {
		return nil, err
	}
	for _, m := range manifests {
		d.add(m)
	}
	for _, iv := range inv.Open {
		if iv.Overlaps(d.Range) {
			d.Open++
			d.each(iv, func(day *Day, _ float64) { day.Open = true })
		}
	}
	d.Runs, err = readRuns(ctx, b, o)
	return d, err
}

// hull is the shortest interval that holds them all.
func hull(ivs []interval.Interval) (all interval.Interval) {
	for i, iv := range ivs {
		if i == 0 || iv.Start.Before(all.Start) {
			all.Start = iv.Start
		}
		if i == 0 || iv.End.After(all.End) {
			all.End = iv.End
		}
	}
	return all
}

// days makes the days of the range.
func (d *Data) days() {
	for at := d.Range.Start.UTC().Truncate(interval.Day); at.Before(d.Range.End); at = at.Add(interval.Day) {
		d.Days = append(d.Days, Day{Start: at})
	}
}

// each calls fn for each day that an interval touches, with the part of the interval
// that lies in it.
func (d *Data) each(iv interval.Interval, fn func(day *Day, part float64)) {
	for i := range d.Days {
		day := &d.Days[i]
		from, to := day.Start, day.Start.Add(interval.Day)
		if from.Before(iv.Start) {
			from = iv.Start
		}
		if to.After(iv.End) {
			to = iv.End
		}
		if from.Before(to) {
			fn(day, float64(to.Sub(from))/float64(iv.Length()))
		}
	}
}

// add takes a chunk's manifest into account. What a longer chunk holds is spread
// over its days.
func (d *Data) add(m *export.Manifest) {
	iv := interval.Interval{Start: m.Interval.Start, End: m.Interval.End}
	if !iv.Overlaps(d.Range) {
		return
	}
	d.manifests = append(d.manifests, m)
	d.Chunks++
	d.Records, d.RawBytes, d.Bytes = d.Records+m.Records, d.RawBytes+m.RawBytes, d.Bytes+m.Bytes
	for _, p := range m.Parts {
		d.Objects++
		i := slices.IndexFunc(d.Sizes, func(s Size) bool { return p.Bytes < s.Below })
		d.Sizes[i].Objects++
	}
	for _, v := range m.Diverted {
		d.Diverted[v.Dataset] += v.Records
	}
	d.each(iv, func(day *Day, part float64) {
		share := func(n int64) int64 { return int64(float64(n)*part + 0.5) }
		day.Records, day.RawBytes, day.Bytes = day.Records+share(m.Records), day.RawBytes+share(m.RawBytes), day.Bytes+share(m.Bytes)
		day.Covered += part * float64(iv.Length()) / float64(interval.Day)
		day.Unsettled = day.Unsettled || !m.Settled
	})
}

func readManifests(ctx context.Context, b *blob.Bucket, o *export.ObjectOptions, l export.Layout, ivs []interval.Interval) ([]*export.Manifest, error) {
	all := make([]*export.Manifest, len(ivs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, iv := range ivs {
		group.Go(func() (err error) {
			all[i], err = export.ReadManifest(ctx, b, l.Manifest(iv, 0), o)
			return err
		})
	}
	return all, group.Wait()
}

// readRuns reads the records of the last runs. One that has begun and not ended has
// its first record only.
func readRuns(ctx context.Context, b *blob.Bucket, o *export.ObjectOptions) ([]Run, error) {
	keys := map[string]string{} // by run
	for it := b.List(&blob.ListOptions{Prefix: runsPrefix}); ; {
		obj, err := object.Call(ctx, it.Next)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list the runs: %w", err)
		}
		id, kind, _ := strings.Cut(strings.TrimPrefix(obj.Key, runsPrefix), ".")
		if kind == "json" || kind == "begun.json" && keys[id] == "" {
			keys[id] = obj.Key
		}
	}
	var ids []string
	for id := range keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	runs := make([]Run, 0, mostRuns)
	for _, id := range ids[:min(len(ids), mostRuns)] {
		data, err := object.Read(ctx, b, keys[id], o, maxRun)
		if gcerrors.Code(err) == gcerrors.NotFound {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read a run: %w", err)
		}
		var r Run
		if json.Unmarshal(data, &r) != nil || r.Run == "" {
			continue // somebody else's
		}
		runs = append(runs, r)
	}
	return runs, nil
}
