// Package telemetry traces an export: a span for the run, one for each chunk, and one
// for each attempt of a request, sent as OpenTelemetry's environment variables say
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
//
// A span holds intervals, counts, kinds and ids of requests: nothing of a conversation,
// no URL, no secret.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// farewell bounds the sending of what is left at the end.
const farewell = 2 * time.Second

// A Trace is that of one export. A nil Trace traces nothing. It is safe for concurrent
// use, and is an [export.Observer].
type Trace struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	root     trace.Span

	mu     sync.Mutex
	chunks map[interval.Interval]trace.Span // that have begun and not ended
}

// Asked reports whether the environment names an endpoint for traces, and does not
// turn them off. lookup is os.LookupEnv.
func Asked(lookup func(string) (string, bool)) bool {
	value := func(name string) string { v, _ := lookup(name); return v }
	return value("OTEL_SDK_DISABLED") != "true" && value("OTEL_TRACES_EXPORTER") != "none" &&
		(value("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "")
}

// Open begins a trace, over HTTP. The caller closes it. troubled is told, from any
// goroutine, when spans cannot be sent; that changes nothing else.
func Open(ctx context.Context, version, mode string, shard export.Shard, troubled func(error)) (*Trace, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", withoutURL(err))
	}
	name := resource.NewSchemaless(attribute.String("service.name", "gcexport"), attribute.String("service.version", version))
	described, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err == nil {
		described, err = resource.Merge(name, described)
	}
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	// The one handler of the library, which would else write to stderr, URL and all.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { troubled(withoutURL(err)) }))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(described))
	t := &Trace{provider: provider, tracer: provider.Tracer("github.com/gcexport/gcexport"), chunks: map[interval.Interval]trace.Span{}}
	_, t.root = t.tracer.Start(ctx, "export", trace.WithAttributes(
		attribute.String("gcexport.mode", mode), attribute.String("gcexport.shard", shard.String())))
	return t, nil
}

// Close ends the trace with the program's exit code, and sends what is left of it, for
// 2 seconds at most.
func (t *Trace) Close(ctx context.Context, code int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	for iv, span := range t.chunks {
		span.SetAttributes(attribute.String("gcexport.result", "stopped"))
		span.End()
		delete(t.chunks, iv)
	}
	t.mu.Unlock()
	t.root.SetAttributes(attribute.Int("gcexport.exit_code", code))
	if code != 0 {
		t.root.SetStatus(codes.Error, fmt.Sprintf("exit code %d", code))
	}
	t.root.End()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// Observe implements [export.Observer].
func (t *Trace) Observe(e export.Event) {
	if t == nil {
		return
	}
	switch e := e.(type) {
	case export.Planned:
		t.root.SetAttributes(attribute.String("gcexport.run", e.Run), attribute.Int("gcexport.chunks", e.Todo))
	case export.ChunkStarted:
		_, span := t.tracer.Start(trace.ContextWithSpan(context.Background(), t.root), "chunk",
			trace.WithAttributes(attribute.String("gcexport.chunk", e.Chunk.Interval.String())))
		t.mu.Lock()
		t.chunks[e.Chunk.Interval] = span
		t.mu.Unlock()
	case export.ChunkDone:
		result := "done"
		if e.Elsewhere {
			result = "elsewhere"
		}
		t.end(e.Chunk, result, nil, attribute.Int64("gcexport.records", e.Records), attribute.Int64("gcexport.bytes", e.Bytes))
	case export.ChunkPostponed:
		t.end(e.Chunk, "postponed", nil)
	case export.ChunkFailed:
		t.end(e.Chunk, "failed", e.Err)
	}
}

// end ends the span of a chunk.
func (t *Trace) end(c export.Chunk, result string, err error, more ...attribute.KeyValue) {
	t.mu.Lock()
	span := t.chunks[c.Interval]
	delete(t.chunks, c.Interval)
	t.mu.Unlock()
	if span == nil {
		return
	}
	span.SetAttributes(append(more, attribute.String("gcexport.result", result))...)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// Exchange adds a span for an attempt of a request that has just ended, below that of
// the chunk for which it was made. It is a [genesys.Config] Observe.
func (t *Trace) Exchange(ctx context.Context, x genesys.Exchange) {
	if t == nil {
		return
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpan(ctx, t.root)
	}
	now := time.Now()
	attributes := []attribute.KeyValue{
		attribute.String("gcexport.request", string(x.Kind)), attribute.Int("gcexport.attempt", x.Attempt),
		attribute.Int64("gcexport.waited_ms", x.Waited.Milliseconds()), attribute.Int64("http.response.body.size", x.Bytes),
	}
	if x.Status != 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", x.Status))
	}
	if x.CorrelationID != "" {
		attributes = append(attributes, attribute.String("gcexport.correlation_id", x.CorrelationID))
	}
	_, span := t.tracer.Start(ctx, "request "+string(x.Kind), trace.WithTimestamp(now.Add(-x.Took)),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	if x.Err != "" {
		span.SetAttributes(attribute.String("error.type", x.Err))
		span.SetStatus(codes.Error, x.Err)
	}
	span.End(trace.WithTimestamp(now))
}

// Source gives a source whose requests stand below their chunk. It knows its watermark
// if s does.
func (t *Trace) Source(s export.Source) export.Source {
	if t == nil {
		return s
	}
	traced := source{s, t}
	if w, ok := s.(export.Watermarker); ok {
		return struct {
			source
			export.Watermarker
		}{traced, w}
	}
	return traced
}

type source struct {
	export.Source
	trace *Trace
}

// Pages implements [export.Source].
func (s source) Pages(ctx context.Context, iv interval.Interval) iter.Seq2[*record.Page, error] {
	s.trace.mu.Lock()
	span := s.trace.chunks[iv]
	s.trace.mu.Unlock()
	if span == nil {
		span = s.trace.root
	}
	return s.Source.Pages(trace.ContextWithSpan(ctx, span), iv)
}

// withoutURL leaves out of an error the URL, which may hold a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
