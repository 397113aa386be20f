package stores

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// HowToAzurite says how Azurite is installed.
const HowToAzurite = "Azurite is not installed: run `npm ci` in test/stores/azurite (Node 20 or later)"

// azure gives an empty container on Azurite, if that is installed.
func azure(t testing.TB) (Store, bool) {
	t.Helper()
	if _, err := os.Stat(azuriteMain()); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("REQUIRE_STORES") == "1" {
			t.Fatal(HowToAzurite)
		}
		if t, ok := t.(*testing.T); ok {
			t.Run("azblob", func(t *testing.T) { t.Skip(HowToAzurite) })
		}
		return Store{}, false
	}
	host, err := startAzurite()
	if err != nil {
		t.Fatalf("start Azurite: %v", err)
	}
	name := newName()
	client, err := azureClient(host, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatalf("create container: %v", err)
	}
	return Store{
		Name: "azblob",
		URL:  "azblob://" + name + "?protocol=http&localemu=true&domain=" + urlHost(host),
		Env:  map[string]string{"AZURE_STORAGE_ACCOUNT": AzureAccount, "AZURE_STORAGE_KEY": AzureKey},
		Host: host, Raw: &rawAzure{client}, bucket: name,
	}, true
}

func azuriteMain() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "azurite", "node_modules", "azurite", "dist", "src", "blob", "main.js")
}

var startAzurite = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gcexport-azurite-")
	if err != nil {
		return "", err
	}
	host, err := freePort()
	if err != nil {
		return "", err
	}
	var port string
	if _, err := fmt.Sscanf(host, "127.0.0.1:%s", &port); err != nil {
		return "", err
	}
	cmd := exec.Command("node", azuriteMain(), "--blobHost", "127.0.0.1", "--blobPort", port,
		"--location", dir, "--skipApiVersionCheck", "--disableTelemetry", "--silent")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = dieWithParent()
	started, done := make(chan error), make(chan error, 1)
	go func() {
		// The child dies with the thread that started it: keep that.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			done <- fmt.Errorf("%w: %s", cmd.Wait(), out.Bytes())
		}
	}()
	if err := <-started; err != nil {
		return "", err
	}
	atEnd(func() {
		_ = cmd.Process.Kill()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
		}
		_ = os.RemoveAll(dir)
	})
	return host, waitForPort(host, done)
})

func azureClient(host, name string) (*container.Client, error) {
	cred, err := azblob.NewSharedKeyCredential(AzureAccount, AzureKey)
	if err != nil {
		return nil, err
	}
	return container.NewClientWithSharedKeyCredential("http://"+host+"/"+AzureAccount+"/"+name, cred, nil)
}

type rawAzure struct{ c *container.Client }

func (r *rawAzure) Objects(ctx context.Context) (names []string, err error) {
	p := r.c.NewListBlobsFlatPager(nil)
	for p.More() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			names = append(names, *b.Name)
		}
	}
	return names, nil
}

// Unfinished gives nothing: blocks without a blob cannot be removed, and the
// store drops them after a week.
func (r *rawAzure) Unfinished(context.Context) ([]string, error) { return nil, nil }

func (r *rawAzure) Header(ctx context.Context, name string) (contentType, contentEncoding string, err error) {
	p, err := r.c.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return "", "", err
	}
	if p.ContentType != nil {
		contentType = *p.ContentType
	}
	if p.ContentEncoding != nil {
		contentEncoding = *p.ContentEncoding
	}
	return contentType, contentEncoding, nil
}
