package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// verifyFlags are the flags of the verify command.
type verifyFlags struct {
	start, end timeValue
	deep       bool
	workers    intRange
	stall      lengthValue
	log        logFlags
	output     choiceValue
}

func newVerify(p *Process) *cobra.Command {
	f := &verifyFlags{
		workers: intRange{0, 0, 256},
		stall:   lengthValue{time.Minute},
		output:  choiceValue{"text", []string{"text", "json"}},
	}
	cmd := &cobra.Command{
		Use:   "verify BUCKET [--start TIME --end TIME]",
		Short: "Prove a bucket against its manifests",
		Long: `Read a bucket and prove that it holds what its manifests say: every object is there
and whole, with the lines, sizes and hashes that it should have; every line is a
compact JSON record of its chunk; no conversation stands twice; chunks do not
overlap; nothing else lies among the data. Nothing is written, and the API is not
asked.

With --start and --end the chunks that touch the range are verified, and all of
the range must be covered. Without them all chunks are, and a gap between them is
told, but is no damage. Parts of chunks that are not committed are told too.

With --deep=false no data object is read: only names, sizes and manifests are
compared.

` + exitCodes,
		Example: `  gcexport verify s3://bucket/genesys --start 2024-01-01 --end 2024-04-01
  gcexport verify ./out --output json | jq '.findings[]'`,
		Args: p.bucketArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			return p.runVerify(cmd.Context(), f, p.bucketOf(args))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.start, "start", "first instant of the range that must be covered")
	fs.Var(&f.end, "end", "end of that range, not part of it")
	fs.BoolVar(&f.deep, "deep", true, "read the data objects, too")
	fs.Var(&f.workers, "workers", "objects that are read at once; 0 means one for each processor")
	fs.Var(&f.stall, "stall-timeout", "give up a transfer that makes no progress for so long")
	fs.VarP(&f.output, "output", "o", "form of the result on stdout: text or json")
	f.log.add(fs)
	return cmd
}

// scope is the range that the flags ask for; empty if they do not.
func (f *verifyFlags) scope() (interval.Interval, error) {
	var none interval.Interval
	switch {
	case f.start.IsZero() && f.end.IsZero():
		return none, nil
	case f.start.IsZero() || f.end.IsZero():
		return none, usageError("only one of --start and --end is given", "give both, or none to verify all that is there")
	}
	iv, err := interval.New(f.start.Time, f.end.Time)
	if err != nil {
		return none, usageError(fmt.Sprintf("--end %s is not after --start %s", rfc3339(f.end.Time), rfc3339(f.start.Time)), "the range is [start, end): the end is not part of it")
	}
	return iv, nil
}

// verifyMemory is where the collector of garbage begins to work harder: the
// filter of ids would have it wait until as much again is used.
const verifyMemory = 224 << 20

// runVerify is the verify command.
func (p *Process) runVerify(ctx context.Context, f *verifyFlags, bucketURL string) error {
	scope, err := f.scope()
	if err != nil {
		return err
	}
	out, err := p.openDisplay(&f.log)
	if err != nil {
		return err
	}
	defer out.close()
	bucket, err := openStore(ctx, bucketURL, 1, f.stall.Duration, out.log)
	if err != nil {
		return err
	}
	defer bucket.Close()
	if before := debug.SetMemoryLimit(-1); before == math.MaxInt64 { // else GOMEMLIMIT says it
		debug.SetMemoryLimit(verifyMemory)
		defer debug.SetMemoryLimit(before)
	}
	progress := newVerifyProgress(out)
	defer progress.close()
	verifier := &export.Verifier{
		Bucket: bucket.Bucket, Dataset: export.Conversations, Object: bucket.Object,
		Range: scope, Shallow: !f.deep, Workers: f.workers.value,
		Observer: progress, Logger: out.log,
	}
	report, err := verifier.Run(ctx)
	progress.close()
	if err != nil {
		return atBucket(bucket.Name, err)
	}
	if report.Empty() {
		return usageError(fmt.Sprintf("%s holds no export", bucket.Name), "check the bucket and the prefix in its URL")
	}
	if err := printReport(p.Stdout, f.output.value, bucket.Name, report); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if report.Damaged() {
		return &failure{code: exitDamage, message: fmt.Sprintf("%s holds damage: %s", bucket.Name, count(int(report.DamageCount), "finding")), topic: topicDamage,
			hint: "docs/operations.md says what each kind of finding means, and what to do"}
	}
	return nil
}

// printReport writes the result of verify to stdout.
func printReport(w io.Writer, form, bucket string, r *export.Report) error {
	if form == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(tw, name+"\t"+format+"\n", args...) }
	row("bucket", "%s", bucket)
	if !r.Range.Empty() {
		row("range", "%s to %s", rfc3339(r.Range.Start), rfc3339(r.Range.End))
	}
	row("chunks", "%s committed, %s open", humanize.Comma(int64(r.Chunks)), humanize.Comma(int64(r.Open)))
	depth := "read"
	if !r.Deep {
		depth = "listed, not read"
	}
	row("objects", "%s of %s, %s", humanize.Comma(int64(r.Parts)), humanize.IBytes(uint64(r.Bytes)), depth)
	row("conversations", "%s, %s of JSON", humanize.Comma(r.Records), humanize.IBytes(uint64(r.RawBytes)))
	row("took", "%s", r.Finished.Sub(r.Started).Round(time.Millisecond))
	row("result", "%s", verdict(r))
	if err := tw.Flush(); err != nil || len(r.Findings) == 0 {
		return err
	}
	fmt.Fprintln(w)
	for _, f := range r.Findings {
		printFinding(w, f)
	}
	for _, k := range r.Kinds() {
		if listed := countKind(r.Findings, k); r.Counts[k] > listed {
			fmt.Fprintf(w, "… and %s more of kind %s\n", humanize.Comma(r.Counts[k]-listed), k)
		}
	}
	return nil
}

func verdict(r *export.Report) string {
	switch {
	case r.Damaged() && r.DamageCount == 1:
		return "damaged: 1 finding"
	case r.Damaged():
		return fmt.Sprintf("damaged: %s findings", humanize.Comma(r.DamageCount))
	case len(r.Findings) > 0:
		return "clean; worth knowing:"
	}
	return "clean"
}

func countKind(list []export.Finding, k export.Kind) (n int64) {
	for _, f := range list {
		if f.Kind == k {
			n++
		}
	}
	return n
}

// printFinding writes a finding on one line: what it is about, and what it is.
func printFinding(w io.Writer, f export.Finding) {
	mark := "note  "
	if f.Damage {
		mark = "DAMAGE"
	}
	about := f.Key
	switch {
	case about != "":
	case f.Chunk.Empty():
		about = "bucket"
	default:
		about = rfc3339(f.Chunk.Start) + " to " + rfc3339(f.Chunk.End)
	}
	fmt.Fprintf(w, "%s %-10s %s: %s\n", mark, f.Kind, oneLine(about), oneLine(f.Detail))
}

// verifyProgress shows how far a verification is, as the display's flags say.
type verifyProgress struct {
	out  *display
	bar  *mpb.Bar
	stop chan struct{}
	done sync.WaitGroup
	once sync.Once

	mu           sync.Mutex
	reading      int
	bytes, total int64
	parts, of    int
	records      int64
}

func newVerifyProgress(out *display) *verifyProgress {
	v := &verifyProgress{out: out, stop: make(chan struct{})}
	switch out.kind {
	case "bar", "chunks":
		v.bar = out.bars.AddBar(0, mpb.BarFillerClearOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return v.text() })))
	case "log":
		v.done.Go(v.log)
	}
	return v
}

// Observe implements export.Observer.
func (v *verifyProgress) Observe(e export.Event) {
	v.mu.Lock()
	switch e := e.(type) {
	case export.VerifyBegun:
		v.reading, v.of, v.total = e.Reading, e.Parts, e.Bytes
		v.parts, v.bytes, v.records = 0, 0, 0
	case export.PartVerified:
		v.parts++
		v.bytes += e.Bytes
		v.records += e.Records
	}
	now, total := v.bytes, v.total
	v.mu.Unlock()
	if v.bar != nil { // without the lock: drawing takes it
		v.bar.SetTotal(total, false)
		v.bar.SetCurrent(now)
	}
}

func (v *verifyProgress) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reading == 0 {
		return "listing "
	}
	text := fmt.Sprintf("objects %d/%d  %s of %s  %s conversations ", v.parts, v.of, humanize.IBytes(uint64(v.bytes)), humanize.IBytes(uint64(v.total)), humanize.Comma(v.records))
	if v.reading > 1 {
		text = "looking for duplicates: " + text
	}
	return text
}

func (v *verifyProgress) log() {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-tick.C:
			v.mu.Lock()
			reading, parts, of, bytes, total, records := v.reading, v.parts, v.of, v.bytes, v.total, v.records
			v.mu.Unlock()
			v.out.log.Info("progress", "reading", reading, "objects_done", parts, "objects", of, "bytes_done", bytes, "bytes", total, "records", records)
		}
	}
}

// close ends the progress. It may be called more than once.
func (v *verifyProgress) close() {
	v.once.Do(func() {
		close(v.stop)
		v.done.Wait()
		if v.bar != nil {
			v.bar.Abort(true)
		}
		v.out.close()
	})
}
