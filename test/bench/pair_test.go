package bench

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// A side is one way of doing the work.
type side struct {
	name string
	run  func() error
}

// compare runs the sides in turn, b.N times, and reports how much CPU time each
// but the first took against the first in the same round (median), and what the
// first got done: "x-floor" of 0.85 means that the floor took 85 % of its time.
// CPU time is that of the whole process, with what the garbage collector took.
func compare(b *testing.B, bytes int, sides ...side) {
	b.Helper()
	for _, s := range sides { // so that all have their buffers
		if err := s.run(); err != nil {
			b.Fatalf("%s: %v", s.name, err)
		}
	}
	times := make([][]float64, len(sides))
	for b.Loop() {
		for i, s := range sides {
			before := ownCPU()
			if err := s.run(); err != nil {
				b.Fatalf("%s: %v", s.name, err)
			}
			times[i] = append(times[i], (ownCPU() - before).Seconds())
		}
	}
	b.ReportMetric(float64(bytes)/1e6/median(times[0]), "cpu-MB/s")
	for i, s := range sides[1:] {
		ratios := make([]float64, b.N)
		for n := range ratios {
			ratios[n] = times[i+1][n] / times[0][n]
		}
		b.ReportMetric(median(ratios), "x-"+s.name)
	}
}

// ownCPU is the CPU time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
