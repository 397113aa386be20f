package export_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// A model is a question to the protocol: two processes export one chunk into
// one bucket, the real code with the real [object.Write], and every operation
// on the bucket waits for the checker to say whose is next and how it ends. The
// checker goes through every interleaving, with up to so many faults in each.
//
// It works without storing states of processes: each schedule is played from
// the beginning. A schedule is left where it reaches a state that was seen
// before: the same bucket, and processes that have seen the same of it.
// Operations whose answer nothing can change any more, such as reading an
// object that is there, are not interleaved, as they commute with all others.
type model struct {
	sources [2]modelSource
	faults  int
	plain   bool
	mutant  mutant
}

// modelSource gives pages of records by number.
type modelSource [][]int

// modelPart is the size at which parts are closed: two pages of two records.
const modelPart = 300

func modelLine(i int) string {
	return fmt.Sprintf(`{"conversationId":"%08x-0000-4000-8000-000000000000","conversationStart":"2024-03-01T0%d:00:00.000Z"}`, i, i)
}

func (s modelSource) Pages(ctx context.Context, _ interval.Interval) iter.Seq2[*record.Page, error] {
	return func(yield func(*record.Page, error) bool) {
		for _, page := range s {
			var lines []string
			for _, i := range page {
				lines = append(lines, modelLine(i))
			}
			body := `{"conversations":[` + strings.Join(lines, ",") + `]}`
			if ctx.Err() != nil || !yield(&record.Page{Body: []byte(body)}, nil) {
				return
			}
		}
	}
}

func (s modelSource) lines() map[string]bool {
	set := map[string]bool{}
	for _, page := range s {
		for _, i := range page {
			set[modelLine(i)] = true
		}
	}
	return set
}

// choice is one of the things that may happen next.
type choice struct {
	p *process
	v verdict
}

// node is a point of a schedule where there was a choice.
type node struct{ taken, of int }

// checker explores a model.
type checker struct {
	t         *testing.T
	model     model
	seen      map[[32]byte]bool
	finals    map[string]bool
	schedules int
	depth     int
	found     error
}

// explore goes through all schedules until one of them breaks a promise.
func (m model) explore(t *testing.T) *checker {
	t.Helper()
	// One thread hands over quicker than two, and the exporters allocate what
	// fits the number of processors.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := &checker{t: t, model: m, seen: map[[32]byte]bool{}, finals: map[string]bool{}}
	synctest.Test(t, func(*testing.T) {
		var path []node
		for c.found == nil {
			path = c.play(path)
			c.schedules++
			c.depth = max(c.depth, len(path))
			for len(path) > 0 && path[len(path)-1].taken+1 == path[len(path)-1].of {
				path = path[:len(path)-1]
			}
			if len(path) == 0 {
				return
			}
			path[len(path)-1].taken++
		}
	})
	return c
}

// play runs one schedule: it follows the path and goes on with first choices,
// until a state that was seen before, or the end. It returns the whole path.
func (c *checker) play(path []node) []node {
	w := &modelWorld{objects: map[string]modelObject{}, mutant: c.model.mutant, plain: c.model.plain}
	processes := []*process{c.start(w, "A", c.model.sources[0], false), c.start(w, "B", c.model.sources[1], false)}
	faults := c.model.faults
	for depth := 0; ; {
		if err := rest(processes); err != nil {
			c.check(err, w)
			return path
		}
		choices := next(w, processes, faults)
		if len(choices) == 0 {
			c.judge(w, processes)
			return path
		}
		if len(w.log) > maxOperations {
			c.check(errors.New("the processes go on for ever"), w)
			kill(processes)
			return path
		}
		if len(choices) > 1 {
			if depth == len(path) {
				if s := stateOf(w, processes, faults); c.seen[s] {
					kill(processes)
					return path
				} else {
					c.seen[s] = true
				}
				path = append(path, node{0, len(choices)})
			}
			choices = choices[path[depth].taken:]
			depth++
		}
		if choices[0].v != granted {
			faults--
		}
		choices[0].apply()
	}
}

// start begins a run of the exporter as a process of its own.
func (c *checker) start(w *modelWorld, name string, s modelSource, free bool) *process {
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &process{name: name, records: s.lines(), cancel: cancel, world: w, free: free}
	b := blob.NewBucket(modelBucket{p: p})
	e := &export.Exporter{Source: s, Bucket: b, Workers: 1, GzipLevel: 1, PartRawBytes: modelPart, Mode: "job"}
	export.Unwatched(e)
	go func() {
		summary, err := e.Run(ctx, plan(1, interval.Day))
		w.mu.Lock()
		defer w.mu.Unlock()
		p.summary, p.err, p.done = summary, err, true
		if p.complete() {
			c.check(w.holds(c.model.common(), nil), w)
		}
	}()
	return p
}

func (p *process) complete() bool { return p.done && !p.dead && p.err == nil && p.summary.Complete() }

// rest waits until each process waits for a verdict or has ended. Those that
// sleep are woken by the passing of time; as what they do next waits again,
// nothing depends on when that is.
func rest(processes []*process) error {
	for range maxSleep {
		synctest.Wait()
		resting := true
		for _, p := range processes {
			p.world.mu.Lock()
			resting = resting && (p.done || p.pending != nil)
			p.world.mu.Unlock()
		}
		if resting {
			return nil
		}
		time.Sleep(time.Minute)
	}
	return errors.New("a process sleeps for ever")
}

// maxOperations is more than two processes need, however unlucky they are.
const maxOperations = 500

// maxSleep is how many minutes a process may sleep in one go.
const maxSleep = 1000

// next gives the choices that there are. An operation that commutes with all
// that others can do is taken up at once.
func next(w *modelWorld, processes []*process, faults int) []choice {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []choice
	for _, p := range processes {
		if p.done {
			continue
		}
		mine := choicesOf(p, faults)
		_, there := w.objects[p.pending.key]
		if aside(p.pending.key) || p.pending.kind != "list" && p.pending.kind != "create" && there {
			return mine
		}
		all = append(all, mine...)
	}
	return all
}

// aside reports whether an object has no part in the protocol of chunks: the
// records of runs, and that of the dataset, which all write alike.
func aside(key string) bool {
	return strings.Contains(key, "/runs/") || strings.Contains(key, "/datasets/")
}

func choicesOf(p *process, faults int) []choice {
	all := []choice{{p, granted}}
	switch {
	case faults == 0 || aside(p.pending.key):
	case p.pending.kind == "create":
		// To die before an operation that only reads is to die after the last
		// one that did not.
		for _, v := range []verdict{refused, lost, diedBefore, diedAfter} {
			all = append(all, choice{p, v})
		}
	default:
		all = append(all, choice{p, refused})
	}
	return all
}

func (c choice) apply() {
	c.p.world.mu.Lock()
	op := c.p.pending
	if c.v == diedBefore || c.v == diedAfter {
		c.p.dead = true
		c.p.cancel(errDead)
	}
	c.p.world.mu.Unlock()
	op.verdict <- c.v
}

// kill ends what is left of a schedule.
func kill(processes []*process) {
	for _, p := range processes {
		p.world.mu.Lock()
		op, done := p.pending, p.done
		p.dead = true
		p.world.mu.Unlock()
		p.cancel(errDead)
		if !done {
			op.verdict <- diedBefore
		}
	}
	_ = rest(processes)
}

func stateOf(w *modelWorld, processes []*process, faults int) [32]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := fmt.Sprint(w.state(), faults)
	for _, p := range processes {
		s += fmt.Sprintf(" %x %v", p.history, p.done)
	}
	return sha256.Sum256([]byte(s))
}

// judge has a last process come, alone, when the others have ended, and looks
// at what is there then.
func (c *checker) judge(w *modelWorld, processes []*process) {
	for _, p := range processes {
		p.cancel(nil)
	}
	must := c.model.common()
	for _, p := range processes {
		if p.complete() && p.summary.Chunks.Exported == 1 {
			for line := range p.records {
				must[line] = true
			}
		}
	}
	key := fmt.Sprint(w.state(), len(must))
	if c.finals[key] {
		return
	}
	c.finals[key] = true
	last := c.start(w, "C", c.model.sources[0], true)
	c.check(rest([]*process{last}), w)
	last.cancel(nil)
	if !last.complete() {
		c.check(fmt.Errorf("the last run is not complete: %v, failed %v", last.err, last.summary.Failed), w)
	}
	c.check(w.holds(must, c.model.union()), w)
	c.check(w.settled(), w)
}

// check keeps the first broken promise, with the schedule that led to it.
func (c *checker) check(err error, w *modelWorld) {
	if len(w.broken) > 0 {
		err = errors.New(w.broken[0])
	}
	if err != nil && c.found == nil {
		c.found = fmt.Errorf("%w\n%s", err, strings.Join(w.log, "\n"))
	}
}

// common are the records that both sources give, union those that either does.
func (m model) common() map[string]bool {
	set, b := m.sources[0].lines(), m.sources[1].lines()
	for line := range set {
		if !b[line] {
			delete(set, line)
		}
	}
	return set
}

func (m model) union() map[string]bool {
	set := m.sources[0].lines()
	for line := range m.sources[1].lines() {
		set[line] = true
	}
	return set
}

// The pages that the processes of a model get: both the same, one of them more,
// or each what the other does not, with parts cut in other places.
var (
	usual    = modelSource{{1, 2}, {3, 4}, {5}}
	late     = modelSource{{1, 2}, {6, 3, 4}, {5}}
	later    = modelSource{{1, 2}, {3, 4}, {5, 6}, {7}}
	shuffled = modelSource{{5, 4, 3}, {1}, {2, 8}}
	nothing  = modelSource{}
)

// fullModel set to anything has TestModel explore everything, which takes
// minutes; else most models are explored without faults.
const fullModel = "GCEXPORT_TEST_MODEL"

func TestModel(t *testing.T) {
	for _, row := range []struct {
		name string
		full int // faults
		model
	}{
		{"the same twice", 2, model{sources: [2]modelSource{usual, usual}, faults: 1}},
		{"no metadata", 2, model{sources: [2]modelSource{usual, usual}, plain: true}},
		{"one gets more", 1, model{sources: [2]modelSource{usual, late}}},
		{"one gets more at the end", 1, model{sources: [2]modelSource{usual, later}}},
		{"each gets its own", 1, model{sources: [2]modelSource{late, shuffled}, faults: 1}},
		{"one gets nothing", 2, model{sources: [2]modelSource{nothing, {{1}}}, faults: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			switch {
			case os.Getenv(fullModel) != "":
				row.faults = row.full
			case testing.Short() || raceDetector:
				row.faults = 0
			}
			began := time.Now()
			c := row.explore(t)
			if c.found != nil {
				t.Fatalf("schedule %d: %v", c.schedules, c.found)
			}
			t.Logf("up to %d faults: %d schedules, %d states, %d ends, up to %d choices deep, %v", row.faults, c.schedules, len(c.seen), len(c.finals), c.depth, time.Since(began).Round(time.Millisecond))
		})
	}
}

// The checker finds out stores that break their promise, and a protocol with a
// step taken away.
func TestModelFindsMutants(t *testing.T) {
	layout := export.Layout{Dataset: export.Conversations}
	supplement := func(key string) bool { _, ok := layout.ParseSupplement(key); return ok }
	part := func(key string) bool { _, ok := layout.ParsePart(key); return ok }
	for _, row := range []struct {
		name, want string
		b          modelSource
		mutant
	}{
		{"objects are overwritten", "overwritten", usual, mutant{overwrites: true}},
		{"objects are cut", "EOF", usual, mutant{truncates: true}},
		{"parts are confirmed and lost", "is not there", usual, mutant{swallows: part}},
		{"supplements are not written", "not listed", later, mutant{swallows: supplement}},
		{"nobody sees unlisted parts", "not listed", later, mutant{flatters: true}},
		{"recovery learns nothing", "twice", usual, mutant{substitutes: func(key string) []byte {
			if part(key) {
				return zipped(modelLine(9))
			}
			return nil
		}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := model{sources: [2]modelSource{usual, row.b}, faults: 1, mutant: row.mutant}.explore(t)
			if c.found == nil || !strings.Contains(c.found.Error(), row.want) {
				t.Fatalf("%d schedules, %d states: found %v", c.schedules, len(c.seen), c.found)
			}
			t.Logf("found by schedule %d: %.120s", c.schedules, c.found)
		})
	}
}
