package export_test

import (
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

func TestLayout(t *testing.T) {
	l := export.Layout{Dataset: export.Conversations}
	iv := interval.Interval{Start: day0, End: day0.Add(interval.Day)}
	for got, want := range map[string]string{
		l.Part(iv, 0, 0):     "conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz",
		l.Part(iv, 2, 12345): "conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r2.p12345.jsonl.gz",
		l.Manifest(iv, 0):    "_gcexport/conversations/20240301T000000Z-20240302T000000Z.r0.json",
		l.RunSummary("X"):    "_gcexport/runs/X.json",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, n := range []int{0, 1, 9999, 10000} {
		if name, ok := l.ParsePart(l.Part(iv, 3, n)); !ok || name != (export.Name{Interval: iv, Revision: 3, Part: n}) {
			t.Errorf("ParsePart of part %d: %+v, %v", n, name, ok)
		}
	}
	ordered := "conversations/dt=2026-11-27/0000000042-20240301T000000Z-20240302T000000Z.r0.p0001.jsonl.gz"
	if name, ok := l.ParsePart(ordered); !ok || name != (export.Name{Interval: iv, Place: 42, Part: 1}) {
		t.Errorf("ParsePart of %s: %+v, %v", ordered, name, ok)
	}
	if name, ok := l.ParseManifest(l.Manifest(iv, 1)); !ok || name.Interval != iv || name.Revision != 1 {
		t.Errorf("ParseManifest: %+v, %v", name, ok)
	}
}

// Names that something else has put into the bucket are not ours.
func TestForeignNames(t *testing.T) {
	l := export.Layout{Dataset: export.Conversations}
	for _, key := range []string{
		"", "conversations/", "conversations/x.jsonl.gz",
		"conversations/dt=2024-03-02/20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz", // wrong folder
		"conversations/dt=2024-03-01/20240302T000000Z-20240301T000000Z.r0.p0000.jsonl.gz", // upside down
		"conversations/dt=2024-03-01/20240301T000000Z-20240301T000000Z.r0.p0000.jsonl.gz", // empty
		"conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r00.p0000.jsonl.gz",
		"conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r0.p00000.jsonl.gz",
		"conversations/dt=2024-03-01/20240301T250000Z-20240302T000000Z.r0.p0000.jsonl.gz",
		"conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz.tmp",
		"conversations/dt=2024-03-01/0000000000-20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz", // places count from 1
		"conversations/dt=2024-03-01/000000001-20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz",
		"conversations/dt=2024-13-01/0000000001-20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz",
		"_gcexport/conversations/20240301T000000Z-20240302T000000Z.r01.json",
		"_gcexport/conversations/20240301T000000Z-20240302T000000Z.json",
		"_gcexport/runs/20240301T000000Z-20240302T000000Z.r0.json",
	} {
		if n, ok := l.ParsePart(key); ok {
			t.Errorf("ParsePart(%q) = %+v", key, n)
		}
		if n, ok := l.ParseManifest(key); ok {
			t.Errorf("ParseManifest(%q) = %+v", key, n)
		}
	}
}

func TestPlanValidate(t *testing.T) {
	good := plan(3, interval.Day)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*export.Plan){
		"no dataset":       func(p *export.Plan) { p.Dataset = "" },
		"empty range":      func(p *export.Plan) { p.Range.End = p.Range.Start },
		"no step":          func(p *export.Plan) { p.Step = 0 },
		"fraction in step": func(p *export.Plan) { p.Step += time.Millisecond },
		"fraction at end":  func(p *export.Plan) { p.Range.End = p.Range.End.Add(1) },
		"shard too high":   func(p *export.Plan) { p.Shard = export.Shard{Index: 2, Count: 2} },
		"shard negative":   func(p *export.Plan) { p.Shard = export.Shard{Index: -1, Count: 2} },
	} {
		p := good
		change(&p)
		if p.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
