package cli

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// logFlags are the flags of everything that goes to stderr.
type logFlags struct {
	level    choiceValue
	format   choiceValue
	progress choiceValue
	quiet    bool
}

func (f *logFlags) add(fs *pflag.FlagSet) {
	f.level = choiceValue{"info", []string{"debug", "info", "warn", "error"}}
	f.format = choiceValue{"auto", []string{"auto", "text", "json"}}
	f.progress = choiceValue{"auto", []string{"auto", "bar", "chunks", "log", "none"}}
	fs.Var(&f.level, "log-level", "debug, info, warn or error")
	fs.Var(&f.format, "log-format", "text, json, or auto: text on a terminal, json elsewhere")
	fs.Var(&f.progress, "progress", "bar; chunks, a bar and a line for each chunk; log, none; or auto: a bar on a terminal, log lines elsewhere")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "no progress, and of the log only errors")
}

// logger makes the program's logger, writing to w.
func (f *logFlags) logger(w io.Writer, terminal bool) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.level.value)) // one of the choices
	switch {
	case f.quiet:
		level = max(level, slog.LevelError)
	case terminal && f.level.value == "info":
		level = slog.LevelWarn // the bar says what info would
	}
	options := &slog.HandlerOptions{Level: level}
	if f.format.value == "json" || f.format.value == "auto" && !terminal {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// isTerminal reports whether w is a terminal that can show a bar.
func (p *Process) isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false
	}
	t, _ := p.Getenv("TERM")
	return t != "dumb"
}
