package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/gcexport/gcexport/pkg/export"
)

// printText writes the result of an export for people.
func printText(w io.Writer, bucket string, s *export.Summary) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(tw, name+"\t"+format+"\n", args...) }
	row("bucket", "%s", bucket)
	row("range", "%s to %s", rfc3339(s.Plan.Range.Start), rfc3339(s.Plan.Range.End))
	row("chunks", "%s", chunkLine(s))
	row("conversations", "%s", humanize.Comma(s.Records))
	row("written", "%s in %s, %s of JSON", count(s.Parts, "object"), humanize.IBytes(uint64(s.Bytes)), humanize.IBytes(uint64(s.RawBytes)))
	if n := s.Dropped.Foreign + s.Dropped.Duplicate; n > 0 {
		row("dropped", "%s received for the wrong chunk, %s received twice", humanize.Comma(s.Dropped.Foreign), humanize.Comma(s.Dropped.Duplicate))
	}
	for _, dataset := range slices.Sorted(maps.Keys(s.Diverted)) {
		row("put aside", "%s in %s", humanize.Comma(s.Diverted[dataset]), dataset)
	}
	if u, ok := s.Usage.(*usage); ok {
		row("requests", "%s", u.requestLine())
		row("waited", "%s", u.waitLine(s.StoreWait))
		if u.limited != "" {
			row("limited by", "%s", u.limited)
		}
	}
	row("took", "%s", s.Finished.Sub(s.Started).Round(time.Millisecond))
	row("run", "%s", s.Run)
	if s.Complete() {
		row("next", "gcexport verify %s", quoted(bucket))
	}
	return tw.Flush()
}

// quoted is an argument as a shell takes it.
func quoted(s string) string {
	if strings.ContainsAny(s, " &?*'\"$;()<>|\\`") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func chunkLine(s *export.Summary) string {
	line := fmt.Sprintf("%d planned, %d exported", s.Chunks.Planned, s.Chunks.Exported)
	for _, extra := range []struct {
		n    int
		what string
	}{
		{s.Chunks.Skipped, "done before"},
		{s.Chunks.Elsewhere, "done by another process"},
		{len(s.Postponed), "beyond the watermark"},
		{len(s.Failed), "failed"},
	} {
		if extra.n > 0 {
			line += fmt.Sprintf(", %d %s", extra.n, extra.what)
		}
	}
	return line
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(int64(n)) + " " + what + "s"
}
