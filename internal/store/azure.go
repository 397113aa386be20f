package store

import (
	"context"
	"net/url"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"

	"github.com/gcexport/gcexport/internal/object"
)

// azureRetries outlasts an outage of 40 seconds at least: the pauses double up
// to 10 seconds, less 20 % of chance.
func azureRetries() policy.RetryOptions {
	return policy.RetryOptions{MaxRetries: 9, RetryDelay: 500 * time.Millisecond, MaxRetryDelay: 10 * time.Second}
}

// openAzure opens the container with a client of our own, because gocloud's
// gives up after 4 attempts and reads the environment once only.
func openAzure(ctx context.Context, t *target, o Options) (*driver, error) {
	var client *container.Client
	service := *azureblob.NewDefaultServiceURLOptions()
	if service.SASToken != "" && len(t.query) > 0 {
		// The token would be sent wherever the URL says.
		return nil, badConfig("URL parameters cannot change the endpoint when AZURE_STORAGE_SAS_TOKEN is set",
			"give account and domain in AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_DOMAIN")
	}
	if service.AccountName == "" && t.query.Get("storage_account") == "" {
		return nil, badConfig("no Azure storage account given", "set AZURE_STORAGE_ACCOUNT, or add ?storage_account=… to the URL")
	}
	opener := &azureblob.URLOpener{
		ServiceURLOptions: service,
		MakeClient: func(service azureblob.ServiceURL, name azureblob.ContainerName) (*container.Client, error) {
			var err error
			client, err = azureClient(string(service), string(name))
			return client, err
		},
	}
	bucket, err := opener.OpenBucketURL(ctx, &url.URL{Scheme: "azblob", Host: t.bucket, RawQuery: t.query.Encode()})
	if err != nil {
		return nil, err
	}
	b := azureBuffers(o.Writers)
	base, err := url.Parse(client.URL())
	if err != nil {
		return nil, err
	}
	base.RawQuery = "" // which may be a token
	return &driver{
		bucket: bucket,
		base:   base.String() + "/",
		object: object.Options{Writer: blob.WriterOptions{BufferSize: b.part, MaxConcurrency: b.parallel}},
		probe: func(ctx context.Context, prefix string) error {
			few := azureRetries()
			few.MaxRetries = 2
			one := int32(1)
			_, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, MaxResults: &one}).
				NextPage(policy.WithRetryOptions(ctx, few))
			return err
		},
	}, nil
}

// azureClient finds credentials in the same places and order as gocloud.
func azureClient(service, name string) (*container.Client, error) {
	o := &container.ClientOptions{}
	o.Retry = azureRetries()
	o.Telemetry.ApplicationID = "gcexport"
	where, err := url.JoinPath(service, name)
	if err != nil {
		return nil, err
	}
	connection := os.Getenv("AZURE_STORAGE_CONNECTION_STRING")
	if connection == "" {
		connection = os.Getenv("AZURE_STORAGEBLOB_CONNECTIONSTRING")
	}
	account, key := os.Getenv("AZURE_STORAGE_ACCOUNT"), os.Getenv("AZURE_STORAGE_KEY")
	switch {
	case account != "" && key != "":
		cred, err := azblob.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, badConfig("AZURE_STORAGE_KEY is not a storage account key", "keys are Base64")
		}
		return container.NewClientWithSharedKeyCredential(where, cred, o)
	case os.Getenv("AZURE_STORAGE_SAS_TOKEN") != "":
		return container.NewClientWithNoCredential(where, o)
	case connection != "":
		c, err := container.NewClientFromConnectionString(connection, name, o)
		if err != nil {
			return nil, badConfig("AZURE_STORAGE_CONNECTION_STRING is malformed", "copy it from the access keys of the storage account")
		}
		return c, nil
	}
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, &Error{Kind: Denied, Message: "no Azure credentials found", Hint: hintCredentialsAzure, Err: err}
	}
	return container.NewClient(where, cred, o)
}
