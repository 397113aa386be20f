package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/export"
)

// exportGarbage is how much garbage an export gathers before it is collected, in
// percent of what is in use. Hardly any comes into being, so that half of what
// is usual costs no time that could be measured, and saves some MiB.
const exportGarbage = 50

// exportFlags are the flags of the export command.
type exportFlags struct {
	plan      planFlags
	workers   intRange
	gzipLevel intRange
	record    choiceValue
	partition choiceValue
	maxRecord sizeValue
	strict    bool // --fail-on-diverted
	api       apiFlags
	log       logFlags
	metrics   metricsFlags
	lastWords string
	output    choiceValue
}

func newExport(p *Process) *cobra.Command {
	f := &exportFlags{
		workers:   intRange{export.DefaultWorkers, 1, 256},
		gzipLevel: intRange{jsonl.DefaultLevel, 1, 9},
		record:    choiceValue{string(export.RecordRaw), []string{string(export.RecordRaw), string(export.RecordEnvelope)}},
		partition: partitions(),
		maxRecord: sizeValue{export.DefaultMaxRecord},
		output:    choiceValue{"text", []string{"text", "json"}},
	}
	cmd := &cobra.Command{
		Use:   "export BUCKET --start TIME --end TIME",
		Short: "Export conversations, or go on with an export",
		Long: `Export the conversations that started in [--start, --end) into a bucket. What is
there already is skipped, so the same command also resumes an export that was
interrupted. Several processes may work on the same range; see --shard.

BUCKET is s3://NAME/PREFIX, gs://NAME/PREFIX, azblob://NAME/PREFIX, or a
directory. The cloud's usual credentials are used.

TIME is a date (2024-03-01, midnight UTC), today, yesterday, or RFC 3339 with a zone.

The API's credentials come from the environment: ` + envClientID + `
and ` + envClientSecret + `, or the files that the same names with
_FILE appended point to; those of a second client, with an allowance of its own,
from the same names with _2, or _2_FILE. Every flag can be given as ` + envPrefix + `NAME instead.

` + exitCodes,
		Example: `  gcexport export s3://bucket/genesys --region eu-central-1 --start 2024-01-01 --end 2024-04-01
  gcexport export ./out --region mypurecloud.com --start 2024-03-01 --end 2024-03-02 --mode query`,
		Args: p.bucketArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			return p.runExport(cmd.Context(), f, p.bucketOf(args))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.plan.add(fs)
	fs.Var(&f.workers, "workers", "chunks in work at once")
	f.api.add(fs)
	fs.Var(&f.gzipLevel, "gzip-level", "1 (fast) to 9 (small)")
	fs.Var(&f.record, "record", "what a line is: raw, the API's object; envelope, fixed columns with that object in one")
	fs.Var(&f.partition, "partition", "what dt= in names is: day, that of the chunk; export-day, that of writing, with names that only grow, for loaders that go by names")
	fs.Var(&f.maxRecord, "max-record", "put longer records aside, into conversations_oversize; 0 means no bound")
	fs.BoolVar(&f.strict, "fail-on-diverted", false, "exit with 4 if records were put aside")
	fs.VarP(&f.output, "output", "o", "form of the result on stdout: text or json")
	f.metrics.add(fs)
	fs.StringVar(&f.lastWords, "termination-log", terminationLog, "file that gets the end of the run as a line of JSON, if it is there")
	f.log.add(fs)
	return cmd
}

// partitions are the values of --partition.
func partitions() choiceValue {
	return choiceValue{string(export.PartitionDay), []string{string(export.PartitionDay), string(export.PartitionExportDay)}}
}

// bucketOf is the bucket that is given, or that of the settings.
func (p *Process) bucketOf(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	bucket, _ := p.Getenv(envName(keyBucket))
	return bucket
}

// bucketArg wants one bucket, unless it stands in the settings.
func (p *Process) bucketArg(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		if err := p.configure(cmd); err != nil {
			return err
		}
	}
	switch {
	case len(args) == 0 && p.bucketOf(args) != "":
		return nil
	case len(args) == 0:
		return usageError("no bucket given", fmt.Sprintf("for example: %s s3://bucket/prefix; see '%s --help'", cmd.CommandPath(), cmd.CommandPath()))
	case len(args) > 1:
		return usageError(fmt.Sprintf("unexpected argument %q", args[1]), "give one bucket; quote a URL that has & or ? in it")
	}
	return nil
}

// runExport is the export command. However it ends, the end is told.
func (p *Process) runExport(ctx context.Context, f *exportFlags, bucketURL string) error {
	end := &ending{}
	err := p.exportInto(ctx, f, bucketURL, end)
	if perr := end.print(p.Stdout, f.output.value, err); perr != nil && err == nil {
		err = fmt.Errorf("print the result: %w", perr)
	}
	end.leave(f.lastWords, err)
	return err
}

// exportInto exports into a bucket, and notes how that went.
func (p *Process) exportInto(ctx context.Context, f *exportFlags, bucketURL string, end *ending) (err error) {
	plan, err := f.plan.plan(p, time.Now())
	if err != nil {
		return err
	}
	if gogc, _ := p.Getenv("GOGC"); gogc == "" { // else that says it
		defer debug.SetGCPercent(debug.SetGCPercent(exportGarbage))
	}
	out, err := p.openDisplay(&f.log)
	if err != nil {
		return err
	}
	defer out.close()
	out.log = out.log.With("shard", plan.Shard.String())

	collector, err := p.openTelemetry(ctx, f.api.mode.value, plan.Shard, out.log)
	if err != nil {
		return err
	}
	traces := collector.Traces()
	defer func() { traces.Close(ctx, codeOf(err)) }()
	api, err := p.connect(&f.api, plan.Shard, out, traces)
	if err != nil {
		return err
	}
	defer api.Close()
	watch, err := f.metrics.open(ctx, plan.Shard, f.api.mode.value, api.Usage, collector, out.log)
	if err != nil {
		return err
	}
	end.summary.Plan = plan
	defer func() { watch.close(ctx, codeOf(err)) }()
	defer func() { err = causeOf(ctx, err) }() // before those above tell the exit code
	bucket, err := openStore(ctx, bucketURL, f.workers.value, f.api.stall.Duration, out.log)
	if err != nil {
		return err
	}
	defer bucket.Close()
	// Both doors must be open before anything is begun or written.
	if err := f.api.reach(ctx, api, out); err != nil {
		return err
	}
	limits := f.api.settle(ctx, api, plan.Shard, out.log)
	source := traces.Source(f.api.source(api, limits))

	name, version := program()
	exporter := &export.Exporter{
		Source: source, Bucket: bucket.Bucket, Object: bucket.Object,
		Mode: f.api.mode.value, Program: name + " " + version,
		Workers: f.workers.value, Ahead: f.api.ahead(limits), GzipLevel: f.gzipLevel.value,
		RecordFormat: export.RecordFormat(f.record.value), Partition: export.Partition(f.partition.value), MaxRecord: cmp.Or(f.maxRecord.bytes, -1),
		URI:   bucket.URI,
		Fatal: refusedByStore, Observer: observers{out, watch, traces}, Logger: out.log,
		Usage: func(s *export.Summary) any { return newUsage(api.Usage(), s) },
	}
	out.begin(plan, bucket.Name, api.Usage)
	end.bucket = bucket.Name
	end.summary, err = exporter.Run(ctx, plan)
	out.close()
	summary := &end.summary
	if err == nil && !summary.Complete() {
		err = incomplete(summary)
	}
	if n := diverted(summary); err == nil && n > 0 && f.strict {
		err = &failure{code: exitIncomplete, message: fmt.Sprintf("%d conversations were put aside, and --fail-on-diverted is given", n),
			hint: "they are exported, in the sibling folders that the manifests name", topic: topicDiverted}
	}
	return atBucket(bucket.Name, err)
}

// diverted counts the records that a run has put aside.
func diverted(s *export.Summary) (n int64) {
	for _, records := range s.Diverted {
		n += records
	}
	return n
}

// incomplete is the error of a run that went to its end and left chunks undone.
func incomplete(s *export.Summary) error {
	f := &failure{code: exitIncomplete}
	switch {
	case len(s.Failed) > 0:
		f.topic = topicFailed
		f.message = fmt.Sprintf("%d of %d chunks failed, the first %s: %v", len(s.Failed), s.Chunks.Planned, s.Failed[0].Interval, s.Failed[0].Err)
		f.hint = "the other chunks are committed; run the same command again to try the failed ones"
		if cause := explain(s.Failed[0].Err); cause.hint != "" {
			f.hint = cause.hint + "; " + f.hint
		}
	default:
		f.topic = topicWatermark
		f.message = fmt.Sprintf("%d of %d chunks lie beyond the watermark %s: their data is not complete yet", len(s.Postponed), s.Chunks.Planned, rfc3339(s.Watermark))
		f.hint = "everything before it is committed; run the same command again later for the rest"
	}
	return f
}
