package export

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gcexport/gcexport/internal/object"
)

// DatasetFormat names the version of the record of a dataset.
const DatasetFormat = "gcexport.dataset/1"

// datasetRecord is written before the first part of a dataset, and says what its
// objects are like. All of them are: whoever wants them otherwise is refused.
type datasetRecord struct {
	Format       string       `json:"format"`
	Dataset      string       `json:"dataset"`
	RecordFormat RecordFormat `json:"record_format"`
}

// maxDataset bounds what is read of such a record.
const maxDataset = 1 << 16

// A RecordFormatError says that the records in the bucket have another format
// than those of the run would have. Nothing was written.
type RecordFormatError struct {
	// Have is the format of the records that are there.
	Have RecordFormat
}

func (e *RecordFormatError) Error() string {
	return fmt.Sprintf("the bucket holds records in the format %q already", string(e.Have))
}

// A datasetError says that the record of a dataset is none.
type datasetError struct{ key, detail string }

func (e *datasetError) Error() string { return e.key + " " + e.detail }

// readDataset reads the record of a dataset. Where there is none, the error is
// one that gcerrors.Code calls NotFound.
func readDataset(ctx context.Context, b *blob.Bucket, l Layout, o *ObjectOptions) (*datasetRecord, error) {
	data, err := object.Read(ctx, b, l.dataset(), o, maxDataset)
	if err != nil {
		return nil, err
	}
	d := new(datasetRecord)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, &datasetError{l.dataset(), "is not the record of a dataset: " + err.Error()}
	}
	if d.Format != DatasetFormat || d.RecordFormat != RecordRaw && d.RecordFormat != RecordEnvelope {
		return nil, &datasetError{l.dataset(), fmt.Sprintf("has format %q and record format %q: this program reads %s", d.Format, string(d.RecordFormat), DatasetFormat)}
	}
	return d, nil
}

// agree makes sure that the dataset's records have the run's format, if there
// are any, and reports whether that is on record. A dataset without a record
// that has objects already is one of raw records.
func (r *run) agree(ctx context.Context, inv *Inventory) (recorded bool, err error) {
	d, err := readDataset(ctx, r.Bucket, r.layout, &r.Object)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound && len(inv.Committed)+len(inv.Open) == 0:
		return false, nil
	case gcerrors.Code(err) == gcerrors.NotFound:
		d = &datasetRecord{RecordFormat: RecordRaw}
	case err != nil:
		return false, fmt.Errorf("read what the bucket holds: %w", err)
	default:
		recorded = true
	}
	if d.RecordFormat != r.RecordFormat {
		return recorded, &RecordFormatError{Have: d.RecordFormat}
	}
	return recorded, nil
}

// ErrOverwrites says that the bucket lets an object be created that is there
// already, and so replaced: it ignores the precondition that the commit protocol
// rests on. Nothing but the record of the run and of the dataset was written.
var ErrOverwrites = errors.New("the bucket ignores the condition that an object must not exist yet")

// claim records the format of the dataset's records, unless that is done. Where
// another process has done so meanwhile, it must be the same. Then it tries to do
// so again: what refuses that will refuse to replace a part.
func (r *run) claim(ctx context.Context) error {
	data, err := json.MarshalIndent(datasetRecord{DatasetFormat, r.plan.Dataset, r.RecordFormat}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the record of the dataset: %w", err)
	}
	data = append(data, '\n')
	if !r.recorded {
		err = r.put(ctx, r.layout.dataset(), data)
		if errors.Is(err, object.ErrExists) {
			_, err = r.agree(ctx, &Inventory{})
		}
		if err != nil {
			return fmt.Errorf("record what the bucket holds: %w", err)
		}
	}
	err = r.put(ctx, r.layout.dataset(), data)
	switch {
	case err == nil:
		return ErrOverwrites
	case errors.Is(err, object.ErrExists):
		return nil
	}
	return fmt.Errorf("see whether the bucket keeps what it has: %w", err)
}

// formatOf gives the format that a manifest names.
func (m *Manifest) formatOf() RecordFormat { return cmp.Or(m.RecordFormat, RecordRaw) }
