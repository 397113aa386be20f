package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// BenchmarkPods compares how long pods with one processor each take for one export
// that the allowance does not limit: one pod, and two that share it. The server's
// own time, on the same processors, takes away from the gain.
func BenchmarkPods(b *testing.B) {
	o := newOrganisation(b, genesystest.Options{PerDay: 8000, LargeEvery: -1}, 24)
	o.export(b, b.TempDir(), 2) // so that the server has its pages
	var gains []float64
	for b.Loop() {
		gains = append(gains, o.pods(b, 1).Seconds()/o.pods(b, 2).Seconds())
	}
	b.ReportMetric(median(gains), "x-one-pod")
}

// pods exports with so many processes, each with its shard, and tells how long the
// last one took.
func (o *organisation) pods(b *testing.B, n int) time.Duration {
	dir, began := b.TempDir(), time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { o.export(b, dir, 1, "--workers", "8", "--shard", fmt.Sprintf("%d/%d", i, n)) })
	}
	all.Wait()
	return time.Since(began)
}
