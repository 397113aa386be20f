package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// Names of PartitionExportDay only grow, whatever processes do: several at once, on the
// same range, that die between any two operations, or are away for longer than anybody
// waits for them, just when they would publish a part; and each record is there once.
func TestNamesOnlyGrow(t *testing.T) {
	blanks, zombies, folders := 0, 0, map[string]bool{}
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{t: t, rand: rand.New(rand.NewPCG(seed, 1)), all: conversations(300, 3), world: &modelWorld{objects: map[string]modelObject{}}}
				time.Sleep(23*time.Hour + 58*time.Minute) // soon it is another day
				c.run()
				c.judge()
				blanks, zombies = blanks+c.blanks, zombies+c.zombies
				for _, key := range c.world.created {
					if strings.HasPrefix(key, "conversations/") {
						folders[strings.Split(key, "/")[1]] = true
					}
				}
			})
		})
	}
	if blanks == 0 || zombies == 0 || len(folders) < 2 {
		t.Errorf("%d blanks, %d late comers, folders %v: the test is too tame", blanks, zombies, folders)
	}
}

// A store that takes no more data is no reason to wait for one's own claims: the chunks
// fail as they do elsewhere, and when there is room again, the export goes on.
func TestFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, all: conversations(300, 3), world: &modelWorld{objects: map[string]modelObject{}}}
		full := true
		p := &process{world: c.world, fate: func(kind, key string) verdict {
			if full && kind == "create" && strings.HasPrefix(key, "conversations/") {
				return refused
			}
			return granted
		}}
		e := &export.Exporter{Source: &source{all: c.all, pageSize: 20}, Bucket: blob.NewBucket(modelBucket{p: p}), Partition: export.PartitionExportDay,
			URI: func(key string) string { return "s3://b/" + key }}
		began := time.Now()
		s, err := e.Run(t.Context(), plan(3, interval.Day))
		if took := time.Since(began); err != nil || len(s.Failed) != 3 || took > time.Minute {
			t.Errorf("%d chunks failed after %v, %v", len(s.Failed), took, err)
		}
		full = false
		if s := mustRun(t, e, plan(3, interval.Day)); s.Records != 300 {
			t.Errorf("%d records", s.Records)
		}
		c.judge()
	})
}

// A crowd is several processes that export the same range, and those that come after
// them when they die.
type crowd struct {
	t     *testing.T
	world *modelWorld
	all   []conversation

	mu              sync.Mutex
	rand            *rand.Rand
	deaths          int
	blanks, zombies int
}

func (c *crowd) run() {
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			for life := 0; !c.export(fmt.Sprintf("%d.%d", i, life)); life++ {
				if life == 50 {
					c.t.Errorf("process %d does not come to its end", i)
					return
				}
			}
		})
	}
	group.Wait()
}

// export is one life of a process; it reports whether it came to its end.
func (c *crowd) export(name string) bool {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	p := &process{name: name, world: c.world}
	p.fate = func(kind, key string) verdict {
		v, wait := c.choose(kind, key)
		time.Sleep(wait)
		if v == diedBefore || v == diedAfter {
			cancel()
		}
		return v
	}
	b := blob.NewBucket(modelBucket{p: p})
	e := &export.Exporter{Source: &source{all: c.all, pageSize: 20}, Bucket: b, Workers: 3, GzipLevel: 1, PartRawBytes: 4000, Mode: "job",
		Partition: export.PartitionExportDay, MaxRecord: 190, URI: func(key string) string { return "s3://b/" + key }}
	s, err := e.Run(ctx, plan(3, interval.Day))
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	if !p.dead && (err != nil || !s.Complete()) {
		c.t.Logf("%s: %v %+v", name, err, s.Failed)
		return false
	}
	return !p.dead
}

// choose says what becomes of an operation, and after how long.
func (c *crowd) choose(kind, key string) (verdict, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := time.Duration(c.rand.Int64N(int64(2 * time.Second)))
	if strings.HasPrefix(key, "conversations") && kind == "create" && c.rand.IntN(12) == 0 {
		c.zombies++
		wait = 10 * time.Hour // it is held for dead meanwhile
	}
	odds := 60
	if strings.Contains(key, "/order/") || strings.HasPrefix(key, "conversations") {
		odds = 20 // where it matters
	}
	switch {
	case c.rand.IntN(odds) != 0:
		return granted, wait
	case c.rand.IntN(3) == 0:
		return []verdict{lost, refused}[c.rand.IntN(2)], wait
	case c.deaths < 12:
		c.deaths++
		return []verdict{diedBefore, diedAfter}[c.rand.IntN(2)], wait
	}
	return granted, wait
}

func (c *crowd) judge() {
	t := c.t
	for _, folder := range []string{"conversations/", "conversations_oversize/"} {
		last := ""
		for _, key := range c.world.created {
			if !strings.HasPrefix(key, folder) {
				continue
			}
			if key <= last {
				t.Errorf("%s came after %s", key, last)
			}
			last = key
			if bytes.Equal(c.world.objects[key].data, export.Blank()) {
				c.blanks++
			}
		}
	}
	if len(c.world.broken) > 0 {
		t.Error(c.world.broken)
	}
	b := blob.NewBucket(modelBucket{p: &process{world: c.world, free: true}})
	held := map[string]int{}
	for key, data := range contents(t, b) {
		if strings.HasPrefix(key, "conversations") && !bytes.Equal(data, export.Blank()) {
			for _, line := range lines(t, key, data) {
				held[line]++
			}
		}
	}
	for _, one := range c.all {
		if held[one.line] != 1 {
			t.Errorf("%s is there %d times", one.id, held[one.line])
		}
	}
	if len(held) != len(c.all) {
		t.Errorf("%d lines, want %d", len(held), len(c.all))
	}
	r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations, Range: plan(3, interval.Day).Range}).Run(t.Context())
	if err != nil || r.Damaged() {
		t.Errorf("verify: %v, %+v", err, r.Findings)
	}
	for key, data := range contents(t, b) {
		if strings.HasSuffix(key, ".files.txt") {
			for uri := range strings.Lines(string(data)) {
				held[strings.TrimSuffix(strings.TrimPrefix(uri, "s3://b/"), "\n")]++
			}
		}
	}
	for _, key := range c.world.created {
		blank := bytes.Equal(c.world.objects[key].data, export.Blank())
		if want := map[bool]int{false: 1}[blank]; strings.HasPrefix(key, "conversations/") && held[key] != want {
			t.Errorf("%s is listed %d times, want %d", key, held[key], want)
		}
	}
}

// A blank is a gzip file without lines.
func TestBlank(t *testing.T) {
	zr, err := gzip.NewReader(bytes.NewReader(export.Blank()))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(zr); err != nil || len(data) > 0 {
		t.Errorf("%q, %v", data, err)
	}
}

// Verify finds what breaks the order of names.
func TestVerifyOrder(t *testing.T) {
	second := func(b *blob.Bucket) string {
		var keys []string
		for key := range contents(t, b) {
			if strings.HasPrefix(key, "conversations/") {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		return keys[1]
	}
	place := func(key, other string) string { return strings.Replace(key, "/0000000002-", "/"+other+"-", 1) }
	for _, row := range []struct {
		name   string
		damage func(b *blob.Bucket)
		want   export.Kind
	}{
		{"nothing", func(*blob.Bucket) {}, ""},
		{"a part is gone", func(b *blob.Bucket) { erase(t, b, second(b)) }, export.Missing},
		{"a claim is gone", func(b *blob.Bucket) { erase(t, b, "_gcexport/order/conversations/0000000002.json") }, export.Stray},
		{"no claim", func(b *blob.Bucket) { upload(t, b, "_gcexport/order/conversations/2.json", nil) }, export.Stray},
		{"a part moved", func(b *blob.Bucket) {
			upload(t, b, place(second(b), "0000000099"), fetch(t, b, second(b)))
			erase(t, b, second(b))
		}, export.Missing},
		{"a part twice", func(b *blob.Bucket) { upload(t, b, place(second(b), "0000000004"), fetch(t, b, second(b))) }, export.Stray},
		{"a place twice", func(b *blob.Bucket) {
			upload(t, b, strings.Replace(second(b), ".p0000", ".p0007", 1), export.Blank())
		}, export.Stray},
		{"an earlier day", func(b *blob.Bucket) {
			upload(t, b, "conversations/dt=1999-01-01/0000000004-20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz", export.Blank())
			upload(t, b, "_gcexport/order/conversations/0000000004.json", nil)
		}, export.Stray},
		{"a name of the other kind", func(b *blob.Bucket) { upload(t, b, layout.Part(day(0), 0, 0), export.Blank()) }, export.Stray},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := memBucket(t)
			mustRun(t, &export.Exporter{Source: &source{all: conversations(60, 3), pageSize: 20}, Bucket: b, Partition: export.PartitionExportDay}, plan(3, interval.Day))
			row.damage(b)
			r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations}).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if row.want == "" && r.Damaged() || row.want != "" && r.Counts[row.want] == 0 {
				t.Errorf("found %+v, want %q", r.Findings, row.want)
			}
		})
	}
}
