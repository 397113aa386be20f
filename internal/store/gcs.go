package store

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/gcexport/gcexport/internal/object"
)

const (
	// gcsRetryTime bounds the retries of everything but uploads, which the
	// library would go on with for ever.
	gcsRetryTime = 90 * time.Second
	// gcsChunkRetryTime bounds the retries of one chunk; by default 32 s.
	gcsChunkRetryTime = 5 * time.Minute
	// gcsChunkTimeout ends one attempt to send a chunk that hangs.
	gcsChunkTimeout = 30 * time.Second
)

// openGCS opens the bucket with a client of our own: gocloud's way of opening
// URLs prints to stdout when it finds no credentials, and reads the environment
// once only.
func openGCS(ctx context.Context, t *target, o Options) (*driver, error) {
	opts, err := gcsCredentials(ctx, t)
	if err != nil {
		return nil, err
	}
	// The client outlives the deadline of opening.
	client, err := storage.NewClient(context.WithoutCancel(ctx), append(opts, option.WithUserAgent("gcexport"))...)
	if err != nil {
		return nil, err
	}
	client.SetRetry(
		storage.WithPolicy(storage.RetryAlways),
		storage.WithErrorFunc(gcsRetry),
		storage.WithMaxRetryDuration(gcsRetryTime),
		storage.WithBackoff(gax.Backoff{Initial: 500 * time.Millisecond, Max: 10 * time.Second, Multiplier: 2}),
	)
	bucket, err := gcsblob.OpenBucket(ctx, nil, t.bucket, &gcsblob.Options{Client: client})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &driver{
		bucket: bucket,
		object: gcsObject(gcsBuffers(o.Writers)),
		probe: func(ctx context.Context, prefix string) error {
			it := client.Bucket(t.bucket).Retryer(storage.WithMaxAttempts(3)).Objects(ctx, &storage.Query{Prefix: prefix})
			it.PageInfo().MaxSize = 1
			_, err := it.Next()
			if errors.Is(err, iterator.Done) {
				return nil
			}
			return err
		},
		close: client.Close,
	}, nil
}

// gcsCredentials finds credentials, or says that there are none.
func gcsCredentials(ctx context.Context, t *target) ([]option.ClientOption, error) {
	anonymous := t.query.Get("anonymous")
	if anonymous != "" && anonymous != "true" && anonymous != "false" {
		return nil, badConfig(`URL parameter "anonymous" must be true or false`, "")
	}
	if anonymous == "true" || os.Getenv("STORAGE_EMULATOR_HOST") != "" {
		return []option.ClientOption{option.WithoutAuthentication()}, nil
	}
	universe := t.query.Get("universe_domain")
	// The context is kept and used for every later token.
	creds, err := google.FindDefaultCredentialsWithParams(context.WithoutCancel(ctx), google.CredentialsParams{
		Scopes:         []string{storage.ScopeReadWrite},
		UniverseDomain: universe,
	})
	if file := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); err != nil && file != "" {
		return nil, &Error{Kind: Denied, Message: "GOOGLE_APPLICATION_CREDENTIALS names " + oneLine(file) + ", which holds no credentials", Hint: "it must be a file that this user can read, as gcloud or the console makes it", Err: err}
	}
	if err != nil {
		return nil, &Error{Kind: Denied, Message: "no Google credentials found", Hint: hintCredentialsGCP, Err: err}
	}
	opts := []option.ClientOption{option.WithCredentials(creds)}
	if universe != "" {
		opts = append(opts, option.WithUniverseDomain(universe))
	}
	return opts, nil
}

func gcsObject(b buffers) object.Options {
	return object.Options{
		Writer: blob.WriterOptions{
			BufferSize:     b.part,
			MaxConcurrency: b.parallel,
			BeforeWrite: func(as func(any) bool) error {
				var w *storage.Writer
				if as(&w) {
					w.ChunkRetryDeadline = gcsChunkRetryTime
					w.ChunkTransferTimeout = gcsChunkTimeout
				}
				return nil
			},
		},
		Reader: blob.ReaderOptions{
			// Without this the library unpacks what somebody has stored with a
			// content encoding, and sizes and hashes fit no more.
			BeforeRead: func(as func(any) bool) error {
				var h **storage.ObjectHandle
				if as(&h) {
					*h = (*h).ReadCompressed(true)
				}
				return nil
			},
		},
	}
}

// gcsRetry adds connections that end without an answer to what the library
// retries. Create-only writes may be repeated without harm.
func gcsRetry(err error) bool {
	return storage.ShouldRetry(err) || errors.Is(err, io.EOF)
}
