package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/interval"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gcexport": main})
}

// TestScripts runs testdata/*.txtar: the real program, as a process, against
// the simulator on a port of this machine.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GENESYSCLOUD_OAUTHCLIENT_ID", "demo")
			env.Setenv("GENESYSCLOUD_OAUTHCLIENT_SECRET", "demo")
			env.Values[serverKey{}] = new(*genesystest.Server)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"api":         startAPI,
			"exits":       exits,
			"interrupted": interrupted,
			"holds":       holds,
			"requests":    requests,
			"clients":     clients,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// serverKey is where a script's simulator is kept: a **genesystest.Server.
type serverKey struct{}

// startAPI starts the simulator and points the environment to it:
//
//	api [-noperm] [-jobtime D] [-perday N] [-flawedevery N] [-watermark TIME] [-client ID] [FAULT...]
//
// Its data are those of March 2024. The secret of a further client is its id.
func startAPI(ts *testscript.TestScript, neg bool, args []string) {
	o := genesystest.Options{
		Seed: 7, PerDay: 40, Size: genesystest.SizeSmall, Gzip: true, RequestsPerMinute: -1, JobTime: time.Millisecond,
		From: time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC),
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-noperm" {
			o.Permissions, args = []string{}, args[1:]
			continue
		}
		option(ts, &o, args[0], args[1])
		args = args[2:]
	}
	for _, text := range args {
		f, err := genesystest.ParseFault(text)
		ts.Check(err)
		o.Faults = append(o.Faults, f)
	}
	s := genesystest.New(o)
	url, stop, err := s.Listen("127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { stop() })
	*ts.Value(serverKey{}).(**genesystest.Server) = s
	ts.Setenv("GCEXPORT_API_URL", url)
	ts.Setenv("GCEXPORT_LOGIN_URL", url)
	ts.Setenv("GCEXPORT_RATE", "100000")
	ts.Setenv("GCEXPORT_JOBS", "16") // a job is not asked for before 2 seconds have passed
}

func option(ts *testscript.TestScript, o *genesystest.Options, name, value string) {
	var err error
	switch name {
	case "-jobtime":
		o.JobTime, err = time.ParseDuration(value)
	case "-latency":
		o.Latency, err = time.ParseDuration(value)
	case "-client":
		o.Clients = map[string]string{value: value}
	case "-flawedevery":
		o.FlawedEvery, err = strconv.Atoi(value)
	case "-perday":
		o.PerDay, err = strconv.Atoi(value)
	case "-watermark":
		o.Watermark, err = time.Parse(time.RFC3339, value)
	default:
		ts.Fatalf("unknown option %s", name)
	}
	ts.Check(err)
}

func server(ts *testscript.TestScript) *genesystest.Server {
	s := *ts.Value(serverKey{}).(**genesystest.Server)
	if s == nil {
		ts.Fatalf("no api was started")
	}
	return s
}

// exits runs a program and wants an exit code of it, in reasonable time:
//
//	exits CODE PROGRAM [ARG...]
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	began := time.Now()
	if got := exitCode(ts, ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if took := time.Since(began); took > 15*time.Second {
		ts.Fatalf("took %v", took)
	}
}

func exitCode(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Check(err)
	return -1
}

// interrupted runs a program, sends it a signal as soon as a manifest is in
// DIR, and wants it to end with the code:
//
//	interrupted SIGNAL CODE DIR PROGRAM [ARG...]
func interrupted(ts *testscript.TestScript, neg bool, args []string) {
	signal := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	dir := ts.MkAbs(args[2])
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = ts.Exec("sh", append([]string{"-c", `echo $$ > pid && exec "$@"`, "sh"}, args[3:]...)...)
	}()
	for len(objects(ts, dir, "_gcexport/conversations/*.json")) == 0 {
		select {
		case <-done:
			ts.Fatalf("ended by itself: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	pid, perr := strconv.Atoi(strings.TrimSpace(ts.ReadFile("pid")))
	ts.Check(perr)
	ts.Check(syscall.Kill(pid, signal))
	<-done
	if got := exitCode(ts, err); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func objects(ts *testscript.TestScript, dir, pattern string) []string {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	ts.Check(err)
	return found
}

// holds checks that the bucket in DIR holds what started in a range, and
// nothing else:
//
//	holds [-query] DIR START END [WITHOUT-START WITHOUT-END]
func holds(ts *testscript.TestScript, neg bool, args []string) {
	attributes := true
	if args[0] == "-query" {
		attributes, args = false, args[1:]
	}
	at := func(i int) time.Time {
		t, err := interval.ParseTime(args[i])
		ts.Check(err)
		return t
	}
	var without interval.Interval
	if len(args) == 5 {
		without = interval.Interval{Start: at(3), End: at(4)}
	}
	want := map[string]bool{}
	for c := range server(ts).Truth(at(1), at(2), attributes) {
		if !without.Contains(c.Start) {
			want[string(c.JSON)] = true
		}
	}
	n := len(want)
	for _, key := range objects(ts, ts.MkAbs(args[0]), "conversations*/dt=*/*") {
		eachLine(ts, key, func(line string) {
			if !want[line] {
				ts.Fatalf("%s: unexpected or repeated: %.300s", key, line)
			}
			delete(want, line)
		})
	}
	if len(want) > 0 || n == 0 {
		ts.Fatalf("%d of %d conversations are missing", len(want), n)
	}
	if !neg {
		return
	}
	ts.Fatalf("the bucket holds the range")
}

func eachLine(ts *testscript.TestScript, path string, fn func(string)) {
	f, err := os.Open(path)
	ts.Check(err)
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		ts.Fatalf("%s: %v", path, err)
	}
	lines := bufio.NewScanner(zr)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		fn(lines.Text())
	}
	ts.Check(lines.Err())
}

// requests checks how many requests of a kind the API has got:
//
//	requests KIND COUNT
func requests(ts *testscript.TestScript, neg bool, args []string) {
	n := 0
	for _, r := range server(ts).Requests() {
		if string(r.Kind) == args[0] {
			n++
		}
	}
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d requests of kind %s, want %s", n, args[0], args[1])
	}
}

// clients checks that the API was asked for a page by each of the clients, and by
// no other:
//
//	clients ID...
func clients(ts *testscript.TestScript, neg bool, args []string) {
	pages := map[string]int{}
	for _, r := range server(ts).Requests() {
		if r.Kind == genesystest.Page {
			pages[r.Client]++
		}
	}
	for _, id := range args {
		if pages[id] == 0 {
			ts.Fatalf("pages by client: %v", pages)
		}
	}
	if len(pages) != len(args) {
		ts.Fatalf("pages by client: %v", pages)
	}
}
