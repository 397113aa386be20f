package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

var (
	errFake         = errors.New("store is broken")
	errAnswerLost   = errors.New("answer lost")
	errPrecondition = errors.New("precondition failed")
	errNotFound     = errors.New("not found")
)

type entry struct {
	data []byte
	meta map[string]string
}

// fake is a bucket that fails as it is told. It is as careless as the worst of
// the real drivers: it publishes what it has got unless its context is over.
type fake struct {
	driver.Bucket // the methods that no test calls

	failAt     int   // Upload fails after so many bytes; 0 = never
	failWith   error // what it fails with then
	hangAt     int   // Upload takes so many bytes and then waits for its context
	hangCommit bool  // Close waits for its context
	commit     error // Close gives this
	commits    bool  // and has published nevertheless
	noMeta     bool
	blind      bool // Attributes fail
	cutAt      int  // each reader breaks after so many bytes
	hangRead   bool // each reader waits for its context after cutAt bytes

	mu      sync.Mutex
	objects map[string]entry
	opts    driver.WriterOptions
	reads   int
}

func (f *fake) bucket() *blob.Bucket { return blob.NewBucket(f) }

func (f *fake) put(key string, e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objects == nil {
		f.objects = map[string]entry{}
	}
	f.objects[key] = e
}

func (f *fake) get(key string) (entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.objects[key]
	return e, ok
}

func (f *fake) Close() error { return nil }

func (f *fake) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errPrecondition):
		return gcerrors.FailedPrecondition
	case errors.Is(err, errNotFound):
		return gcerrors.NotFound
	}
	return gcerrors.Unknown
}

func (f *fake) ErrorAs(error, any) bool { return false }

func (f *fake) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if f.blind {
		return nil, errFake
	}
	e, ok := f.get(key)
	if !ok {
		return nil, errNotFound
	}
	return &driver.Attributes{Size: int64(len(e.data)), Metadata: e.meta}, ctx.Err()
}

func (f *fake) NewTypedWriter(ctx context.Context, key, _ string, o *driver.WriterOptions) (driver.Writer, error) {
	f.opts = *o
	w := &fakeWriter{f: f, ctx: ctx, key: key}
	if !f.noMeta {
		w.meta = o.Metadata
	}
	return w, nil
}

func (f *fake) NewRangeReader(ctx context.Context, key string, offset, _ int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	e, ok := f.get(key)
	if !ok {
		return nil, errNotFound
	}
	f.reads++
	r := io.Reader(bytes.NewReader(e.data[offset:]))
	if f.cutAt > 0 && len(e.data)-int(offset) > f.cutAt {
		end := io.Reader(failing{errFake})
		if f.hangRead {
			end = hanging{ctx}
		}
		r = io.MultiReader(io.LimitReader(r, int64(f.cutAt)), end)
	}
	return &fakeReader{Reader: r, size: int64(len(e.data))}, nil
}

type fakeWriter struct {
	f    *fake
	ctx  context.Context
	key  string
	meta map[string]string
	buf  bytes.Buffer
	err  error
}

func (w *fakeWriter) Write([]byte) (int, error) { panic("only Upload is expected") }

func (w *fakeWriter) Upload(r io.Reader) error {
	limit := func(n int, then func() error) error {
		if _, err := io.CopyN(&w.buf, r, int64(n)); err != nil {
			return err
		}
		w.err = then()
		return w.err
	}
	switch {
	case w.f.failAt > 0:
		return limit(w.f.failAt, func() error { return w.f.failWith })
	case w.f.hangAt > 0:
		return limit(w.f.hangAt, func() error { <-w.ctx.Done(); return w.ctx.Err() })
	}
	_, err := w.buf.ReadFrom(r)
	return err
}

func (w *fakeWriter) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.ctx.Err() != nil {
		return errors.New("aborted, in the words of a driver")
	}
	if w.f.hangCommit {
		<-w.ctx.Done()
		return errors.New("aborted, in the words of a driver")
	}
	if _, there := w.f.get(w.key); there {
		return errPrecondition
	}
	if w.f.commit == nil || w.f.commits {
		w.f.put(w.key, entry{bytes.Clone(w.buf.Bytes()), w.meta})
	}
	return w.f.commit
}

type fakeReader struct {
	io.Reader
	size int64
}

func (r *fakeReader) Close() error { return nil }
func (r *fakeReader) As(any) bool  { return false }
func (r *fakeReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size}
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }

type hanging struct{ ctx context.Context }

func (r hanging) Read([]byte) (int, error) { <-r.ctx.Done(); return 0, r.ctx.Err() }
