package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]target{
		"s3://bkt":            {scheme: "s3", bucket: "bkt"},
		"s3://bkt/":           {scheme: "s3", bucket: "bkt"},
		"s3://bkt/some/path":  {scheme: "s3", bucket: "bkt", prefix: "some/path/"},
		"s3://bkt/some/path/": {scheme: "s3", bucket: "bkt", prefix: "some/path/"},
		"s3://bkt?prefix=exp": {scheme: "s3", bucket: "bkt", prefix: "exp/"},
		"s3://bkt/a/b?prefix=c/d/&region=eu-west-1": {scheme: "s3", bucket: "bkt", prefix: "a/b/c/d/"},
		"s3://Legacy_Bucket.1/x":                    {scheme: "s3", bucket: "Legacy_Bucket.1", prefix: "x/"},
		"gs://my.bucket_1/dt=2024":                  {scheme: "gs", bucket: "my.bucket_1", prefix: "dt=2024/"},
		"azblob://my-container/x":                   {scheme: "azblob", bucket: "my-container", prefix: "x/"},
		"file:///abs/dir":                           {scheme: "file", dir: "/abs/dir"},
		"file://localhost/abs/dir":                  {scheme: "file", dir: "/abs/dir"},
		"file:///abs/dir?create_dir=1&metadata=skip&no_tmp_dir=true&prefix=a/b": {scheme: "file", dir: "/abs/dir/a/b"},
		"file:///with%20space": {scheme: "file", dir: "/with space"},
		"/abs/dir/":            {scheme: "file", dir: "/abs/dir"},
		"./out":                {scheme: "file", dir: filepath.Join(cwd, "out")},
		"out/":                 {scheme: "file", dir: filepath.Join(cwd, "out")},
		"../out":               {scheme: "file", dir: filepath.Join(filepath.Dir(cwd), "out")},
		"out:2024":             {scheme: "file", dir: filepath.Join(cwd, "out:2024")},
	} {
		t.Run(raw, func(t *testing.T) {
			got, err := parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			if got.scheme != want.scheme || got.bucket != want.bucket || got.prefix != want.prefix || got.dir != want.dir {
				t.Errorf("got %+v", got)
			}
			if strings.Contains(got.name(), "?") || got.query.Has("prefix") {
				t.Errorf("name %q, query %v", got.name(), got.query)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const secret = "wJalrXUtnFEMI"
	for name, tc := range map[string]struct{ raw, message, hint string }{
		"empty":                  {"", "no bucket URL", "s3://"},
		"unknown scheme":         {"ftp://bkt", `"ftp" is not known`, "s3://"},
		"mem":                    {"mem://", `"mem" is not known`, ""},
		"gcs":                    {"gcs://bkt", "not known", "gs://"},
		"azure":                  {"abfss://c@a.dfs.core.windows.net", "password", ""},
		"az":                     {"az://c", "not known", "azblob://"},
		"https":                  {"https://bkt.s3.amazonaws.com/x", "not known", "endpoint"},
		"one slash":              {"s3:/bkt", "two slashes", "s3://"},
		"no bucket":              {"s3://", "no bucket", ""},
		"no bucket but path":     {"gs:///path", "no bucket", ""},
		"short bucket":           {"s3://a", "malformed", ""},
		"bucket with port":       {"gs://bucket:80/x", "malformed", ""},
		"upper case container":   {"azblob://Upper", "malformed", ""},
		"double dash":            {"azblob://a--b", "malformed", ""},
		"not a URL":              {"s3://%zz/", "not a URL", ""},
		"user":                   {"s3://AKIA:" + secret + "@bkt", "user name or password", "environment"},
		"key for bucket":         {"s3://AKIA:" + secret + "/bkt", "not a URL", ""},
		"fragment":               {"s3://bkt/a#b", "#", ""},
		"unknown parameter":      {"s3://bkt?regoin=x", `"regoin" is not known`, "region"},
		"gs region":              {"gs://bkt?region=x", "not known", ""},
		"grpc":                   {"gs://bkt?grpc=true", "not known", ""},
		"twice":                  {"s3://bkt?region=a&region=b", "twice", ""},
		"no value":               {"s3://bkt?region=", "no value", ""},
		"semicolon":              {"s3://bkt?a=b;c=d", "malformed", ""},
		"SAS":                    {"azblob://container?sv=2024&sig=" + secret, "secret", "environment"},
		"secret parameter":       {"s3://bkt?secret_access_key=" + secret, "secret", "environment"},
		"presigned":              {"s3://bkt/x?X-Amz-Signature=" + secret, "secret", ""},
		"strange parameter":      {"s3://bkt?%0A=1", "strange name", ""},
		"space in path":          {"s3://bkt/a%20b", "cannot be part", "letters"},
		"umlaut in prefix":       {"s3://bkt?prefix=%C3%BC", "cannot be part", ""},
		"dots":                   {"s3://bkt/a/../b", "cannot be part", ""},
		"double slash":           {"s3://bkt/a//b", "cannot be part", ""},
		"relative file":          {"file://relative/dir", "absolute path", "./directory"},
		"relative file with dot": {"file://./dir", "absolute path", "./directory"},
		"empty file":             {"file://", "absolute path", ""},
		"file metadata":          {"file:///x?metadata=sidecar", "skip", ""},
		"file base_url":          {"file:///x?base_url=y", "not known", ""},
		"file opaque":            {"file:/x", "two slashes", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.raw)
			var e *Error
			if !errors.As(err, &e) || e.Kind != Config {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Message, tc.message) || !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("message %q, hint %q", e.Message, e.Hint)
			}
			if strings.Contains(e.Message+e.Hint, secret) || strings.ContainsRune(e.Message+e.Hint, '\n') {
				t.Errorf("tells too much: %q %q", e.Message, e.Hint)
			}
		})
	}
}
