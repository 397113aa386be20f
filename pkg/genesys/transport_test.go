package genesys

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Over a real socket, with the real transport.
func TestTransport(t *testing.T) {
	var elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		w.Header().Set("Content-Type", "application/json")
		switch kindOf(r) {
		case "token":
			io.WriteString(w, `{"access_token":"t","token_type":"bearer","expires_in":300}`)
		case "availability":
			io.WriteString(w, `{"dataAvailabilityDate":"2024-03-05T02:00:00Z"}`)
		default:
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	api, login, err := Hosts(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{APIURL: api, LoginURL: login, ClientID: "id", ClientSecret: NewSecret("s"), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := c.Availability(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Limits(t.Context(), "x")
	if e := wantErr[*Error](t, err); e.Status != http.StatusTemporaryRedirect || len(elsewhere) > 0 {
		t.Errorf("%v; the other host saw %q", err, elsewhere)
	}
	connections := map[string]bool{}
	for _, r := range seen {
		connections[r.RemoteAddr] = true
		want := "gzip"
		if kindOf(r) == "token" {
			want = "identity"
		}
		if got := r.Header.Get("Accept-Encoding"); got != want {
			t.Errorf("%s: accepts %q, want %q", kindOf(r), got, want)
		}
		if got := r.Header.Get("User-Agent"); got != "gcexport/1.2.3" {
			t.Errorf("%s: user agent %q", kindOf(r), got)
		}
	}
	if len(connections) != 1 {
		t.Errorf("%d connections for requests one after the other", len(connections))
	}
}

// An API that cannot be reached is told as such, also when the caller's own
// deadline ends the attempts.
func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close()
	c, err := New(Config{APIURL: address, LoginURL: address, ClientID: "id", ClientSecret: NewSecret("s"), Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Token(t.Context())
	if e := wantErr[*ConnError](t, err); e.Attempts != 2 || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
}

func TestCertificateIsFinal(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	c, err := New(Config{APIURL: server.URL, LoginURL: server.URL, ClientID: "id", ClientSecret: NewSecret("s")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if e := wantErr[*ConnError](t, c.Token(t.Context())); e.class() != final || !strings.Contains(e.Error(), "certificate") {
		t.Errorf("%v, tried again", e)
	}
}

func TestProxyPasswordIsNotTold(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://me:hunter2@bad host:x")
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://example.com/", nil)
	if _, err := proxy(r); err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestBufferRead(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000)
	broken := errors.New("broken")
	for _, tc := range []struct {
		name          string
		r             io.Reader
		length, limit int64
		n             int
		err           error
	}{
		{"length known", strings.NewReader(text), 100_000, 100_000, 100_000, nil},
		{"not known", strings.NewReader(text), -1, 100_000, 100_000, nil},
		{"empty", strings.NewReader(""), 0, 10, 0, nil},
		{"byte by byte", io.MultiReader(strings.NewReader("a"), strings.NewReader("b")), 2, 10, 2, nil},
		{"short", strings.NewReader(text), 100_001, 1 << 20, 100_000, errShort},
		{"long", strings.NewReader(text), 99_999, 1 << 20, 100_000, errShort},
		{"cut", io.MultiReader(strings.NewReader("ab"), failing{io.ErrUnexpectedEOF}), 5, 10, 2, errShort},
		{"broken", io.MultiReader(strings.NewReader("ab"), failing{broken}), -1, 10, 2, broken},
		{"too large by its length", strings.NewReader(text), 100_000, 99_999, 0, errTooLarge},
		{"a length that is a lie", strings.NewReader("ab"), 1 << 40, 1 << 41, 2, errShort},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var buf buffer
			b, err := buf.read(tc.r, tc.length, tc.limit)
			if len(b) != tc.n || err != tc.err {
				t.Errorf("%d bytes, %v; want %d, %v", len(b), err, tc.n, tc.err)
			}
			if cap(buf.b) > 64<<20 {
				t.Errorf("%d bytes of memory", cap(buf.b))
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		var buf buffer
		if _, err := buf.read(strings.NewReader(text), -1, 99_999); err != errTooLarge {
			t.Error(err)
		}
	})
	t.Run("no memory for the next page of the size", func(t *testing.T) {
		var buf buffer
		r := strings.NewReader(text)
		buf.read(r, int64(len(text)), 1<<20)
		if n := testing.AllocsPerRun(10, func() { r.Reset(text); buf.read(r, int64(len(text)), 1<<20) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
