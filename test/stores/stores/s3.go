package stores

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// S3 gives an empty bucket on versitygw.
func S3(t testing.TB) Store {
	t.Helper()
	host, err := startS3()
	if err != nil {
		t.Fatalf("start versitygw: %v", err)
	}
	name := newName()
	c := s3Client(host)
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return Store{
		Name: "s3",
		URL:  "s3://" + name + "?endpoint=http%3A%2F%2F" + urlHost(host) + "&use_path_style=true&region=us-east-1",
		Env: map[string]string{
			"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_EC2_METADATA_DISABLED": "true",
		},
		Host: host, Raw: &rawS3{c, name}, bucket: name,
	}
}

// startS3 starts the gateway, of which there can be one in a process only.
var startS3 = sync.OnceValues(func() (host string, err error) {
	dir, err := os.MkdirTemp("", "gcexport-s3-")
	if err != nil {
		return "", err
	}
	atEnd(func() { _ = os.RemoveAll(dir) })
	// Attributes beside the data: not every file system of a build machine has
	// extended attributes.
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "side")
	for _, d := range []string{data, side} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return "", err
		}
	}
	attributes, err := meta.NewSideCar(side)
	if err != nil {
		return "", err
	}
	be, err := posix.New(data, attributes, posix.PosixOpts{SideCarDir: side})
	if err != nil {
		return "", err
	}
	host, err = freePort()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- embedgw.RunVersityGW(ctx, be, &embedgw.Config{
			RootUserAccess: AccessKey, RootUserSecret: SecretKey, Region: "us-east-1",
			Ports: []string{host}, Quiet: true, KeepAlive: true, MaxConnections: 10_000, MaxRequests: 10_000, MultipartMaxParts: 10_000,
		})
	}()
	atEnd(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			log.Print("versitygw does not stop")
		}
	})
	return host, waitForPort(host, done)
})

func s3Client(host string) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + host), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
	})
}

type rawS3 struct {
	c      *s3.Client
	bucket string
}

func (r *rawS3) Objects(ctx context.Context) (names []string, err error) {
	p := s3.NewListObjectsV2Paginator(r.c, &s3.ListObjectsV2Input{Bucket: &r.bucket})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			names = append(names, *o.Key)
		}
	}
	return names, nil
}

func (r *rawS3) Unfinished(ctx context.Context) (names []string, err error) {
	out, err := r.c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &r.bucket})
	if err != nil {
		return nil, err
	}
	for _, u := range out.Uploads {
		names = append(names, *u.Key)
	}
	return names, nil
}

func (r *rawS3) Header(ctx context.Context, name string) (string, string, error) {
	out, err := r.c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &r.bucket, Key: &name})
	if err != nil {
		return "", "", err
	}
	return aws.ToString(out.ContentType), aws.ToString(out.ContentEncoding), nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// waitForPort waits until somebody listens, or has failed to.
func waitForPort(host string, failed <-chan error) error {
	deadline := time.After(2 * time.Minute)
	for {
		c, err := net.Dial("tcp", host)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-failed:
			return fmt.Errorf("ended at once: %w", err)
		case <-deadline:
			return fmt.Errorf("nobody listens at %s", host)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
