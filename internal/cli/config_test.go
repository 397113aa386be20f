package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the table of docs/configuration.md anew")

// The page has each flag of export, as its help has it.
func TestConfigurationPage(t *testing.T) {
	root := newRoot(&Process{})
	export, _, err := root.Find([]string{"export"})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| Flag | Variable | Default | Meaning |\n|---|---|---|---|\n")
	add := func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		fmt.Fprintf(&table, "| `--%s` | `%s` | %s | %s |\n", f.Name, envName(f.Name), quotedDefault(f), strings.ReplaceAll(f.Usage, "|", `\|`))
	}
	export.LocalNonPersistentFlags().VisitAll(add)
	root.PersistentFlags().VisitAll(add)

	const page, mark = "../../docs/configuration.md", "-update -->\n\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, got, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatal("the mark is gone")
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(table.String(), got); diff != "" {
		t.Errorf("(-flags +page), run with -update:\n%s", diff)
	}
}

func quotedDefault(f *pflag.Flag) string {
	if f.DefValue == "" {
		return ""
	}
	return "`" + f.DefValue + "`"
}

func TestSuggest(t *testing.T) {
	keys := known(newRoot(&Process{}))
	for key, want := range map[string]string{
		"page_size": `did you mean "page-size"?`, "worker": `did you mean "workers"?`, "Region": `did you mean "region"?`,
		"gziplevel": `did you mean "gzip-level"?`, "frobnicate": "settings are named as the flags: docs/configuration.md",
		"client_secret": "secrets do not stand in a file of settings: name a file that holds it as client-secret-file",
	} {
		if got := suggest(key, keys); got != want {
			t.Errorf("suggest(%q) = %q, want %q", key, got, want)
		}
	}
	for _, pair := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := distance(pair.a, pair.b); got != pair.want {
			t.Errorf("distance(%q, %q) = %d, want %d", pair.a, pair.b, got, pair.want)
		}
	}
}
