// Package telemetry tells an OpenTelemetry collector how an export goes: traces, with a
// span for the run, one for each chunk, and one for each attempt of a request; and the
// program's metrics. Both are sent by OTLP over HTTP, as OpenTelemetry's environment
// variables say
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
//
// What is sent are intervals, counts, kinds and ids of requests: nothing of a
// conversation, no URL, no secret, and no text of an error, which may quote any of them.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/gcexport/gcexport/pkg/export"
)

// farewell bounds the sending of what is left at the end.
const farewell = 2 * time.Second

// A Run is what is told of a run with all that is sent.
type Run struct {
	Version, Mode string
	Shard         export.Shard
}

// A Telemetry is that of one run. A nil one sends nothing. It is safe for concurrent use.
type Telemetry struct {
	resource *resource.Resource
	trace    *Trace // nil if no traces are asked for
	measured bool   // metrics are asked for
	metrics  *metric.MeterProvider
}

// Open begins to send what lookup, which is os.LookupEnv, asks for; it gives nil if that
// is nothing. An error names the variable that is wrong, and quotes none. The caller
// closes the metrics and the trace.
//
// troubled is told, from any goroutine and at any time, of what cannot be sent, in words
// that quote nothing either; that changes nothing else. It replaces, for the whole
// process, what the library would print by itself: it quotes endpoints and headers.
func Open(ctx context.Context, run Run, lookup func(string) (string, bool), troubled func(error)) (*Telemetry, error) {
	traces, err := asked(lookup, "TRACES")
	if err != nil {
		return nil, err
	}
	metrics, err := asked(lookup, "METRICS")
	if err != nil || !traces && !metrics {
		return nil, err
	}
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { troubled(withoutDetails(err)) }))
	t := &Telemetry{measured: metrics}
	if t.resource, err = describe(ctx, run); err != nil {
		troubled(errors.New("OTEL_RESOURCE_ATTRIBUTES is not a list of key=value pairs"))
	}
	if !traces {
		return t, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", withoutDetails(err))
	}
	t.trace = newTrace(ctx, run, sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(t.resource)))
	return t, nil
}

// describe says who sends. What the environment says goes before; an error says that it
// was not understood in part.
func describe(ctx context.Context, run Run) (*resource.Resource, error) {
	ours := resource.NewSchemaless(attribute.String("service.name", "gcexport"), attribute.String("service.version", run.Version),
		attribute.String("service.instance.id", ulid.Make().String()), attribute.String("gcexport.shard", run.Shard.String()))
	environment, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK())
	merged, conflict := resource.Merge(ours, environment)
	return merged, errors.Join(err, conflict)
}

// asked reports whether the environment names an endpoint for a signal, and does not
// turn it off. An endpoint that cannot work is an error.
func asked(lookup func(string) (string, bool), signal string) (bool, error) {
	value := func(name string) string { v, _ := lookup(name); return v }
	if value("OTEL_SDK_DISABLED") == "true" || value("OTEL_"+signal+"_EXPORTER") == "none" {
		return false, nil
	}
	first := func(what string) (name, v string) {
		for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_" + what, "OTEL_EXPORTER_OTLP_" + what} {
			if v := value(name); v != "" {
				return name, v
			}
		}
		return "", ""
	}
	name, endpoint := first("ENDPOINT")
	if endpoint == "" {
		return false, nil
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return false, fmt.Errorf("%s is not a URL such as http://collector:4318", name)
	}
	if name, protocol := first("PROTOCOL"); protocol != "" && protocol != "http/protobuf" && protocol != "http/json" {
		return false, fmt.Errorf("%s is neither http/protobuf nor http/json, and nothing else is spoken here; collectors take them at port 4318", name)
	}
	return true, nil
}

// Traces gives the trace of the run; nil if none is asked for. The caller closes it.
func (t *Telemetry) Traces() *Trace {
	if t == nil {
		return nil
	}
	return t.trace
}

// Measures reports whether metrics are asked for.
func (t *Telemetry) Measures() bool { return t != nil && t.measured }

// Measure sends the metrics of a gatherer from now on: each minute, or as often as
// OTEL_METRIC_EXPORT_INTERVAL says, and at the end. Metrics keep their names of
// Prometheus.
func (t *Telemetry) Measure(ctx context.Context, from prometheus.Gatherer) error {
	if !t.Measures() {
		return nil
	}
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}))
	if err != nil {
		return fmt.Errorf("open metrics: %w", withoutDetails(err))
	}
	reader := metric.NewPeriodicReader(exporter, metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(from))))
	t.metrics = metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(t.resource))
	return nil
}

// CloseMetrics sends the metrics as they are at the end, for 2 seconds at most.
func (t *Telemetry) CloseMetrics(ctx context.Context) {
	if t == nil || t.metrics == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := t.metrics.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// withoutDetails leaves of an error what cannot quote the endpoint, its answer, or a
// header: the text of the library's own errors may.
func withoutDetails(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e // an address and a system call's error
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return errors.New("the collector does not answer in time")
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errors.New("the collector is no web server that can be spoken to")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the collector does not answer in time")
	}
	return errors.New("the collector refuses it, or a variable that begins with OTEL_ is not understood")
}
