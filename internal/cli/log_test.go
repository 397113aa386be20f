package cli

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// documentedKeys are those of the table in docs/operations.md.
func documentedKeys(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Logs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	keys := map[string]bool{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) >= 4 {
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				keys[m[1]] = true
			}
		}
	}
	return keys
}

// checkLogKeys holds the log lines of exports, by where they were said, against
// the table of keys: queries of users depend on it.
func checkLogKeys(t *testing.T, said map[string]string) {
	t.Helper()
	documented, seen := documentedKeys(t), map[string]bool{}
	for where, text := range said {
		if !strings.HasPrefix(where, "stderr of export ") {
			continue
		}
		for line := range strings.Lines(text) {
			var keys map[string]any
			if json.Unmarshal([]byte(line), &keys) != nil || keys["msg"] == nil {
				continue // an error or a hint
			}
			for key := range keys {
				seen[key] = true
				if !documented[key] {
					t.Errorf("the key %s is not documented: %s", key, line)
				}
			}
			if keys["shard"] != "0/1" {
				t.Errorf("no shard in %s", line)
			}
			if keys["chunk"] != nil && keys["run"] == nil {
				t.Errorf("a chunk and no run in %s", line)
			}
		}
	}
	for _, key := range []string{"shard", "run", "chunk", "interval", "job", "correlation_id", "status", "error"} {
		if !seen[key] {
			t.Errorf("no line of the log has the key %s", key)
		}
	}
}
