package export_test

import (
	"bufio"
	"context"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"golang.org/x/sync/errgroup"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

func openMem(t testing.TB) *blob.Bucket {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { b.Close() })
	return b
}

// truth is a Source of the simulator's conversations.
type truth struct{ server *genesystest.Server }

func (s truth) Pages(_ context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	return func(yield func(*record.Page, error) bool) {
		var body strings.Builder
		n := 0
		flush := func() bool {
			page := &record.Page{Body: []byte(`{"conversations":[` + body.String() + `]}`)}
			body.Reset()
			n = 0
			return yield(page, nil)
		}
		for c := range s.server.Truth(iv.Start, iv.End, true) {
			if n++; n > 1 {
				body.WriteByte(',')
			}
			body.Write(c.JSON)
			if n == 1000 && !flush() {
				return
			}
		}
		flush()
	}
}

// bigBucket holds two days of conversations such as real ones are.
func bigBucket(b *testing.B) (bucket *blob.Bucket, raw int64) {
	b.Helper()
	from := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	s := genesystest.New(genesystest.Options{Seed: 1, PerDay: 10_000, From: from, To: from.AddDate(0, 0, 3)})
	bucket = openMem(b)
	e := &export.Exporter{Source: truth{s}, Bucket: bucket, Mode: "job"}
	sum, err := e.Run(b.Context(), export.Plan{Dataset: export.Conversations, Step: 12 * time.Hour,
		Range: interval.Interval{Start: from, End: from.AddDate(0, 0, 2)}})
	if err != nil || !sum.Complete() {
		b.Fatal(err, sum.Failed)
	}
	b.Logf("%d records, %d bytes, %d raw", sum.Records, sum.Bytes, sum.RawBytes)
	return bucket, sum.RawBytes
}

// gunzipAll does what gzip -t does, on as many processors as there are.
func gunzipAll(b *testing.B, bucket *blob.Bucket) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for it := bucket.List(&blob.ListOptions{Prefix: "conversations/"}); ; {
		o, err := it.Next(b.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		group.Go(func() error {
			r, err := bucket.NewReader(b.Context(), o.Key, nil)
			if err != nil {
				return err
			}
			defer r.Close()
			zr, err := gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, zr)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}
