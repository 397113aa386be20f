package export

import (
	"context"
	"fmt"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/record"
)

// ReasonSize says that a record is longer than [Exporter.MaxRecord]. The other
// reasons why a record is put aside are the names of its flaws ([record.Flaw]),
// which come first.
const ReasonSize = "size"

// divertedBytes is how much, compressed, may wait to be written to one sibling.
const divertedBytes = 8 << 20

// A diversion takes the records of a chunk that go to one sibling of the
// dataset. There are few, as a rule, while the chunk's part is open for hours:
// so they wait in memory, compressed, until the chunk ends or they are many.
type diversion struct {
	layout Layout
	page   []divertedLine // of the page at hand
	part   jsonl.Part
	pieces [][]byte // of the part
	why    map[string]int64
}

// A divertedLine is a copy of a record.
type divertedLine struct {
	record record.Record
	reason string
}

// reason says why a record does not go into the dataset itself, and to which of
// the siblings it goes; "" if it does.
func (r *run) reason(rec record.Record) (reason string, sibling int) {
	switch {
	case rec.Flaws != 0:
		return rec.Flaws.String(), rejected
	case r.MaxRecord > 0 && int64(len(rec.JSON)) > r.MaxRecord:
		return ReasonSize, oversize
	}
	return "", 0
}

// divert holds a record of the page at hand back for a sibling.
func (f *filling) divert(rec record.Record, reason string, sibling int) {
	d := f.diverted[sibling]
	own := record.Record{JSON: append([]byte(nil), rec.JSON...), Start: rec.Start}
	d.page = append(d.page, divertedLine{own, reason})
}

// dropDiverted forgets what the page at hand has diverted.
func (f *filling) dropDiverted() {
	for _, d := range f.diverted {
		d.page = nil
	}
}

// keepDiverted compresses what the page at hand has diverted.
func (f *filling) keepDiverted(c *jsonl.Compressor) error {
	for _, d := range f.diverted {
		if len(d.page) == 0 {
			continue
		}
		if err := d.keep(c); err != nil {
			return fmt.Errorf("compress diverted records: %w", err)
		}
	}
	return nil
}

func (d *diversion) keep(c *jsonl.Compressor) error {
	if d.why == nil {
		d.why = map[string]int64{}
	}
	d.part.Begin(c, nil)
	for _, l := range d.page {
		if err := d.part.Line(l.record); err != nil {
			return err
		}
		d.why[l.reason]++
	}
	piece, err := d.part.Commit()
	d.pieces, d.page = append(d.pieces, piece), nil
	return err
}

// writeDiverted writes what waits for each sibling, if it is so many bytes or
// more.
func (f *filling) writeDiverted(ctx context.Context, least int64) error {
	for _, d := range f.diverted {
		if d.part.Stats().Bytes < least {
			continue
		}
		if err := f.writeDiversion(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// writeDiversion writes one part of a sibling. The name is claimed as that of
// any part is: whoever finds it taken begins the chunk anew.
func (f *filling) writeDiversion(ctx context.Context, d *diversion) error {
	key, sum, err := f.commit(ctx, d.layout, append(d.pieces, d.part.End())...)
	if err != nil {
		return err
	}
	stats := d.part.Stats()
	f.manifest.add(d.layout.Dataset, partOf(key, stats, sum), d.why)
	f.log.WarnContext(ctx, "records that loaders would refuse are put aside", "chunk", f.chunk.Interval, "key", key, "records", stats.Records)
	f.observe(PartWritten{Chunk: f.chunk, Key: key, Records: stats.Records, RawBytes: stats.RawBytes, Bytes: stats.Bytes})
	*d = diversion{layout: d.layout}
	return nil
}
