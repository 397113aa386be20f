package store

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/object"
)

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, err := Open(t.Context(), "file://"+dir+"?create_dir=1", Options{Stall: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("opening and checking has created directories")
	}
	if s.Name != "file://"+dir || s.Scheme != "file" || s.Object.Stall != time.Minute {
		t.Errorf("store %+v", s)
	}
	err = object.Write(t.Context(), s.Bucket, "x/y.jsonl.gz", &s.Object, func(w io.Writer) error {
		_, err := io.WriteString(w, "hello")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "x", "y.jsonl.gz")); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBadDirectories(t *testing.T) {
	tmp := t.TempDir()
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(tmp, "closed")
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		dir     string
		kind    Kind
		message string
		user    bool // root may do this
	}{
		"a file":       {file, Config, "is a file", false},
		"below a file": {filepath.Join(file, "x", "y"), Config, "file", false},
		"closed":       {closed, Denied, "no permission", true},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.user && os.Geteuid() == 0 {
				t.Skip("root may read everything")
			}
			_, err := Open(t.Context(), tc.dir, Options{})
			var e *Error
			if !errors.As(err, &e) || e.Kind != tc.kind || !strings.Contains(e.Message, tc.message) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOpenWithoutWhatItNeeds(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
		"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGEBLOB_CONNECTIONSTRING", "STORAGE_EMULATOR_HOST"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none.json"))
	for name, tc := range map[string]struct {
		url     string
		env     map[string]string
		kind    Kind
		message string
	}{
		"no region":        {url: "s3://bucket/x", kind: Config, message: "s3://bucket/x: no AWS region"},
		"no profile":       {url: "s3://bucket?profile=nobody&region=eu-west-1", kind: Config, message: "profile"},
		"bad boolean":      {url: "s3://bucket?use_path_style=perhaps&region=eu-west-1", kind: Config, message: "use_path_style"},
		"bad endpoint":     {url: "s3://bucket?endpoint=localhost:9000", kind: Config, message: "endpoint"},
		"endpoint, secret": {url: "s3://bucket?endpoint=http://u:s3cr3t@h", kind: Config, message: "endpoint"},
		"no Google":        {url: "gs://bucket", kind: Denied, message: "GOOGLE_APPLICATION_CREDENTIALS names "},
		"bad anonymous":    {url: "gs://bucket?anonymous=yes", kind: Config, message: "anonymous"},
		"no account":       {url: "azblob://container", kind: Config, message: "account"},
		"bad key":          {url: "azblob://container", env: map[string]string{"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_KEY": "s3cr3t!"}, kind: Config, message: "AZURE_STORAGE_KEY"},
		"bad connection":   {url: "azblob://container", env: map[string]string{"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_CONNECTION_STRING": "s3cr3t"}, kind: Config, message: "CONNECTION_STRING"},
		"SAS elsewhere":    {url: "azblob://container?domain=evil.example", env: map[string]string{"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_SAS_TOKEN": "sig=s3cr3t"}, kind: Config, message: "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			_, err := Open(t.Context(), tc.url, Options{})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Kind != tc.kind || !strings.Contains(e.Message, tc.message) || strings.Contains(e.Message+e.Hint, "s3cr3t") {
				t.Errorf("%v: %q, hint %q", e.Kind, e.Message, e.Hint)
			}
		})
	}
}

// The pauses must outlast an outage of 20 seconds even if chance makes them
// short, and nobody wants to wait for minutes.
func TestS3PausesOutlastAnOutage(t *testing.T) {
	for range 100 {
		var sum time.Duration
		for attempt := 1; attempt < s3Attempts; attempt++ {
			sum += s3Pause(attempt)
		}
		if sum < 25*time.Second || sum > time.Minute {
			t.Fatalf("pauses sum up to %v", sum)
		}
	}
}

func TestBuffersFitTheBudget(t *testing.T) {
	const gib = 1 << 30
	for writers := 1; writers <= 64; writers++ {
		s3, az, gs := s3Buffers(writers), azureBuffers(writers), gcsBuffers(writers)
		if n := writers * ((s3.parallel+1)*s3.part + s3.part*14/10); n > gib*11/10 {
			t.Errorf("S3: %d writers take %d MiB", writers, n/mib)
		}
		if writers*az.parallel*az.part > gib || writers*gs.part > gib || s3.part < 5*mib {
			t.Errorf("%d writers: %+v %+v %+v", writers, s3, az, gs)
		}
	}
}

// URIs are those that loaders take, and hold no secret.
func TestURI(t *testing.T) {
	dir := t.TempDir()
	for url, want := range map[string]string{
		"s3://bkt/some/prefix?region=eu-west-1": "s3://bkt/some/prefix/a/b=1/c.jsonl.gz",
		"gs://bkt?anonymous=true":               "gs://bkt/a/b=1/c.jsonl.gz",
		"azblob://box/x":                        "https://acct.blob.core.windows.net/box/x/a/b=1/c.jsonl.gz",
		dir:                                     "file://" + dir + "/a/b=1/c.jsonl.gz",
	} {
		t.Run(want, func(t *testing.T) {
			t.Setenv("AZURE_STORAGE_ACCOUNT", "acct")
			t.Setenv("AZURE_STORAGE_KEY", "")
			t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sv=2024&sig=s3cr3t")
			s, err := Open(t.Context(), url, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := s.URI("a/b=1/c.jsonl.gz"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
