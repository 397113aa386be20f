package cli

import (
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize"

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
}

// waits are sums over all workers, who wait at the same time.
type waits struct {
	Limiter float64 `json:"limiter"`
	API     float64 `json:"api"`
	Jobs    float64 `json:"jobs"`
}

func newUsage(u genesys.Usage, records int64) *usage {
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	out := &usage{
		Requests: u.Requests, Total: u.Total(), Throttled: u.Throttled(), Bytes: u.Bytes,
		PerMinute: rounded(u.PerMinute), Utilisation: rounded(u.Utilisation()),
		Waited: waits{seconds(u.Limiter), seconds(u.API), seconds(u.Jobs)},
	}
	if records > 0 {
		out.PerThousand = rounded(1000 * float64(out.Total) / float64(records))
	}
	return out
}

func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// requestLine says how many requests were made.
func (u *usage) requestLine() string {
	line := fmt.Sprintf("%s, %.0f%% of the allowance", humanize.Comma(u.Total), 100*u.Utilisation)
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
