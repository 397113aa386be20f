package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A Media is a media type, and how many conversations have a session of it.
type Media struct {
	Name    string
	Records int64
	byDay   []float64
}

// other is what stands for all that is not one of the API's media types: an attribute
// of a participant may have any name and any value, which is nobody's business here.
const other = "other"

func mediaTypes() []string {
	return []string{"voice", "callback", "message", "chat", "email", "internalmessage", "video", "cobrowse", "screenshare", "screenmonitoring", "unknown", other}
}

// mediaReaders is how many objects are read at once. Inflating them is the work.
const mediaReaders = 4

// CountMedia reads all data that the page tells of, and counts the conversations by
// media type and day. One that has sessions of several media counts for each.
func (d *Data) CountMedia(ctx context.Context, b *blob.Bucket, o *export.ObjectOptions) error {
	for _, name := range mediaTypes() {
		d.Media = append(d.Media, Media{Name: name, byDay: make([]float64, len(d.Days))})
	}
	var mu sync.Mutex // of the counts
	var long sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(mediaReaders)
	for _, m := range d.manifests {
		for _, p := range m.Parts {
			group.Go(func() error {
				counts, err := countMedia(ctx, b, o, p.Key, &long)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				d.addMedia(m, counts)
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	d.Media = slices.DeleteFunc(d.Media, func(m Media) bool { return m.Records == 0 })
	return nil
}

// addMedia adds what a part of a chunk holds; over several days it is spread.
func (d *Data) addMedia(m *export.Manifest, counts []int64) {
	for i, n := range counts {
		d.Media[i].Records += n
		d.each(interval.Interval{Start: m.Interval.Start, End: m.Interval.End}, func(day *Day, part float64) {
			at := int(day.Start.Sub(d.Days[0].Start) / interval.Day)
			d.Media[i].byDay[at] += float64(n) * part
		})
	}
}

// countMedia counts the conversations of an object, by the place of their media in
// mediaTypes.
func countMedia(ctx context.Context, b *blob.Bucket, o *export.ObjectOptions, key string, long sync.Locker) (counts []int64, err error) {
	rd, err := object.Open(ctx, b, key, o)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	names := mediaTypes()
	counts = make([]int64, len(names))
	lines := jsonl.Reader{Long: long}
	if _, err := lines.Read(rd, func(line []byte) error {
		for i := range mediaOf(line, names) {
			counts[i]++
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return counts, nil
}

// mediaOf finds the media types of a record. It looks for the member alone: within a
// string, its quotes would be escaped.
func mediaOf(line []byte, names []string) map[int]bool {
	found := map[int]bool{}
	member := []byte(`"mediaType":"`)
	for {
		at := bytes.Index(line, member)
		if at < 0 {
			return found
		}
		line = line[at+len(member):]
		value, _, _ := bytes.Cut(line[:min(len(line), 40)], []byte(`"`))
		i := slices.IndexFunc(names, func(name string) bool { return bytes.EqualFold(value, []byte(name)) })
		if i < 0 {
			i = len(names) - 1
		}
		found[i] = true
	}
}

// MediaBars are those of a media type, by day, against the busiest day of all media.
func (d *Data) MediaBars(m Media) (bars []Bar) {
	most := 1.0
	for _, each := range d.Media {
		most = max(most, slices.Max(each.byDay))
	}
	step := (len(d.Days) + mostBars - 1) / mostBars
	for i := 0; i < len(d.Days); i += step {
		group, sum := m.byDay[i:min(i+step, len(d.Days))], 0.0
		for _, n := range group {
			sum += n
		}
		mean := sum / float64(len(group))
		bars = append(bars, Bar{Percent: int(math.Ceil(100 * mean / most)),
			Label: fmt.Sprintf("%s: %s %s", d.Days[i].Start.Format(time.DateOnly), humanize.Comma(int64(mean+0.5)), m.Name)})
	}
	return bars
}
