package export_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

const datasetKey = "_gcexport/datasets/conversations.json"

// An envelopeLine is what a loader makes of a line.
type envelopeLine struct {
	ConversationID    string          `json:"conversation_id"`
	ConversationStart time.Time       `json:"conversation_start"`
	ConversationEnd   *time.Time      `json:"conversation_end"`
	AsOf              time.Time       `json:"as_of"`
	ExportID          string          `json:"export_id"`
	Source            string          `json:"source"`
	Revision          int             `json:"revision"`
	SchemaVersion     int             `json:"schema_version"`
	Record            json.RawMessage `json:"record"`
}

func enveloped(t *testing.T, line string) envelopeLine {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(line))
	dec.DisallowUnknownFields()
	var l envelopeLine
	if err := dec.Decode(&l); err != nil {
		t.Fatalf("%.200s: %v", line, err)
	}
	return l
}

// Envelopes hold the records byte for byte, and columns that say what they say;
// also those that are put aside, and where a run was killed before its manifest.
func TestEnvelopes(t *testing.T) {
	all := withLarge(conversations(400, 2), 50, 3000)
	withFlaws(all, 40)
	all[3].line = strings.TrimSuffix(all[3].line, "}") + `,"conversationEnd":"2024-03-02T10:00:00Z"}`
	all[5].line = strings.TrimSuffix(all[5].line, "}") + `,"conversationEnd":"soon"}`
	b, p := memBucket(t), plan(2, interval.Day)
	before := time.Now().Add(-time.Millisecond)
	e := &export.Exporter{Source: &source{all: all, pageSize: 40}, Bucket: b, Mode: "job", MaxRecord: 2000, PartRawBytes: 20_000, RecordFormat: export.RecordEnvelope}
	s := mustRun(t, e, p)
	erase(t, b, layout.Manifest(day(1), 0)) // as if it had been killed before
	erase(t, b, layout.Part(day(1), 0, 1))
	for _, key := range slices.Sorted(maps.Keys(contents(t, b))) {
		if strings.HasPrefix(key, layout.PartPrefix(day(1), 0)) && key > layout.Part(day(1), 0, 1) {
			erase(t, b, key)
		}
	}
	mustRun(t, e, p)

	sent := map[string]bool{}
	for _, c := range all {
		sent[c.line] = true
	}
	ends := 0
	for _, dataset := range []string{export.Conversations, "conversations_oversize", "conversations_rejected"} {
		for _, line := range linesOf(t, b, dataset) {
			l := enveloped(t, line)
			var r struct {
				ConversationID    string
				ConversationStart time.Time
			}
			if err := json.Unmarshal(l.Record, &r); err != nil || !sent[string(l.Record)] {
				t.Fatalf("record %.100s: %v", l.Record, err)
			}
			delete(sent, string(l.Record))
			if l.ConversationEnd != nil {
				ends++
			}
			if l.ConversationID != r.ConversationID || !l.ConversationStart.Equal(r.ConversationStart) || l.Source != "job" || l.Revision != 0 || l.SchemaVersion != 1 ||
				l.AsOf.Before(before) || l.AsOf.After(time.Now()) || len(l.ExportID) != len(s.Run) {
				t.Errorf("columns of %.300s", line)
			}
			if oversize := len(line) > 2000; oversize != (dataset == "conversations_oversize") && dataset != "conversations_rejected" {
				t.Errorf("%d bytes in %s", len(line), dataset)
			}
		}
	}
	if len(sent) > 0 || ends != 1 {
		t.Errorf("%d records are missing, %d have an end", len(sent), ends)
	}
	if m := manifest(t, b, day(0)); m.RecordFormat != export.RecordEnvelope {
		t.Errorf("the manifest says %q", m.RecordFormat)
	}
	wantClean(t, verify(t, export.Verifier{Bucket: b, Range: p.Range}))
}

// Records of one format do not join those of the other.
func TestFormatsAreNotMixed(t *testing.T) {
	p := plan(2, interval.Day)
	run := func(b *blob.Bucket, f export.RecordFormat, days int) error {
		_, err := (&export.Exporter{Source: &source{all: conversations(100, 2), pageSize: 40}, Bucket: b, RecordFormat: f}).Run(t.Context(), plan(days, interval.Day))
		return err
	}
	for have, want := range map[export.RecordFormat]export.RecordFormat{
		"": export.RecordEnvelope, export.RecordRaw: export.RecordEnvelope, export.RecordEnvelope: export.RecordRaw,
	} {
		b := memBucket(t)
		if err := run(b, have, 1); err != nil {
			t.Fatal(err)
		}
		if have == "" { // as before there was a record of the dataset
			erase(t, b, datasetKey)
		}
		before := contents(t, b)
		for _, days := range []int{1, 2} { // nothing to do, something to do
			var mixed *export.RecordFormatError
			if err := run(b, want, days); !errors.As(err, &mixed) || mixed.Have == want {
				t.Errorf("%q after %q: %v", want, have, err)
			}
		}
		if after := contents(t, b); len(after) != len(before) {
			t.Errorf("%q after %q: something was written", want, have)
		}
		if err := run(b, have, 2); err != nil {
			t.Errorf("%q again: %v", have, err)
		}
		wantClean(t, verify(t, export.Verifier{Bucket: b, Range: p.Range}))
	}
}

// Whoever is first decides; the others, if they want it otherwise, write nothing.
func TestFormatsAtOnce(t *testing.T) {
	for range 20 {
		b := memBucket(t)
		var group sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			f := []export.RecordFormat{export.RecordRaw, export.RecordEnvelope}[i%2]
			group.Go(func() {
				_, errs[i] = (&export.Exporter{Source: &source{all: conversations(60, 2), pageSize: 40}, Bucket: b, RecordFormat: f}).Run(t.Context(), plan(2, interval.Day))
			})
		}
		group.Wait()
		loser := 0
		if errs[0] == nil {
			loser = 1
		}
		for i, err := range errs {
			if lost := errors.As(err, new(*export.RecordFormatError)); lost != (i%2 == loser) || !lost && err != nil {
				t.Fatalf("errors %v", errs)
			}
		}
		wantClean(t, verify(t, export.Verifier{Bucket: b, Range: plan(2, interval.Day).Range}))
	}
}

// Verify proves the columns.
func TestVerifyEnvelopes(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"another id":      func(l string) string { return strings.Replace(l, l[20:28], "00000000", 1) },
		"another start":   func(l string) string { return strings.Replace(l, `_start":"2024-03-01T`, `_start":"2024-03-01t`, 1) },
		"another end":     func(l string) string { return strings.Replace(l, `_end":null`, `_end":"2024-03-01T00:00:00.000Z"`, 1) },
		"a bad time":      func(l string) string { return strings.Replace(l, `"as_of":"2`, `"as_of":"x`, 1) },
		"no run":          func(l string) string { return strings.Replace(l, `"export_id":"0`, `"export_id":"`, 1) },
		"another column":  func(l string) string { return strings.Replace(l, `"revision":0`, `"revision":0,"more":1`, 1) },
		"a raw record":    func(l string) string { _, r, _ := strings.Cut(l, `"record":`); return r[:len(r)-1] },
		"no record":       func(l string) string { r, _, _ := strings.Cut(l, `,"record":`); return r + "}" },
		"blanks":          func(l string) string { return strings.Replace(l, `"record":`, `"record": `, 1) },
		"no end":          func(l string) string { return l[:len(l)-1] },
		"something after": func(l string) string { return l + "}" },
	} {
		t.Run(name, func(t *testing.T) {
			b := memBucket(t)
			mustRun(t, &export.Exporter{Source: &source{all: conversations(40, 1), pageSize: 40}, Bucket: b, Mode: "job", RecordFormat: export.RecordEnvelope}, plan(1, interval.Day))
			forge(t, b, day(0), 0, func(ls []string) []string {
				was := ls[5]
				if ls[5] = change(was); ls[5] == was {
					t.Fatal("nothing was changed")
				}
				return ls
			})
			if r := verify(t, export.Verifier{Bucket: b}); r.Counts[export.BadLine] != 1 {
				t.Errorf("found %+v", r.Findings)
			}
		})
	}
}

// A record of the dataset that is none is damage; so is a manifest that
// contradicts it.
func TestVerifyDataset(t *testing.T) {
	for name, row := range map[string]struct {
		do   func(b *blob.Bucket)
		want int
	}{
		"garbage": {func(b *blob.Bucket) { upload(t, b, datasetKey, []byte("{")) }, 1},
		"another": {func(b *blob.Bucket) { upload(t, b, datasetKey, []byte(`{"format":"gcexport.dataset/2"}`)) }, 1},
		"contradiction": {func(b *blob.Bucket) {
			upload(t, b, datasetKey, []byte(`{"format":"gcexport.dataset/1","record_format":"envelope"}`))
		}, 4},
		"gone": {func(b *blob.Bucket) { erase(t, b, datasetKey) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := exported(t)
			row.do(b)
			if r := verify(t, export.Verifier{Bucket: b, Shallow: true}); r.Counts[export.BadManifest] != int64(row.want) {
				t.Errorf("found %+v", r.Findings)
			}
		})
	}
}
