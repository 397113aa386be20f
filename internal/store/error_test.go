package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/gcexport/gcexport/internal/object"
)

func s3Err(code string) error {
	return fmt.Errorf("operation error S3: PutObject: %w", &smithy.GenericAPIError{Code: code, Message: "see\nthere"})
}

func gcsErr(code int) error { return &googleapi.Error{Code: code, Message: "first\nsecond"} }

func azureErr(status int, code string) error {
	return &azcore.ResponseError{StatusCode: status, ErrorCode: code}
}

func TestExplain(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9000}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, tc := range map[string]struct {
		err     error
		kind    Kind
		message string
	}{
		"s3 no bucket":       {s3Err("NoSuchBucket"), NotFound, "bucket does not exist"},
		"s3 no key":          {s3Err("NoSuchKey"), NotFound, "not found"},
		"s3 key id":          {s3Err("InvalidAccessKeyId"), Denied, "credentials"},
		"s3 secret":          {s3Err("SignatureDoesNotMatch"), Denied, "credentials"},
		"s3 expired":         {s3Err("ExpiredToken"), Denied, "credentials"},
		"s3 denied":          {s3Err("AccessDenied"), Denied, "access denied"},
		"s3 head denied":     {s3Err("Forbidden"), Denied, "access denied"},
		"s3 region":          {s3Err("PermanentRedirect"), Config, "region"},
		"s3 clock":           {s3Err("RequestTimeTooSkewed"), Config, "clock"},
		"s3 slow down":       {s3Err("SlowDown"), Unreachable, "overloaded"},
		"s3 not implemented": {s3Err("NotImplemented"), Config, "does not support"},
		"s3 other":           {s3Err("Strange"), Other, "Strange: see"},
		"s3 profile":         {config.SharedConfigProfileNotExistError{Profile: "p"}, Config, `profile "p"`},
		"s3 no credentials":  {errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found"), Denied, "no AWS credentials"},
		"s3 no region":       {errors.New("resolve endpoint: Invalid Configuration: Missing Region"), Config, "no AWS region"},
		"gs 401":             {gcsErr(401), Denied, "credentials"},
		"gs 403":             {gcsErr(403), Denied, "access denied"},
		"gs 404":             {gcsErr(404), NotFound, "bucket does not exist"},
		"gs 429":             {gcsErr(429), Unreachable, "overloaded"},
		"gs 400":             {gcsErr(400), Other, "first"},
		"gs token":           {&oauth2.RetrieveError{ErrorCode: "invalid_grant", Response: &http.Response{}}, Denied, "invalid_grant"},
		"azure container":    {azureErr(404, "ContainerNotFound"), NotFound, "container does not exist"},
		"azure key":          {azureErr(403, "AuthenticationFailed"), Denied, "credentials"},
		"azure role":         {azureErr(403, "AuthorizationPermissionMismatch"), Denied, "access denied"},
		"azure busy":         {azureErr(503, "ServerBusy"), Unreachable, "overloaded"},
		"azure other":        {azureErr(400, "InvalidHeaderValue"), Other, "InvalidHeaderValue"},
		"azure nobody":       {errors.New("DefaultAzureCredential: failed to acquire a token.\nAttempted credentials:\n\tEnvironmentCredential: missing"), Denied, "no Azure credentials"},
		"disk full":          {&fs.PathError{Op: "write", Path: "/data/x", Err: syscall.ENOSPC}, Other, "no space left"},
		"read-only":          {&fs.PathError{Op: "open", Path: "/data/x", Err: syscall.EROFS}, Denied, "read-only"},
		"no permission":      {&fs.PathError{Op: "open", Path: "/data/x", Err: syscall.EACCES}, Denied, "no permission for /data/x"},
		"below a file":       {&fs.PathError{Op: "mkdir", Path: "/data/x", Err: syscall.ENOTDIR}, Config, "below a file"},
		"gone":               {&fs.PathError{Op: "open", Path: "/data/x", Err: syscall.ENOENT}, NotFound, "/data/x does not exist"},
		"refused":            {&url.Error{Op: "Get", URL: "http://h/?sig=s3cr3t", Err: dial}, Unreachable, "connection refused by 10.0.0.1:9000"},
		"dns":                {&net.DNSError{Err: "no such host", Name: "acc.blob.core.windows.net"}, Unreachable, "acc.blob.core.windows.net"},
		"tls":                {&url.Error{Op: "Get", URL: "https://h/", Err: x509.UnknownAuthorityError{}}, Config, "certificate"},
		"plain http":         {errors.New("http: server gave HTTP response to HTTPS client"), Config, "speaks HTTP"},
		"timeout":            {context.DeadlineExceeded, Unreachable, "no answer"},
		"cancelled":          {fmt.Errorf("x: %w", context.Canceled), Other, "cancelled"},
		"exists":             {fmt.Errorf("write object k: %w", object.ErrExists), Other, "object exists already"},
		"stalled":            {fmt.Errorf("write object k: %w for 1m0s", object.ErrStalled), Unreachable, "no progress"},
		"anything":           {errors.New("\n----\nGET https://user:s3cr3t@h/x?sig=s3cr3t AccountKey=s3cr3t;\nmore"), Other, "GET https://h/x AccountKey=***"},
		"kept":               {fmt.Errorf("x: %w", badConfig("bad", "hint")), Config, "bad"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Explain(fmt.Errorf("layer: %w", tc.err))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %T", err)
			}
			if e.Kind != tc.kind || !strings.Contains(e.Message, tc.message) {
				t.Errorf("%v: %q", e.Kind, e.Message)
			}
			if all := e.Message + e.Hint; strings.Contains(all, "s3cr3t") || strings.ContainsAny(all, "\n\t") {
				t.Errorf("not fit to be shown: %q", all)
			}
			if name != "kept" && !errors.Is(err, tc.err) && e.Err == nil {
				t.Error("lost what the store said")
			}
		})
	}
	if Explain(nil) != nil {
		t.Error("nil is an error")
	}
	if s := oneLine(strings.Repeat("ü", 5000)); len([]rune(s)) != maxLine+1 {
		t.Errorf("%d runes", len([]rune(s)))
	}
}
