package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"gocloud.dev/blob/memblob"
	"google.golang.org/protobuf/proto"

	"github.com/gcexport/gcexport/internal/telemetry"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

const secret = "canary-secret"

// A receiver takes traces as a collector does.
type receiver struct {
	mu    sync.Mutex
	raw   []byte
	spans []*tracepb.Span
	names map[string]bool // of services
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	data, _ := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, data...)
	for _, resource := range request.ResourceSpans {
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				c.names[a.Value.GetStringValue()] = true
			}
		}
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// span finds one by its name and an attribute.
func (c *receiver) span(name, key, value string) *tracepb.Span {
	for _, s := range c.spans {
		if s.Name == name && (key == "" || attribute(s, key) == value) {
			return s
		}
	}
	return nil
}

func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// run exports three days with traces, of which one fails.
func run(t *testing.T, troubled func(error)) *genesystest.Server {
	t.Helper()
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	server := genesystest.New(genesystest.Options{PerDay: 20, Size: genesystest.SizeSmall, RequestsPerMinute: -1, JobTime: time.Millisecond,
		ClientSecret: secret, From: start, To: start.AddDate(0, 0, 5)})
	shard := export.Shard{Count: 1}
	traces, err := telemetry.Open(t.Context(), "v1", "job", shard, troubled)
	if err != nil {
		t.Fatal(err)
	}
	client, err := genesys.New(genesys.Config{APIURL: "https://api.test", LoginURL: "https://login.test", ClientID: "demo", ClientSecret: genesys.NewSecret(secret),
		RequestsPerMinute: 1e5, Transport: server.Transport(), Observe: traces.Exchange})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	source := traces.Source(client.Jobs(genesys.JobOptions{Concurrent: 8}))
	e := export.Exporter{Source: failing{source, start.AddDate(0, 0, 2)}, Bucket: bucket, Mode: "job", Program: "test", Observer: traces}
	plan := export.Plan{Dataset: export.Conversations, Range: interval.Interval{Start: start, End: start.AddDate(0, 0, 3)}, Step: interval.Day, Shard: shard}
	if s, err := e.Run(t.Context(), plan); err != nil || len(s.Failed) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	began := time.Now()
	traces.Close(t.Context(), 4)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v to close", took)
	}
	return server
}

// The spans of a run: one tree, with the chunks and their requests, and of each what
// became of it; and nothing that is nobody's business.
func TestTrace(t *testing.T) {
	c := &receiver{names: map[string]bool{}}
	web := httptest.NewServer(c)
	defer web.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", web.URL)
	server := run(t, func(err error) { t.Errorf("not sent: %v", err) })

	root := c.span("export", "gcexport.mode", "job")
	if root == nil || len(root.ParentSpanId) != 0 || attribute(root, "gcexport.run") == "" || !c.names["gcexport"] {
		t.Fatalf("root %v, services %v", root, c.names)
	}
	for day, result := range []string{"done", "done", "failed"} {
		start := time.Date(2024, 3, 1+day, 0, 0, 0, 0, time.UTC)
		chunk := c.span("chunk", "gcexport.chunk", interval.Interval{Start: start, End: start.AddDate(0, 0, 1)}.String())
		if chunk == nil || !bytes.Equal(chunk.ParentSpanId, root.SpanId) || attribute(chunk, "gcexport.result") != result {
			t.Errorf("day %d: %v", day, chunk)
			continue
		}
		if result == "done" && !slices.ContainsFunc(c.spans, func(s *tracepb.Span) bool {
			return s.Name == "request results" && bytes.Equal(s.ParentSpanId, chunk.SpanId) && attribute(s, "gcexport.correlation_id") != "" && s.EndTimeUnixNano >= s.StartTimeUnixNano
		}) {
			t.Errorf("day %d has no request for results", day)
		}
	}
	keys := map[string]bool{}
	for _, s := range c.spans {
		for _, a := range s.Attributes {
			keys[a.Key] = true
		}
	}
	want := map[string]bool{"gcexport.attempt": true, "gcexport.bytes": true, "gcexport.chunk": true, "gcexport.chunks": true, "gcexport.correlation_id": true,
		"gcexport.exit_code": true, "gcexport.mode": true, "gcexport.records": true, "gcexport.request": true, "gcexport.result": true, "gcexport.run": true,
		"gcexport.shard": true, "gcexport.waited_ms": true, "http.response.body.size": true, "http.response.status_code": true}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("attributes, as docs/operations.md has them (-want +got):\n%s", diff)
	}
	for conversation := range server.Truth(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 3, 4, 0, 0, 0, 0, time.UTC), true) {
		if bytes.Contains(c.raw, []byte(conversation.ID)) {
			t.Errorf("conversation %s is in a span", conversation.ID)
		}
	}
	if bytes.Contains(c.raw, []byte(secret)) {
		t.Error("the secret is in a span")
	}
}

// A collector that is away, or never answers, costs an export nothing but two seconds
// at its end, and one line that does not say where it is.
func TestNoCollector(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	defer silent.CloseClientConnections()
	for name, url := range map[string]string{"away": "http://id:canary-password@127.0.0.1:1", "silent": silent.URL} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
			var mu sync.Mutex
			var errs []error
			run(t, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
			if err := errors.Join(errs...); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("said: %v", err)
			}
		})
	}
}

func TestAsked(t *testing.T) {
	for _, row := range []struct {
		env  string
		want bool
	}{
		{"", false}, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://x", true}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://x", true},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://x OTEL_SDK_DISABLED=true", false}, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://x OTEL_TRACES_EXPORTER=none", false},
	} {
		env := map[string]string{}
		for _, v := range strings.Fields(row.env) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		if got := telemetry.Asked(func(name string) (string, bool) { v, ok := env[name]; return v, ok }); got != row.want {
			t.Errorf("%s: %t", row.env, got)
		}
	}
	var none *telemetry.Trace
	none.Observe(export.Planned{})
	none.Exchange(context.Background(), genesys.Exchange{})
	none.Close(context.Background(), 0)
	if none.Source(nil) != nil {
		t.Error("no trace changes the source")
	}
}
