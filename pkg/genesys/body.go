package genesys

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// slowest is the least number of bytes a second that a long body must bring.
const slowest = 4 << 10

// A watch cancels the context of an attempt when nothing has come for a time.
type watch struct {
	ctx    context.Context // of this attempt only; the watch lives no longer
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

func newWatch(ctx context.Context, stall time.Duration) *watch {
	w := &watch{stall: stall}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(stall, func() { w.cancel(ErrStalled) })
	return w
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// reader returns r under watch. The headers have come, so the clock starts anew.
func (w *watch) reader(r io.Reader, grace time.Duration) io.Reader {
	w.timer.Reset(w.stall)
	return &watchedReader{r: r, w: w, start: time.Now(), grace: grace}
}

// A watchedReader tells its watch of each byte, and refuses to go on with a
// body that drips.
type watchedReader struct {
	r     io.Reader
	w     *watch
	start time.Time
	grace time.Duration
	n     int64
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	if n > 0 {
		r.w.timer.Reset(r.w.stall)
	}
	elapsed := time.Since(r.start)
	if err == nil && elapsed > r.grace && float64(r.n) < elapsed.Seconds()*slowest {
		err = errSlow
	}
	return n, err
}

// A buffer is memory for one body at a time.
type buffer struct{ b []byte }

// read reads a body of the given length (-1: not known) whole. The result is
// valid until the next read.
func (buf *buffer) read(r io.Reader, length, limit int64) ([]byte, error) {
	// A length is a promise, not a fact: memory for the rest comes with the bytes.
	const trusted = 32 << 20
	if length > limit {
		return nil, errTooLarge
	}
	b := slices.Grow(buf.b[:0], int(max(min(length, trusted), 4<<10))+1)
	defer func() { buf.b = b[:0] }()
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, cap(b)/4)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return b, errTooLarge
		case err == io.EOF && length >= 0 && int64(len(b)) != length, errors.Is(err, io.ErrUnexpectedEOF):
			return b, errShort
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// encoding says whether a body is gzip-compressed; other codings are an error.
func encoding(h http.Header) (zipped bool, err error) {
	switch strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))) {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	}
	return false, errEncoding
}

// inflate takes gzip off a small body, up to limit bytes of it.
func inflate(body []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, limit))
}
