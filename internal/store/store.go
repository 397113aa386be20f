// Package store opens buckets by their URLs and makes them fit for an export.
//
// [Open] turns s3://, gs://, azblob:// and file:// URLs and plain paths of
// directories into a [Store]: a bucket of gocloud.dev/blob, rooted at the path
// of the URL, with retries that outlast an outage of 20 seconds, upload buffers
// that fit the number of writers, and no object ever overwritten. [Store.Check]
// tells at the start what is wrong with a bucket or its credentials, and
// [Explain] turns whatever a store says into one line and a hint.
//
// Credentials come from where the SDK of each cloud looks for them, never from
// a URL.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
)

const (
	// openTimeout bounds what Open asks of the environment for credentials.
	openTimeout = 5 * time.Second
	// checkTimeout bounds [Store.Check]. Together they stay within 15 seconds.
	checkTimeout = 10 * time.Second
)

// Options say how a store will be used. The zero value is for reading.
type Options struct {
	// Writers is how many objects will be written at once; upload buffers are
	// chosen so that memory stays within about a gibibyte up to 64 writers.
	Writers int
	// Stall ends operations that make no progress; see [object.Options].
	Stall time.Duration
	// Logger gets what is worth knowing about the store; nil drops it.
	Logger *slog.Logger
}

// Store is an open bucket. Keys are relative to the path of its URL.
type Store struct {
	// Bucket lists and deletes; objects are written by [object.Write] only.
	Bucket *blob.Bucket
	// Object is ready for [object.Write], [object.Open] and [object.Read].
	Object object.Options
	// Scheme is s3, gs, azblob or file.
	Scheme string
	// Name is the URL for people: without parameters, without secrets.
	Name string

	probe func(ctx context.Context, prefix string) error
	// prefix is what Bucket puts before each key.
	prefix string
	base   string // what URIs begin with, before the prefix
	close  func() error
	// lifecycle is RemovesUploads; nil if nothing is left.
	lifecycle func(ctx context.Context) (known, removes bool)
}

// driver is what opening one kind of store gives.
type driver struct {
	bucket *blob.Bucket
	object object.Options
	probe  func(ctx context.Context, prefix string) error // lists a key, with few retries
	base   string                                         // what URIs of objects begin with, if not scheme and bucket
	close  func() error                                   // of a client, nil if it has none
	// lifecycle looks whether what killed uploads leave is removed; nil if they
	// leave nothing that stays.
	lifecycle func(ctx context.Context) (known, removes bool)
}

// Open opens the bucket that rawURL names, or the directory if it is a path.
// Nothing is asked of the store but what its SDK needs for credentials; use
// [Store.Check] to see whether the bucket can be used. Errors are *[Error].
func Open(ctx context.Context, rawURL string, o Options) (*Store, error) {
	t, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()

	var d *driver
	switch t.scheme {
	case "s3":
		d, err = openS3(ctx, t, o)
	case "gs":
		d, err = openGCS(ctx, t, o)
	case "azblob":
		d, err = openAzure(ctx, t, o)
	default:
		d, err = openDir(t)
	}
	if err != nil {
		return nil, named(t.name(), explainOpen(err))
	}
	s := &Store{Bucket: d.bucket, Object: d.object, Scheme: t.scheme, Name: t.name(), probe: d.probe, prefix: t.prefix, base: d.base, close: d.close, lifecycle: d.lifecycle}
	if s.base == "" {
		s.base = t.scheme + "://" + t.bucket + "/"
	}
	if t.prefix != "" {
		s.Bucket = blob.PrefixedBucket(d.bucket, t.prefix)
	}
	s.Object.Stall = o.Stall
	s.Object.Writer.ContentType = "application/gzip"
	o.Logger.Debug("store opened", "bucket", s.Name, "writers", o.Writers,
		"part_bytes", s.Object.Writer.BufferSize, "part_uploads", s.Object.Writer.MaxConcurrency)
	return s, nil
}

// explainOpen explains an error of opening: as nothing was asked of the store,
// what is not known by other means can only be a fault of the URL.
func explainOpen(err error) error {
	err = Explain(err)
	var e *Error
	if errors.As(err, &e) && e.Kind == Other && !errors.Is(err, context.Canceled) {
		return &Error{Kind: Config, Message: e.Message, Hint: "check the parameters of the URL and the environment", Err: e.Err}
	}
	return err
}

// URI names an object as loaders know it: s3://, gs:// and file:// as in the
// store's URL, https:// on Azure.
func (s *Store) URI(key string) string { return s.base + s.prefix + key }

// Close releases the bucket and its connections.
func (s *Store) Close() error {
	err := s.Bucket.Close()
	if s.close != nil {
		err = errors.Join(err, s.close())
	}
	return err
}

// Check sees whether the store answers, the credentials are good, the bucket is
// there and may be listed. It writes nothing and takes 10 seconds at most. Its
// error is an *[Error], or nil.
func (s *Store) Check(ctx context.Context) error {
	probe, cancel := context.WithTimeoutCause(ctx, checkTimeout, errNoAnswer)
	defer cancel()
	err := s.probe(probe, s.prefix)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if probe.Err() != nil && isDeadline(err) {
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return named(s.Name, Explain(err))
}
