package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A price is what the rest of a plan will take, as far as can be told.
type price struct {
	Chunks        int     `json:"chunks"`
	Conversations int64   `json:"conversations"`
	Requests      int64   `json:"requests"`
	RawBytes      int64   `json:"raw_bytes"`
	Bytes         int64   `json:"bytes"`
	Objects       int64   `json:"objects"`
	ObjectBytes   int64   `json:"object_bytes"` // of one, in the mean
	PerMinute     float64 `json:"requests_per_minute"`
	Seconds       int64   `json:"seconds"` // at that allowance, if nothing else limits
	// Sampled is the number of conversations that sizes were taken from.
	Sampled int64    `json:"sampled"`
	Advice  []string `json:"advice,omitempty"`
}

// What a run costs beside its chunks: a token and the watermark, which is read
// twice; and the limits, where flags do not say them.
const (
	perRun    = 3
	perLimits = 4
)

// perChunk is what a chunk costs beside its pages. A query ends with an empty page;
// a job is submitted, and asked for as often as those of the sample were.
func (f *stateFlags) perChunk(u genesys.Usage) float64 {
	sum := func(k genesys.Kind) (n float64) {
		for _, times := range u.Requests[k] {
			n += float64(times)
		}
		return n
	}
	if f.api.mode.value == "query" {
		return 1
	}
	if jobs := sum(genesys.KindSubmit); jobs > 0 {
		return 1 + sum(genesys.KindPoll)/jobs
	}
	return 3
}

// The sizes of pages where no other is asked for.
const (
	jobPage   = 1000
	queryPage = 100
)

// samples is how many chunks are looked into.
const samples = 3

// counter counts conversations, and knows what it has spent; *genesys.Pool is one.
type counter interface {
	Count(context.Context, interval.Interval) (int64, error)
	Usage() genesys.Usage
}

// estimate finds the price of what is left of the chunks: by the API's own counts,
// one request for a week, and by the sizes of the first pages of some chunks.
func (f *stateFlags) estimate(ctx context.Context, api counter, source export.Source, chunks []export.Status) (*price, error) {
	var rest []interval.Interval
	for _, s := range chunks {
		if s.State == export.Absent || s.State == export.Open {
			rest = append(rest, s.Rest...)
		}
	}
	p := &price{Chunks: len(rest), PerMinute: api.Usage().PerMinute}
	if len(rest) == 0 {
		return p, nil
	}
	days, err := countDays(ctx, api, rest)
	if err != nil {
		return nil, err
	}
	sample, err := export.SampleOf(ctx, source, spread(rest, days), 0)
	if err != nil {
		return nil, err
	}
	p.Sampled = sample.Records
	f.add(p, rest, days, sample, f.perChunk(api.Usage()))
	p.Seconds = int64(math.Ceil(float64(p.Requests) / max(p.PerMinute, 1) * 60))
	f.advise(p, rest, days)
	return p, nil
}

// A density is how many conversations start a day, in some days.
type density struct {
	interval.Interval
	perDay float64
}

// densities are in order of time.
type densities []density

// longestCount is how much is counted with one request.
const longestCount = 7 * interval.Day

// countDays counts what starts on the days of the intervals, which are in order.
func countDays(ctx context.Context, api counter, rest []interval.Interval) (densities, error) {
	var all densities
	for _, span := range joined(rest) {
		for at := span.Start; at.Before(span.End); at = at.Add(longestCount) {
			piece := interval.Interval{Start: at, End: at.Add(longestCount)}
			if piece.End.After(span.End) {
				piece.End = span.End
			}
			n, err := api.Count(ctx, piece)
			if err != nil {
				return nil, fmt.Errorf("count conversations: %w", err)
			}
			all = append(all, density{piece, float64(n) / (float64(piece.Length()) / float64(interval.Day))})
		}
	}
	return all, nil
}

// joined gives the days that intervals touch, those that meet as one.
func joined(ivs []interval.Interval) (spans []interval.Interval) {
	for _, iv := range ivs {
		from, to := iv.Start.UTC().Truncate(interval.Day), iv.End.UTC().Add(interval.Day-1).Truncate(interval.Day)
		if n := len(spans); n > 0 && !from.After(spans[n-1].End) {
			if to.After(spans[n-1].End) {
				spans[n-1].End = to
			}
			continue
		}
		spans = append(spans, interval.Interval{Start: from, End: to})
	}
	return spans
}

// in is how many conversations start in an interval.
func (d densities) in(iv interval.Interval) (n float64) {
	first := sort.Search(len(d), func(i int) bool { return d[i].End.After(iv.Start) })
	for _, piece := range d[first:] {
		if !piece.Start.Before(iv.End) {
			break
		}
		from, to := piece.Start, piece.End
		if from.Before(iv.Start) {
			from = iv.Start
		}
		if to.After(iv.End) {
			to = iv.End
		}
		n += piece.perDay * float64(to.Sub(from)) / float64(interval.Day)
	}
	return n
}

// spread chooses some intervals in which something is to be expected, from the
// beginning, the middle and the end.
func spread(rest []interval.Interval, days densities) []interval.Interval {
	var full []interval.Interval
	for _, iv := range rest {
		if days.in(iv) >= 1 {
			full = append(full, iv)
		}
	}
	var chosen []interval.Interval
	for i := range min(samples, len(full)) {
		chosen = append(chosen, full[i*(len(full)-1)/max(min(samples, len(full))-1, 1)])
	}
	return chosen
}

// add adds up the chunks.
func (f *stateFlags) add(p *price, rest []interval.Interval, days densities, sample export.Sample, perChunk float64) {
	page := jobPage
	if f.api.mode.value == "query" {
		page = queryPage
	}
	if f.api.pageSize.value > 0 {
		page = f.api.pageSize.value
	}
	mean := func(of int64) float64 { return float64(of) / float64(max(sample.Records, 1)) }
	conversations, raw, compressed, requests := 0.0, 0.0, 0.0, float64(perRun)
	if f.api.rate.value == 0 || f.api.jobs.value == 0 {
		requests += perLimits
	}
	for _, iv := range rest {
		n := days.in(iv)
		conversations += n
		requests += perChunk + max(1, math.Ceil(n/float64(page)))
		size := n * mean(sample.Bytes)
		raw, compressed = raw+n*mean(sample.RawBytes), compressed+size
		if n >= 0.5 {
			p.Objects += int64(math.Ceil(max(size/float64(export.Partition(f.partition.value).PartBytes()), n*mean(sample.RawBytes)/export.DefaultPartRawBytes, 0.001)))
		}
	}
	p.Requests = int64(math.Round(requests))
	p.Conversations, p.RawBytes, p.Bytes = int64(math.Round(conversations)), int64(raw), int64(compressed)
	if p.Objects > 0 {
		p.ObjectBytes = p.Bytes / p.Objects
	}
}

// Sizes of objects that loaders like, and how far back the API keeps details at
// most: docs/genesys.md.
const (
	smallObject = 1 << 20
	oldest      = 5 * 365 * interval.Day
	fewest      = 90 * interval.Day
)

// advise says what could be done better.
func (f *stateFlags) advise(p *price, rest []interval.Interval, days densities) {
	advise := func(format string, args ...any) { p.Advice = append(p.Advice, fmt.Sprintf(format, args...)) }
	if p.Objects > 10 && p.ObjectBytes < smallObject && f.plan.chunk.Duration < 7*interval.Day {
		advise("objects are small: --chunk 7d makes fewer and larger ones, and costs fewer requests")
	}
	largest := 0.0
	for _, iv := range rest {
		largest = max(largest, days.in(iv))
	}
	switch {
	case f.api.mode.value == "query" && largest > 5000:
		advise("chunks have up to %s conversations: queries of more than 5000 are cut in pieces; --mode job, or a shorter --chunk, costs fewer requests", humanize.Comma(int64(largest)))
	case f.api.mode.value == "job" && largest > 300_000:
		advise("chunks have up to %s conversations: a job of more than 300,000 is cut in two; take a shorter --chunk", humanize.Comma(int64(largest)))
	}
	if f.api.mode.value == "job" && f.plan.chunk.Duration%interval.Day != 0 {
		advise("jobs that do not begin at midnight in UTC also give conversations that began before: expect more pages than are told here; chunks of whole days have none")
	}
	switch age := time.Since(rest[0].Start); {
	case age > oldest:
		advise("the range begins more than 5 years ago: the API keeps no details for that long")
	case age > fewest && days.in(rest[0]) < 1:
		advise("the API has no conversations at the beginning of the range: it may not keep details for that long")
	}
	if hours := float64(p.Seconds) / 3600; hours > 24 {
		advise("it takes %.0f hours at this allowance: a further OAuth client, or a higher limit, shortens it; more processes or workers do not", hours)
	}
}

func (p *price) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(tw, name+"\t"+format+"\n", args...) }
	fmt.Fprintln(tw)
	if p.Chunks == 0 {
		row("to do", "nothing")
		return tw.Flush()
	}
	row("to do", "%s, about %s conversations", count(p.Chunks, "chunk"), humanize.Comma(p.Conversations))
	row("requests", "%s, %s at %.0f a minute", humanize.Comma(p.Requests), (time.Duration(p.Seconds) * time.Second).String(), p.PerMinute)
	row("size", "%s in %s of %s, %s of JSON", humanize.IBytes(uint64(p.Bytes)), count(int(p.Objects), "object"), humanize.IBytes(uint64(p.ObjectBytes)), humanize.IBytes(uint64(p.RawBytes)))
	for _, a := range p.Advice {
		row("note", "%s", a)
	}
	return tw.Flush()
}

func (p *price) json(w io.Writer) error {
	return json.NewEncoder(w).Encode(struct {
		Price *price `json:"price"`
	}{p})
}

var _ counter = (*genesys.Pool)(nil)
