package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/gcexport/gcexport/pkg/export"
)

// terminationLog is where Kubernetes reads the last words of a container, if it is
// there: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
const terminationLog = "/dev/termination-log"

// maxLastWords is how much of them Kubernetes keeps.
const maxLastWords = 4096

// An ending is how a run ended.
type ending struct {
	bucket  string // its name, for people; empty if it was not opened
	summary export.Summary
}

// An outcome is what the exit code says, in words.
type outcome struct {
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

func outcomeOf(err error) outcome {
	if err == nil {
		return outcome{}
	}
	f := explain(err)
	return outcome{ExitCode: f.code, Error: clipped(oneLine(f.message)), Hint: clipped(oneLine(f.hint))}
}

// print tells the end as the result of the command: as JSON on one line in any case, as
// text if there was a run.
func (e *ending) print(w io.Writer, form string, err error) error {
	began := e.summary.Run != ""
	if form != "json" {
		if !began {
			return nil
		}
		return printText(w, e.bucket, &e.summary)
	}
	line, merr := json.Marshal(outcomeOf(err))
	if merr != nil || !began {
		return errors.Join(merr, writeLine(w, line))
	}
	record, merr := json.Marshal(&e.summary)
	if merr != nil {
		return merr
	}
	// Two objects become one: the run's record, and the outcome.
	return writeLine(w, append(append(record[:len(record)-1], ','), line[1:]...))
}

func writeLine(w io.Writer, line []byte) error {
	_, err := w.Write(append(line, '\n'))
	return err
}

// lastWords are how a run ended, on one short line.
type lastWords struct {
	outcome
	Result    string `json:"result,omitempty"`
	Run       string `json:"run,omitempty"`
	Shard     string `json:"shard"`
	Planned   int    `json:"chunks_planned"`
	Done      int    `json:"chunks_done"`
	Failed    int    `json:"chunks_failed"`
	Postponed int    `json:"chunks_postponed"`
	Records   int64  `json:"records"`
	Bytes     int64  `json:"bytes"`
}

// leave writes the last words to the file, if it is there. Nothing depends on it.
func (e *ending) leave(path string, err error) {
	if info, statErr := os.Stat(path); statErr != nil || info.IsDir() {
		return
	}
	s := &e.summary
	line, err := json.Marshal(lastWords{outcome: outcomeOf(err), Result: s.Result, Run: s.Run, Shard: s.Plan.Shard.String(), Planned: s.Chunks.Planned,
		Done: s.Chunks.Skipped + s.Chunks.Exported + s.Chunks.Elsewhere, Failed: len(s.Failed), Postponed: len(s.Postponed), Records: s.Records, Bytes: s.Bytes})
	if err != nil || len(line) >= maxLastWords {
		return
	}
	_ = os.WriteFile(filepath.Clean(path), append(line, '\n'), 0o644) //nolint:errcheck // it is for information only
}

// clipped keeps a line short enough for two of them to be last words.
func clipped(s string) string {
	const most = 600
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
