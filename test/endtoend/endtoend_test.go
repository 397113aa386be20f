// Package endtoend exports from the simulator into a bucket, in memory and in
// virtual time, and compares what arrives with what the simulator holds. Hours
// of waiting pass in milliseconds, and a goroutine that is left behind fails
// the test by itself.
package endtoend

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A world is a simulated organisation, a bucket, and an exporter between them.
type world struct {
	t      *testing.T
	server *genesystest.Server
	bucket *blob.Bucket
	mode   string
	jobs   genesys.JobOptions
	rate   float64
	engine export.Exporter
}

// first is when the data of all tests begin. A bubble's clock starts with 2000.
var first = time.Date(1999, 10, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, o genesystest.Options) *world {
	t.Helper()
	o.From = first
	if o.PerDay == 0 {
		o.PerDay = 60
	}
	if o.Size == "" {
		o.Size = genesystest.SizeSmall
	}
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { bucket.Close() })
	return &world{t: t, server: genesystest.New(o), bucket: bucket, mode: "job", rate: 300}
}

// export runs the exporter once, with a client of its own, as a process would.
func (w *world) export(ctx context.Context, p export.Plan) (export.Summary, error) {
	w.t.Helper()
	client, err := genesys.New(genesys.Config{
		APIURL: "http://api.test", LoginURL: "http://login.test",
		ClientID: "demo", ClientSecret: genesys.NewSecret("demo"),
		RequestsPerMinute: w.rate, Transport: w.server.Transport(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	e := w.engine
	e.Bucket, e.Mode = w.bucket, w.mode
	e.Source = client.Jobs(w.jobs)
	if w.mode == "query" {
		e.Source = client.Queries(genesys.QueryOptions{})
	}
	return e.Run(ctx, p)
}

// complete runs the export and wants it to be complete and right.
func (w *world) complete(p export.Plan) export.Summary {
	w.t.Helper()
	s, err := w.export(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range s.Failed {
		w.t.Errorf("chunk %s failed: %v", f.Interval, f.Err)
	}
	w.checkHolds(p.Range)
	w.checkPolite()
	return s
}

func days(n int, step time.Duration) export.Plan {
	return export.Plan{
		Dataset: export.Conversations, Step: step,
		Range: interval.Interval{Start: first.AddDate(0, 0, 20), End: first.AddDate(0, 0, 20+n)},
	}
}

// checkHolds compares the bucket with the simulator's truth: every conversation
// that started in the range is there once, byte for byte, behind a manifest
// that tells the truth; nothing else is there.
func (w *world) checkHolds(r interval.Interval) {
	w.t.Helper()
	want := map[string]bool{}
	for c := range w.server.Truth(r.Start, r.End, w.mode == "job") {
		want[string(c.JSON)] = true
	}
	if len(want) == 0 {
		w.t.Fatal("the range holds nothing")
	}
	listed, records := w.manifests()
	var found int64
	for it := w.bucket.List(&blob.ListOptions{Prefix: "conversations/"}); ; {
		o, err := it.Next(w.t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if !listed[o.Key] {
			w.t.Errorf("no manifest lists %s", o.Key)
		}
		w.eachLine(o.Key, func(line string) {
			if !want[line] {
				w.t.Errorf("%s: unexpected, repeated or altered: %.200s", o.Key, line)
			}
			delete(want, line)
			found++
		})
	}
	if found != records {
		w.t.Errorf("the manifests count %d records, there are %d", records, found)
	}
	if len(want) > 0 {
		w.t.Errorf("%d conversations are missing, %d are there", len(want), found)
	}
}

func (w *world) manifests() (listed map[string]bool, records int64) {
	w.t.Helper()
	listed = map[string]bool{}
	for it := w.bucket.List(&blob.ListOptions{Prefix: "_gcexport/conversations/"}); ; {
		o, err := it.Next(w.t.Context())
		if err == io.EOF {
			return listed, records
		}
		if err != nil {
			w.t.Fatal(err)
		}
		data, err := w.bucket.ReadAll(w.t.Context(), o.Key)
		if err != nil {
			w.t.Fatal(err)
		}
		var m struct {
			Records int64
			Parts   []struct{ Key string }
		}
		if err := json.Unmarshal(data, &m); err != nil {
			w.t.Fatal(err)
		}
		records += m.Records
		for _, p := range m.Parts {
			listed[p.Key] = true
		}
	}
}

func (w *world) eachLine(key string, fn func(string)) {
	w.t.Helper()
	data, err := w.bucket.ReadAll(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
	lines := bufio.NewScanner(zr)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		fn(lines.Text())
	}
	if err := lines.Err(); err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
}

// checkPolite wants no minute to hold more requests than allowed.
func (w *world) checkPolite() {
	w.t.Helper()
	if n := w.server.Window(time.Minute); float64(n) > w.rate {
		w.t.Errorf("a minute holds %d requests, %v are allowed", n, w.rate)
	}
}

// checkJobs wants every job deleted that was not read to its end.
func (w *world) checkJobs(s export.Summary) {
	w.t.Helper()
	if open := len(w.server.OpenJobs()); open > s.Chunks.Exported {
		w.t.Errorf("%d jobs are left open by %d chunks", open, s.Chunks.Exported)
	}
}

// Every conversation of the range is there once and unaltered, for both sources,
// whatever the chunks, the workers and the shape of the pages.
func TestEveryShape(t *testing.T) {
	shapes := []genesystest.Options{
		{},
		{Gzip: true},
		{Pretty: true},
		{Chunked: true},
		{Gzip: true, Pretty: true, Chunked: true, ExtraFields: true},
		{Gzip: true, OmitEmpty: true, RunningStatus: 202, StartedInside: true, FuzzyHits: true},
		{ShortPages: true, Drift: 3, FuzzyHits: true},
	}
	chunks := []time.Duration{time.Hour, 5 * time.Hour, interval.Day, 7 * interval.Day, 31 * interval.Day}
	workers := []int{1, 8, 64}
	n := 0
	for _, mode := range []string{"job", "query"} {
		for _, chunk := range chunks {
			for range 2 {
				shape, worker := shapes[n%len(shapes)], workers[n%len(workers)]
				shape.Seed = uint64(n)
				n++
				t.Run(fmt.Sprintf("%s/%v/%d workers/%d", mode, chunk, worker, n), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, shape)
						w.mode, w.engine.Workers = mode, worker
						length := 3
						if chunk > interval.Day {
							length = 40
						}
						w.complete(days(length, chunk))
					})
				})
			}
		}
	}
}

// Real sizes, all media, long and open conversations, numbers of 64 bits.
func TestRealShape(t *testing.T) {
	for _, mode := range []string{"job", "query"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, genesystest.Options{Size: genesystest.SizeNormal, LargeEvery: 50, PerDay: 150, Gzip: true, Pretty: true})
				w.mode = mode
				w.jobs.PageSize = 40
				w.complete(days(4, interval.Day))
			})
		})
	}
}

// Whatever goes wrong in one kind of request, the export ends complete.
func TestFaultsAreSurvived(t *testing.T) {
	for _, fault := range []string{
		"token:503:times=3", "token:429:retry-after=3", "token:reset:times=2", "token:500",
		"any:401:after=9", "page:revoke-token:times=3,every=5",
		"submit:429:times=3,retry-after=20", "submit:503", "submit:reset", "submit:reset:late=true",
		"submit:job-failed", "submit:job-cancelled", "submit:job-expired", "submit:job-failed:times=6", "submit:job-endless:times=2", "poll:job-endless:job=2", "poll:job-failed:job=2", "poll:500", "poll:502:times=4", "poll:html502", "poll:404",
		"page:408", "page:429:times=4,retry-after=7", "page:429:times=2", "page:429:retry-after=99999999", "page:500", "page:502:times=3", "page:html502:times=2", "page:503:times=5", "page:504",
		"page:reset:times=4", "page:cut:at=0.1", "page:cut:at=0.99,times=3", "page:cut:at=0.5,chunked=true", "page:cut:hard=true",
		"page:shorten:at=0.7,times=3", "page:garble:times=2", "page:bad-gzip", "page:bad-gzip:cut=true", "page:error-body:times=2",
		"page:expired-cursor:after=2", "page:expired-cursor:after=2,status=404", "page:duplicate:records=5,times=-1",
		"page:slow:rate=2000", "page:hang", "page:hang:at=0.5", "page:delay:for=50s", "poll:hang", "availability:503:times=2", "availability:hang",
		"any:503:p=0.1,times=-1", "any:reset:p=0.1,times=-1", "page:cut:p=0.3,times=-1",
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := genesystest.ParseFault(fault)
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, genesystest.Options{Gzip: true, Faults: []genesystest.Fault{f}})
				w.jobs.PageSize = 20
				w.engine.Workers = 3
				w.complete(days(3, 6*time.Hour))
			})
		})
	}
}

// The same for the query.
func TestFaultsOfTheQuery(t *testing.T) {
	for _, fault := range []string{
		"query:429:times=4,retry-after=7", "query:500", "query:html502:times=3", "query:reset:times=3", "query:cut:times=3", "query:garble:times=2",
		"query:error-body", "query:hang", "query:401", "any:503:p=0.1,times=-1",
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := genesystest.ParseFault(fault)
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, genesystest.Options{Faults: []genesystest.Fault{f}, PerDay: 300})
				w.mode = "query"
				w.complete(days(3, interval.Day))
			})
		})
	}
}

// What cannot be survived fails its own chunk in finite time, with the reason,
// and leaves the others whole. A later run does the rest.
func TestLastingFaultFailsItsChunkOnly(t *testing.T) {
	for _, row := range []struct {
		fault, want string
		failed      int
	}{
		{"page:garble:job=2,times=-1", "damaged", 1},
		{"page:cut:job=2,times=-1", "body ended before its length", 1},
		{"page:hang:job=2,times=-1", "came", 1},
		{"page:repeat-cursor:job=2,times=-1", "cursor", 1},
		{"page:500:job=2,times=-1", "500 Internal Server Error", 1},
		{"submit:job-failed:times=-1,message=too big", "FAILED: too big", 4},
	} {
		t.Run(row.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := genesystest.ParseFault(row.fault)
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, genesystest.Options{Faults: []genesystest.Fault{f}, PerDay: 200})
				w.jobs.PageSize = 30
				w.engine.Workers, w.engine.Attempts = 2, 1
				p := days(4, interval.Day)
				s, err := w.export(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if len(s.Failed) != row.failed || s.Chunks.Exported != 4-row.failed {
					t.Fatalf("%d failed, %d exported; want %d of 4 to fail", len(s.Failed), s.Chunks.Exported, row.failed)
				}
				if text := s.Failed[0].Err.Error(); !strings.Contains(text, row.want) {
					t.Errorf("the reason does not say %q: %s", row.want, text)
				}
				if took := time.Since(s.Started); took > 3*time.Hour {
					t.Errorf("it took %v", took)
				}
				w.checkJobs(s)
			})
		})
	}
}

func TestRefusalStopsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, genesystest.Options{Permissions: []string{}})
		_, err := w.export(t.Context(), days(3, interval.Day))
		var refused *genesys.Error
		if !errors.As(err, &refused) || !refused.Fatal() {
			t.Fatalf("error %v", err)
		}
		if n := len(w.server.Requests()); n > 3 {
			t.Errorf("%d requests were made", n)
		}
	})
}

// A storm of 429 costs waiting, and no more requests than it must.
func TestStorm(t *testing.T) {
	for _, fault := range []string{"any:429:p=0.5,times=400,retry-after=2", "any:429:p=0.5,times=400", "any:429:p=0.5,times=400,retry-after=-5"} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := genesystest.ParseFault(fault)
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, genesystest.Options{Faults: []genesystest.Fault{f}})
				w.engine.Workers = 8
				w.complete(days(5, 6*time.Hour))
			})
		})
	}
}

// The allowance is never exceeded, also where it is what limits the run.
func TestAllowance(t *testing.T) {
	for _, workers := range []int{1, 8, 64} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, genesystest.Options{RequestsPerMinute: 60})
				w.rate = 60
				w.jobs = genesys.JobOptions{PageSize: 5, Concurrent: 20}
				w.engine.Workers = workers
				w.complete(days(4, 6*time.Hour))
				if n := w.server.Tally()[genesystest.Page][429]; n > 0 {
					t.Errorf("%d pages were answered 429", n)
				}
			})
		})
	}
}

// A cancelled run ends soon, leaves no job behind, and the next one goes on.
func TestCancelAndGoOn(t *testing.T) {
	stop := errors.New("stop")
	for _, after := range []time.Duration{time.Millisecond, 3 * time.Second, 10 * time.Second, 25 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, genesystest.Options{Latency: 200 * time.Millisecond, JobTime: 5 * time.Second})
				w.jobs.PageSize = 10
				w.engine.Workers = 4
				p := days(5, 6*time.Hour)
				ctx, cancel := context.WithCancelCause(t.Context())
				timer := time.AfterFunc(after, func() { cancel(stop) })
				defer timer.Stop()
				s, err := w.export(ctx, p)
				if !errors.Is(err, stop) {
					t.Fatalf("error %v", err)
				}
				if took := time.Since(s.Started); s.Run != "" && took > after+15*time.Second {
					t.Errorf("it took %v to stop", took-after)
				}
				w.checkPolite()
				w.checkJobs(s)
				w.complete(p)
			})
		})
	}
}

// The tail that lies beyond the watermark is postponed, and done once it may be.
func TestWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, genesystest.Options{Watermark: first.AddDate(0, 0, 22)})
		p := days(5, 6*time.Hour)
		s, err := w.export(t.Context(), p)
		if err != nil || s.Complete() || len(s.Postponed) != 12 {
			t.Fatalf("postponed %d chunks, error %v", len(s.Postponed), err)
		}
		w.checkHolds(interval.Interval{Start: p.Range.Start, End: first.AddDate(0, 0, 22)})
	})
}
