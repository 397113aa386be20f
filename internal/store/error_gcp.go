package store

import (
	"errors"

	"cloud.google.com/go/storage"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
)

const hintRightsGCP = "needed are storage.objects.create, .get and .list: the roles Storage Object Creator and Storage Object Viewer on this bucket"

// explainGoogle knows the errors of Google Cloud Storage.
func explainGoogle(err error) *Error {
	var token *oauth2.RetrieveError
	if errors.As(err, &token) {
		return &Error{Kind: Denied, Message: "Google refuses the credentials: " + oneLine(token.ErrorCode+" "+token.ErrorDescription), Hint: hintCredentialsGCP}
	}
	if errors.Is(err, storage.ErrBucketNotExist) {
		return errNoBucketGCP()
	}
	if errors.Is(err, storage.ErrObjectNotExist) {
		return &Error{Kind: NotFound, Message: "not found"}
	}
	var api *googleapi.Error
	if !errors.As(err, &api) {
		return nil
	}
	e := byStatus(api.Code)
	switch {
	case e == nil:
		return &Error{Kind: Other, Message: oneLine(api.Message)}
	case api.Code == 401:
		e.Hint = hintCredentialsGCP
	case api.Code == 403:
		e.Hint = hintRightsGCP
	case api.Code == 404:
		return errNoBucketGCP()
	}
	return e
}

const hintCredentialsGCP = "set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, run gcloud auth application-default login, or run where a service account is attached"

func errNoBucketGCP() *Error {
	return &Error{Kind: NotFound, Message: "the bucket does not exist", Hint: "check the name; buckets are never created by this program"}
}
