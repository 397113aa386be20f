package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gcexport/gcexport/internal/store"
)

// uploadStall is how long a store may make no progress. It is longer than the
// API's: the clouds' own retries need their time, and progress is seen only as
// buffers of up to 16 MiB are taken, which a slow line does not do every minute.
const uploadStall = 5 * time.Minute

// openStore opens the bucket for so many writers at once. It sends nothing yet.
func openStore(ctx context.Context, url string, writers int, stall time.Duration, log *slog.Logger) (*store.Store, error) {
	return store.Open(ctx, url, store.Options{Writers: writers, Stall: max(stall, uploadStall), Logger: log})
}

// refusedByStore reports whether the bucket will refuse every other chunk too.
func refusedByStore(err error) bool {
	var e *store.Error
	return errors.As(store.Explain(err), &e) && (e.Kind == store.Denied || e.Kind == store.NotFound || e.Kind == store.Config)
}

// explainStore finds the words for an error of the bucket, or of anything that
// has none of its own.
func explainStore(err error) *failure {
	f := &failure{code: exitFailed, message: err.Error(), err: err}
	var e *store.Error
	if !errors.As(store.Explain(err), &e) {
		return f
	}
	f.message, f.hint = e.Message, e.Hint
	switch e.Kind {
	case store.Config, store.NotFound:
		f.code = exitUsage
	case store.Denied:
		f.code = exitRefused
	}
	return f
}
