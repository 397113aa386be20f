package store

import (
	"errors"
	"fmt"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

const hintRightsAWS = "needed are s3:ListBucket, s3:GetObject, s3:PutObject and s3:AbortMultipartUpload on this bucket and prefix"

// explainAWS knows the errors of S3 and of those who speak like it.
func explainAWS(err error) *Error {
	var profile config.SharedConfigProfileNotExistError
	if errors.As(err, &profile) {
		return &Error{Kind: Config, Message: fmt.Sprintf("AWS profile %q does not exist", profile.Profile), Hint: "check profile= in the URL and AWS_PROFILE"}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if e := awsCode(api); e != nil {
			return e
		}
	}
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		if e := byStatus(re.HTTPStatusCode()); e != nil {
			if e.Kind == Denied {
				e.Hint = hintRightsAWS
			}
			return e
		}
	}
	if api != nil {
		return &Error{Kind: Other, Message: oneLine(api.ErrorCode() + ": " + api.ErrorMessage())}
	}
	return awsText(err.Error())
}

func awsCode(api smithy.APIError) *Error {
	code := api.ErrorCode()
	switch code {
	case "NoSuchBucket":
		return &Error{Kind: NotFound, Message: "the bucket does not exist", Hint: "check name, region and endpoint; buckets are never created by this program"}
	case "NoSuchKey", "NotFound":
		return &Error{Kind: NotFound, Message: "not found"}
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired",
		"InvalidClientTokenId", "UnrecognizedClientException", "InvalidSecurity", "Unauthorized", "InvalidIdentityToken", "XAdminUserNotFound":
		return &Error{Kind: Denied, Message: "the store refuses the credentials (" + code + ")",
			Hint: "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, the profile or the role, and that they belong to this endpoint"}
	case "AccessDenied", "Forbidden", "AllAccessDisabled", "AccessDeniedException", "AccountProblem", "UnauthorizedAccess":
		return &Error{Kind: Denied, Message: "access denied (" + code + ")", Hint: hintRightsAWS}
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return &Error{Kind: Config, Message: "the bucket is in another region", Hint: "give it as ?region=… or in AWS_REGION"}
	case "InvalidBucketName":
		return &Error{Kind: Config, Message: "the store does not accept the bucket name"}
	case "RequestTimeTooSkewed":
		return &Error{Kind: Config, Message: "the clock of this machine is wrong", Hint: "the store allows a difference of 15 minutes"}
	case "NotImplemented":
		return &Error{Kind: Config, Message: "the store does not support what is needed: " + oneLine(api.ErrorMessage()), Hint: "it must honour If-None-Match on writes; with other stores than AWS try request_checksum_calculation=when_required"}
	case "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded":
		return byStatus(503)
	}
	return nil
}

// awsText knows errors that have no type to be told by.
func awsText(s string) *Error {
	switch {
	case strings.Contains(s, "get credentials"), strings.Contains(s, "failed to refresh cached credentials"), strings.Contains(s, "static credentials are empty"):
		return &Error{Kind: Denied, Message: "no AWS credentials found", Hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is attached"}
	case strings.Contains(s, "Missing Region"), strings.Contains(s, "A region must be set"), strings.Contains(s, "empty region"):
		return errNoRegion()
	}
	return nil
}

func errNoRegion() *Error {
	return badConfig("no AWS region given", "give it as ?region=… or in AWS_REGION")
}
