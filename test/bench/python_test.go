package bench

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// BenchmarkProcessPython measures the CPU time of the whole program against that of
// a Python program that does what tutorials do (requests, json, gzip), for each byte
// of JSON over HTTP.
func BenchmarkProcessPython(b *testing.B) {
	if exec.Command("python3", "-c", "import requests").Run() != nil {
		b.Skip("SKIP Python: python3 with requests is not installed")
	}
	const pages = 16
	one := page(simulated(genesystest.SizeNormal, -1), 1000)
	body := zip(one, 6)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
	}))
	defer server.Close()
	o := newOrganisation(b, genesystest.Options{PerDay: 8000, LargeEvery: -1}, 4)
	o.export(b, b.TempDir(), 2) // so that the server has its pages
	var smallest, fastest []float64
	for b.Loop() {
		cmd := exec.Command("python3", "testdata/tutorial.py", server.URL, filepath.Join(b.TempDir(), "out.gz"), strconv.Itoa(pages))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		python := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / float64(pages*len(one))
		own := o.export(b, b.TempDir(), 2, "--workers", "8")
		smallest = append(smallest, python*float64(own.raw)/own.cpu.Seconds())
		own = o.export(b, b.TempDir(), 2, "--workers", "8", "--gzip-level", "1")
		fastest = append(fastest, python*float64(own.raw)/own.cpu.Seconds())
	}
	b.ReportMetric(median(smallest), "x-python")
	b.ReportMetric(median(fastest), "x-python-level1")
}
