package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const (
	// readAttempts is how often a read is tried without getting a byte.
	readAttempts = 6
	// readPause is the pause before the second attempt; it doubles.
	readPause = 500 * time.Millisecond
)

// errChanged ends a read: what follows would not fit what was read before.
var errChanged = errors.New("object changed while it was read")

// Reader reads one object. When the connection breaks it goes on where it
// stood, so long as the object has not changed.
type Reader struct {
	ctx context.Context // an io.Reader cannot be given one
	b   *blob.Bucket
	key string
	o   Options

	r       *blob.Reader    // nil between two connections
	conn    context.Context // of the connection: ends when it stalls
	release context.CancelFunc
	timer   *time.Timer
	size    int64
	offset  int64
	tries   int
}

// Open opens an object for reading from its start. The caller closes the
// Reader; ctx governs all of its reads.
func Open(ctx context.Context, b *blob.Bucket, key string, o *Options) (*Reader, error) {
	r := &Reader{ctx: ctx, b: b, key: key, size: -1}
	if o != nil {
		r.o = *o
	}
	for {
		err := r.connect()
		if err == nil {
			return r, nil
		}
		if !r.again(err) {
			return nil, r.fail(err)
		}
	}
}

// Size is the length of the object in bytes.
func (r *Reader) Size() int64 { return r.size }

// Read implements io.Reader. A short object is an error, not an end.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := r.read(p)
		r.offset += int64(n)
		switch {
		case n > 0:
			r.tries = 0
			return n, nil
		case errors.Is(err, io.EOF) && r.offset == r.size:
			return 0, io.EOF
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		case err == nil:
			continue
		}
		r.disconnect()
		if !r.again(err) {
			return 0, r.fail(err)
		}
	}
}

// Close releases the connection.
func (r *Reader) Close() error {
	r.disconnect()
	return nil
}

func (r *Reader) read(p []byte) (int, error) {
	if r.r == nil {
		if r.offset == r.size {
			return 0, io.EOF // stores refuse a range that starts at the end
		}
		if err := r.connect(); err != nil {
			return 0, err
		}
	}
	if r.o.Stall > 0 {
		r.timer.Reset(r.o.Stall)
		defer r.timer.Stop()
	}
	n, err := r.r.Read(p)
	if r.offset+int64(n) > r.size {
		return 0, fmt.Errorf("%w: more than its %d bytes", errChanged, r.size)
	}
	if err != nil && r.conn.Err() != nil {
		err = context.Cause(r.conn)
	}
	return n, err
}

// connect opens the object at the current offset.
func (r *Reader) connect() error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	r.conn, r.release = ctx, func() { cancel(nil) }
	if r.o.Stall > 0 {
		stall := r.o.Stall
		r.timer = time.AfterFunc(stall, func() { cancel(fmt.Errorf("%w for %v", ErrStalled, stall)) })
		defer r.timer.Stop()
	}
	br, err := r.b.NewRangeReader(ctx, r.key, r.offset, -1, &r.o.Reader)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		r.release()
		return err
	}
	r.r = br
	if r.size < 0 {
		r.size = br.Size()
	}
	if br.Size() != r.size {
		r.disconnect()
		return fmt.Errorf("%w: from %d to %d bytes", errChanged, r.size, br.Size())
	}
	return nil
}

func (r *Reader) disconnect() {
	if r.r == nil {
		return
	}
	r.release()
	_ = r.r.Close()
	r.r = nil
}

// again says whether a read that failed with err is worth another attempt, and
// waits before it.
func (r *Reader) again(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument:
		return false
	}
	if errors.Is(err, errChanged) {
		return false
	}
	r.tries++
	if r.tries >= readAttempts || r.ctx.Err() != nil {
		return false
	}
	pause(r.ctx, readPause<<(r.tries-1))
	return r.ctx.Err() == nil
}

func (r *Reader) fail(err error) error {
	if r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	return fmt.Errorf("read object %s: %w", r.key, err)
}
