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
	Partition    Partition    `json:"partition,omitempty"` // PartitionDay if empty
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

// A PartitionError says that the parts in the bucket have names of another kind than
// those of the run would have. Nothing was written.
type PartitionError struct {
	// Have is the partition of the parts that are there.
	Have Partition
}

func (e *PartitionError) Error() string {
	return fmt.Sprintf("the bucket holds parts by %q already", string(e.Have))
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
	if d.Partition = cmp.Or(d.Partition, PartitionDay); d.Partition != PartitionDay && d.Partition != PartitionExportDay {
		return nil, &datasetError{l.dataset(), fmt.Sprintf("has the partition %q, which this program does not know", string(d.Partition))}
	}
	return d, nil
}

// agree makes sure that the dataset's records have the run's format, and its parts the
// run's names, if there are any, and reports whether that is on record. A dataset
// without a record that has objects already is one of raw records by day.
func (r *run) agree(ctx context.Context, inv *Inventory) (recorded bool, err error) {
	d, err := readDataset(ctx, r.Bucket, r.layout, &r.Object)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound && len(inv.Committed)+len(inv.Open) == 0:
		return false, nil
	case gcerrors.Code(err) == gcerrors.NotFound:
		d = &datasetRecord{RecordFormat: RecordRaw, Partition: PartitionDay}
	case err != nil:
		return false, fmt.Errorf("read what the bucket holds: %w", err)
	default:
		recorded = true
	}
	if d.RecordFormat != r.RecordFormat {
		return recorded, &RecordFormatError{Have: d.RecordFormat}
	}
	if d.Partition != r.Partition {
		return recorded, &PartitionError{Have: d.Partition}
	}
	return recorded, nil
}

// ErrOverwrites says that the bucket lets an object be created that is there
// already, and so replaced: it ignores the precondition that the commit protocol
// rests on. Nothing but the record of the run and of the dataset was written.
var ErrOverwrites = errors.New("the bucket ignores the condition that an object must not exist yet")

// declare records the format of the dataset's records, unless that is done. Where
// another process has done so meanwhile, it must be the same. Then it tries to do
// so again: what refuses that will refuse to replace a part.
func (r *run) declare(ctx context.Context) error {
	data, err := json.MarshalIndent(r.datasetRecord(), "", "  ")
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

// datasetRecord is the record of what this run writes. That of parts by day has no
// member for it, as it had none before there was another kind.
func (r *run) datasetRecord() datasetRecord {
	d := datasetRecord{Format: DatasetFormat, Dataset: r.plan.Dataset, RecordFormat: r.RecordFormat}
	if r.Partition != PartitionDay {
		d.Partition = r.Partition
	}
	return d
}

// formatOf gives the format that a manifest names.
func (m *Manifest) formatOf() RecordFormat { return cmp.Or(m.RecordFormat, RecordRaw) }
