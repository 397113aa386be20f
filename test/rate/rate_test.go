// Package rate measures how the exporter spends its requests: whole exports from
// the simulator, in memory and in virtual time, judged by the simulator's log.
// Each test logs the row of a table; `make bench-rate` prints it.
package rate

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

// A scenario is an organisation and the processes that export from it.
type scenario struct {
	name      string
	options   genesystest.Options
	mode      string // "job" if empty
	days      int
	workers   int
	processes int // 1 if 0; each does its shard
	jobs      genesys.JobOptions
	reserve   float64
	clients   int // OAuth clients of each process; 1 if 0
	// neighbour is how many requests a minute a second program makes with the
	// same allowance.
	neighbour int
	stop      time.Duration // when the processes are told to end; 0: never
	// during is called with the server when the processes have begun.
	during func(*genesystest.Server)
}

// first is when the data begin. A bubble's clock starts with 2000.
var first = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

// organisation is the one of all scenarios: answers take 100 to 300 ms, jobs 3 to
// 20 seconds, and whoever has the same client shares a window of 300 requests.
func organisation() genesystest.Options {
	return genesystest.Options{
		From: first, To: first.AddDate(0, 11, 0), PerDay: 400, Flat: true, Size: genesystest.SizeSmall, LargeEvery: -1,
		Latency: 100 * time.Millisecond, LatencyMax: 300 * time.Millisecond,
		JobTime: 3 * time.Second, JobTimeMax: 20 * time.Second, PerClient: true,
	}
}

// A result is what came of a scenario.
type result struct {
	scenario
	server    *genesystest.Server
	bucket    *blob.Bucket
	began     time.Time
	took      time.Duration
	summaries []export.Summary
	errs      []error
	theirs    int // requests of the neighbour that were granted
	refused   int // and that were not
}

// play runs a scenario to its end, within a bubble.
func (s scenario) play(t *testing.T) result {
	t.Helper()
	s.processes, s.clients = max(s.processes, 1), max(s.clients, 1)
	s.options.Clients = map[string]string{}
	for n := range s.clients {
		s.options.Clients[clientName(n)] = "demo"
	}
	r := result{scenario: s, server: genesystest.New(s.options), bucket: memblob.OpenBucket(nil), began: time.Now()}
	t.Cleanup(func() { r.bucket.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.stop > 0 {
		time.AfterFunc(s.stop, cancel)
	}
	var group, others sync.WaitGroup
	r.summaries, r.errs = make([]export.Summary, s.processes), make([]error, s.processes)
	for i := range s.processes {
		group.Go(func() { r.summaries[i], r.errs[i] = r.process(t, ctx, i) })
	}
	away, leave := context.WithCancel(t.Context())
	defer leave()
	if s.neighbour > 0 {
		others.Go(func() { r.visit(t, away) })
	}
	if s.during != nil {
		s.during(r.server)
	}
	group.Wait()
	r.took = time.Since(r.began)
	leave()
	others.Wait()
	return r
}

// process is one exporter of several.
func (r *result) process(t *testing.T, ctx context.Context, i int) (export.Summary, error) {
	var clients []*genesys.Client
	for n := range r.clients {
		client, err := genesys.New(genesys.Config{
			APIURL: "http://api.test", LoginURL: "http://login.test", ClientID: clientName(n), ClientSecret: genesys.NewSecret("demo"),
			Share: 1 / float64(r.processes), Reserve: r.reserve, Transport: r.server.Transport(),
		})
		if err != nil {
			t.Error(err)
			return export.Summary{}, err
		}
		clients = append(clients, client)
	}
	pool := genesys.NewPool(clients[0], clients[1:]...)
	defer pool.Close()
	e := export.Exporter{Bucket: r.bucket, Mode: r.mode, Workers: r.workers, Source: pool.Jobs(r.jobs)}
	if r.mode == "query" {
		e.Source, e.Ahead = pool.Queries(genesys.QueryOptions{}), 1
	}
	return e.Run(ctx, export.Plan{
		Dataset: export.Conversations, Step: interval.Day,
		Range: interval.Interval{Start: first.AddDate(0, 0, 20), End: first.AddDate(0, 0, 20+r.days)},
		Shard: export.Shard{Index: i, Count: r.processes},
	})
}

// clientName is the name of an OAuth client; the first is the one that the
// neighbour has, too.
func clientName(n int) string {
	if n == 0 {
		return "demo"
	}
	return "demo" + strconv.Itoa(n+1)
}
