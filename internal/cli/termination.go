package cli

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/gcexport/gcexport/pkg/export"
)

// terminationLog is where Kubernetes reads the last words of a container, if it is
// there: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
const terminationLog = "/dev/termination-log"

// maxLastWords is how much of them Kubernetes keeps.
const maxLastWords = 4096

// lastWords are how a run ended, on one line.
type lastWords struct {
	ExitCode  int    `json:"exit_code"`
	Result    string `json:"result,omitempty"`
	Error     string `json:"error,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Run       string `json:"run,omitempty"`
	Shard     string `json:"shard"`
	Planned   int    `json:"chunks_planned"`
	Done      int    `json:"chunks_done"`
	Failed    int    `json:"chunks_failed"`
	Postponed int    `json:"chunks_postponed"`
	Records   int64  `json:"records"`
	Bytes     int64  `json:"bytes"`
}

// sayLastWords writes them to the file, if it is there. Nothing depends on it.
func sayLastWords(path string, s *export.Summary, err error) {
	if info, statErr := os.Stat(path); statErr != nil || info.IsDir() {
		return
	}
	w := lastWords{ExitCode: codeOf(err), Result: s.Result, Run: s.Run, Shard: s.Plan.Shard.String(), Planned: s.Chunks.Planned,
		Done: s.Chunks.Skipped + s.Chunks.Exported + s.Chunks.Elsewhere, Failed: len(s.Failed), Postponed: len(s.Postponed), Records: s.Records, Bytes: s.Bytes}
	if err != nil {
		f := explain(err)
		w.Error, w.Hint = clipped(oneLine(f.message)), clipped(oneLine(f.hint))
	}
	line, err := json.Marshal(w)
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
