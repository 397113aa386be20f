package cli

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// topics are all that the source declares, in order.
func topics(t *testing.T) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "topic.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if value, ok := spec.Values[0].(*ast.BasicLit); ok {
			text, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return true
	})
	return all
}

// The catalogue has an entry for each topic, in order, and no other.
func TestCatalogue(t *testing.T) {
	text, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(text), -1) {
		entries = append(entries, m[1])
	}
	if diff := cmp.Diff(topics(t), entries); diff != "" {
		t.Errorf("docs/errors.md (-topics +entries):\n%s", diff)
	}
	for _, entry := range strings.Split(string(text), "\n## ")[1:] {
		if !strings.Contains(entry, "Exit code ") {
			t.Errorf("%.30q does not say the exit code", entry)
		}
	}
}

// Each kind of error has its topic, and the exit code that its entry says.
func TestTopics(t *testing.T) {
	text, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	met := map[topic]bool{}
	for _, row := range []struct {
		err  error
		want topic
	}{
		{usageError("no", "so"), topicUsage},
		{&export.OverlapError{}, topicOpenChunk},
		{&export.RecordFormatError{}, topicFormat},
		{&export.PartitionError{}, topicPartition},
		{export.ErrOverwrites, topicOverwrites},
		{&genesys.Error{Status: 401}, topicRefused},
		{&genesys.Error{Status: 403}, topicPermission},
		{&genesys.Error{Status: 500}, topicAPI},
		{&genesys.ConnError{Err: errors.New("refused")}, topicUnreachable},
		{&export.StrayError{}, topicStray},
		{&store.Error{Kind: store.Config}, topicConfig},
		{&store.Error{Kind: store.NotFound}, topicNotFound},
		{&store.Error{Kind: store.Denied}, topicDenied},
		{&store.Error{Kind: store.Unreachable}, topicStoreAway},
		{incomplete(&export.Summary{Failed: []export.Failure{{Err: errors.New("x")}}}), topicFailed},
		{incomplete(&export.Summary{}), topicWatermark},
		{&failure{code: exitIncomplete, message: "x", topic: topicDiverted}, topicDiverted},
		{&failure{code: exitDamage, message: "x", topic: topicDamage}, topicDamage},
		{Interrupted{syscall.SIGTERM}, topicInterrupted},
		{errors.New("x"), topicOther},
	} {
		f := explain(row.err)
		if f.topic != row.want {
			t.Errorf("%T has topic %q, want %q", row.err, f.topic, row.want)
			continue
		}
		met[f.topic] = true
		_, entry, _ := strings.Cut(string(text), "\n## "+string(f.topic)+"\n\n")
		first, _, _ := strings.Cut(entry, ".")
		if !strings.Contains(first, strconv.Itoa(f.code)) {
			t.Errorf("%s: exit code %d, the catalogue says %q", f.topic, f.code, first)
		}
		if f.message == "" {
			f.message = "x"
		}
		var b strings.Builder
		printError(&b, f)
		if named := strings.Contains(b.String(), "docs/errors.md#"+string(f.topic)+"\n"); named == (f.topic == topicUsage) {
			t.Errorf("%s is printed as %q", f.topic, b.String())
		}
	}
	if len(met) != len(topics(t)) {
		t.Errorf("%d of %d topics are met", len(met), len(topics(t)))
	}
}
