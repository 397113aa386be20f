package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/gcexport/gcexport/internal/metrics"
	"github.com/gcexport/gcexport/internal/telemetry"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// pushTimeout bounds the pushing of the metrics: it is the last thing before the
// end, of which others wait for.
const pushTimeout = 3 * time.Second

// metricsFlags are the flags that say who is told how the export goes.
type metricsFlags struct{ listen, gateway string }

func (f *metricsFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.listen, "listen", "", "serve /metrics, /healthz and /readyz on this address, such as :9090")
	fs.StringVar(&f.gateway, "pushgateway", "", "URL of a Pushgateway that gets the metrics at the end")
}

// A monitor tells others how the export goes; the zero value tells nobody.
type monitor struct {
	*metrics.Metrics
	flags     metricsFlags
	shard     string
	collector *telemetry.Telemetry
	log       *slog.Logger
	server    *http.Server
	served    chan struct{} // closed when the server has ended
}

// open begins to serve, and to send to a collector, if that is asked for. The caller
// closes the monitor.
func (f *metricsFlags) open(ctx context.Context, shard export.Shard, mode string, usage func() genesys.Usage, collector *telemetry.Telemetry, log *slog.Logger) (*monitor, error) {
	m := &monitor{flags: *f, shard: shard.String(), collector: collector, log: log}
	if f.listen == "" && f.gateway == "" && !collector.Measures() {
		return m, nil
	}
	if u, err := url.Parse(f.gateway); f.gateway != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return nil, usageError("--pushgateway is not the URL of a server", "write http://host:9091")
	}
	_, version := program()
	m.Metrics = metrics.New(version, mode, usage)
	if err := collector.Measure(ctx, m.Gatherer()); err != nil {
		return nil, usageError(err.Error(), "check the variables that begin with OTEL_; OTEL_METRICS_EXPORTER=none turns these metrics off")
	}
	if f.listen == "" {
		return m, nil
	}
	if err := m.listen(); err != nil {
		collector.CloseMetrics(ctx)
		return nil, err
	}
	return m, nil
}

// listen begins to serve.
func (m *monitor) listen() error {
	listener, err := net.Listen("tcp", m.flags.listen)
	if err != nil {
		return usageError(fmt.Sprintf("--listen %s: %v", m.flags.listen, err), "give a free address of this machine, such as :9090")
	}
	m.server = &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	m.served = make(chan struct{})
	go func() {
		defer close(m.served)
		if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			m.log.Warn("metrics are not served any more", "error", err)
		}
	}()
	m.log.Info("metrics are served", "address", listener.Addr().String())
	return nil
}

// Observe implements export.Observer.
func (m *monitor) Observe(e export.Event) {
	if m.Metrics != nil {
		m.Metrics.Observe(e)
	}
}

// close tells how the program ends, and stops to serve. What cannot be pushed
// changes nothing.
func (m *monitor) close(ctx context.Context, code int) {
	if m.Metrics == nil {
		return
	}
	m.Exit(code)
	var sent sync.WaitGroup
	sent.Go(func() { m.collector.CloseMetrics(ctx) })
	defer sent.Wait()
	if m.flags.gateway != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushTimeout)
		defer cancel()
		if err := m.Push(ctx, m.flags.gateway, m.shard); err != nil {
			m.log.Warn("the metrics were not pushed", "error", withoutURL(err))
		}
	}
	if m.server != nil {
		_ = m.server.Close()
		<-m.served
	}
}

// withoutURL leaves out of an error the URL, which may hold a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return errors.New("the Pushgateway refuses them")
}

// observers are told of each event in their order.
type observers []export.Observer

// Observe implements export.Observer.
func (o observers) Observe(e export.Event) {
	for _, each := range o {
		each.Observe(e)
	}
}
