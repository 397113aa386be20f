package bench

import (
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// BenchmarkCores measures what a second processor brings: two engines side by
// side against the same pages one after the other, in time on the clock.
func BenchmarkCores(b *testing.B) {
	body := zip(page(simulated(genesystest.SizeNormal, -1), 1000), 6)
	engines := []side{engine(b, body, jsonl.DefaultLevel), engine(b, body, jsonl.DefaultLevel)}
	var gains []float64
	run := func(e side) {
		for range 5 {
			if err := e.run(); err != nil {
				b.Error(err)
			}
		}
	}
	for b.Loop() {
		began := time.Now()
		for _, e := range engines {
			run(e)
		}
		single := time.Since(began)
		began = time.Now()
		var wg sync.WaitGroup
		for _, e := range engines {
			wg.Go(func() { run(e) })
		}
		wg.Wait()
		gains = append(gains, single.Seconds()/time.Since(began).Seconds())
	}
	b.ReportMetric(median(gains), "x-one-core")
}
