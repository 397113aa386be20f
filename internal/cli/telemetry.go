package cli

import (
	"context"
	"log/slog"
	"sync"

	"github.com/gcexport/gcexport/internal/telemetry"
	"github.com/gcexport/gcexport/pkg/export"
)

// openTelemetry begins to send what OpenTelemetry's environment asks for; nil, which
// sends nothing, if that is nothing.
func (p *Process) openTelemetry(ctx context.Context, mode string, shard export.Shard, log *slog.Logger) (*telemetry.Telemetry, error) {
	_, version := program()
	var once sync.Once
	troubled := func(err error) {
		once.Do(func() { log.Warn("traces or metrics cannot be sent", "error", oneLine(err.Error())) })
	}
	t, err := telemetry.Open(ctx, telemetry.Run{Version: version, Mode: mode, Shard: shard}, p.Getenv, troubled)
	if err != nil {
		return nil, usageError(err.Error(), "correct or unset the variable; OTEL_SDK_DISABLED=true turns all of OpenTelemetry off")
	}
	return t, nil
}
