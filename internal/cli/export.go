package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// exportFlags are the flags of the export command.
type exportFlags struct {
	start, end timeValue
	chunk      lengthValue
	workers    intRange
	gzipLevel  intRange
	shard      shardValue
	shards     intRange
	api        apiFlags
	log        logFlags
	output     choiceValue
}

// maxChunks bounds a plan, against a slip such as --chunk 1s over years.
const maxChunks = 200_000

func newExport(p *Process) *cobra.Command {
	f := &exportFlags{
		chunk:     lengthValue{interval.Day},
		workers:   intRange{export.DefaultWorkers, 1, 256},
		gzipLevel: intRange{jsonl.DefaultLevel, 1, 9},
		shards:    intRange{0, 0, 10_000},
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

TIME is a date (2024-03-01, midnight UTC) or RFC 3339 with a zone.

The API's credentials come from the environment: ` + envClientID + `
and ` + envClientSecret + `, or the files that the same names with
_FILE appended point to. Every flag can be given as ` + envPrefix + `NAME instead.

` + exitCodes,
		Example: `  gcexport export s3://bucket/genesys --region eu-central-1 --start 2024-01-01 --end 2024-04-01
  gcexport export ./out --region mypurecloud.com --start 2024-03-01 --end 2024-03-02 --mode query`,
		Args: bucketArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			return p.runExport(cmd.Context(), f, args[0])
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.start, "start", "first instant of the range")
	fs.Var(&f.end, "end", "end of the range, not part of it")
	fs.Var(&f.chunk, "chunk", "length of a chunk, such as 6h, 24h or 7d")
	fs.Var(&f.workers, "workers", "chunks in work at once")
	fs.Var(&f.shard, "shard", "do only the chunks of shard i of n, and take that share of --rate")
	fs.Var(&f.shards, "shards", "number of shards; the shard is then JOB_COMPLETION_INDEX, as Kubernetes sets it")
	f.api.add(fs)
	fs.Var(&f.gzipLevel, "gzip-level", "1 (fast) to 9 (small)")
	fs.VarP(&f.output, "output", "o", "form of the result on stdout: text or json")
	f.log.add(fs)
	return cmd
}

func bucketArg(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usageError("no bucket given", fmt.Sprintf("for example: %s s3://bucket/prefix; see '%s --help'", cmd.CommandPath(), cmd.CommandPath()))
	case len(args) > 1:
		return usageError(fmt.Sprintf("unexpected argument %q", args[1]), "give one bucket; quote a URL that has & or ? in it")
	}
	return nil
}

// plan makes the plan that the flags ask for.
func (f *exportFlags) plan(p *Process, now time.Time) (export.Plan, error) {
	var none export.Plan
	switch {
	case f.start.IsZero():
		return none, usageError("--start is missing", "for example --start 2024-01-01")
	case f.end.IsZero():
		return none, usageError("--end is missing", "for example --end 2024-04-01; the end is not part of the range")
	case !f.start.Before(now):
		return none, usageError(fmt.Sprintf("--start %s lies in the future", rfc3339(f.start.Time)), "there is nothing to export yet")
	}
	iv, err := interval.New(f.start.Time, f.end.Time)
	if err != nil {
		return none, usageError(fmt.Sprintf("--end %s is not after --start %s", rfc3339(f.end.Time), rfc3339(f.start.Time)), "the range is [start, end): the end is not part of it")
	}
	if n := iv.Length() / f.chunk.Duration; n > maxChunks {
		return none, usageError(fmt.Sprintf("--chunk %s cuts the range into %d chunks, more than %d", &f.chunk, n, maxChunks), "take longer chunks, such as 24h")
	}
	shard, err := f.shardOf(p)
	if err != nil {
		return none, err
	}
	plan := export.Plan{Dataset: export.Conversations, Range: iv, Step: f.chunk.Duration, Shard: shard}
	if err := plan.Validate(); err != nil {
		return none, usageError(err.Error(), "")
	}
	return plan, nil
}

const envCompletionIndex = "JOB_COMPLETION_INDEX"

// shardOf is --shard, or else JOB_COMPLETION_INDEX of --shards.
func (f *exportFlags) shardOf(p *Process) (export.Shard, error) {
	switch {
	case f.shard.Count > 0 && f.shards.value > 0:
		return export.Shard{}, usageError("--shard and --shards are both given", "give --shard i/n, or --shards n where Kubernetes sets "+envCompletionIndex)
	case f.shards.value == 0:
		return f.shard.Shard, nil
	}
	index, _ := p.Getenv(envCompletionIndex)
	var v shardValue
	if err := v.Set(fmt.Sprintf("%s/%d", index, f.shards.value)); err != nil {
		return export.Shard{}, usageError(fmt.Sprintf("--shards %d with %s %q: no shard of that number", f.shards.value, envCompletionIndex, index),
			"run as a Kubernetes Indexed Job with as many completions as shards, or give --shard i/n")
	}
	return v.Shard, nil
}

// runExport is the export command.
func (p *Process) runExport(ctx context.Context, f *exportFlags, bucketURL string) error {
	plan, err := f.plan(p, time.Now())
	if err != nil {
		return err
	}
	out, err := p.openDisplay(&f.log)
	if err != nil {
		return err
	}
	defer out.close()

	api, err := p.connect(&f.api, plan.Shard, out)
	if err != nil {
		return err
	}
	defer api.Close()
	bucket, err := openStore(ctx, bucketURL, f.workers.value, f.api.stall.Duration, out.log)
	if err != nil {
		return err
	}
	defer bucket.Close()
	source := f.api.source(api)
	// Both doors must open before anything is begun or written.
	if err := bucket.Check(ctx); err != nil {
		return err
	}
	if err := f.api.reach(ctx, source, out); err != nil {
		return err
	}

	name, version := program()
	exporter := &export.Exporter{
		Source: source, Bucket: bucket.Bucket, Object: bucket.Object,
		Mode: f.api.mode.value, Program: name + " " + version,
		Workers: f.workers.value, GzipLevel: f.gzipLevel.value,
		Fatal: refusedByStore, Observer: out, Logger: out.log,
	}
	out.begin(plan, bucket.Name)
	summary, err := exporter.Run(ctx, plan)
	out.close()
	if summary.Run != "" {
		if perr := printSummary(p.Stdout, f.output.value, bucket.Name, &summary); perr != nil && err == nil {
			err = fmt.Errorf("print the result: %w", perr)
		}
	}
	if err == nil && !summary.Complete() {
		err = incomplete(&summary)
	}
	return err
}

// incomplete is the error of a run that went to its end and left chunks undone.
func incomplete(s *export.Summary) error {
	f := &failure{code: exitIncomplete}
	switch {
	case len(s.Failed) > 0:
		f.message = fmt.Sprintf("%d of %d chunks failed, the first %s: %v", len(s.Failed), s.Chunks.Planned, s.Failed[0].Interval, s.Failed[0].Err)
		f.hint = "the other chunks are committed; run the same command again to try the failed ones"
		if cause := explain(s.Failed[0].Err); cause.hint != "" {
			f.hint = cause.hint + "; " + f.hint
		}
	default:
		f.message = fmt.Sprintf("%d of %d chunks lie beyond the watermark %s: their data is not complete yet", len(s.Postponed), s.Chunks.Planned, rfc3339(s.Watermark))
		f.hint = "everything before it is committed; run the same command again later for the rest"
	}
	return f
}
