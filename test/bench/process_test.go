package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// An organisation serves its pages from memory over loopback HTTP, so that what
// their making costs is not in the way.
type organisation struct {
	url, program string
	end          time.Time
}

func newOrganisation(b *testing.B, o genesystest.Options, days int) *organisation {
	b.Helper()
	o.Seed, o.From, o.To, o.Flat = 7, from, from.AddDate(0, 0, days), true
	o.Gzip, o.GzipLevel, o.RequestsPerMinute, o.JobTime, o.PageCache = true, 6, -1, time.Millisecond, 4<<30
	o.AsOf, o.Watermark = o.To.AddDate(0, 1, 0), o.To.AddDate(0, 1, 0) // else no two pages are the same
	server := genesystest.New(o)
	url, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stop() })
	program := filepath.Join(b.TempDir(), "gcexport")
	build := exec.Command("go", "build", "-trimpath", "-tags=grpcnotrace,disable_grpc_modules", "-o", program, "./cmd/gcexport")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return &organisation{url: url, program: program, end: o.To}
}

// A result is what one run of the program took.
type result struct {
	cpu, wall    time.Duration
	peak         int64 // resident memory, bytes
	records, raw int64
}

// export runs the program to its end.
func (o *organisation) export(b *testing.B, dir string, processors int, flags ...string) result {
	b.Helper()
	args := append([]string{"export", dir, "--start", "2026-03-02", "--end", o.end.Format(time.DateOnly), "--api-url", o.url, "--login-url", o.url,
		"--rate", "100000", "--jobs", "64", "--quiet", "--output", "json"}, flags...)
	cmd := exec.CommandContext(context.Background(), o.program, args...)
	cmd.Env = append(os.Environ(), "GENESYSCLOUD_OAUTHCLIENT_ID=demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET=demo", "GOMAXPROCS="+strconv.Itoa(processors))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var r result
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("%v\n%s", err, stderr.String())
			}
			running = false
		case <-time.After(10 * time.Millisecond):
			r.peak = max(r.peak, highWater(cmd.Process.Pid))
		}
	}
	r.wall, r.cpu = time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	var summary struct {
		Records  int64 `json:"records"`
		RawBytes int64 `json:"raw_bytes"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &summary); err != nil {
		b.Fatal(err)
	}
	r.records, r.raw = summary.Records, summary.RawBytes
	return r
}

// highWater reads VmHWM, the peak of resident memory so far; 0 if there is none.
func highWater(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

// BenchmarkProcess measures the CPU time of the whole program, from HTTP to a
// directory with 8 workers, against that of the floor for the same bytes: what
// the server takes is another process's. It also compares the time on one
// processor with that on two, which the server shares.
func BenchmarkProcess(b *testing.B) {
	o := newOrganisation(b, genesystest.Options{PerDay: 8000, LargeEvery: -1}, 8)
	o.export(b, b.TempDir(), 2) // so that the server has its pages
	one := page(simulated(genesystest.SizeNormal, -1), 1000)
	low := floor(b, zip(one, 6), linesOf(one), jsonl.DefaultLevel)
	var ratios, gains []float64
	for b.Loop() {
		before := ownCPU()
		for range 10 {
			if err := low.run(); err != nil {
				b.Fatal(err)
			}
		}
		perByte := (ownCPU() - before).Seconds() / float64(10*len(one))
		two := o.export(b, b.TempDir(), 2, "--workers", "8")
		ratios = append(ratios, perByte*float64(two.raw)/two.cpu.Seconds())
		single := o.export(b, b.TempDir(), 1, "--workers", "8")
		gains = append(gains, single.wall.Seconds()/two.wall.Seconds())
	}
	b.ReportMetric(median(ratios), "x-floor")
	b.ReportMetric(median(gains), "x-one-processor")
}

// BenchmarkMemory measures the peak of resident memory above that of the idle
// program, by workers and by length.
func BenchmarkMemory(b *testing.B) {
	short := newOrganisation(b, genesystest.Options{PerDay: 2500, LargeEvery: -1}, 4)
	long := newOrganisation(b, genesystest.Options{PerDay: 2500, LargeEvery: -1}, 32)
	for _, c := range []struct {
		name string
		o    *organisation
	}{{"10000", short}, {"80000", long}} {
		for _, workers := range []string{"1", "8", "32"} {
			b.Run(c.name+"records/"+workers+"workers", func(b *testing.B) {
				var peaks []float64
				for b.Loop() {
					dir := b.TempDir()
					// Each job that is prepared ahead holds a page: a few are usual.
					busy := c.o.export(b, dir, 2, "--workers", workers, "--chunk", "6h", "--jobs", "4")
					idle := c.o.export(b, dir, 2, "--workers", workers, "--chunk", "6h", "--jobs", "4")
					peaks = append(peaks, float64(busy.peak-idle.peak)/(1<<20))
				}
				b.ReportMetric(median(peaks), "MiB")
			})
		}
	}
}
