package cli

import (
	"context"
	"log/slog"
	"sync"

	"github.com/gcexport/gcexport/internal/telemetry"
	"github.com/gcexport/gcexport/pkg/export"
)

// openTraces begins a trace, if OpenTelemetry's environment asks for one; else it gives
// nil, which traces nothing. The caller closes it.
func (p *Process) openTraces(ctx context.Context, mode string, shard export.Shard, log *slog.Logger) (*telemetry.Trace, error) {
	if !telemetry.Asked(p.Getenv) {
		return nil, nil
	}
	_, version := program()
	var once sync.Once
	troubled := func(err error) {
		once.Do(func() { log.Warn("traces cannot be sent", "error", oneLine(err.Error())) })
	}
	traces, err := telemetry.Open(ctx, version, mode, shard, troubled)
	if err != nil {
		return nil, usageError(err.Error(), "check the variables that begin with OTEL_; OTEL_SDK_DISABLED=true turns traces off")
	}
	return traces, nil
}
