package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
)

func TestExitCodesAndHints(t *testing.T) {
	day := interval.Interval{Start: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC)}
	for _, row := range []struct {
		name string
		err  error
		code int
		hint string
	}{
		{"usage", usageError("no", "so"), 2, "so"},
		{"SIGINT", Interrupted{os.Interrupt}, 130, "run the same command again"},
		{"SIGTERM", fmt.Errorf("export: %w", Interrupted{syscall.SIGTERM}), 143, "run the same command again"},
		{"wrong secret", &genesys.Error{Op: "request token", Status: 401}, 3, envClientSecret},
		{"no permission", &export.StoppedError{Err: &genesys.Error{Op: "submit job", Status: 403}}, 3, "analytics:conversationDetail:view"},
		{"server error", &genesys.Error{Op: "submit job", Status: 500}, 1, ""},
		{"no connection", &genesys.ConnError{Op: "submit job", Err: errors.New("connection refused")}, 1, "HTTPS_PROXY"},
		{"silence", fmt.Errorf("%w; before that: dial", errSilent), 1, "HTTPS_PROXY"},
		{"other plan", &export.OverlapError{Open: day}, 2, "--start 2024-03-01T00:00:00Z --end 2024-03-02T00:00:00Z"},
		{"bucket missing", &store.Error{Kind: store.NotFound, Message: "no such bucket"}, 2, ""},
		{"bucket URL", &store.Error{Kind: store.Config, Message: "unknown scheme"}, 2, ""},
		{"bucket denied", &export.StoppedError{Err: fmt.Errorf("write: %w", &store.Error{Kind: store.Denied, Message: "denied", Hint: "ask"})}, 3, "ask"},
		{"bucket away", &store.Error{Kind: store.Unreachable, Message: "no answer"}, 1, ""},
		{"deadline", context.DeadlineExceeded, 1, ""},
		{"unknown", errors.New("something\nwith\n\nlines"), 1, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var b strings.Builder
			if code := printError(&b, row.err); code != row.code {
				t.Errorf("exit code %d, want %d", code, row.code)
			}
			lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
			if !strings.HasPrefix(lines[0], "gcexport: error: ") {
				t.Errorf("output: %q", b.String())
			}
			switch {
			case row.hint == "" && len(lines) > 2, row.hint != "" && len(lines) != 2:
				t.Errorf("not one line and a hint: %q", lines)
			case row.hint != "" && (!strings.HasPrefix(lines[1], "gcexport: hint: ") || !strings.Contains(lines[1], row.hint)):
				t.Errorf("hint %q, want %q", lines[1], row.hint)
			}
		})
	}
	if code := printError(new(strings.Builder), nil); code != 0 {
		t.Errorf("no error gives %d", code)
	}
}

func TestIncomplete(t *testing.T) {
	s := &export.Summary{Chunks: export.ChunkCounts{Planned: 3}, Failed: []export.Failure{{Err: &genesys.Error{Op: "submit job", Status: 400, CorrelationID: "c-1"}}}}
	f := explain(incomplete(s))
	if f.code != 4 || !strings.Contains(f.message, "c-1") || !strings.Contains(f.hint, "run the same command again") {
		t.Errorf("%+v", f)
	}
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := dir + "/" + name
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		name string
		env  map[string]string
		want string // part of the error; "" for none
	}{
		{"plain", map[string]string{envClientID: "i", envClientSecret: "s"}, ""},
		{"files", map[string]string{envClientID + "_FILE": write("id", "i\n"), envClientSecret + "_FILE": write("secret", "  s\r\n")}, ""},
		{"no id", map[string]string{envClientSecret: "s"}, envClientID},
		{"no secret", map[string]string{envClientID: "i"}, envClientSecret},
		{"both", map[string]string{envClientID: "i", envClientSecret: "s", envClientSecret + "_FILE": "x"}, "both"},
		{"no file", map[string]string{envClientID: "i", envClientSecret + "_FILE": dir + "/none"}, "_FILE"},
		{"empty file", map[string]string{envClientID: "i", envClientSecret + "_FILE": write("empty", "\n")}, "is empty"},
		{"two lines", map[string]string{envClientID: "i", envClientSecret: "hidden\ncanary"}, "blanks or line breaks"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := &Process{Getenv: func(name string) (string, bool) { v, ok := row.env[name]; return v, ok }}
			all, err := p.credentials()
			if row.want == "" {
				if err != nil || len(all) != 1 || all[0].id != "i" || all[0].secret.Reveal() != "s" {
					t.Errorf("credentials: %v, %v", all, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCredentialsOfSeveralClients(t *testing.T) {
	first := map[string]string{envClientID: "i1", envClientSecret: "s1"}
	path := t.TempDir() + "/secret"
	if err := os.WriteFile(path, []byte("s3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		env  map[string]string
		want string // ids and secrets, or part of the error
	}{
		{"two", map[string]string{envClientID + "_2": "i2", envClientSecret + "_2": "s2"}, "i1:s1 i2:s2"},
		{"three, by environment and file", map[string]string{envClientID + "_2": "i2", envClientSecret + "_2": "s2",
			envClientID + "_3": "i3", envClientSecret + "_3_FILE": path}, "i1:s1 i2:s2 i3:s3"},
		{"no secret", map[string]string{envClientID + "_2": "i2"}, envClientSecret + "_2 is not set"},
		{"no id", map[string]string{envClientSecret + "_2": "canary"}, envClientID + "_2 is not set"},
		{"a gap", map[string]string{envClientID + "_3": "i3", envClientSecret + "_3": "s3"}, envClientID + "_3 is set, and " + envClientID + "_2 is not"},
		{"twice the same", map[string]string{envClientID + "_2": "i1", envClientSecret + "_2": "s2"}, "are the same client"},
	} {
		t.Run(row.name, func(t *testing.T) {
			maps.Copy(row.env, first)
			p := &Process{Getenv: func(name string) (string, bool) { v, ok := row.env[name]; return v, ok }}
			all, err := p.credentials()
			var got []string
			for _, c := range all {
				got = append(got, c.id+":"+c.secret.Reveal())
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, row.want) || strings.Contains(text, "canary") {
				t.Errorf("%s, want %s", text, row.want)
			}
		})
	}
}
