package store

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/gcexport/gcexport/internal/object"
)

const (
	// s3Attempts with the pauses of s3Pause outlast an outage of 27 seconds at
	// least and of 55 at most.
	s3Attempts = 10
	// s3AbortTimeout is the time for removing the parts of an upload that is
	// aborted, for which the SDK by default uses the context that has ended.
	s3AbortTimeout = 15 * time.Second
	// s3AbortPause is the time after which an aborted upload is looked at again;
	// it doubles.
	s3AbortPause = 300 * time.Millisecond
	// s3BeginTimeout is the time that the request that begins an upload of many
	// parts may take on after the upload was cancelled.
	s3BeginTimeout = 10 * time.Second
)

// openS3 opens the bucket as gocloud does, so that its URLs mean the same, and
// then again with a client that has more patience.
func openS3(ctx context.Context, t *target, o Options) (*driver, error) {
	q := t.query
	if e := q.Get("endpoint"); e != "" {
		u, err := url.Parse(e)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
			return nil, badConfig("URL parameter \"endpoint\" is not the URL of a server", "write endpoint=https://host:port")
		}
	}
	opener := &s3blob.URLOpener{}
	first, err := opener.OpenBucketURL(ctx, &url.URL{Scheme: "s3", Host: t.bucket, RawQuery: q.Encode()})
	if err != nil {
		return nil, err
	}
	defer func() { _ = first.Close() }()
	var plain *s3.Client
	first.As(&plain)
	region := plain.Options().Region
	if region == "" && q.Get("endpoint") != "" {
		region = "us-east-1" // what stores that are not Amazon's expect to see signed
	}
	if region == "" {
		return nil, errNoRegion()
	}
	client := s3.New(plain.Options(), func(so *s3.Options) {
		so.Region = region
		so.Retryer = s3Retryer(s3Attempts)
		so.Logger = awsLogger(o.Logger)
		so.DisableLogOutputChecksumValidationSkipped = true
	})
	bucket, err := s3blob.OpenBucket(ctx, client, t.bucket, &opener.Options)
	if err != nil {
		return nil, err
	}
	return &driver{
		bucket: bucket,
		object: s3Object(client, s3Buffers(o.Writers), opener.Options.RequestChecksumCalculation),
		probe: func(ctx context.Context, prefix string) error {
			_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &t.bucket, Prefix: &prefix, MaxKeys: aws.Int32(1)},
				func(so *s3.Options) { so.Retryer = s3Retryer(3) })
			return err
		},
		lifecycle: func(ctx context.Context) (known, removes bool) { return s3Lifecycle(ctx, client, t.bucket) },
	}, nil
}

// s3Object replaces the transfer manager of each write: part size, threshold
// and abort timeout cannot be given to gocloud, and whatever is not set again
// is lost with the old one.
func s3Object(client *s3.Client, b buffers, sums aws.RequestChecksumCalculation) object.Options {
	manager := transfermanager.New(uploadClient{client}, func(o *transfermanager.Options) {
		o.PartSizeBytes = int64(b.part)
		o.MultipartUploadThreshold = int64(b.part)
		o.Concurrency = b.parallel
		o.FailTimeout = s3AbortTimeout
		o.RequestChecksumCalculation = sums
	})
	return object.Options{Writer: blob.WriterOptions{
		BufferSize:     b.part,
		MaxConcurrency: b.parallel,
		BeforeWrite: func(as func(any) bool) error {
			var tm *transfermanager.Client
			if as(&tm) {
				*tm = *manager
			}
			return nil
		},
	}}
}

// uploadClient lets an upload begin in peace: if the request that begins it is
// cancelled, nobody learns the name by which it could be aborted.
type uploadClient struct{ *s3.Client }

// CreateMultipartUpload implements transfermanager.S3APIClient.
func (c uploadClient) CreateMultipartUpload(ctx context.Context, in *s3.CreateMultipartUploadInput, o ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	begin, cancel := object.Linger(ctx, s3BeginTimeout)
	defer cancel()
	return c.Client.CreateMultipartUpload(begin, in, o...)
}

// AbortMultipartUpload implements transfermanager.S3APIClient. A part that is on
// its way while the upload is aborted may bring it back to life, so it is
// aborted again until the store knows it no more.
func (c uploadClient) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput, o ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error) {
	out, err := c.Client.AbortMultipartUpload(ctx, in, o...)
	if err != nil {
		return out, err
	}
	for pause := s3AbortPause; pause < 5*s3AbortPause; pause *= 2 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return out, nil // it was aborted once; what is left, a lifecycle rule removes
		}
		if _, err := c.Client.AbortMultipartUpload(ctx, in, o...); err != nil {
			return out, nil //nolint:nilerr // as a rule it is gone now
		}
	}
	return out, nil
}

// awsLogger takes what the SDK would print to stderr.
func awsLogger(to *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(class logging.Classification, format string, v ...any) {
		to.Debug("message of the AWS SDK", "class", string(class), "text", oneLine(fmt.Sprintf(format, v...)))
	})
}

// s3Retryer retries more often than the SDK by default, and also what it takes
// for final: too many requests, and a rival that writes the same key just now.
func s3Retryer(attempts int) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return s3Pause(attempt), nil })
		o.Retryables = append(o.Retryables,
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{429: {}}},
			retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}, "TooManyRequests": {}}})
	})
}

// s3Pause is the pause after an attempt, the first being 1: half a second and
// doubled, up to 10 seconds, of which one half is left to chance.
func s3Pause(attempt int) time.Duration {
	d := min(500*time.Millisecond<<min(max(attempt-1, 0), 10), 10*time.Second)
	return d/2 + rand.N(d/2)
}
