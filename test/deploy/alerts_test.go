package deploy

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// The two hours from the tenth day on, second 864000, are watched minute by minute.
var (
	watchFrom = time.Unix(10*86400, 0)
	watchFor  = 2 * time.Hour
)

// healthy is an export at work. In each minute it makes 300 requests, of which three
// are answered 429; the watermark is a day old.
var healthy = map[string]string{
	`gcexport_exit_code`:                                    `-1x120`,
	`gcexport_last_progress_timestamp_seconds`:              `864000+60x120`,
	`gcexport_start_timestamp_seconds`:                      `860400x120`,
	`gcexport_watermark_timestamp_seconds`:                  `777600x120`,
	`gcexport_chunks_total{result="done"}`:                  `0+1x120`,
	`gcexport_chunks_total{result="failed"}`:                `0x120`,
	`gcexport_requests_total{kind="results",status="200"}`:  `0+297x120`,
	`gcexport_requests_total{kind="results",status="429"}`:  `0+3x120`,
	`gcexport_requests_total{kind="token",status="200"}`:    `1x120`,
	`gcexport_requests_per_minute_allowed`:                  `300x120`,
	`gcexport_wait_seconds_total{for="limiter"}`:            `0+60x120`,
	`gcexport_compressed_bytes_total`:                       `0+1000000x120`,
	`gcexport_info{mode="job",run="01HQ",version="v1.2.3"}`: `1x120`,
}

// ended is what a Pushgateway keeps of an export that ended well four days ago, and
// had a watermark of the day before. Nobody is to be called for it.
var ended = map[string]string{
	`gcexport_exit_code`:                                   `0x120`,
	`gcexport_last_progress_timestamp_seconds`:             `518400x120`,
	`gcexport_start_timestamp_seconds`:                     `514800x120`,
	`gcexport_watermark_timestamp_seconds`:                 `432000x120`,
	`gcexport_chunks_total{result="done"}`:                 `100x120`,
	`gcexport_chunks_total{result="failed"}`:               `0x120`,
	`gcexport_requests_total{kind="results",status="200"}`: `5000x120`,
	`gcexport_requests_total{kind="results",status="429"}`: `1000x120`,
}

// Each alert comes where it is called for, and only there.
func TestAlerts(t *testing.T) {
	const (
		exit      = `gcexport_exit_code`
		progress  = `gcexport_last_progress_timestamp_seconds`
		start     = `gcexport_start_timestamp_seconds`
		watermark = `gcexport_watermark_timestamp_seconds`
		failed    = `gcexport_chunks_total{result="failed"}`
		refused   = `gcexport_requests_total{kind="results",status="429"}`
	)
	text, err := os.ReadFile(root + "monitoring/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules(text)
	if err != nil {
		t.Fatal(err)
	}
	fired := map[string]bool{}
	for _, row := range []struct {
		name    string
		changed map[string]string
		want    []string
	}{
		{"healthy", nil, nil},
		{"the API names no watermark", map[string]string{watermark: `0x120`}, nil},
		{"no progress for 25 minutes", map[string]string{progress: `864000x25 865560+60x94`}, nil},
		{"no progress", map[string]string{progress: `864000x120`}, []string{"GcexportStalled"}},
		{"no progress, and over", map[string]string{progress: `864000x120`, exit: `-1x5 1x114`}, nil},
		{"4 % are answered 429", map[string]string{refused: `0+12x120`}, nil},
		{"3 bad minutes", map[string]string{refused: `0x30 100+100x2 300x86`}, nil},
		{"9 % are answered 429", map[string]string{refused: `0+30x120`}, []string{"GcexportThrottled"}},
		{"a chunk fails", map[string]string{failed: `0x60 1x59`}, []string{"GcexportChunksFailed"}},
		{"the watermark is two days old", map[string]string{watermark: `691200x120`}, nil},
		{"and the run has gone on for a week since then", map[string]string{watermark: `172800x120`, start: `345600x120`}, nil},
		{"the watermark is four days old", map[string]string{watermark: `518400x120`}, []string{"GcexportWatermarkLate"}},
		{"it was when a run began that ended", map[string]string{watermark: `518400x120`, progress: `864000x120`, exit: `0x120`}, []string{"GcexportWatermarkLate"}},
		{"wrong usage", map[string]string{exit: `2x120`}, []string{"GcexportRefused"}},
		{"refused", map[string]string{exit: `3x120`}, []string{"GcexportRefused"}},
		{"partly done", map[string]string{exit: `4x120`}, nil},
		{"terminated", map[string]string{exit: `143x120`}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			now := maps.Clone(healthy)
			for series, values := range row.changed {
				if now[series] == "" {
					t.Fatalf("a healthy export has no series %s", series)
				}
				now[series] = values
			}
			m := append(planted(t, now, "pod"), planted(t, ended, "pushgateway")...)
			var got []string
			for _, r := range all {
				if m.fires(t, r) {
					got = append(got, r.Alert)
					fired[r.Alert] = true
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
	for _, r := range all {
		if !fired[r.Alert] {
			t.Errorf("nothing here calls for %s", r.Alert)
		}
	}
}

// A memory holds series as Prometheus would have scraped them.
type memory []storage.Series

// planted gives the series, with the labels that a scrape adds. A value for each
// minute follows the other as in the tests of Prometheus' own rules.
func planted(t *testing.T, series map[string]string, instance string) (m memory) {
	t.Helper()
	known := golden(t)
	for name, values := range series {
		lset, sequence, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(name + " " + values)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Duration(len(sequence)-1) * time.Minute; got != watchFor {
			t.Fatalf("%s %s is %v of samples", name, values, got)
		}
		for _, problem := range problems(name, known) {
			t.Fatal(problem)
		}
		var samples []chunks.Sample
		for i, v := range sequence {
			samples = append(samples, at{watchFrom.Add(time.Duration(i) * time.Minute).UnixMilli(), v.Value})
		}
		b := labels.NewBuilder(lset).Set("job", "gcexport").Set("instance", instance)
		m = append(m, storage.NewListSeries(b.Labels(), samples))
	}
	return m
}

// fires reports whether the rule holds, minute after minute, for as long as it says.
func (m memory) fires(t *testing.T, r rule) bool {
	t.Helper()
	var wait model.Duration
	if r.For != "" {
		var err error
		if wait, err = model.ParseDuration(r.For); err != nil {
			t.Fatal(err)
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		Parser: parser.NewParser(parser.Options{})})
	since := map[string]time.Time{}
	for now := watchFrom; !now.After(watchFrom.Add(watchFor)); now = now.Add(time.Minute) {
		query, err := engine.NewInstantQuery(t.Context(), m, nil, r.Expr, now)
		if err != nil {
			t.Fatal(err)
		}
		result, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		holds := map[string]time.Time{}
		for _, s := range result {
			of := s.Metric.String()
			holds[of] = now
			if first, ok := since[of]; ok {
				holds[of] = first
			}
			if now.Sub(holds[of]) >= time.Duration(wait) {
				return true
			}
		}
		query.Close()
		since = holds
	}
	return false
}

// Querier implements [storage.Queryable].
func (m memory) Querier(int64, int64) (storage.Querier, error) {
	return querier{storage.NoopQuerier(), m}, nil
}

type querier struct {
	storage.Querier
	memory memory
}

// Select gives the series that all matchers match; the engine looks at the times.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &selected{SeriesSet: storage.NoopSeriesSet()}
	for _, s := range q.memory {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) }) {
			found.series = append(found.series, s)
		}
	}
	return found
}

// selected goes through series.
type selected struct {
	storage.SeriesSet
	series []storage.Series
	next   int
}

// Next implements [storage.SeriesSet].
func (s *selected) Next() bool { s.next++; return s.next <= len(s.series) }

// At implements [storage.SeriesSet].
func (s *selected) At() storage.Series { return s.series[s.next-1] }

// at is a sample.
type at struct {
	t int64
	f float64
}

func (a at) T() int64                      { return a.t }
func (a at) ST() int64                     { return 0 }
func (a at) F() float64                    { return a.f }
func (a at) H() *histogram.Histogram       { return nil }
func (a at) FH() *histogram.FloatHistogram { return nil }
func (a at) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (a at) Copy() chunks.Sample           { return a }
