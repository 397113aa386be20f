package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// limits are those that this process keeps to.
type limits struct {
	jobs    int     // in preparation at once; 0: the client's default
	submits float64 // in a second; 0: the client's default
}

// limitsTimeout bounds the reading of the organisation's limits. An export works
// without them.
const limitsTimeout = 10 * time.Second

// settle finds the limits to keep to: what the flags say, else what the
// organisation publishes, else the defaults. It says in the log which it was.
func (f *apiFlags) settle(ctx context.Context, c *genesys.Pool, shard export.Shard, log *slog.Logger) limits {
	var q genesys.Quotas
	jobs := f.mode.value == "job"
	if f.rate.value == 0 || jobs && f.jobs.value == 0 {
		limited, cancel := context.WithTimeout(ctx, limitsTimeout)
		defer cancel()
		var err error
		if q, err = c.Quotas(limited); err != nil {
			log.Debug("not all limits of the organisation can be read", "error", err)
		}
	}
	shards := max(shard.Count, 1)
	rate, from := chosen(f.rate.value, int(q.RequestsPerMinute), genesys.DefaultRequestsPerMinute)
	c.Allow(float64(rate))
	log.Info("requests a minute", "limit", rate, "from", from, "reserve", f.reserve.String(), "shards", shards, "clients", c.Size())
	if !jobs {
		return limits{}
	}
	var l limits
	l.jobs, from = chosen(f.jobs.value, courteous(q.ConcurrentJobs, shards), genesys.DefaultConcurrent)
	l.submits = q.SubmitsPerSecond / float64(shards)
	log.Info("jobs at once", "limit", l.jobs, "from", from, "organisation", q.ConcurrentJobs)
	return l
}

// chosen is the flag, else the organisation's limit, else the default; and the
// name of which it is.
func chosen(flag, organisation, byDefault int) (n int, from string) {
	switch {
	case flag > 0:
		return flag, "flag"
	case organisation > 0:
		return organisation, "organisation"
	}
	return byDefault, "default"
}

// courteous is how many jobs each of so many shards runs at once where the
// organisation allows so many over all programs: a fifth of them, one at least,
// is left to others, unless there are only one or two. 0 if that is not known.
func courteous(allowed, shards int) int {
	switch {
	case allowed <= 0:
		return 0
	case allowed > 2:
		allowed -= max(1, allowed/5)
	}
	return min(max(1, allowed/shards), mostJobs)
}

// mostJobs bounds what is taken of a generous limit: more jobs at once bring
// nothing, because a few keep the allowance busy.
const mostJobs = 10
