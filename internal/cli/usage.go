package cli

import (
	"fmt"
	"math"
	"runtime/metrics"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// usage is what an export has spent of the API, as it is recorded.
type usage struct {
	Requests    map[genesys.Kind]map[int]int64 `json:"requests"`
	Total       int64                          `json:"total"`
	Throttled   int64                          `json:"throttled"`
	Bytes       int64                          `json:"bytes"`
	PerMinute   float64                        `json:"per_minute"`
	Utilisation float64                        `json:"utilisation"`
	PerThousand float64                        `json:"per_thousand"`
	Waited      waits                          `json:"waited_seconds"`

	limited string // what limited the run
}

// waits are sums over all workers, who wait at the same time.
type waits struct {
	Limiter float64 `json:"limiter"`
	API     float64 `json:"api"`
	Jobs    float64 `json:"jobs"`
}

func newUsage(u genesys.Usage, s *export.Summary) *usage {
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	out := &usage{
		Requests: u.Requests, Total: u.Total(), Throttled: u.Throttled(), Bytes: u.Bytes,
		PerMinute: rounded(u.PerMinute), Utilisation: rounded(u.Utilisation()),
		Waited:  waits{seconds(u.Limiter), seconds(u.API), seconds(u.Jobs)},
		limited: bottleneck(u, s.StoreWait, processors()),
	}
	if s.Records > 0 {
		out.PerThousand = rounded(1000 * float64(out.Total) / float64(s.Records))
	}
	return out
}

func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// requestLine says how many requests were made.
func (u *usage) requestLine() string {
	line := fmt.Sprintf("%s, %.0f%% of the allowance", humanize.Comma(u.Total), 100*min(u.Utilisation, 1)) // a short run may use more than its time brings
	if u.PerThousand > 0 {
		line += fmt.Sprintf(", %.1f for 1,000 conversations", u.PerThousand)
	}
	if u.Throttled > 0 {
		line += fmt.Sprintf(", %s answered 429", humanize.Comma(u.Throttled))
	}
	return line
}

// waitLine says what the workers waited for.
func (u *usage) waitLine(store time.Duration) string {
	length := func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond)
	}
	return fmt.Sprintf("%v for the allowance, %v for answers, %v for jobs, %v for the bucket (all workers together)",
		length(u.Waited.Limiter), length(u.Waited.API), length(u.Waited.Jobs), store.Round(100*time.Millisecond))
}

// saturated is the part of all processor time from which on the machine is what limits.
const saturated = 0.85

// bottleneck says what has limited a run most, from what has been spent, how long
// workers have waited for the store, and which part of all processor time was used;
// "" if nothing was waited for.
func bottleneck(u genesys.Usage, store time.Duration, processors float64) string {
	if u.Utilisation() >= busy {
		return "the allowance"
	}
	if processors >= saturated {
		return "this machine's processors"
	}
	most, what := time.Duration(0), ""
	for _, wait := range []struct {
		took time.Duration
		what string
	}{{u.Jobs, "the preparation of jobs"}, {u.API, "the API's answers"}, {store, "the bucket"}, {u.Limiter, "the allowance"}} {
		if wait.took > most {
			most, what = wait.took, wait.what
		}
	}
	return what
}

// processors is the part of all processor time that the program has used so far, as
// the collector knew when it ran last.
func processors() float64 {
	samples := []metrics.Sample{{Name: "/cpu/classes/idle:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"}}
	metrics.Read(samples)
	idle, total := samples[0].Value.Float64(), samples[1].Value.Float64()
	if total == 0 {
		return 0
	}
	return 1 - idle/total
}
