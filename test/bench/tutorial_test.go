package bench

import (
	"net/http"
	"net/http/httptest"
	"os"
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
	benchmarkTutorial(b, "python", "python3", "testdata/tutorial.py")
}

// BenchmarkProcessGson does so with a Java program, whose library is Gson.
func BenchmarkProcessGson(b *testing.B) {
	const jar = "/usr/share/java/gson.jar" // where Debian's libgoogle-gson-java puts it
	if _, err := os.Stat(jar); err != nil {
		b.Skip("SKIP Gson: libgoogle-gson-java is not installed")
	}
	dir := b.TempDir()
	if out, err := exec.Command("javac", "-cp", jar, "-d", dir, "testdata/Tutorial.java").CombinedOutput(); err != nil {
		b.Skipf("SKIP Gson: no Java compiler: %v\n%s", err, out)
	}
	benchmarkTutorial(b, "gson", "java", "-cp", jar+":"+dir, "Tutorial")
}

// benchmarkTutorial compares with a program that takes the URL of a page, a file to
// write, and how often to fetch the page.
func benchmarkTutorial(b *testing.B, name, program string, args ...string) {
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
		cmd := exec.Command(program, append(args, server.URL, filepath.Join(b.TempDir(), "out.gz"), strconv.Itoa(pages))...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		theirs := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / float64(pages*len(one))
		own := o.export(b, b.TempDir(), 2, "--workers", "8")
		smallest = append(smallest, theirs*float64(own.raw)/own.cpu.Seconds())
		own = o.export(b, b.TempDir(), 2, "--workers", "8", "--gzip-level", "1")
		fastest = append(fastest, theirs*float64(own.raw)/own.cpu.Seconds())
	}
	b.ReportMetric(median(smallest), "x-"+name)
	b.ReportMetric(median(fastest), "x-"+name+"-level1")
}
