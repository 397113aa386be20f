package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A chunkCheck is what is known of a chunk.
type chunkCheck struct {
	interval  interval.Interval
	committed bool // its own manifest is there
	// unreadable says that some manifest could not be read: then nothing is
	// known of parts that no other manifest lists.
	unreadable bool
	supplement bool // a supplement is there
	parts      map[partName]*partCheck
}

// A partName tells the parts of a chunk apart: by where they stand in the
// family of its dataset, and by number.
type partName struct{ sibling, number int }

func comparePartNames(a, b partName) int {
	return cmp.Or(cmp.Compare(a.sibling, b.sibling), cmp.Compare(a.number, b.number))
}

// part finds or adds the part of the name.
func (c *chunkCheck) part(n partName) *partCheck {
	p := c.parts[n]
	if p == nil {
		p = &partCheck{chunk: c, partName: n, size: -1}
		c.parts[n] = p
	}
	return p
}

// A partCheck is what is known of a part.
type partCheck struct {
	chunk *chunkCheck
	partName
	object string // its name, where that does not follow from the others
	size   int64  // of the object; -1 if it is not there
	md5    string // of the object, where the store says it, as bytes
	listed bool   // in a manifest, which says claim
	claim  partClaim
}

// A manifestObject is a manifest that was listed.
type manifestObject struct {
	layout Layout
	name   Name
	key    string
	size   int64
}

// manifestReaders is how many manifests are read at once: they are small, and
// waiting for the store is all that they cost.
const manifestReaders = 16

// survey lists the bucket and reads the manifests. Manifests are listed before
// parts, so that of a chunk that is committed meanwhile no part is missed.
func (c *check) survey(ctx context.Context) error {
	chunks := map[interval.Interval]*chunkCheck{}
	chunk := func(n Name) *chunkCheck {
		ch := chunks[n.Interval]
		if ch == nil {
			ch = &chunkCheck{interval: n.Interval, parts: map[partName]*partCheck{}}
			chunks[n.Interval] = ch
		}
		return ch
	}
	if err := c.readFormat(ctx); err != nil {
		return fmt.Errorf("read what the bucket holds: %w", err)
	}
	manifests, err := c.listManifests(ctx, chunk)
	if err != nil {
		return fmt.Errorf("list the manifests: %w", err)
	}
	if err := c.listParts(ctx, chunk); err != nil {
		return fmt.Errorf("list the parts: %w", err)
	}
	if err := c.surveyOrder(ctx); err != nil {
		return fmt.Errorf("list the order of the parts: %w", err)
	}
	c.report.Manifests = len(manifests)
	var mu sync.Mutex // guards the chunks
	err = parallel(ctx, max(manifestReaders, c.Workers), len(manifests), func() func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			m := manifests[i]
			claim, err := c.readManifest(ctx, m)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			c.claim(chunks[m.name.Interval], m, claim)
			return nil
		}
	})
	c.chunks = slices.SortedFunc(maps.Values(chunks), func(a, b *chunkCheck) int {
		return compareIntervals(a.interval, b.interval)
	})
	return err
}

func compareIntervals(a, b interval.Interval) int {
	return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End))
}

// wanted reports whether the chunk of an object is to be verified. Objects of
// revisions that this program does not write are reported.
func (c *check) wanted(key string, n Name) bool {
	if !c.Range.Empty() && !n.Interval.Overlaps(c.Range) {
		return false
	}
	if n.Revision != 0 {
		c.stray(key, fmt.Sprintf("belongs to revision %d, which this program does not know", n.Revision))
	}
	return n.Revision == 0
}

// readFormat reads what format the records have that are to be verified.
func (c *check) readFormat(ctx context.Context) error {
	c.format, c.partition = RecordRaw, PartitionDay
	d, err := readDataset(ctx, c.Bucket, c.layout, &c.Object)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
	case errors.As(err, new(*datasetError)):
		c.findings.add(Finding{Kind: BadManifest, Damage: true, Key: c.layout.dataset(), Detail: clipText(err.Error())})
	case err != nil:
		return err
	default:
		c.format, c.partition = d.RecordFormat, d.Partition
	}
	return nil
}

func (c *check) listManifests(ctx context.Context, chunk func(Name) *chunkCheck) ([]manifestObject, error) {
	var all []manifestObject
	for i, l := range c.layout.family() {
		err := list(ctx, c.Bucket, l.ManifestPrefix(), func(o *blob.ListObject) {
			n, own := l.ParseManifest(o.Key)
			own = own && i == 0 // siblings have supplements only
			supplement := false
			if !own {
				n, supplement = l.ParseSupplement(o.Key)
			}
			switch {
			case !own && !supplement:
				c.stray(o.Key, "is no manifest")
			case c.wanted(o.Key, n):
				ch := chunk(n)
				ch.committed = ch.committed || own
				ch.supplement = ch.supplement || supplement
				all = append(all, manifestObject{layout: l, name: n, key: o.Key, size: o.Size})
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c *check) listParts(ctx context.Context, chunk func(Name) *chunkCheck) error {
	for i, l := range c.layout.family() {
		err := list(ctx, c.Bucket, l.DataPrefix(), func(o *blob.ListObject) {
			n, ok := l.ParsePart(o.Key)
			switch {
			case !ok || (n.Place > 0) != (c.partition == PartitionExportDay):
				c.stray(o.Key, "is no part: its name is none that this program gives here")
				return
			case n.Place > 0:
				c.places[l] = append(c.places[l], placed{n.Place, o.Key})
			}
			if !c.wanted(o.Key, n) || isBlank(n, o.Size) {
				return
			}
			p := chunk(n).part(partName{i, n.Part})
			if p.size >= 0 {
				c.stray(o.Key, "is a part that is there already, as "+c.key(p))
				return
			}
			p.size, p.md5 = o.Size, string(o.MD5)
			if n.Place > 0 {
				p.object = o.Key
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readManifest reads a manifest. One that cannot be believed is reported, and
// gives nil.
func (c *check) readManifest(ctx context.Context, m manifestObject) (*chunkClaim, error) {
	bad := func(detail string) {
		c.findings.add(Finding{Kind: BadManifest, Damage: true, Key: m.key, Chunk: m.name.Interval, Detail: detail})
	}
	if m.size > maxCheckedManifest {
		bad(fmt.Sprintf("is larger than %d bytes", maxCheckedManifest))
		return nil, nil
	}
	if m.size > usualManifest { // for the sake of memory, one at a time
		c.large.Lock()
		defer c.large.Unlock()
	}
	claim, err := readClaim(ctx, c.Bucket, m.layout, m.key, m.name, &c.Object)
	var unbelievable manifestError
	switch {
	case errors.As(err, &unbelievable):
		bad(err.Error())
		return nil, nil
	case gcerrors.Code(err) == gcerrors.NotFound:
		bad("was deleted while the bucket was verified")
		return nil, nil
	case err != nil:
		return nil, err
	}
	for _, problem := range claim.problems {
		bad(problem)
	}
	if claim.format != c.format {
		bad(fmt.Sprintf("speaks of records in the format %q, which is not the dataset's", clipText(string(claim.format))))
	}
	return claim, nil
}

// claim takes over what a manifest says about the parts.
func (c *check) claim(ch *chunkCheck, m manifestObject, claim *chunkClaim) {
	if claim == nil {
		ch.unreadable = true
		return
	}
	family := c.layout.family()
	for name, says := range claim.parts {
		l := m.layout.family()[name.sibling]
		p := ch.part(partName{slices.Index(family, l), name.number})
		if p.listed {
			c.findings.add(Finding{Kind: BadManifest, Damage: true, Key: l.Supplement(ch.interval, 0, name.number), Chunk: ch.interval,
				Detail: "lists a part that the chunk's manifest lists too"})
			continue
		}
		p.listed, p.claim = true, says
		if p.object != "" && p.object != says.object {
			c.findings.add(Finding{Kind: Missing, Damage: true, Key: clipText(says.object), Chunk: ch.interval, Detail: "is listed in a manifest, but that part is " + p.object})
		}
	}
}

// arrange compares what is there with what is listed, and puts the parts that
// are there in order.
func (c *check) arrange() {
	for _, ch := range c.chunks {
		if ch.committed {
			c.report.Chunks++
		} else {
			c.report.Open++
		}
		if !ch.committed && ch.supplement {
			c.findings.add(Finding{Kind: BadManifest, Damage: true, Key: c.layout.Manifest(ch.interval, 0), Chunk: ch.interval,
				Detail: "is not there, but a supplement to it is"})
		}
		next := partName{} // that must come
		for _, n := range slices.SortedFunc(maps.Keys(ch.parts), comparePartNames) {
			if n.sibling != next.sibling {
				next = partName{sibling: n.sibling}
			}
			if n != next && !ch.unreadable {
				c.found(Missing, &partCheck{chunk: ch, partName: next}, "is neither there nor listed, though a later part is")
			}
			next.number = n.number + 1
			c.arrangePart(ch.parts[n])
		}
		ch.parts = nil
	}
}

func (c *check) arrangePart(p *partCheck) {
	switch {
	case p.size < 0:
		c.found(Missing, p, "is listed in a manifest, but not there")
		return
	case !p.chunk.committed:
		c.found(Unfinished, p, "belongs to a chunk that is not committed")
	case !p.listed && !p.chunk.unreadable:
		c.found(Stray, p, "is listed in no manifest; if a process was killed here, the next export of this range lists it")
	case p.listed && p.size != p.claim.bytes:
		c.found(WrongSize, p, "has %d bytes, its manifest says %d", p.size, p.claim.bytes)
	case p.listed && p.md5 != "" && p.claim.md5 != "" && p.md5 != p.claim.md5:
		c.found(BadContent, p, "has MD5 %x, says the store; its manifest says %x", p.md5, p.claim.md5)
	}
	c.parts = append(c.parts, p)
	c.report.Parts++
	c.report.Bytes += p.size
	if c.Shallow && p.listed {
		c.report.Records += p.claim.records
		c.report.RawBytes += p.claim.raw
	}
}

// cover looks for gaps and overlaps of the committed chunks.
func (c *check) cover() {
	given := !c.Range.Empty()
	r := c.Range
	var last *chunkCheck // the committed chunk that reaches furthest
	for _, ch := range c.chunks {
		if !ch.committed {
			continue
		}
		if !given && last == nil {
			r = ch.interval
		}
		if last != nil && ch.interval.Overlaps(last.interval) {
			c.findings.add(Finding{Kind: Overlap, Damage: true, Key: c.layout.Manifest(ch.interval, 0), Chunk: ch.interval,
				Detail: "overlaps the committed chunk " + last.interval.String()})
		}
		if from := r.Start; last != nil || given {
			if last != nil {
				from = last.interval.End
			}
			c.gap(interval.Interval{Start: from, End: ch.interval.Start}, given)
		}
		if last == nil || ch.interval.End.After(last.interval.End) {
			last = ch
		}
	}
	switch {
	case last == nil:
		c.gap(c.Range, given)
	case given:
		c.gap(interval.Interval{Start: last.interval.End, End: r.End}, given)
	default:
		r.End = last.interval.End
	}
	c.report.Range = r
}

func (c *check) gap(iv interval.Interval, damage bool) {
	if iv.Empty() {
		return
	}
	c.findings.add(Finding{Kind: Gap, Damage: damage, Chunk: iv, Detail: "no committed chunk covers this"})
}
