// Package metrics tells Prometheus how an export goes: the engine's events and
// what the API's client has spent, as collectors of a registry of their own.
//
// [Metrics.Handler] serves them while the program runs. As a job is often over
// before it is scraped, [Metrics.Push] gives them to a Pushgateway at the end, and
// [Metrics.Gatherer] to whatever sends them elsewhere.
package metrics

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/push"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// Metrics are those of one run. They observe the engine ([export.Observer]), and
// are safe for concurrent use. No label holds anything of a conversation.
type Metrics struct {
	registry *prometheus.Registry
	ready    atomic.Bool

	planned, open    prometheus.Gauge
	chunks           *prometheus.CounterVec
	records          prometheus.Counter
	raw, compressed  prometheus.Counter
	parts            prometheus.Counter
	progress, exited prometheus.Gauge
	watermark        prometheus.Gauge
	dropped          *prometheus.CounterVec
	diverted         *prometheus.CounterVec
	info             *prometheus.GaugeVec
	version, mode    string
	store            atomic.Int64 // nanoseconds that workers have waited for the bucket
}

// New makes the metrics of a run of this version of the program, by job or by
// query. usage is asked at each scrape.
func New(version, mode string, usage func() genesys.Usage) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), version: version, mode: mode}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		m.registry.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	m.planned = gauge("gcexport_chunks_planned", "Chunks of this process's plan.")
	m.open = gauge("gcexport_chunks_open", "Chunks that are being read or written.")
	m.chunks = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gcexport_chunks_total",
		Help: "Chunks by how they ended: done, skipped (done before), elsewhere (by another process), postponed (beyond the watermark), failed."}, []string{"result"})
	for _, result := range []string{resultDone, resultSkipped, resultElsewhere, resultPostponed, resultFailed} {
		m.chunks.WithLabelValues(result)
	}
	m.records = counter("gcexport_records_total", "Conversations in the data objects that were written.")
	m.raw = counter("gcexport_raw_bytes_total", "Size of their lines.")
	m.compressed = counter("gcexport_compressed_bytes_total", "Size of those objects.")
	m.parts = counter("gcexport_parts_total", "Data objects that were written.")
	m.progress = gauge("gcexport_last_progress_timestamp_seconds", "When a page was taken, a part written or a chunk done, the last time; what fails is no progress.")
	gauge("gcexport_start_timestamp_seconds", "When the run began.").SetToCurrentTime()
	m.watermark = gauge("gcexport_watermark_timestamp_seconds", "Up to when the API's data was complete before the run; 0 if it did not say.")
	m.exited = gauge("gcexport_exit_code", "The exit code; -1 while the program runs.")
	m.exited.Set(-1)
	m.addVectors()
	m.registry.MustRegister(newSpent(usage, &m.store))
	m.touch()
	return m
}

// addVectors makes what has labels.
func (m *Metrics) addVectors() {
	m.dropped = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gcexport_dropped_records_total",
		Help: "Records that were received for chunks that are done, and not written: foreign, which belong to another chunk, or duplicate."}, []string{"reason"})
	m.dropped.WithLabelValues(reasonForeign)
	m.dropped.WithLabelValues(reasonDuplicate)
	m.diverted = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gcexport_diverted_records_total",
		Help: "Conversations of chunks that are done that were put aside, by the dataset they went to; absent where there are none."}, []string{"dataset"})
	m.info = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gcexport_info",
		Help: "1, and what runs; absent before it is known what there is to do."}, []string{"version", "mode", "run"})
	m.registry.MustRegister(m.chunks, m.dropped, m.diverted, m.info)
}

// The values of the label reason.
const (
	reasonForeign   = "foreign"
	reasonDuplicate = "duplicate"
)

// The values of the label result.
const (
	resultDone      = "done"
	resultSkipped   = "skipped"
	resultElsewhere = "elsewhere"
	resultPostponed = "postponed"
	resultFailed    = "failed"
)

func (m *Metrics) touch() { m.progress.SetToCurrentTime() }

// Observe implements [export.Observer].
func (m *Metrics) Observe(e export.Event) {
	switch e := e.(type) {
	case export.Planned:
		m.planned.Set(float64(e.Chunks))
		m.chunks.WithLabelValues(resultSkipped).Add(float64(e.Skipped))
		m.chunks.WithLabelValues(resultPostponed).Add(float64(e.Postponed))
		if !e.Watermark.IsZero() {
			m.watermark.Set(float64(e.Watermark.UnixMilli()) / 1000)
		}
		m.info.WithLabelValues(m.version, m.mode, e.Run).Set(1)
		m.ready.Store(true)
	case export.ChunkStarted:
		m.open.Inc()
		return
	case export.StoreWaited:
		m.store.Add(int64(e.Took))
		return
	case export.PartWritten:
		m.parts.Inc()
		m.records.Add(float64(e.Records))
		m.raw.Add(float64(e.RawBytes))
		m.compressed.Add(float64(e.Bytes))
	case export.ChunkDone:
		m.done(e)
	case export.ChunkPostponed:
		m.end(resultPostponed)
		return // neither that nor a failure is progress
	case export.ChunkFailed:
		m.end(resultFailed)
		return
	}
	m.touch()
}

func (m *Metrics) done(e export.ChunkDone) {
	if e.Elsewhere {
		m.end(resultElsewhere)
		return
	}
	m.end(resultDone)
	m.dropped.WithLabelValues(reasonForeign).Add(float64(e.Dropped.Foreign))
	m.dropped.WithLabelValues(reasonDuplicate).Add(float64(e.Dropped.Duplicate))
	for _, d := range e.Diverted {
		m.diverted.WithLabelValues(d.Dataset).Add(float64(d.Records))
	}
}

func (m *Metrics) end(result string) {
	m.open.Dec()
	m.chunks.WithLabelValues(result).Inc()
}

// Exit notes the exit code.
func (m *Metrics) Exit(code int) { m.exited.Set(float64(code)) }

// Handler serves /metrics, /healthz (200 while the program lives) and /readyz
// (200 once it is known what there is to do).
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !m.ready.Load() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// Gatherer gives the metrics as they are at each call.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Push gives the metrics to the Pushgateway at url, in the group of the job
// "gcexport" and the shard, whose former metrics they replace.
func (m *Metrics) Push(ctx context.Context, url, shard string) error {
	return push.New(url, "gcexport").Grouping("shard", shard).Gatherer(m.registry).PushContext(ctx)
}

// spent collects what the API's client has spent.
type spent struct {
	usage                           func() genesys.Usage
	store                           *atomic.Int64 // nanoseconds
	requests, bytes, waits, allowed *prometheus.Desc
	used                            *prometheus.Desc
}

func newSpent(usage func() genesys.Usage, store *atomic.Int64) *spent {
	return &spent{
		usage:    usage,
		store:    store,
		requests: prometheus.NewDesc("gcexport_requests_total", "Requests to the API, by kind and HTTP status; status 0 is no answer.", []string{"kind", "status"}, nil),
		bytes:    prometheus.NewDesc("gcexport_response_bytes_total", "Size of the API's answers, as transferred.", nil, nil),
		waits:    prometheus.NewDesc("gcexport_wait_seconds_total", "What workers have waited for, all together: the limiter, answers of the api, jobs, the store.", []string{"for"}, nil),
		allowed:  prometheus.NewDesc("gcexport_requests_per_minute_allowed", "The allowance of this process.", nil, nil),
		used:     prometheus.NewDesc("gcexport_allowance_used_ratio", "Part of the allowance that was used since the run began.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (s *spent) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.requests, s.bytes, s.waits, s.allowed, s.used} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *spent) Collect(ch chan<- prometheus.Metric) {
	u := s.usage()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for kind, statuses := range u.Requests {
		for status, n := range statuses {
			counter(s.requests, float64(n), string(kind), strconv.Itoa(status))
		}
	}
	counter(s.bytes, float64(u.Bytes))
	for what, d := range map[string]time.Duration{"limiter": u.Limiter, "api": u.API, "jobs": u.Jobs, "store": time.Duration(s.store.Load())} {
		counter(s.waits, d.Seconds(), what)
	}
	ch <- prometheus.MustNewConstMetric(s.allowed, prometheus.GaugeValue, u.PerMinute)
	ch <- prometheus.MustNewConstMetric(s.used, prometheus.GaugeValue, u.Utilisation())
}
