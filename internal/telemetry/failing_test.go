package telemetry_test

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// failing is a source that fails for the chunk that begins at an instant.
type failing struct {
	export.Source
	at time.Time
}

// Pages implements export.Source.
func (f failing) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	if iv.Start.Equal(f.at) {
		return func(yield func(*record.Page, error) bool) {
			yield(nil, &genesys.PageError{Interval: iv, JobID: "1", Err: errors.New(canary)})
		}
	}
	return f.Source.Pages(ctx, iv)
}
