package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// A Trace is that of one export. A nil Trace traces nothing. It is safe for concurrent
// use, and is an [export.Observer].
type Trace struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	root     trace.Span

	mu     sync.Mutex
	chunks map[interval.Interval]trace.Span // that have begun and not ended
}

// newTrace begins a trace, with the span of the run.
func newTrace(ctx context.Context, run Run, provider *sdk.TracerProvider) *Trace {
	t := &Trace{provider: provider, tracer: provider.Tracer("github.com/gcexport/gcexport"), chunks: map[interval.Interval]trace.Span{}}
	_, t.root = t.tracer.Start(ctx, "export", trace.WithAttributes(
		attribute.String("gcexport.mode", run.Mode), attribute.String("gcexport.shard", run.Shard.String())))
	return t
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
		span.SetAttributes(failure(err)...)
		span.SetStatus(codes.Error, "the chunk failed")
	}
	span.End()
}

// failure tells of an error what an operator asks the log or Genesys about. Its text may
// hold a signed URL of the bucket's, or the API's words.
func failure(err error) (attributes []attribute.KeyValue) {
	add := func(key, value string) {
		if value != "" {
			attributes = append(attributes, attribute.String(key, value))
		}
	}
	job, id := "", ""
	kind := "other"
	if _, ok := errors.AsType[*genesys.ConnError](err); ok {
		kind = "connection"
	}
	if e, ok := errors.AsType[*genesys.JobError](err); ok {
		kind, job, id = "job", e.JobID, e.CorrelationID
	}
	if e, ok := errors.AsType[*genesys.PageError](err); ok {
		kind, job, id = "page", e.JobID, e.CorrelationID
	}
	if e, ok := errors.AsType[*genesys.Error](err); ok {
		kind, id = "status", cmp.Or(e.CorrelationID, id)
		attributes = append(attributes, attribute.Int("http.response.status_code", e.Status))
	}
	add("error.type", kind)
	add("gcexport.job", job)
	add("gcexport.correlation_id", id)
	return attributes
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
