package object

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// callTimeout is how long a call may take that moves no data: longer than the
// stores' own clients try again.
const callTimeout = 5 * time.Minute

// Call makes a call of the store that moves no data, such as for a page of a
// listing, and ends it with [ErrStalled] where the store gives no answer.
func Call[T any](ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, fmt.Errorf("%w for %v", ErrStalled, callTimeout))
	defer cancel()
	v, err := fn(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrStalled) {
		err = cause
	}
	return v, err
}
