package store

import (
	"errors"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const (
	hintRightsAzure      = "the role Storage Blob Data Contributor on the container is needed"
	hintCredentialsAzure = "set AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_CONNECTION_STRING, log in with az login, or run where an identity is attached"
)

// explainAzure knows the errors of Azure Blob Storage. Their own text has a
// dozen lines and is never shown.
func explainAzure(err error) *Error {
	var auth *azidentity.AuthenticationFailedError
	if errors.As(err, &auth) {
		return &Error{Kind: Denied, Message: "Azure refuses the credentials", Hint: hintCredentialsAzure}
	}
	if s := err.Error(); strings.Contains(s, "DefaultAzureCredential") || strings.Contains(s, "failed to acquire a token") {
		return &Error{Kind: Denied, Message: "no Azure credentials found", Hint: hintCredentialsAzure}
	}
	var re *azcore.ResponseError
	if !errors.As(err, &re) {
		return nil
	}
	code := oneLine(re.ErrorCode)
	switch re.ErrorCode {
	case "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound":
		return &Error{Kind: NotFound, Message: "the container does not exist", Hint: "check its name and the account; containers are never created by this program"}
	case "BlobNotFound":
		return &Error{Kind: NotFound, Message: "not found"}
	case "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation":
		return &Error{Kind: Denied, Message: "the store refuses the credentials (" + code + ")", Hint: hintCredentialsAzure}
	case "AuthorizationFailure":
		return &Error{Kind: Denied, Message: "the store refuses the credentials or the network (" + code + ")", Hint: "check the key and the firewall of the storage account"}
	case "AccountIsDisabled":
		return &Error{Kind: Denied, Message: "the storage account is disabled"}
	case "InvalidResourceName", "InvalidUri":
		return &Error{Kind: Config, Message: "the store does not accept the container name"}
	}
	e := byStatus(re.StatusCode)
	if e == nil {
		return &Error{Kind: Other, Message: "the store refuses the request (" + code + ")"}
	}
	switch e.Kind {
	case Denied:
		e.Hint = hintRightsAzure
		if re.ErrorCode != "" {
			e.Message += " (" + code + ")"
		}
	case NotFound:
		e.Message = "the container does not exist"
	}
	return e
}
