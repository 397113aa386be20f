package record

import "context"

type readyKey struct{}

// OnReady has a source that works on ctx call fn once it could give the first
// page of what it was asked for, and before it fetches that page: for sources
// that take long to prepare their results. An error of fn ends the sequence of
// pages, and is given as it is. Sources need not call it.
func OnReady(ctx context.Context, fn func() error) context.Context {
	return context.WithValue(ctx, readyKey{}, fn)
}

// Ready is what such a source calls; without [OnReady] it does nothing.
func Ready(ctx context.Context) error {
	if fn, ok := ctx.Value(readyKey{}).(func() error); ok {
		return fn()
	}
	return nil
}
