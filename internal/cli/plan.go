package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
)

// planFlags are the flags that make a plan.
type planFlags struct {
	start, end timeValue
	chunk      lengthValue
	shard      shardValue
	shards     intRange
}

// maxChunks bounds a plan, against a slip such as --chunk 1s over years.
const maxChunks = 200_000

func (f *planFlags) add(fs *pflag.FlagSet) {
	f.chunk = lengthValue{interval.Day}
	f.shards = intRange{0, 0, 10_000}
	fs.Var(&f.start, "start", "first instant of the range")
	fs.Var(&f.end, "end", "end of the range, not part of it")
	fs.Var(&f.chunk, "chunk", "length of a chunk, such as 6h, 24h or 7d")
	fs.Var(&f.shard, "shard", "only the chunks of shard i of n, which takes that share of --rate")
	fs.Var(&f.shards, "shards", "number of shards; the shard is then JOB_COMPLETION_INDEX, as Kubernetes sets it")
}

// plan makes the plan that the flags ask for.
func (f *planFlags) plan(p *Process, now time.Time) (export.Plan, error) {
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
func (f *planFlags) shardOf(p *Process) (export.Shard, error) {
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

// stateFlags are the flags of the plan command.
type stateFlags struct {
	plan      planFlags
	api       apiFlags
	partition choiceValue
	log       logFlags
	output    choiceValue
	all       bool
	price     bool
}

func newPlan(p *Process) *cobra.Command {
	f := &stateFlags{partition: partitions(), output: choiceValue{"text", []string{"text", "json"}}}
	cmd := &cobra.Command{
		Use:   "plan BUCKET --start TIME --end TIME",
		Short: "Show what an export would do, and what is done already",
		Long: `Show the chunks of an export and their state: done (committed), open (begun, not
committed), missing, beyond the watermark, or conflicting (an unfinished chunk of
another plan is in the way). Nothing is written, and no object is opened.

Where the API's credentials and the region are given, the watermark is asked for,
and the price of what is left is estimated: conversations, requests, bytes, objects
and time, from the API's own counts and the first pages of three chunks. That takes a
request for each week, and some twenty more. --price=false leaves it out.

BUCKET, TIME and the credentials are those of 'gcexport export'.

` + exitCodes,
		Example: `  gcexport plan s3://bucket/genesys --start 2024-01-01 --end 2024-04-01
  gcexport plan ./out --start 2024-01-01 --end 2024-04-01 --output json | jq -r 'select(.state != "done") | .start'`,
		Args: p.bucketArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			if f.output.value == "json" && !cmd.Flags().Changed("price") {
				f.price = false
			}
			return p.runPlan(cmd.Context(), f, p.bucketOf(args))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.plan.add(fs)
	fs.BoolVar(&f.all, "all", false, "list each chunk, not runs of the same state")
	fs.BoolVar(&f.price, "price", true, "estimate what is left to do; in json, as a last line, only where this flag is given")
	f.api.add(fs)
	fs.Var(&f.partition, "partition", "as for the export: its objects are smaller with export-day")
	fs.VarP(&f.output, "output", "o", "form of the result on stdout: text, or json: one line for each chunk")
	f.log.add(fs)
	return cmd
}

// runPlan is the plan command.
func (p *Process) runPlan(ctx context.Context, f *stateFlags, bucketURL string) error {
	plan, err := f.plan.plan(p, time.Now())
	if err != nil {
		return err
	}
	out, err := p.openDisplay(&f.log)
	if err != nil {
		return err
	}
	defer out.close()
	bucket, err := openStore(ctx, bucketURL, 1, f.api.stall.Duration, out.log)
	if err != nil {
		return err
	}
	defer bucket.Close()
	api, watermark, err := p.askWatermark(ctx, f, plan.Shard, out)
	if err != nil {
		return err
	}
	if api != nil {
		defer api.Close()
	}
	chunks, err := export.Survey(ctx, bucket.Bucket, plan, watermark)
	if err != nil {
		return atBucket(bucket.Name, err)
	}
	var price *price
	if f.price && api != nil {
		limits := f.api.settle(ctx, api, plan.Shard, out.log)
		if price, err = f.estimate(ctx, api, f.api.source(api, limits), chunks); err != nil {
			return err
		}
	}
	out.close()
	if err := f.print(p.Stdout, bucket.Name, plan, watermark, chunks, price); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// print writes the result; the price may be nil.
func (f *stateFlags) print(w io.Writer, bucket string, plan export.Plan, watermark time.Time, chunks []export.Status, price *price) error {
	states := func() error { return printStates(w, bucket, plan, watermark, chunks, f.all) }
	if f.output.value == "json" {
		states = func() error { return printStatesJSON(w, chunks) }
	}
	if err := states(); err != nil || price == nil {
		return err
	}
	if f.output.value == "json" {
		return price.json(w)
	}
	return price.text(w)
}

// askWatermark asks the API for its watermark, if it is known how; else the pool is
// nil. The caller closes it.
func (p *Process) askWatermark(ctx context.Context, f *stateFlags, shard export.Shard, out *display) (*genesys.Pool, time.Time, error) {
	if !p.canConnect(&f.api) {
		return nil, time.Time{}, nil
	}
	api, err := p.connect(&f.api, shard, out, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err = f.api.reach(ctx, api, out); err == nil {
		var watermark time.Time
		if watermark, err = f.api.source(api, limits{}).Watermark(ctx); err == nil {
			return api, watermark, nil
		}
	}
	api.Close()
	return nil, time.Time{}, err
}

// canConnect reports whether credentials and region are given.
func (p *Process) canConnect(f *apiFlags) bool {
	given := func(name string) bool { v, _ := p.Getenv(name); return v != "" }
	secret := func(name string) bool { return given(name) || given(name+"_FILE") }
	return secret(envClientID) && secret(envClientSecret) && (f.region != "" || f.apiURL != "" || given(envRegion))
}

// chunkRecord is a chunk on a line of JSON.
type chunkRecord struct {
	Index int          `json:"index"`
	Start time.Time    `json:"start"`
	End   time.Time    `json:"end"`
	State export.State `json:"state"`
	Parts int          `json:"parts,omitempty"`
	// Rest are the pieces that are left of a chunk that is done in part.
	Rest []interval.Interval `json:"rest,omitempty"`
}

func printStatesJSON(w io.Writer, chunks []export.Status) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for _, s := range chunks {
		rec := chunkRecord{Index: s.Chunk.Index, Start: s.Chunk.Interval.Start, End: s.Chunk.Interval.End, State: s.State, Parts: s.Parts}
		if !wholeRest(s) {
			rec.Rest = s.Rest
		}
		if err := enc.Encode(rec); err != nil {
			return err
		}
	}
	return b.Flush()
}

// wholeRest reports whether nothing or all of a chunk is left to do.
func wholeRest(s export.Status) bool {
	return len(s.Rest) == 0 || len(s.Rest) == 1 && s.Rest[0] == s.Chunk.Interval
}

func printStates(w io.Writer, bucket string, plan export.Plan, watermark time.Time, chunks []export.Status, all bool) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(tw, strings.Join(cells, "\t")) }
	row("bucket", bucket)
	row("range", rfc3339(plan.Range.Start)+" to "+rfc3339(plan.Range.End))
	if plan.Shard.Count > 1 {
		row("shard", plan.Shard.String())
	}
	row("watermark", watermarkText(watermark))
	row("chunks", stateCounts(chunks))
	if err := tw.Flush(); err != nil || len(chunks) == 0 {
		return err
	}
	fmt.Fprintln(w)
	row("FROM", "TO", "CHUNKS", "STATE")
	for len(chunks) > 0 {
		n := 1
		for !all && n < len(chunks) && describe(chunks[n]) == describe(chunks[0]) {
			n++
		}
		row(rfc3339(chunks[0].Chunk.Interval.Start), rfc3339(chunks[n-1].Chunk.Interval.End), fmt.Sprint(n), describe(chunks[0]))
		chunks = chunks[n:]
	}
	return tw.Flush()
}

func watermarkText(t time.Time) string {
	if t.IsZero() {
		return "unknown: credentials and region of the API are not given"
	}
	return rfc3339(t)
}

// describe says the state of a chunk in words.
func describe(s export.Status) string {
	text := string(s.State)
	if !wholeRest(s) {
		text += ", done in part"
	}
	if s.Parts > 0 {
		text += " with " + count(s.Parts, "part")
	}
	return text
}

func stateCounts(chunks []export.Status) string {
	counts := map[export.State]int{}
	for _, s := range chunks {
		counts[s.State]++
	}
	line := fmt.Sprintf("%d planned", len(chunks))
	order := []export.State{export.Done, export.Open, export.Absent, export.Postponed, export.Conflicting}
	for _, state := range slices.DeleteFunc(order, func(s export.State) bool { return counts[s] == 0 }) {
		line += fmt.Sprintf(", %d %s", counts[state], state)
	}
	return line
}
