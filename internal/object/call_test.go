package object

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A call that gets no answer ends; one that was stopped says why.
func TestCall(t *testing.T) {
	silent := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := Call(t.Context(), silent); !errors.Is(err, ErrStalled) || time.Since(began) != callTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := Call(ctx, silent); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped: %v", err)
		}
		if n, err := Call(t.Context(), func(context.Context) (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}
