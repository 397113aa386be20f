// Package object writes one object to a bucket: all of it, or none of it.
//
// [Write] is the only door through which the program creates objects. An
// object is created, never overwritten; it is there afterwards if and only if
// Write returned nil, whatever ended the write: an error or a panic of the
// producer, a cancelled context, a store that refuses, stalls, or whose answer
// to the commit is lost. [Open] and [Read] are the way back: they survive
// connections that break in the middle of an object.
//
// The package works around two properties of gocloud.dev/blob that are easy to
// fall for. Closing a writer commits what was written so far, and so does a
// reader that fails inside Bucket.Upload on several drivers: an abort cancels
// the upload's context before anything can see the end of the stream. And a
// failed commit may have succeeded: each object carries a random mark in its
// metadata, by which Write recognises its own.
package object

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"gocloud.dev/blob"
)

// ErrExists says that the key was there already and holds an object of
// somebody else. What was written is dropped; the object there is unchanged.
var ErrExists = errors.New("object exists already")

// ErrStalled says that the store has made no progress for [Options.Stall].
var ErrStalled = errors.New("store makes no progress")

// markKey is the metadata key of the mark by which a writer knows its own
// object. It is a plain word, because no store escapes or refuses that.
const markKey = "gcexportwrite"

// Options say how objects of one bucket are written and read.
type Options struct {
	// Writer is the template for the driver: ContentType is required,
	// ContentEncoding refused (some stores would decompress on reading),
	// IfNotExist always set. Metadata is kept and a mark added to it.
	Writer blob.WriterOptions
	// Reader is the template for reading.
	Reader blob.ReaderOptions
	// Stall aborts an operation when the store has made no progress for so
	// long: it neither accepts bytes that wait, nor finishes a commit, nor
	// gives bytes that were asked for. Time that the producer takes for itself
	// does not count. It must exceed the time for which the driver retries.
	// 0 means no limit.
	Stall time.Duration
}

// Write creates the object key in b with what fn writes.
//
// If fn returns an error or panics, or if ctx ends before the object is
// committed, nothing is left behind. The error of fn is returned as it is. An
// object of somebody else under the same key gives an error that is
// [ErrExists]; this may be noticed only after everything was sent. The writer
// handed to fn serves one goroutine and is dead once fn has returned.
//
// Write returns when the store has confirmed the object or the absence of one,
// and leaves no goroutine behind. It may be called concurrently.
func Write(ctx context.Context, b *blob.Bucket, key string, o *Options, fn func(io.Writer) error) error {
	if o == nil || o.Writer.ContentType == "" {
		return fmt.Errorf("write object %s: no content type given", key)
	}
	if o.Writer.ContentEncoding != "" {
		return fmt.Errorf("write object %s: a content encoding is not allowed", key)
	}
	mark := rand.Text()
	wo := o.Writer
	wo.IfNotExist = true
	wo.Metadata = maps.Clone(wo.Metadata)
	if wo.Metadata == nil {
		wo.Metadata = make(map[string]string, 1)
	}
	wo.Metadata[markKey] = mark

	u := startUpload(ctx, b, key, &wo, o.Stall)
	produced := false
	defer func() {
		if !produced { // fn panics, or ends the goroutine
			u.abort(errors.New("producer panicked"))
		}
	}()
	err := fn(u)
	produced = true

	if err != nil || u.broken != nil {
		if u.broken == nil {
			u.abort(err)
			return err
		}
		u.abort(u.broken)
		return settle(ctx, b, key, u.broken, nil)
	}
	if err = u.commit(); err != nil {
		return settle(ctx, b, key, err, &own{mark, u.bytes})
	}
	return nil
}

// Read gives the content of a small object, at most limit bytes; a larger
// object is an error.
func Read(ctx context.Context, b *blob.Bucket, key string, o *Options, limit int64) (data []byte, err error) {
	r, err := Open(ctx, b, key, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Size() > limit {
		return nil, fmt.Errorf("read object %s: %d bytes are more than the %d expected at most", key, r.Size(), limit)
	}
	return io.ReadAll(io.LimitReader(r, limit))
}
