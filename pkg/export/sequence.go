package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A Partition says what the folders of a dataset's parts stand for.
type Partition string

// The partitions.
const (
	// PartitionDay has the day on which the chunk starts. Names depend on nothing
	// else, and chunks are exported in any order.
	PartitionDay Partition = "day"
	// PartitionExportDay has the day on which the part was written, and names that
	// only grow: whenever a part can be seen, its name is higher than those of all
	// parts that could be seen before. That is for loaders which go by names, and
	// never look at one again that is lower than the last.
	PartitionExportDay Partition = "export-day"
)

// orderedPartBytes bounds a part of PartitionExportDay, compressed: it gets its name
// when it is whole, so it has to wait for that in memory.
const orderedPartBytes = 16 << 20

// PartBytes is the size at which a part is closed, compressed, unless an Exporter says
// otherwise.
func (p Partition) PartBytes() int64 {
	if p == PartitionExportDay {
		return orderedPartBytes
	}
	return DefaultPartBytes
}

// lease is how long a process may take to write a part once it has its name.
// Safety does not depend on it.
const lease = 2 * time.Minute

// ClaimFormat names the version of a claim.
const ClaimFormat = "gcexport.claim/1"

// A claim gives the next place in the order of parts to one part. Claims are created,
// never replaced, and whoever writes claim n has seen what became of claim n-1: its
// part is there, or a blank, which is an object without lines. So places are taken one
// after the other, and a part becomes visible only when all lower names have been
// taken. A process that died between claim and part is not waited for longer than its
// lease: then others put the blank there, and the part, should its process live after
// all, finds its name taken and claims another place.
type claim struct {
	Format string `json:"format"`
	Key    string `json:"key"`
}

// maxClaim bounds what is read of a claim.
const maxClaim = 1 << 14

// blank is the object that takes the place of a part that never came: gzip of nothing.
func blank() []byte {
	return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0}
}

// isBlank tells blanks from parts, which hold at least a record.
func isBlank(n Name, size int64) bool { return n.Place > 0 && size <= int64(len(blank())) }

// A sequence is what a run knows of the order of a dataset's parts.
type sequence struct {
	*run
	of Layout

	turn  chan struct{} // full while somebody looks, or a part of this process takes its place
	known bool          // the bucket was listed
	place int           // the last that was taken, and has its part or its blank
	key   string        // of that
	parts map[interval.Interval][]*blob.ListObject
	stale string // the key of a claim that was waited for, or given up here: once is enough
}

// partsOf lists the parts of a chunk that are there, in the order of their numbers.
func (r *run) partsOf(ctx context.Context, l Layout, iv interval.Interval) (parts []*blob.ListObject, err error) {
	if o := r.sequences[l]; o != nil {
		if err := o.enter(ctx); err != nil {
			return nil, err
		}
		defer o.leave()
		if err := o.catchUp(ctx); err != nil {
			return nil, err
		}
		return append(parts, o.parts[iv]...), nil
	}
	err = list(ctx, r.Bucket, l.PartPrefix(iv, 0), func(o *blob.ListObject) { parts = append(parts, o) })
	return parts, err
}

func newSequence(r *run, l Layout) *sequence {
	return &sequence{run: r, of: l, turn: make(chan struct{}, 1)}
}

// enter waits until no other goroutine is at work on the order.
func (o *sequence) enter(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (o *sequence) leave() { <-o.turn }

// commit gives a part the next place and has it written there, by a function that may
// be called again. It gives object.ErrExists where another process has written that
// part of the chunk.
func (o *sequence) commit(ctx context.Context, iv interval.Interval, part int, write func(key string) error) (key string, err error) {
	if err := o.enter(ctx); err != nil {
		return "", err
	}
	defer o.leave()
	for range maxConflicts {
		if err := o.catchUp(ctx); err != nil {
			return "", err
		}
		if len(o.parts[iv]) > part {
			return "", object.ErrExists
		}
		day := time.Now().UTC().Format(time.DateOnly)
		if o.place > 0 {
			day = max(day, o.day(o.key)) // clocks differ
		}
		key := o.of.orderedPart(day, o.place+1, iv, 0, part)
		err := o.claim(ctx, key)
		if errors.Is(err, object.ErrExists) {
			continue // another part has that place
		}
		if err != nil {
			return "", fmt.Errorf("claim a name: %w", err)
		}
		if err = write(key); err == nil {
			return key, o.take(ctx, key)
		}
		if !errors.Is(err, object.ErrExists) {
			o.giveUp(ctx, key)
			return "", err
		}
		// It was held for dead.
	}
	return "", fmt.Errorf("gave up after %d conflicts with other processes", maxConflicts)
}

// day is the day in the name of a part.
func (o *sequence) day(key string) string {
	return key[len(o.of.DataPrefix()+"dt="):][:len(time.DateOnly)]
}

// claim takes the place behind the last one for a key.
func (o *sequence) claim(ctx context.Context, key string) error {
	data, err := json.Marshal(claim{ClaimFormat, key})
	if err != nil {
		return err
	}
	return o.put(ctx, o.of.claim(o.place+1), append(data, '\n'))
}

// catchUp learns what has come since it was last called, and waits until the last
// claim has its part, or its process has had its time.
func (o *sequence) catchUp(ctx context.Context) error {
	if !o.known {
		if err := o.survey(ctx); err != nil {
			return err
		}
		o.known = true
	}
	for {
		data, err := object.Read(ctx, o.Bucket, o.of.claim(o.place+1), &o.Object, maxClaim)
		if gcerrors.Code(err) == gcerrors.NotFound {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a claim: %w", err)
		}
		var c claim
		n, ok := Name{}, false
		if json.Unmarshal(data, &c) == nil && c.Format == ClaimFormat {
			n, ok = o.of.ParsePart(c.Key)
		}
		if !ok || n.Place != o.place+1 {
			return fmt.Errorf("%s is no claim of its place: the bucket was changed by something else", o.of.claim(o.place+1))
		}
		if err := o.await(ctx, c.Key); err != nil {
			return err
		}
		if err := o.take(ctx, c.Key); err != nil {
			return err
		}
	}
}

// maxListings bounds how often a listing is repeated that others have disturbed.
const maxListings = 10

// survey finds the parts that are there, by listing. As names are added while it is
// read, it may have one and not the one before.
func (o *sequence) survey(ctx context.Context) error {
	for range maxListings {
		o.parts, o.place = map[interval.Interval][]*blob.ListObject{}, 0
		places := 0
		err := list(ctx, o.Bucket, o.of.DataPrefix(), func(obj *blob.ListObject) {
			n, ok := o.of.ParsePart(obj.Key)
			if !ok || n.Place == 0 {
				return // verify finds it
			}
			places++
			if n.Place > o.place {
				o.place, o.key = n.Place, obj.Key
			}
			if n.Revision == 0 && !isBlank(n, obj.Size) {
				o.parts[n.Interval] = append(o.parts[n.Interval], obj)
			}
		})
		if err != nil || places == o.place {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return fmt.Errorf("below %s, the places up to %d are not each taken once: the bucket was changed by something else", o.of.DataPrefix(), o.place)
}

// await waits until the object of the last claim is there. When its process has had
// its time, the place is filled by a blank.
func (o *sequence) await(ctx context.Context, key string) error {
	began, gap := time.Now(), 50*time.Millisecond
	for {
		there, err := exists(ctx, o.Bucket, key)
		if err != nil {
			return fmt.Errorf("look for %s: %w", key, err)
		}
		if there {
			return nil
		}
		if key == o.stale {
			return o.fill(ctx, key)
		}
		if time.Since(began) >= lease {
			o.stale = key
			o.log.WarnContext(ctx, "a process has claimed a name and not used it: it is left blank", "key", key)
			return o.fill(ctx, key)
		}
		if err := pause(ctx, gap); err != nil {
			return err
		}
		gap = min(2*gap, time.Second)
	}
}

// fill puts a blank at a key, unless there is something.
func (o *sequence) fill(ctx context.Context, key string) error {
	err := object.Write(ctx, o.Bucket, key, &o.Object, func(w io.Writer) error {
		_, err := w.Write(blank())
		return err
	})
	if errors.Is(err, object.ErrExists) {
		return nil
	}
	return err
}

// giveUp spares others the wait for a part that could not be written. It is a courtesy.
func (o *sequence) giveUp(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	o.stale = key
	if err := o.fill(ctx, key); err != nil {
		o.log.InfoContext(ctx, "a name stays claimed", "key", key, "error", err)
	}
}

// take notes what is at the last place now.
func (o *sequence) take(ctx context.Context, key string) error {
	a, err := object.Call(ctx, func(ctx context.Context) (*blob.Attributes, error) { return o.Bucket.Attributes(ctx, key) })
	if err != nil {
		return fmt.Errorf("look at %s: %w", key, err)
	}
	n, _ := o.of.ParsePart(key)
	o.place, o.key = n.Place, key
	if !isBlank(n, a.Size) {
		o.parts[n.Interval] = append(o.parts[n.Interval], &blob.ListObject{Key: key, Size: a.Size, ModTime: a.ModTime, MD5: a.MD5})
	}
	return nil
}
