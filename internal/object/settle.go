package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const (
	// lookTimeout bounds the look at what a failed commit has left.
	lookTimeout = 30 * time.Second
	// lookAgain is the pause before a second look: a commit whose answer was
	// lost, or that of a rival, may be under way still.
	lookAgain = time.Second
)

// own is what a writer knows of its own object.
type own struct {
	mark  string
	bytes int64
}

// verdict is what a look at the key has shown.
type verdict int

const (
	absent verdict = iota
	mine
	foreign
	unknown
)

// settle finds out what an upload that failed with err has left, and says so.
// o is nil when it failed before its commit, so that no object can be its own.
// Nothing is written and nothing removed: an object that is there stays.
func settle(ctx context.Context, b *blob.Bucket, key string, err error, o *own) error {
	if o == nil && ctx.Err() != nil {
		return fmt.Errorf("write object %s: %w", key, err)
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	v, lookErr := lookAt(look, b, key, o)
	if v == absent && o != nil && ctx.Err() == nil {
		pause(look, lookAgain)
		v, lookErr = lookAt(look, b, key, o)
	}
	switch {
	case v == mine:
		return nil
	case v == foreign && ctx.Err() == nil:
		return fmt.Errorf("write object %s: %w", key, ErrExists)
	case v == unknown && o != nil:
		return fmt.Errorf("write object %s: outcome unknown: %w", key, errors.Join(err, lookErr))
	default:
		return fmt.Errorf("write object %s: %w", key, err)
	}
}

// lookAt tells whose object is at the key. Directories keep no metadata; there
// every object is foreign, which is right, because their commits never fail
// after having succeeded.
func lookAt(ctx context.Context, b *blob.Bucket, key string, o *own) (verdict, error) {
	a, err := Call(ctx, func(ctx context.Context) (*blob.Attributes, error) { return b.Attributes(ctx, key) })
	switch {
	case err == nil && o != nil && a.Metadata[markKey] == o.mark && a.Size == o.bytes:
		return mine, nil
	case err == nil:
		return foreign, nil
	case gcerrors.Code(err) == gcerrors.NotFound:
		return absent, nil
	default:
		return unknown, err
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
