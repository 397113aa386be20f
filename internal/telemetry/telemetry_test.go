package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"gocloud.dev/blob/memblob"
	"google.golang.org/protobuf/proto"

	"github.com/gcexport/gcexport/internal/telemetry"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

const (
	secret = "canary-secret"
	canary = "canary-of-what-nobody-may-see"
)

// A receiver takes traces and metrics as a collector does.
type receiver struct {
	mu       sync.Mutex
	raw      []byte
	spans    []*tracepb.Span
	metrics  map[string]*metricspb.Metric // as they came last, by name
	services map[string]int               // how often each service has sent
	by       map[string]bool              // the instances of the service
}

func newReceiver() *receiver {
	return &receiver{metrics: map[string]*metricspb.Metric{}, services: map[string]int{}, by: map[string]bool{}}
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	data, _ := io.ReadAll(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, data...)
	var err error
	switch r.URL.Path {
	case "/v1/traces":
		err = c.takeTraces(data)
	case "/v1/metrics":
		err = c.takeMetrics(data)
	default:
		err = errors.New("no such path")
	}
	if err != nil {
		http.Error(w, "no", http.StatusBadRequest)
	}
}

func (c *receiver) takeTraces(data []byte) error {
	var request collectortrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return err
	}
	for _, each := range request.ResourceSpans {
		c.sender(each.Resource)
		for _, scope := range each.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return nil
}

func (c *receiver) takeMetrics(data []byte) error {
	var request collectormetrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return err
	}
	for _, each := range request.ResourceMetrics {
		c.sender(each.Resource)
		for _, scope := range each.ScopeMetrics {
			for _, m := range scope.Metrics {
				c.metrics[m.Name] = m
			}
		}
	}
	return nil
}

func (c *receiver) sender(r *resourcepb.Resource) {
	for _, a := range r.Attributes {
		switch a.Key {
		case "service.name":
			c.services[a.Value.GetStringValue()]++
		case "service.instance.id":
			c.by[a.Value.GetStringValue()] = true
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

// run exports three days with traces and metrics, of which one fails. It gives the API,
// and how many records were written.
func run(t *testing.T, mode string, env map[string]string, troubled func(error)) (*genesystest.Server, int64) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	server := genesystest.New(genesystest.Options{PerDay: 20, Size: genesystest.SizeSmall, RequestsPerMinute: -1, JobTime: time.Millisecond,
		ClientSecret: secret, From: start, To: start.AddDate(0, 0, 5)})
	shard := export.Shard{Count: 1}
	sent, err := telemetry.Open(t.Context(), telemetry.Run{Version: "v1", Mode: mode, Shard: shard}, os.LookupEnv, troubled)
	if err != nil {
		t.Fatal(err)
	}
	traces := sent.Traces()
	client, err := genesys.New(genesys.Config{APIURL: "https://api.test", LoginURL: "https://login.test", ClientID: "demo", ClientSecret: genesys.NewSecret(secret),
		RequestsPerMinute: 1e5, Transport: server.Transport(), Observe: traces.Exchange})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	registry := prometheus.NewRegistry()
	records := prometheus.NewCounter(prometheus.CounterOpts{Name: "gcexport_records_total", Help: "Conversations."})
	registry.MustRegister(records)
	if err := sent.Measure(t.Context(), registry); err != nil {
		t.Fatal(err)
	}
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	source := traces.Source(client.Queries(genesys.QueryOptions{}))
	if mode == "job" {
		source = traces.Source(client.Jobs(genesys.JobOptions{Concurrent: 8}))
	}
	e := export.Exporter{Source: failing{source, start.AddDate(0, 0, 2)}, Bucket: bucket, Mode: mode, Program: "test", Observer: traces}
	plan := export.Plan{Dataset: export.Conversations, Range: interval.Interval{Start: start, End: start.AddDate(0, 0, 3)}, Step: interval.Day, Shard: shard}
	s, err := e.Run(t.Context(), plan)
	if err != nil || len(s.Failed) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	records.Add(float64(s.Records))
	began := time.Now()
	sent.CloseMetrics(t.Context())
	traces.Close(t.Context(), 4)
	if took := time.Since(began); took > 20*time.Second { // four, were the machine not busy
		t.Errorf("took %v to close", took)
	}
	return server, s.Records
}

// The spans of a run: one tree, with the chunks and their requests, and of each what
// became of it; and nothing that is nobody's business.
func TestTrace(t *testing.T) {
	c := newReceiver()
	web := httptest.NewServer(c)
	defer web.Close()
	server, records := run(t, "job", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": web.URL}, func(err error) { t.Errorf("not sent: %v", err) })
	c.mu.Lock()
	defer c.mu.Unlock()

	root := c.span("export", "gcexport.mode", "job")
	if root == nil || len(root.ParentSpanId) != 0 || attribute(root, "gcexport.run") == "" || c.services["gcexport"] < 2 || len(c.by) != 1 {
		t.Fatalf("root %v, services %v of %d instances", root, c.services, len(c.by))
	}
	if m := c.metrics["gcexport_records_total"]; m == nil || !m.GetSum().GetIsMonotonic() || m.GetSum().DataPoints[0].GetAsDouble() != float64(records) {
		t.Errorf("of %d records a collector knows %v", records, m)
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
		"gcexport.shard": true, "gcexport.waited_ms": true, "error.type": true, "gcexport.job": true, "http.response.body.size": true, "http.response.status_code": true}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("attributes, as docs/operations.md has them (-want +got):\n%s", diff)
	}
	for conversation := range server.Truth(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 3, 4, 0, 0, 0, 0, time.UTC), true) {
		if bytes.Contains(c.raw, []byte(conversation.ID)) {
			t.Errorf("conversation %s is in a span", conversation.ID)
		}
	}
	for _, private := range []string{secret, canary} {
		if bytes.Contains(c.raw, []byte(private)) {
			t.Errorf("%s is in a span", private)
		}
	}
}

// A collector that is away, refuses, or never answers, costs an export nothing but two
// seconds at its end, and a line that quotes nothing: no address, header or answer.
func TestNoCollector(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	defer silent.CloseClientConnections()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusForbidden) }))
	defer refusing.Close()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	named := strings.Replace(refusing.URL, "://", "://id:"+canary+"@", 1) + "/" + canary
	for name, row := range map[string]struct {
		env  map[string]string
		want string
	}{
		"away":       {map[string]string{endpoint: "http://id:" + canary + "@127.0.0.1:1"}, "connection refused"},
		"silent":     {map[string]string{endpoint: silent.URL}, "does not answer in time"},
		"refuses":    {map[string]string{endpoint: named}, "the collector refuses it"},
		"attributes": {map[string]string{endpoint: refusing.URL, "OTEL_RESOURCE_ATTRIBUTES": canary}, "OTEL_RESOURCE_ATTRIBUTES is not"},
	} {
		t.Run(name, func(t *testing.T) {
			var said notes
			run(t, "query", row.env, said.add)
			if text := said.String(); !strings.Contains(text, row.want) || strings.Contains(text, canary) {
				t.Errorf("said: %s, want: %s", text, row.want)
			}
		})
	}
}

// notes are what a library has said; safe for concurrent use, as it may go on.
type notes struct {
	mu  sync.Mutex
	all []error
}

func (n *notes) add(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, err)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprint(errors.Join(n.all...))
}

// What the environment asks for.
func TestOpen(t *testing.T) {
	const url = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, row := range []struct {
		env             string
		traces, metrics bool
		err             string
	}{
		{"", false, false, ""},
		{url, true, true, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1", true, false, ""},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:1", false, true, ""},
		{url + " OTEL_SDK_DISABLED=true", false, false, ""},
		{url + " OTEL_TRACES_EXPORTER=none", false, true, ""},
		{url + " OTEL_METRICS_EXPORTER=none", true, false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318/" + canary, false, false, "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://%zz" + canary, false, false, "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"},
		{url + " OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + canary, false, false, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is not a URL"},
		{url + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false, false, "OTEL_EXPORTER_OTLP_PROTOCOL is neither"},
	} {
		env := map[string]string{}
		for _, v := range strings.Fields(row.env) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		got, err := telemetry.Open(t.Context(), telemetry.Run{}, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, func(error) {})
		if got.Measures() != row.metrics || (got.Traces() != nil) != row.traces {
			t.Errorf("%s: traces %t, metrics %t", row.env, got.Traces() != nil, got.Measures())
		}
		if (err == nil) != (row.err == "") || err != nil && (!strings.Contains(err.Error(), row.err) || strings.Contains(err.Error(), canary)) {
			t.Errorf("%s: %v, want %s", row.env, err, row.err)
		}
		got.Traces().Close(t.Context(), 0)
	}
}

// Nothing asked for is nothing sent.
func TestNothing(t *testing.T) {
	var none *telemetry.Telemetry
	if err := none.Measure(t.Context(), nil); err != nil {
		t.Error(err)
	}
	none.CloseMetrics(t.Context())
	trace := none.Traces()
	trace.Observe(export.Planned{})
	trace.Exchange(t.Context(), genesys.Exchange{})
	trace.Close(t.Context(), 0)
	if trace.Source(nil) != nil {
		t.Error("no trace changes the source")
	}
}
