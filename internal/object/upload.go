package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
)

// pieceBytes is how much is handed to the driver at once: the grain at which
// progress is seen.
const pieceBytes = 256 << 10

// errClosed is what a writer gives that is used after its function returned.
var errClosed = errors.New("object writer is closed")

// upload is one running Bucket.Upload, fed through a pipe. Its methods belong
// to the goroutine that called Write.
type upload struct {
	ctx    context.Context // the upload's own: an io.Writer cannot be given one
	cancel context.CancelCauseFunc
	pipe   *io.PipeWriter
	done   chan struct{} // closed when Bucket.Upload has returned
	err    error         // what it returned; valid after done

	stall  time.Duration
	timer  *time.Timer // fires when the driver takes no bytes; nil without a limit
	bytes  int64       // accepted by the driver
	broken error       // first error that Write gave to the producer
	closed bool
}

// startUpload starts the driver's upload in a goroutine that ends with commit
// or abort.
func startUpload(ctx context.Context, b *blob.Bucket, key string, wo *blob.WriterOptions, stall time.Duration) *upload {
	ctx, cancel := context.WithCancelCause(ctx)
	r, w := io.Pipe()
	u := &upload{ctx: ctx, cancel: cancel, pipe: w, done: make(chan struct{}), stall: stall}
	if stall > 0 {
		u.timer = time.AfterFunc(stall, u.stalled)
		u.timer.Stop()
	}
	go func() {
		defer close(u.done)
		u.err = b.Upload(ctx, key, r, wo)
		// Whatever the driver has not read, nobody will: free the producer.
		_ = r.CloseWithError(errUploadEnded)
	}()
	return u
}

// errUploadEnded is what the producer gets from the pipe when the driver has
// given up; the reason is upload.err.
var errUploadEnded = errors.New("upload has ended")

// stalled ends an upload that takes no bytes. The order matters: the driver
// must know that the upload is cancelled before it sees the stream end.
func (u *upload) stalled() {
	err := fmt.Errorf("%w for %v", ErrStalled, u.stall)
	u.cancel(err)
	_ = u.pipe.CloseWithError(err)
}

// Write implements io.Writer for the producer.
func (u *upload) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && u.broken == nil {
		m, err := u.write(p[n:min(n+pieceBytes, len(p))])
		n += m
		u.bytes += int64(m)
		if err != nil {
			u.broken = u.reason(err)
		}
	}
	return n, u.broken
}

func (u *upload) write(p []byte) (int, error) {
	if u.closed {
		return 0, errClosed
	}
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	if u.timer != nil {
		u.timer.Reset(u.stall)
		defer u.timer.Stop()
	}
	return u.pipe.Write(p)
}

// reason tells why the pipe refused bytes. When the upload was cancelled it is
// the cause of that, because what drivers say then is of many kinds.
func (u *upload) reason(err error) error {
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	if !errors.Is(err, errUploadEnded) {
		return err
	}
	<-u.done
	if u.err == nil {
		return errors.New("driver ended before it had read everything")
	}
	return u.err
}

// abort ends the upload so that nothing is published, and waits for its end.
func (u *upload) abort(cause error) {
	u.closed = true
	u.cancel(cause)
	_ = u.pipe.CloseWithError(cause)
	<-u.done
}

// commit ends the stream and waits for the store to publish the object.
func (u *upload) commit() error {
	u.closed = true
	defer u.cancel(nil)
	if u.ctx.Err() != nil {
		err := context.Cause(u.ctx)
		u.abort(err)
		return err
	}
	if u.timer != nil {
		u.timer.Reset(u.stall)
		defer u.timer.Stop()
	}
	_ = u.pipe.Close()
	<-u.done
	switch {
	case u.err == nil:
		return nil
	case u.ctx.Err() != nil:
		return context.Cause(u.ctx)
	default:
		return u.err
	}
}
