package store

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// RemovesUploads reports whether the store removes after some days what uploads
// leave that were killed. known is false where that may not be seen, or the store
// does not tell.
func (s *Store) RemovesUploads(ctx context.Context) (known, removes bool) {
	if s.lifecycle == nil {
		return true, true // the others do by themselves, a directory has none
	}
	return s.lifecycle(ctx)
}

// s3Lifecycle looks for a rule that ends incomplete uploads.
func s3Lifecycle(ctx context.Context, client *s3.Client, bucket string) (known, removes bool) {
	out, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &bucket},
		func(o *s3.Options) { o.Retryer = s3Retryer(2) })
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchLifecycleConfiguration" {
		return true, false
	}
	if err != nil {
		return false, false
	}
	for _, rule := range out.Rules {
		if rule.Status == types.ExpirationStatusEnabled && rule.AbortIncompleteMultipartUpload != nil {
			return true, true
		}
	}
	return true, false
}
