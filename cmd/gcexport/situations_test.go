package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// A situation is something that is wrong, and what a user is told about it.
type situation struct {
	name string
	// env and args are added to those that work; an empty variable is unset. $API is
	// the simulator's address, $HOST the same without http://, $TLS that of a server
	// with a certificate that nobody knows, $WEB that of one that is no API, $DIR a
	// directory.
	env, args []string
	// bucket is "$DIR/out" if it is empty.
	bucket string
	// code is the exit code, line and hint are patterns of what stderr says.
	code       int
	line, hint string
	// only is the one command that can tell: "export" or "doctor". Without it, both must.
	only string
	// api are options of the simulator.
	api genesystest.Options
}

const (
	id     = "GENESYSCLOUD_OAUTHCLIENT_ID"
	secret = "GENESYSCLOUD_OAUTHCLIENT_SECRET"
)

// situations has what goes wrong with the API, the command and its files, and with
// buckets as far as no store is needed; test/stores has the rest.
var situations = []situation{
	{name: "no client id", env: []string{id + "="}, code: 2, line: id + " is not set", hint: "set " + id + " and " + secret},
	{name: "no secret", env: []string{secret + "="}, code: 2, line: secret + " is not set", hint: "set " + id + " and " + secret},
	{name: "secret twice", env: []string{secret + "_FILE=$DIR/empty"}, code: 2, line: "both " + secret + " and " + secret + "_FILE are set", hint: "set one of them"},
	{name: "no file of the secret", env: []string{secret + "=", secret + "_FILE=$DIR/none"}, code: 2, line: secret + "_FILE: open .*/none: no such file", hint: "it must name a file that holds the value alone"},
	{name: "an empty file of the secret", env: []string{secret + "=", secret + "_FILE=$DIR/empty"}, code: 2, line: secret + "_FILE: .*/empty is empty", hint: "it must name a file that holds the value alone"},
	{name: "a wrong secret", env: []string{secret + "=wrong"}, code: 3, line: "get token: the API answered 400 .*correlation id", hint: "check " + id + ", " + secret + " and the region"},
	{name: "a wrong client", env: []string{id + "=wrong"}, code: 3, line: "get token: the API answered 400 .*correlation id", hint: "check " + id + ", " + secret + " and the region"},
	{name: "half a second client", env: []string{id + "_2=second"}, code: 2, line: secret + "_2 is not set", hint: "set " + id + "_2 and " + secret + "_2"},
	{name: "a client twice", env: []string{id + "_2=demo", secret + "_2=demo"}, code: 2, line: id + " and " + id + "_2 are the same client", hint: "create another one, or leave it out"},
	{name: "a wrong second client", env: []string{id + "_2=second", secret + "_2=second"}, code: 3, line: "client 2: get token: the API answered 400", hint: "check " + id + "_2, " + secret + "_2 and the region"},
	{name: "no permission", api: genesystest.Options{Permissions: []string{}}, code: 3, line: "the API answered 403 .*analytics:conversationDetail:view", hint: "give the OAuth client a role with the permission analytics:conversationDetail:view"},
	{name: "no region", env: []string{"GCEXPORT_API_URL=", "GCEXPORT_LOGIN_URL="}, code: 2, line: "the organisation's region is not given", hint: "give --region or GENESYSCLOUD_REGION"},
	{name: "an unknown region", env: []string{"GCEXPORT_API_URL=", "GCEXPORT_LOGIN_URL="}, args: []string{"--region", "eu-centrl-1"}, code: 2, line: `unknown region "eu-centrl-1"; did you mean eu-central-1`, hint: "see docs/genesys.md for the regions"},
	{name: "one host of two", env: []string{"GCEXPORT_LOGIN_URL="}, code: 2, line: "the organisation's region is not given", hint: ".*both --api-url and --login-url"},
	{name: "a host that is no URL", args: []string{"--api-url", "api.mypurecloud.de"}, code: 2, line: "not a URL of the form https://host", hint: "URLs look like https://api.mypurecloud.com"},
	{name: "another protocol", args: []string{"--api-url", "ftp://api.mypurecloud.de"}, code: 2, line: "not a URL of the form https://host", hint: "URLs look like https://api.mypurecloud.com"},
	{name: "nobody listens", args: []string{"--api-url", "http://127.0.0.1:1", "--login-url", "http://127.0.0.1:1"}, code: 1, line: "127.0.0.1:1.*connection refused", hint: "check the region .or --api-url and --login-url., the network, and HTTPS_PROXY; see docs/errors.md#api-unreachable"},
	{name: "no such host", args: []string{"--api-url", "http://api.invalid", "--login-url", "http://login.invalid"}, code: 1, line: "login.invalid.*", hint: "the host's name is not known here: check the region"},
	{name: "the login host is a web page", args: []string{"--login-url", "$WEB"}, code: 1, line: "/oauth/token: the answer is not the JSON that was expected", hint: "what answers there is not the API"},
	{name: "the API host is a web page", args: []string{"--api-url", "$WEB"}, code: 1, line: "/api/v2/analytics/.*: the answer is not the JSON that was expected", hint: "what answers there is not the API"},
	{name: "no TLS where it should be", args: []string{"--login-url", "https://$HOST"}, code: 1, line: "server gave HTTP response to HTTPS client", hint: "the host speaks HTTP: write http://"},
	{name: "an unknown certificate", args: []string{"--login-url", "$TLS"}, code: 1, line: "certificate signed by unknown authority", hint: ".*SSL_CERT_FILE"},
	{name: "a proxy that is not there", env: []string{"HTTPS_PROXY=http://127.0.0.1:1"}, args: []string{"--login-url", "https://login.mypurecloud.de", "--api-url", "https://api.mypurecloud.de"}, code: 1, line: "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused", hint: "the proxy does not answer: check HTTPS_PROXY"},
	{name: "no time", args: []string{"--start", "soon"}, code: 2, line: `--start: "soon" is not a time: want a date such as`, hint: "see 'gcexport export --help'", only: "export"},
	{name: "no zone", args: []string{"--start", "2024-03-01T00:00:00"}, code: 2, line: "has no time zone: add Z for UTC", hint: "see 'gcexport export --help'", only: "export"},
	{name: "the wrong way round", args: []string{"--start", "2024-03-05"}, code: 2, line: "--end .* is not after --start", hint: "the range is .start, end.", only: "export"},
	{name: "the future", args: []string{"--start", "2999-03-01", "--end", "2999-03-02"}, code: 2, line: "--start .* lies in the future", hint: "there is nothing to export yet", only: "export"},
	{name: "too many chunks", args: []string{"--start", "2004-03-01", "--chunk", "1s"}, code: 2, line: "--chunk 1s cuts the range into [0-9]* chunks", hint: "take longer chunks", only: "export"},
	{name: "a shard that is not there", args: []string{"--shard", "4/4"}, code: 2, line: "--shard: shard 4/4: want i/n", hint: "see 'gcexport export --help'", only: "export"},
	{name: "beyond the watermark", api: genesystest.Options{Watermark: time.Date(2024, 3, 2, 12, 0, 0, 0, time.UTC)}, code: 4, line: "1 of 2 chunks lie beyond the watermark 2024-03-02T12:00:00Z", hint: "everything before it is committed; run the same command again later", only: "export"},
	{name: "a flag that is not there", args: []string{"--worker", "3"}, code: 2, line: "unknown flag: --worker", hint: "see 'gcexport (export|doctor) --help'"},
	{name: "an argument too many", args: []string{"more"}, code: 2, line: `unexpected argument "more"`, hint: "give one bucket"},
	{name: "no settings", args: []string{"--config", "$DIR/none.yaml"}, code: 2, line: "--config .*/none.yaml: there is no such file", hint: "give the path of a YAML file"},
	{name: "broken settings", args: []string{"--config", "$DIR/broken.yaml"}, code: 2, line: "broken.yaml is not a file of settings: yaml: line 2", hint: "it is YAML"},
	{name: "an unknown setting", args: []string{"--config", "$DIR/unknown.yaml"}, code: 2, line: `unknown.yaml: line 1: "worker" is no setting`, hint: `did you mean "workers"`},
	{name: "an unknown profile", args: []string{"--config", "$DIR/profiles.yaml", "--profile", "nort"}, code: 2, line: `profiles.yaml has no profile "nort"`, hint: "it has: north"},
	{name: "a bad variable", env: []string{"GCEXPORT_RATE=fast"}, code: 2, line: `GCEXPORT_RATE: "fast" is not a whole number`, hint: "see 'gcexport"},
	{name: "a file for a directory", bucket: "$DIR/empty", code: 2, line: "is a file, not a directory", hint: "check the path"},
	{name: "a directory that nobody can make", bucket: "/proc/out", code: 2, line: "/proc/out does not exist", hint: "check the path, and whether this user may make it"},
	{name: "an unknown scheme", bucket: "s4://bucket", code: 2, line: `URL scheme "s4" is not known`, hint: "known are s3://, gs://, azblob://"},
	{name: "no bucket in the URL", bucket: "s3://", code: 2, line: "the URL names no bucket", hint: "write it as s3://bucket/prefix"},
	{name: "an unknown parameter", bucket: "s3://bucket?regoin=eu-central-1", code: 2, line: `URL parameter "regoin" is not known`, hint: "s3:// takes .*region"},
	{name: "no region of the bucket", bucket: "s3://bucket/genesys", env: []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_EC2_METADATA_DISABLED=true"}, code: 2, line: "no AWS region given", hint: "give it as .region=… or in AWS_REGION"},
	{name: "no credentials for S3", bucket: "s3://bucket/genesys?region=eu-central-1", env: []string{"AWS_EC2_METADATA_DISABLED=true"}, code: 3, line: "no AWS credentials found", hint: "set AWS_ACCESS_KEY_ID"},
	{name: "an unknown profile of AWS", bucket: "s3://bucket/genesys?region=eu-central-1", env: []string{"AWS_PROFILE=nobody"}, code: 2, line: `AWS profile "nobody" does not exist`, hint: "check profile= in the URL and AWS_PROFILE"},
	{name: "no file of credentials for GCS", bucket: "gs://bucket/genesys", env: []string{"GOOGLE_APPLICATION_CREDENTIALS=$DIR/none"}, code: 3, line: "GOOGLE_APPLICATION_CREDENTIALS names .*/none", hint: "it must be a file that this user can read"},
	{name: "no account of Azure", bucket: "azblob://container/genesys", code: 2, line: "no Azure storage account given", hint: "set AZURE_STORAGE_ACCOUNT"},
	{name: "a key of Azure that is none", bucket: "azblob://container/genesys", env: []string{"AZURE_STORAGE_ACCOUNT=x", "AZURE_STORAGE_KEY=???"}, code: 2, line: "AZURE_STORAGE_KEY is not a storage account key", hint: "keys are Base64"},
}

// Each situation leads export and doctor to the right line, a hint and the exit code,
// soon, and to nothing in the bucket.
func TestSituations(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			place := newPlace(t, s.api)
			for _, command := range []string{"export", "doctor"} {
				if s.only == "" || s.only == command {
					place.check(t, s, command)
				}
			}
		})
	}
}

// A place has what the words of a situation stand for.
type place struct {
	program string
	words   *strings.Replacer
	dir     string
}

func newPlace(t *testing.T, o genesystest.Options) *place {
	t.Helper()
	o.PerDay, o.Size, o.RequestsPerMinute, o.JobTime = 5, genesystest.SizeSmall, -1, time.Millisecond
	o.From, o.To = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC)
	api, stop, err := genesystest.New(o).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop() })
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>Welcome</title>"))
	})
	web, tls := httptest.NewServer(page), httptest.NewUnstartedServer(page)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	tls.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(tls.Close)
	p := &place{dir: t.TempDir()}
	p.words = strings.NewReplacer("$API", api, "$HOST", strings.TrimPrefix(api, "http://"), "$TLS", tls.URL, "$WEB", web.URL, "$DIR", p.dir)
	p.file(t, "empty", "")
	p.file(t, "broken.yaml", "export:\n\t- x")
	p.file(t, "unknown.yaml", "worker: 3\n")
	p.file(t, "profiles.yaml", "profiles:\n  north:\n    workers: 3\n")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.program = filepath.Join(t.TempDir(), "gcexport") // by this name, the test is the program
	if err := os.Symlink(self, p.program); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) file(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// check runs a command in the situation.
func (p *place) check(t *testing.T, s situation, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	bucket := s.bucket
	if bucket == "" {
		bucket = "$DIR/out"
	}
	args := []string{command, bucket}
	if command == "export" {
		args = append(args, "--quiet", "--start", "2024-03-01", "--end", "2024-03-03")
	}
	args = append(args, s.args...)
	for i := range args {
		args[i] = p.words.Replace(args[i])
	}
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Env = []string{"HOME=" + p.dir, id + "=demo", secret + "=demo", p.words.Replace("GCEXPORT_API_URL=$API"), p.words.Replace("GCEXPORT_LOGIN_URL=$API"), "GCEXPORT_RATE=100000"}
	for _, v := range s.env {
		cmd.Env = append(cmd.Env, p.words.Replace(v))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if got := cmd.ProcessState.ExitCode(); err != nil || got != s.code {
		t.Errorf("%s: exit code %d, want %d; %v", command, got, s.code, err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%s took %v", command, took)
	}
	if len(lines) != 2 || !matches("gcexport: error: .*"+s.line, lines[0]) || !matches("gcexport: hint: .*"+s.hint, lines[1]) {
		t.Errorf("%s: want one line like %q and a hint like %q:\n%s", command, s.line, s.hint, stderr.String())
	}
	if left := files(filepath.Join(p.dir, "out")); len(left) > 0 && s.code != 4 {
		t.Errorf("%s left %v", command, left)
	}
}

func matches(pattern, text string) bool {
	ok, err := regexp.MatchString("^"+pattern, text)
	return ok && err == nil
}

// files are all below a directory.
func files(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, path)
		}
		return nil
	})
	return names
}
