package warehouse

import (
	"fmt"
	"strings"
)

// Text is the content of a file of the kit: its step below a head of comments.
func (k *Kit) Text(f File) string {
	mark := "--"
	if f.shell() {
		mark = "#"
	}
	var b strings.Builder
	if f.shell() {
		b.WriteString("#!/usr/bin/env bash\n")
	}
	fmt.Fprintf(&b, "%s gcexport: %s\n%s %s: %s\n", mark, k.Heading, mark, f.Name, f.Title)
	for _, r := range k.Replace {
		if strings.Contains(f.Body, r.Word) {
			fmt.Fprintf(&b, "%s Replace %s: %s\n", mark, r.Word, r.Meaning)
		}
	}
	b.WriteString("\n" + f.Body)
	return b.String()
}

// shell reports whether a file is run by a shell, not by the warehouse.
func (f File) shell() bool { return strings.HasSuffix(f.Name, ".sh") }

// Script is the whole kit as one SQL script. Steps for the shell stand in it as
// comments, with "-- $ " before each line.
func (k *Kit) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- gcexport: %s\n--\n", k.Heading)
	b.WriteString("-- Run the steps in order. Lines that begin with \"-- $ \" are for a shell, all others for the\n" +
		"-- warehouse; --out DIR writes each step to a file of its own.\n")
	if len(k.Replace) > 0 {
		b.WriteString("--\n-- Replace these words first, or give them as --set WORD=VALUE:\n")
	}
	for _, r := range k.Replace {
		fmt.Fprintf(&b, "--   %s  %s\n", r.Word, r.Meaning)
	}
	for _, f := range k.Files {
		fmt.Fprintf(&b, "\n-- ======== %s: %s\n\n", f.Name, f.Title)
		if !f.shell() {
			b.WriteString(f.Body)
			continue
		}
		for line := range strings.Lines(f.Body) {
			b.WriteString(strings.TrimRight("-- $ "+strings.TrimSuffix(line, "\n"), " ") + "\n")
		}
	}
	return b.String()
}
