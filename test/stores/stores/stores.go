// Package stores starts the stores that the tests of this module write to: S3
// (versitygw) and Google Cloud Storage (fake-gcs-server) in this process and
// over HTTP, Azure Blob Storage (Azurite) as a child process, and a directory.
//
// A test binary hands its TestMain to [Main] and asks for [All]:
//
//	func TestMain(m *testing.M) { os.Exit(stores.Main(m)) }
//
//	for _, s := range stores.All(t) {
//		t.Run(s.Name, func(t *testing.T) { … s.URL, s.Env … })
//	}
//
// Each Store has a bucket of its own, empty and removed with the test's
// directory or never used again.
package stores

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/faultproxy"
)

// Account names and keys of all stores. That of Azurite is published.
const (
	AccessKey    = "gcexport-test"
	SecretKey    = "gcexport-test-secret"
	AzureAccount = "devstoreaccount1"
	AzureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Store is one empty bucket.
type Store struct {
	// Name is s3, gs, azblob or file.
	Name string
	// URL is the bucket URL as a user would give it.
	URL string
	// Env is what a process needs besides the URL, NAME=value. It is also in
	// the environment of the test binary.
	Env map[string]string
	// Host is host:port of the store, empty for a directory.
	Host string
	// Raw looks at the bucket below gocloud.
	Raw Raw

	bucket string
}

// Raw looks at a bucket with the store's own client.
type Raw interface {
	// Objects gives the names of all objects as stored, sorted.
	Objects(ctx context.Context) ([]string, error)
	// Unfinished gives what unfinished writes have left: open multipart
	// uploads, or temporary files. A store that hides them gives nothing.
	Unfinished(ctx context.Context) ([]string, error)
	// Header gives content type and content encoding of an object.
	Header(ctx context.Context, name string) (contentType, contentEncoding string, err error)
}

// Main runs the tests and stops the stores that they started. Most of these
// tests wait most of the time, so more of them run at once than there are
// processors, unless -parallel says otherwise.
func Main(m *testing.M) int {
	if p := flag.Lookup("test.parallel"); p != nil && !flag.Parsed() {
		p.DefValue = "16"
		_ = p.Value.Set(p.DefValue)
	}
	for k, v := range baseEnv() {
		_ = os.Setenv(k, v)
	}
	defer stopAll()
	return m.Run()
}

// baseEnv is the environment of credentials, which is the same for all tests.
func baseEnv() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey,
		"AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE":           os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AZURE_STORAGE_ACCOUNT": AzureAccount, "AZURE_STORAGE_KEY": AzureKey,
	}
}

// All gives one fresh bucket on each kind of store. Azurite is left out, by a
// log line or as a failure, when it is not installed.
func All(t testing.TB) []Store {
	t.Helper()
	all := []Store{Directory(t), S3(t), GCS(t)}
	if s, ok := azure(t); ok {
		all = append(all, s)
	}
	return all
}

// Without gives the stores except those named.
func Without(all []Store, names ...string) []Store {
	return slices.DeleteFunc(slices.Clone(all), func(s Store) bool { return slices.Contains(names, s.Name) })
}

// At gives the same bucket below a prefix.
func (s Store) At(prefix string) Store {
	base, query, _ := strings.Cut(s.URL, "?")
	s.URL = base + "/" + prefix
	if query != "" {
		s.URL += "?" + query
	}
	return s
}

// Through gives the same bucket behind a proxy for faults. A directory cannot
// have one.
func (s Store) Through(t testing.TB) (Store, *faultproxy.Proxy) {
	t.Helper()
	if s.Host == "" {
		t.Fatalf("no proxy for %s", s.Name)
	}
	p := faultproxy.New(t, s.Host)
	return s.WithHost(p.Host), p
}

// WithHost gives the same bucket at another host:port.
func (s Store) WithHost(host string) Store {
	s.URL = strings.ReplaceAll(s.URL, url.QueryEscape(s.Host), url.QueryEscape(host))
	s.Env = maps.Clone(s.Env)
	for k, v := range s.Env {
		if v == s.Host {
			s.Env[k] = host
		}
	}
	s.Host = host
	return s
}

// WithBucket gives another bucket, which need not exist.
func (s Store) WithBucket(name string) Store {
	s.URL = strings.Replace(s.URL, s.bucket, name, 1)
	s.bucket = name
	return s
}

// Setting is an environment variable that Open sets for a moment.
type Setting struct{ Name, Value string }

var envMutex sync.Mutex

// Open opens the bucket as the program does; it is closed with the test.
func (s Store) Open(t testing.TB, o store.Options, env ...Setting) *store.Store {
	t.Helper()
	st, err := s.TryOpen(o, env...)
	if err != nil {
		t.Fatalf("open %s: %v", s.URL, err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close %s: %v", s.Name, err)
		}
	})
	return st
}

// TryOpen opens the bucket in the environment of s and env. Only opening reads
// the environment, so tests may run in parallel.
func (s Store) TryOpen(o store.Options, env ...Setting) (*store.Store, error) {
	envMutex.Lock()
	defer envMutex.Unlock()
	set := maps.Clone(s.Env)
	if set == nil {
		set = map[string]string{}
	}
	for _, e := range env {
		set[e.Name] = e.Value
	}
	for k, v := range set {
		old, there := os.LookupEnv(k)
		_ = os.Setenv(k, v)
		defer func() {
			if there {
				_ = os.Setenv(k, old)
			} else {
				_ = os.Unsetenv(k)
			}
		}()
	}
	return store.Open(context.Background(), s.URL, o)
}

var (
	serial      int
	serialMutex sync.Mutex
)

// newName gives a bucket name that all stores accept.
func newName() string {
	serialMutex.Lock()
	defer serialMutex.Unlock()
	serial++
	return fmt.Sprintf("gcexport-%d-%d", os.Getpid(), serial)
}

var (
	stopMutex sync.Mutex
	stops     []func()
)

// atEnd has stop called when the test binary ends.
func atEnd(stop func()) {
	stopMutex.Lock()
	defer stopMutex.Unlock()
	stops = append(stops, stop)
}

func stopAll() {
	stopMutex.Lock()
	defer stopMutex.Unlock()
	for _, stop := range slices.Backward(stops) {
		stop()
	}
	stops = nil
}
