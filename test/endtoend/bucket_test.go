package endtoend

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// A troubledBucket is a process's way to a bucket that is not always well. It
// refuses, loses answers and stalls, as often as it is told; and once the
// process is dead it takes nothing any more.
type troubledBucket struct {
	driver.Bucket // methods that the exporter does not call
	inner         *blob.Bucket
	trouble       float64 // the probability, for each operation

	mu   sync.Mutex
	rand *rand.Rand
	dead bool
}

var (
	errTrouble = errors.New("503 the store is not well")
	errKilled  = errors.New("the process was killed")
)

func newTroubledBucket(inner *blob.Bucket, seed uint64, trouble float64) *troubledBucket {
	return &troubledBucket{inner: inner, trouble: trouble, rand: rand.New(rand.NewPCG(seed, 1))}
}

// kill has the bucket take nothing more from the process.
func (b *troubledBucket) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = true
}

// mishap says what happens to the next operation: nothing, or an error before
// or after it, perhaps much later.
func (b *troubledBucket) mishap(ctx context.Context, trouble float64) (before, after error) {
	b.mu.Lock()
	if b.dead {
		b.mu.Unlock()
		return errKilled, nil
	}
	kind := -1
	if b.rand.Float64() < trouble {
		kind = b.rand.IntN(4)
	}
	b.mu.Unlock()
	switch kind {
	case 0:
		return errTrouble, nil
	case 1:
		return nil, errTrouble
	case 2, 3: // the second is too long for the uploads' patience
		t := time.NewTimer(time.Duration(kind-1) * 70 * time.Second)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err(), nil
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return errKilled, nil
	}
	return nil, nil
}

func (b *troubledBucket) Close() error                           { return nil }
func (b *troubledBucket) ErrorAs(error, any) bool                { return false }
func (b *troubledBucket) ErrorCode(err error) gcerrors.ErrorCode { return gcerrors.Code(err) }

func (b *troubledBucket) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	// Listings are rare, and a run that cannot take its inventory does nothing.
	if before, after := b.mishap(ctx, b.trouble/4); before != nil || after != nil {
		return nil, errors.Join(before, after)
	}
	page := &driver.ListPage{}
	for it := b.inner.List(&blob.ListOptions{Prefix: o.Prefix}); ; {
		obj, err := it.Next(ctx)
		if err == io.EOF {
			return page, nil
		}
		if err != nil {
			return nil, err
		}
		page.Objects = append(page.Objects, &driver.ListObject{Key: obj.Key, ModTime: obj.ModTime, Size: obj.Size})
	}
}

func (b *troubledBucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if before, after := b.mishap(ctx, b.trouble); before != nil || after != nil {
		return nil, errors.Join(before, after)
	}
	a, err := b.inner.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{ContentType: a.ContentType, Metadata: a.Metadata, ModTime: a.ModTime, Size: a.Size}, nil
}

func (b *troubledBucket) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	if before, after := b.mishap(ctx, b.trouble); before != nil || after != nil {
		return nil, errors.Join(before, after)
	}
	r, err := b.inner.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, err
	}
	return troubledReader{r}, nil
}

type troubledReader struct{ *blob.Reader }

func (r troubledReader) As(any) bool { return false }
func (r troubledReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.Size(), ModTime: r.ModTime()}
}

func (b *troubledBucket) NewTypedWriter(ctx context.Context, key, contentType string, o *driver.WriterOptions) (driver.Writer, error) {
	w := &troubledWriter{b: b, ctx: ctx, key: key}
	w.options = blob.WriterOptions{ContentType: contentType, Metadata: o.Metadata, IfNotExist: o.IfNotExist}
	return w, nil
}

type troubledWriter struct {
	b       *troubledBucket
	ctx     context.Context
	key     string
	options blob.WriterOptions
	data    []byte
}

func (w *troubledWriter) Write(p []byte) (int, error) {
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *troubledWriter) Upload(r io.Reader) (err error) {
	w.data, err = io.ReadAll(r)
	return err
}

// Close creates the object, unless the writer's context is over.
func (w *troubledWriter) Close() error {
	before, after := w.b.mishap(w.ctx, w.b.trouble)
	if before != nil {
		return before
	}
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	if err := w.b.inner.WriteAll(context.WithoutCancel(w.ctx), w.key, w.data, &w.options); err != nil {
		return err
	}
	return after
}
