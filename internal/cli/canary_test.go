package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// Secrets that are given to the program, where they belong and where they do not.
const (
	secretCanary  = "canary-client-secret"
	wrongCanary   = "canary-wrong-secret"
	gatewayCanary = "canary-gateway-password"
	bucketCanary  = "canary-bucket-key"
)

// An aviary is a simulator whose data and secrets are recognised wherever they
// turn up, and everything that the program has said.
type aviary struct {
	url, gateway, dir string

	mu       sync.Mutex
	canaries map[string]bool
	said     map[string]string // what was said, by where
}

func newAviary(t *testing.T) (*aviary, *genesystest.Server) {
	s := genesystest.New(genesystest.Options{
		Seed: 7, PerDay: 40, Size: genesystest.SizeSmall, Gzip: true, RequestsPerMinute: -1, JobTime: time.Millisecond,
		ClientID: "id", ClientSecret: secretCanary,
		From: time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC),
	})
	a := &aviary{dir: t.TempDir(), canaries: map[string]bool{}, said: map[string]string{}}
	for _, secret := range []string{secretCanary, wrongCanary, gatewayCanary, bucketCanary} {
		a.hide(secret)
		a.hide(base64.StdEncoding.EncodeToString([]byte("id:" + secret)))
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			a.hide(token) // also the tokens that the simulator gives
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.note("pushed metrics", string(body))
		http.Error(w, gatewayCanary, http.StatusForbidden)
	}))
	t.Cleanup(gateway.Close)
	a.url, a.gateway = api.URL, strings.Replace(gateway.URL, "://", "://id:"+gatewayCanary+"@", 1)
	for c := range s.Truth(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 3, 4, 0, 0, 0, 0, time.UTC), true) {
		var v any
		if err := json.Unmarshal(c.JSON, &v); err != nil {
			t.Fatal(err)
		}
		a.hidePersonal("", v)
	}
	return a, s
}

// hidePersonal makes canaries of the personal data in a conversation: names,
// addresses, and all attributes.
func (a *aviary) hidePersonal(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, each := range v {
			if key == "attributes" {
				k = key
			}
			a.hidePersonal(k, each)
		}
	case []any:
		for _, each := range v {
			a.hidePersonal(key, each)
		}
	case string:
		switch key {
		case "attributes", "ani", "dnis", "addressFrom", "addressTo", "addressSelf", "addressOther", "participantName", "remote", "remoteNameDisplayable":
			if len(v) >= 8 { // shorter ones stand in other words by chance
				a.hide(v)
			}
		}
	}
}

func (a *aviary) hide(canary string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.canaries[canary] = true
}

func (a *aviary) note(where, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said[where] += text
}

// run runs the program at the debug level, and notes all that it says.
func (a *aviary) run(t *testing.T, want int, secret, args string) {
	t.Helper()
	env := map[string]string{
		envClientID: "id", envClientSecret: secret, "GCEXPORT_API_URL": a.url, "GCEXPORT_LOGIN_URL": a.url,
		"GCEXPORT_RATE": "100000", "GCEXPORT_JOBS": "16", "GCEXPORT_LOG_LEVEL": "debug",
		"GCEXPORT_PUSHGATEWAY": a.gateway, "GCEXPORT_TERMINATION_LOG": filepath.Join(a.dir, "termination"),
	}
	var stdout, stderr bytes.Buffer
	code := Main(context.WithoutCancel(t.Context()), Process{Args: strings.Fields(args), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if code != want {
		t.Errorf("%s: exit code %d, want %d\n%s", args, code, want, &stderr)
	}
	a.note("stdout of "+args, stdout.String())
	a.note("stderr of "+args, stderr.String())
}

// found lists the canaries in a text.
func (a *aviary) found(text string) (canaries []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.canaries {
		if strings.Contains(text, c) {
			canaries = append(canaries, c)
		}
	}
	return canaries
}

// TestCanaries exports data and secrets that are recognised, through what goes
// well and what does not, and finds them in the parts alone.
func TestCanaries(t *testing.T) {
	a, s := newAviary(t)
	if err := os.WriteFile(filepath.Join(a.dir, "termination"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	bucket := filepath.Join(a.dir, "bucket")
	fault := func(text string) {
		f, err := genesystest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		s.AddFault(f)
	}
	const span = " --start 2024-03-01 --end 2024-03-04 "
	for _, text := range []string{"page:cut", "page:garble:after=1", "page:bad-gzip:after=2", "page:429:after=3", "poll:502"} {
		fault(text)
	}
	a.run(t, 0, secretCanary, "export "+bucket+span+"--page-size 10 --record envelope --max-record 1000")
	a.run(t, 3, wrongCanary, "export "+bucket+"2"+span)
	a.run(t, 2, secretCanary, "export s3://id:"+bucketCanary+"@bucket/x"+span)
	a.run(t, 2, secretCanary, "export azblob://bucket?sig="+bucketCanary+span)
	a.run(t, 2, secretCanary, "export "+bucket+span+"--pushgateway http://id:"+gatewayCanary+"%zz@host")
	a.run(t, 0, secretCanary, "plan "+bucket+span+"--all --output json")
	a.run(t, 0, secretCanary, "verify "+bucket)
	s.ClearFaults()
	fault("submit:400:times=-1")
	a.run(t, 4, secretCanary, "export "+bucket+"3"+span+"--output json")

	a.readBucket(t, bucket+"3")
	parts := a.readBucket(t, bucket)
	damageOnePart(t, bucket)
	a.run(t, 5, secretCanary, "verify "+bucket+" --output json")

	termination, err := os.ReadFile(filepath.Join(a.dir, "termination"))
	if err != nil || len(termination) == 0 {
		t.Errorf("termination log: %q, %v", termination, err)
	}
	a.note("termination log", string(termination))
	if n := len(a.found(parts)); n < 20 {
		t.Errorf("the parts hold %d canaries: this test would find none elsewhere either", n)
	}
	if len(a.said["pushed metrics"]) == 0 {
		t.Error("no metrics were pushed")
	}
	checkLogKeys(t, a.said)
	for where, text := range a.said {
		if canaries := a.found(text); len(canaries) > 0 {
			t.Errorf("%s: %q in\n%.3000s", where, canaries, text)
		}
	}
}

// readBucket notes what the objects hold that are no parts, and all names, and
// returns what the parts hold.
func (a *aviary) readBucket(t *testing.T, dir string) (parts string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		a.note("names", path+"\n")
		if !strings.HasSuffix(path, ".jsonl.gz") {
			a.note(path, string(data))
			return nil
		}
		zr, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		data, err = io.ReadAll(zr)
		// An envelope holds the record as a string.
		parts += strings.ReplaceAll(string(data), `\"`, `"`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

// damageOnePart has a part hold a record twice.
func damageOnePart(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "conversations", "dt=*", "*.jsonl.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(paths[0], append(data, data...), 0o666); err != nil {
		t.Fatal(err)
	}
}
