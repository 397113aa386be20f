package export

import (
	"context"
	"fmt"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// A Sample is what some records of a source take.
type Sample struct {
	Records, RawBytes, Bytes int64
}

// SampleOf reads the first page of each interval, and says what lines made of its
// records would take, compressed at the level (0: the default). Nothing is
// written; the source tidies up behind itself.
func SampleOf(ctx context.Context, source Source, intervals []interval.Interval, level int) (Sample, error) {
	c, err := jsonl.NewCompressor(orDefault(level, jsonl.DefaultLevel))
	if err != nil {
		return Sample{}, fmt.Errorf("set up compression: %w", err)
	}
	scanner := record.NewScanner(record.Options{})
	var s Sample
	for _, iv := range intervals {
		if err := s.add(ctx, source, iv, scanner, c); err != nil {
			return s, fmt.Errorf("sample %s: %w", iv, err)
		}
	}
	return s, nil
}

// add takes in the first page of an interval that is whole.
func (s *Sample) add(ctx context.Context, source Source, iv interval.Interval, scanner *record.Scanner, c *jsonl.Compressor) error {
	for page, err := range source.Pages(ctx, iv) {
		if err != nil {
			return err
		}
		var part jsonl.Part
		part.Begin(c, nil)
		if err := scanner.Scan(page, part.Line); err != nil {
			part.Rollback()
			continue // the source gives it again
		}
		if _, err := part.Commit(); err != nil {
			return err
		}
		stats := part.Stats()
		s.Records += stats.Records
		s.RawBytes += stats.RawBytes
		s.Bytes += stats.Bytes
		return nil
	}
	return nil
}
