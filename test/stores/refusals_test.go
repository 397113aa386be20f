package conformance

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/test/stores/faultproxy"
	"github.com/gcexport/gcexport/test/stores/stores"
)

const checkLimit = 16 * time.Second

// check opens and checks, and expects an error of the kind soon.
func check(t *testing.T, s stores.Store, want store.Kind, env ...stores.Setting) {
	t.Helper()
	start := time.Now()
	st, err := s.TryOpen(store.Options{}, env...)
	if err == nil {
		defer func() { _ = st.Close() }()
		err = st.Check(t.Context())
	}
	took := time.Since(start)
	if err == nil {
		t.Fatal("no error")
	}
	kind, e := kindOf(t, err)
	if kind != want || took > checkLimit {
		t.Errorf("%v after %v: %v\nwant %v; it was: %v", kind, took, e, want, e.Err)
	}
	if strings.Contains(e.Message, stores.SecretKey) || strings.Contains(e.Message, stores.AzureKey) {
		t.Errorf("secret in %q", e.Message)
	}
	t.Logf("%v\n%s\n%s", took.Round(time.Millisecond), e.Message, e.Hint)
}

func TestRefusals(t *testing.T) {
	silent := listenSilently(t)
	for _, s := range stores.All(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if s.Name == "file" {
				return // see the tests of the package
			}
			t.Run("bucket missing", func(t *testing.T) {
				t.Parallel()
				check(t, s.WithBucket("no-such-bucket"), store.NotFound)
			})
			t.Run("refused connection", func(t *testing.T) {
				t.Parallel()
				check(t, s.WithHost("127.0.0.1:1"), store.Unreachable)
			})
			t.Run("silent host", func(t *testing.T) {
				t.Parallel()
				check(t, s.WithHost(silent), store.Unreachable)
			})
			t.Run("outage", func(t *testing.T) {
				t.Parallel()
				behind, proxy := s.Through(t)
				proxy.Set(faultproxy.Always(faultproxy.Fault{Status: 503}, nil))
				check(t, behind, store.Unreachable)
			})
			t.Run("no right to list", func(t *testing.T) {
				t.Parallel()
				behind, proxy := s.Through(t)
				proxy.Set(faultproxy.Always(denied(s.Name), nil))
				check(t, behind, store.Denied)
			})
			t.Run("no right to write", func(t *testing.T) {
				t.Parallel()
				noRightToWrite(t, s)
			})
		})
	}
}

func noRightToWrite(t *testing.T, s stores.Store) {
	behind, proxy := s.Through(t)
	st := behind.Open(t, store.Options{Writers: 32})
	proxy.Set(faultproxy.Always(denied(s.Name), func(r *http.Request) bool {
		return r.Method == http.MethodPut || r.Method == http.MethodPost
	}))
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	for _, n := range []int{1000, large} {
		start := time.Now()
		err := put(t.Context(), st, part, random(n))
		if err == nil {
			t.Fatal("written")
		}
		if kind, e := kindOf(t, err); kind != store.Denied || time.Since(start) > checkLimit {
			t.Errorf("%v after %v: %v\n%v", kind, time.Since(start), e, e.Err)
		}
	}
	proxy.Set(nil)
	mustBeEmpty(t, s)
}

// denied is how each store refuses what credentials do not allow.
func denied(name string) faultproxy.Fault {
	f := faultproxy.Fault{Status: 403, Header: http.Header{}}
	switch name {
	case "s3":
		f.Header.Set("Content-Type", "application/xml")
		f.Body = `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`
	case "gs":
		f.Header.Set("Content-Type", "application/json")
		f.Body = `{"error":{"code":403,"message":"sa@x.iam.gserviceaccount.com does not have storage.objects.create access.\nSee more."}}`
	case "azblob":
		f.Header.Set("Content-Type", "application/xml")
		f.Header.Set("x-ms-error-code", "AuthorizationPermissionMismatch")
		f.Body = `<?xml version="1.0"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not authorized.</Message></Error>`
	}
	return f
}

func TestWrongCredentials(t *testing.T) {
	for _, s := range stores.All(t) {
		wrong := map[string][]stores.Setting{
			"s3":     {{Name: "AWS_SECRET_ACCESS_KEY", Value: "wrong"}},
			"azblob": {{Name: "AZURE_STORAGE_KEY", Value: "d3Jvbmc="}},
		}[s.Name]
		if wrong == nil {
			continue // a directory has none, the fake of GCS asks for none
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			check(t, s, store.Denied, wrong...)
		})
	}
	t.Run("s3 key id", func(t *testing.T) {
		check(t, stores.S3(t), store.Denied, stores.Setting{Name: "AWS_ACCESS_KEY_ID", Value: "nobody"})
	})
	t.Run("gs token", func(t *testing.T) {
		behind, proxy := stores.GCS(t).Through(t)
		proxy.Set(faultproxy.Always(faultproxy.Fault{Status: 401, Body: `{"error":{"code":401,"message":"Invalid Credentials"}}`}, nil))
		check(t, behind, store.Denied)
	})
}

func TestNoCredentials(t *testing.T) {
	t.Run("s3", func(t *testing.T) {
		check(t, stores.S3(t), store.Denied,
			stores.Setting{Name: "AWS_ACCESS_KEY_ID"}, stores.Setting{Name: "AWS_SECRET_ACCESS_KEY"})
	})
	t.Run("gs", func(t *testing.T) {
		check(t, stores.GCS(t), store.Denied, stores.Setting{Name: "STORAGE_EMULATOR_HOST"},
			stores.Setting{Name: "GOOGLE_APPLICATION_CREDENTIALS", Value: "/does/not/exist.json"})
	})
}

// listenSilently gives an address that accepts connections and says nothing.
func listenSilently(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
