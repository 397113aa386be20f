package export_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// withLarge makes every nth conversation large.
func withLarge(all []conversation, n, size int) []conversation {
	for i := range all {
		if i%n == 0 {
			all[i].line = strings.TrimSuffix(all[i].line, "}") + fmt.Sprintf(`,"more":%q}`, strings.Repeat("y", size))
		}
	}
	return all
}

// withFlaws makes every nth conversation one that loaders refuse, and gives the
// number of each flaw.
func withFlaws(all []conversation, n int) (reasons map[string]int64) {
	reasons = map[string]int64{}
	flaws := []struct{ name, json string }{
		{"surrogate", `"\ud800"`}, {"nul", `"\u0000"`}, {"number", `1e999`}, {"duplicate_key", `{"a":1,"\u0061":2}`},
	}
	for i := 0; i < len(all); i += n {
		f := flaws[i/n%len(flaws)]
		all[i].line = strings.TrimSuffix(all[i].line, "}") + `,"more":` + f.json + "}"
		reasons[f.name]++
	}
	return reasons
}

// linesOf gives the lines of all data objects of a dataset.
func linesOf(t *testing.T, b *blob.Bucket, dataset string) []string {
	t.Helper()
	var all []string
	for key, data := range contents(t, b) {
		if strings.HasPrefix(key, dataset+"/") {
			all = append(all, lines(t, key, data)...)
		}
	}
	return all
}

// What is too large goes to the sibling, once, and nothing of it elsewhere.
func TestOversizeRecordsArePutAside(t *testing.T) {
	all := withLarge(conversations(600, 3), 50, 3000)
	b, p := memBucket(t), plan(3, interval.Day)
	e := &export.Exporter{Source: &source{all: all, pageSize: 40}, Bucket: b, MaxRecord: 2000}
	s := mustRun(t, e, p)
	large := linesOf(t, b, "conversations_oversize")
	if len(large) != 12 || s.Diverted["conversations_oversize"] != 12 || s.Records != 600 {
		t.Errorf("%d lines put aside, summary %v and %d records", len(large), s.Diverted, s.Records)
	}
	want := map[string]bool{}
	for _, c := range all {
		want[c.line] = true
	}
	for _, line := range append(large, linesOf(t, b, export.Conversations)...) {
		if !want[line] {
			t.Errorf("altered or repeated: %.80s", line)
		}
		delete(want, line)
	}
	if len(want) > 0 {
		t.Errorf("%d conversations are missing", len(want))
	}
	for _, line := range large {
		if len(line) <= 2000 {
			t.Errorf("put aside: %.80s", line)
		}
	}
	r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations, Range: p.Range}).Run(t.Context())
	if err != nil || r.DamageCount > 0 || r.Records != 600 {
		t.Errorf("verify: %+v, %v", r, err)
	}
	before := contents(t, b)
	mustRun(t, e, p)
	if after := contents(t, b); len(after) != len(before) {
		t.Errorf("a second run made %d objects of %d", len(after), len(before))
	}
}

// What loaders refuse goes to the other sibling, whole and once, however long it
// is, and the manifests say why.
func TestFlawedRecordsArePutAside(t *testing.T) {
	all := withLarge(conversations(600, 3), 50, 3000)
	want := withFlaws(all, 25)
	b, p := memBucket(t), plan(3, interval.Day)
	e := &export.Exporter{Source: &source{all: all, pageSize: 40}, Bucket: b, MaxRecord: 2000}
	s := mustRun(t, e, p)
	if s.Diverted["conversations_rejected"] != 24 || s.Diverted["conversations_oversize"] != 0 || s.Records != 600 {
		t.Errorf("summary %v and %d records", s.Diverted, s.Records)
	}
	sent := map[string]bool{}
	for _, c := range all {
		sent[c.line] = strings.Contains(c.line, `"more":`)
	}
	for dataset, aside := range map[string]bool{export.Conversations: false, "conversations_rejected": true} {
		for _, line := range linesOf(t, b, dataset) {
			if was, ok := sent[line]; !ok || was != aside {
				t.Errorf("in %s: %.80s", dataset, line)
			}
			delete(sent, line)
		}
	}
	if len(sent) > 0 {
		t.Errorf("%d conversations are missing", len(sent))
	}
	got := map[string]int64{}
	layout := export.Layout{Dataset: export.Conversations}
	for c := range p.Chunks() {
		m, err := export.ReadManifest(t.Context(), b, layout.Manifest(c.Interval, 0), &export.ObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Diverted {
			for reason, n := range d.Reasons {
				got[reason] += n
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations, Range: p.Range}).Run(t.Context())
	if err != nil || r.DamageCount > 0 || r.Records != 600 {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// A run that was killed between its parts and the manifest is gone on with,
// whichever of the parts are there.
func TestDivertedPartsAreRecovered(t *testing.T) {
	all := withLarge(conversations(300, 1), 30, 3000)
	flaws := withFlaws(all, 40)
	p := plan(1, interval.Day)
	layout := export.Layout{Dataset: export.Conversations}
	oversize, rejected := layout.Siblings()[0], layout.Siblings()[1]
	for name, gone := range map[string][]string{
		"the manifest":       nil,
		"the diverted part":  {oversize.Part(p.Range, 0, 0)},
		"the part":           {layout.Part(p.Range, 0, 0)},
		"the rejected part":  {rejected.Part(p.Range, 0, 0)},
		"all but the run":    {layout.Part(p.Range, 0, 0), oversize.Part(p.Range, 0, 0)},
		"with a lower bound": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := memBucket(t)
			e := &export.Exporter{Source: &source{all: all, pageSize: 40}, Bucket: b, MaxRecord: 2000}
			mustRun(t, e, p)
			for _, key := range append(gone, layout.Manifest(p.Range, 0)) {
				if err := b.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			if name == "with a lower bound" { // what is there stays where it is
				e.MaxRecord = 200
			}
			mustRun(t, e, p)
			lines := append(linesOf(t, b, "conversations_oversize"), linesOf(t, b, export.Conversations)...)
			lines = append(lines, linesOf(t, b, "conversations_rejected")...)
			if len(lines) != 300 {
				t.Errorf("%d lines", len(lines))
			}
			m, err := export.ReadManifest(t.Context(), b, layout.Manifest(p.Range, 0), &export.ObjectOptions{})
			if err != nil || len(m.Diverted) != 2 {
				t.Fatalf("diverted %+v, %v", m.Diverted, err)
			}
			for _, d := range m.Diverted {
				if d.Dataset == rejected.Dataset && !maps.Equal(d.Reasons, flaws) {
					t.Errorf("diverted %+v", d)
				}
			}
			r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations, Range: p.Range}).Run(t.Context())
			if err != nil || r.DamageCount > 0 {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}

// A part of a sibling that no manifest lists is listed by the next run.
func TestDivertedPartIsSupplemented(t *testing.T) {
	all, b, p := conversations(100, 2), memBucket(t), plan(2, interval.Day)
	e := &export.Exporter{Source: &source{all: all, pageSize: 40}, Bucket: b}
	mustRun(t, e, p)
	oversize := export.Layout{Dataset: export.Conversations}.Siblings()[0]
	day := interval.Interval{Start: p.Range.Start, End: p.Range.Start.Add(interval.Day)}
	put(t, b, oversize.Part(day, 0, 0), zipped(`{"conversationId":"late","conversationStart":"2024-03-01T01:00:00.000Z"}`))
	if r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations}).Run(t.Context()); err != nil || r.Counts[export.Stray] != 1 {
		t.Errorf("verify before: %+v, %v", r, err)
	}
	mustRun(t, e, p)
	if _, there := contents(t, b)[oversize.Supplement(day, 0, 0)]; !there {
		t.Error("no supplement")
	}
	if r, err := (&export.Verifier{Bucket: b, Dataset: export.Conversations}).Run(t.Context()); err != nil || r.DamageCount > 0 {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// Many diverted records do not wait for the end of the chunk.
func TestDivertedPartsRotate(t *testing.T) {
	noise := make([]byte, 0, 1<<20)
	for i := 0; len(noise) < cap(noise)-100; i++ {
		noise = fmt.Appendf(noise, "%x", i*i*7919)
	}
	all := conversations(24, 1)
	for i := range all {
		all[i].line = strings.TrimSuffix(all[i].line, "}") + fmt.Sprintf(`,"more":"%s%d"}`, noise[i:], i)
	}
	b := memBucket(t)
	mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 2}, Bucket: b, MaxRecord: 1000, GzipLevel: 1}, plan(1, interval.Day))
	parts := 0
	for key := range contents(t, b) {
		if strings.HasPrefix(key, "conversations_oversize/") {
			parts++
		}
	}
	if n := len(linesOf(t, b, "conversations_oversize")); n != 24 || parts < 2 {
		t.Errorf("%d lines in %d parts", n, parts)
	}
}
