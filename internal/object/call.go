package object

import (
	"context"
	"fmt"
	"time"
)

// callTimeout is how long a call may take that moves no data: longer than the
// stores' own clients try again.
const callTimeout = 5 * time.Minute

// Call makes a call of the store that moves no data, such as for a page of a
// listing, and ends it with [ErrStalled] where the store gives no answer.
func Call[T any](ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, ErrStalled)
	defer cancel()
	v, err := fn(ctx)
	if err != nil && context.Cause(ctx) == ErrStalled {
		err = fmt.Errorf("%w for %v", ErrStalled, callTimeout)
	}
	return v, err
}

// Linger returns a context that ends when ctx has been over for the grace time, with
// the cause of ctx.
func Linger(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	last, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { end(context.Cause(ctx)) })
	})
	return last, func() { stop(); end(nil) }
}
