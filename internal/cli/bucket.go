package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// uploadStall is how long a store may make no progress. It is longer than the
// API's: the clouds' own retries need their time, and progress is seen only as
// buffers of up to 16 MiB are taken, which a slow line does not do every minute.
const uploadStall = 5 * time.Minute

// openStore opens the bucket for so many writers at once, and sees whether it
// lets us in. The caller closes it.
func openStore(ctx context.Context, url string, writers int, stall time.Duration, log *slog.Logger) (*store.Store, error) {
	s, err := store.Open(ctx, url, store.Options{Writers: writers, Stall: max(stall, uploadStall), Logger: log})
	if err != nil {
		return nil, err
	}
	if err := s.Check(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// storeError finds the words for an error that came from the bucket; nil if it
// came from elsewhere.
func storeError(err error) *store.Error {
	var (
		api  *genesys.Error
		conn *genesys.ConnError
		e    *store.Error
	)
	if errors.As(err, &api) || errors.As(err, &conn) || !errors.As(store.Explain(err), &e) {
		return nil
	}
	return e
}

// refusedByStore reports whether the bucket will refuse every other chunk too.
func refusedByStore(err error) bool {
	e := storeError(err)
	return e != nil && (e.Kind == store.Denied || e.Kind == store.NotFound || e.Kind == store.Config)
}

// atBucket names the bucket in an error that came from it.
func atBucket(name string, err error) error {
	e := storeError(err)
	if e == nil || e.Kind == store.Other {
		return err
	}
	named := *e
	named.Message = name + ": " + e.Message
	return &named
}

// explainStore finds the words for an error of the bucket, or of anything that
// has none of its own.
func explainStore(err error) *failure {
	f := &failure{code: exitFailed, message: err.Error(), topic: topicOther, err: err}
	e := storeError(err)
	if e == nil {
		return f
	}
	f.message, f.hint, f.topic = e.Message, e.Hint, storeTopic(e.Kind)
	switch e.Kind {
	case store.Config, store.NotFound:
		f.code = exitUsage
	case store.Denied:
		f.code = exitRefused
	}
	return f
}
