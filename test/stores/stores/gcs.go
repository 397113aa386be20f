package stores

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// gcsHost is the name under which the fake serves everything; see serveGCS.
const gcsHost = "storage.test"

// GCS gives an empty bucket on fake-gcs-server.
func GCS(t testing.TB) Store {
	t.Helper()
	g, err := startGCS()
	if err != nil {
		t.Fatalf("start fake-gcs-server: %v", err)
	}
	name := newName()
	g.server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: name})
	return Store{
		Name: "gs", URL: "gs://" + name, Env: map[string]string{"STORAGE_EMULATOR_HOST": g.host},
		Host: g.host, Raw: &rawGCS{g.server, name}, bucket: name,
	}
}

type gcs struct {
	server *fakestorage.Server
	host   string
}

var startGCS = sync.OnceValues(func() (*gcs, error) {
	dir, err := os.MkdirTemp("", "gcexport-gcs-")
	if err != nil {
		return nil, err
	}
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		Scheme: "http", Host: "127.0.0.1", PublicHost: gcsHost, StorageRoot: dir, Writer: io.Discard,
	})
	if err != nil {
		return nil, err
	}
	front := httptest.NewServer(serveGCS(server.HTTPHandler()))
	atEnd(func() {
		front.CloseClientConnections()
		front.Close()
		server.Stop()
		_ = os.RemoveAll(dir)
	})
	return &gcs{server, strings.TrimPrefix(front.URL, "http://")}, nil
})

// serveGCS lets the fake be reached under any host and port, and sends clients
// back to where they came from: the fake knows one name only, and resumable
// uploads would go around a proxy.
func serveGCS(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came := r.Host
		r.Host = gcsHost
		h.ServeHTTP(&relocator{ResponseWriter: w, host: came}, r)
	})
}

type relocator struct {
	http.ResponseWriter
	host string
}

func (w *relocator) WriteHeader(status int) {
	if u, err := url.Parse(w.Header().Get("Location")); err == nil && u.Host != "" {
		u.Scheme, u.Host = "http", w.host
		w.Header().Set("Location", u.String())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *relocator) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type rawGCS struct {
	server *fakestorage.Server
	bucket string
}

func (r *rawGCS) Objects(context.Context) (names []string, err error) {
	objects, _, err := r.server.ListObjects(r.bucket, "", "", false)
	for _, o := range objects {
		names = append(names, o.Name)
	}
	return names, err
}

func (r *rawGCS) Unfinished(context.Context) ([]string, error) { return nil, nil }

func (r *rawGCS) Header(_ context.Context, name string) (string, string, error) {
	o, err := r.server.GetObject(r.bucket, name)
	return o.ContentType, o.ContentEncoding, err
}

func urlHost(host string) string { return url.QueryEscape(host) }
