package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

var layout = export.Layout{Dataset: export.Conversations}

// exported is a bucket with four days of 1000 conversations, each day a chunk
// of several parts.
func exported(t testing.TB) *blob.Bucket {
	t.Helper()
	b := openMem(t)
	e := &export.Exporter{Source: &source{all: conversations(1000, 4), pageSize: 50}, Bucket: b, Mode: "job", PartRawBytes: 15_000}
	if _, err := e.Run(t.Context(), plan(4, interval.Day)); err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(t testing.TB, v export.Verifier) *export.Report {
	t.Helper()
	v.Dataset = export.Conversations
	r, err := v.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantClean(t testing.TB, r *export.Report) {
	t.Helper()
	if r.Damaged() || len(r.Findings) > 0 {
		t.Errorf("not clean: %+v", r.Findings)
	}
}

// day is the chunk that begins so many days after day0.
func day(n int) interval.Interval {
	start := day0.Add(time.Duration(n) * interval.Day)
	return interval.Interval{Start: start, End: start.Add(interval.Day)}
}

func fetch(t testing.TB, b *blob.Bucket, key string) []byte {
	t.Helper()
	data, err := b.ReadAll(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func upload(t testing.TB, b *blob.Bucket, key string, data []byte) {
	t.Helper()
	if err := b.WriteAll(t.Context(), key, data, nil); err != nil {
		t.Fatal(err)
	}
}

func erase(t testing.TB, b *blob.Bucket, key string) {
	t.Helper()
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func manifest(t testing.TB, b *blob.Bucket, iv interval.Interval) *export.Manifest {
	t.Helper()
	m, err := export.ReadManifest(t.Context(), b, layout.Manifest(iv, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// putJSON writes a document of the size that a manifest with n parts has.
func putJSON(t testing.TB, b *blob.Bucket, key string, v any, n int) {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for len(data)%100 != (n+99)%100 {
		data = append(data, ' ')
	}
	upload(t, b, key, append(data, '\n'))
}

func pack(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forge changes the lines of a part, and makes its manifest fit what can be
// counted and hashed.
func forge(t *testing.T, b *blob.Bucket, iv interval.Interval, part int, change func([]string) []string) {
	t.Helper()
	key := layout.Part(iv, 0, part)
	ls := change(lines(t, key, fetch(t, b, key)))
	raw := []byte(strings.Join(ls, "\n") + "\n")
	data := pack(t, raw)
	upload(t, b, key, data)
	m := manifest(t, b, iv)
	p := &m.Parts[part]
	sum, md := sha256.Sum256(raw), md5.Sum(data)
	p.Records, p.RawBytes, p.Bytes = int64(len(ls)), int64(len(raw)), int64(len(data))
	p.SHA256, p.MD5 = hex.EncodeToString(sum[:]), hex.EncodeToString(md[:])
	m.Records, m.RawBytes, m.Bytes = 0, 0, 0
	for _, p := range m.Parts {
		m.Records, m.RawBytes, m.Bytes = m.Records+p.Records, m.RawBytes+p.RawBytes, m.Bytes+p.Bytes
	}
	putJSON(t, b, layout.Manifest(iv, 0), m, len(m.Parts))
}

func TestVerifyCleanBuckets(t *testing.T) {
	for _, row := range []struct {
		name string
		make func(t *testing.T, b *blob.Bucket)
		want func(*export.Report) bool
	}{
		{"as exported", func(*testing.T, *blob.Bucket) {}, func(r *export.Report) bool { return r.Parts > 8 }},
		{"a chunk without records", func(t *testing.T, b *blob.Bucket) {
			mustRun(t, &export.Exporter{Source: &source{}, Bucket: b}, plan(5, interval.Day))
		}, func(r *export.Report) bool { return r.Chunks == 5 }},
		{"a supplement", func(t *testing.T, b *blob.Bucket) {
			own := manifest(t, b, day(1))
			other := *own
			n := len(own.Parts) - 1
			other.Supplement, other.Parts = true, own.Parts[n:]
			own.Parts = own.Parts[:n]
			for _, m := range []*export.Manifest{own, &other} {
				m.Records, m.RawBytes, m.Bytes = 0, 0, 0
				for _, p := range m.Parts {
					m.Records, m.RawBytes, m.Bytes = m.Records+p.Records, m.RawBytes+p.RawBytes, m.Bytes+p.Bytes
				}
			}
			putJSON(t, b, layout.Manifest(day(1), 0), own, n)
			putJSON(t, b, layout.Supplement(day(1), 0, n), &other, 1)
		}, func(r *export.Report) bool { return r.Manifests == 5 }},
		{"records of runs, and objects of others", func(t *testing.T, b *blob.Bucket) {
			upload(t, b, "_gcexport/runs/x.json", []byte("{}"))
			upload(t, b, "conversations_other/x", []byte("x"))
			upload(t, b, "readme.txt", []byte("x"))
		}, func(*export.Report) bool { return true }},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := exported(t)
			row.make(t, b)
			for _, shallow := range []bool{false, true} {
				r := verify(t, export.Verifier{Bucket: b, Shallow: shallow})
				wantClean(t, r)
				if r.Records != 1000 || r.Deep == shallow || r.Bytes == 0 || r.RawBytes == 0 || !row.want(r) {
					t.Errorf("report: %+v", r)
				}
			}
			wantClean(t, verify(t, export.Verifier{Bucket: b, Range: interval.Interval{Start: day0.Add(time.Hour), End: day0.Add(50 * time.Hour)}}))
		})
	}
}

// damage is one way to harm the bucket that exported makes. The kinds that
// verify must find are those of a deep and of a shallow verification.
type damage struct {
	name          string
	do            func(t *testing.T, b *blob.Bucket)
	deep, shallow []export.Kind
}

func kinds(k ...export.Kind) []export.Kind { return k }

var target = layout.Part(day(2), 0, 1)

// objectDamage harms objects.
func objectDamage() []damage {
	return []damage{
		{"object cut", func(t *testing.T, b *blob.Bucket) {
			data := fetch(t, b, target)
			upload(t, b, target, data[:len(data)-3])
		}, kinds(export.BadObject, export.WrongSize), kinds(export.WrongSize)},
		{"object longer", func(t *testing.T, b *blob.Bucket) { upload(t, b, target, append(fetch(t, b, target), 0)) },
			kinds(export.BadObject, export.WrongSize), kinds(export.WrongSize)},
		{"two members", func(t *testing.T, b *blob.Bucket) {
			upload(t, b, target, append(fetch(t, b, target), pack(t, []byte("{}\n"))...))
		}, kinds(export.BadObject, export.WrongSize), kinds(export.WrongSize)},
		{"empty", func(t *testing.T, b *blob.Bucket) { upload(t, b, target, nil) },
			kinds(export.BadObject, export.WrongSize), kinds(export.WrongSize)},
		{"object deleted", func(t *testing.T, b *blob.Bucket) { erase(t, b, target) },
			kinds(export.Missing), kinds(export.Missing)},
		{"the same lines in other bytes", func(t *testing.T, b *blob.Bucket) {
			upload(t, b, target, pack(t, []byte(strings.Join(lines(t, target, fetch(t, b, target)), "\n")+"\n")))
		}, kinds(export.BadContent, export.WrongSize), kinds(export.WrongSize)},
		{"another part's lines", func(t *testing.T, b *blob.Bucket) { upload(t, b, target, fetch(t, b, layout.Part(day(2), 0, 0))) },
			kinds(export.BadContent, export.WrongSize, export.Duplicate), kinds(export.WrongSize)},
		{"a line less, forged", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 0, func(l []string) []string { return l[1:] })
		}, kinds(export.BadContent), nil},
		{"a line twice in a part", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 1, func(l []string) []string { return append(l, l[3]) })
		}, kinds(export.Duplicate), nil},
		{"a line twice in a chunk", func(t *testing.T, b *blob.Bucket) {
			other := lines(t, target, fetch(t, b, target))[5]
			forge(t, b, day(2), 0, func(l []string) []string { return slices.Insert(l, 3, other) })
		}, kinds(export.Duplicate, export.BadContent), nil}, // the last start moves
		{"a conversation in two chunks", func(t *testing.T, b *blob.Bucket) {
			id := lines(t, target, fetch(t, b, target))[5][19:55]
			forge(t, b, day(0), 1, func(l []string) []string {
				l[2] = strings.Replace(l[2], l[2][19:55], id, 1)
				return l
			})
		}, kinds(export.Duplicate), nil},
		{"a record of another chunk", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 1, func(l []string) []string {
				l[3] = strings.Replace(l[3], `"2024-03-03T`, `"2024-03-04T`, 1)
				return l
			})
		}, kinds(export.Foreign, export.BadContent), nil},
		{"blanks in a line", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 1, func(l []string) []string { l[4] = strings.Replace(l[4], ",", ", ", 1); return l })
		}, kinds(export.BadLine), nil},
		{"a line that is no JSON", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 1, func(l []string) []string { l[4] = l[4][:20]; return l })
		}, kinds(export.BadLine), nil},
		{"a line without an id", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 1, func(l []string) []string { l[4] = strings.Replace(l[4], "Id", "Ix", 1); return l })
		}, kinds(export.BadLine), nil},
		{"a line without a start", func(t *testing.T, b *blob.Bucket) {
			forge(t, b, day(2), 1, func(l []string) []string { l[4] = strings.Replace(l[4], "Start", "Begin", 1); return l })
		}, kinds(export.BadLine), nil},
	}
}

// bucketDamage adds, takes away and confuses objects and chunks.
func bucketDamage() []damage {
	return []damage{
		{"manifest deleted", func(t *testing.T, b *blob.Bucket) { erase(t, b, layout.Manifest(day(1), 0)) },
			kinds(export.Gap, export.Unfinished), kinds(export.Gap, export.Unfinished)},
		{"part that no manifest lists", func(t *testing.T, b *blob.Bucket) {
			m := manifest(t, b, day(1))
			upload(t, b, layout.Part(day(1), 0, len(m.Parts)), fetch(t, b, m.Parts[0].Key))
		}, kinds(export.Stray, export.Duplicate), kinds(export.Stray)},
		{"part far behind", func(t *testing.T, b *blob.Bucket) {
			iv := interval.Interval{Start: day(3).Start, End: day(3).End.Add(-time.Hour)}
			upload(t, b, layout.Part(iv, 0, 7), fetch(t, b, target))
		}, kinds(export.Missing, export.Unfinished, export.Foreign, export.Duplicate), kinds(export.Missing, export.Unfinished)},
		{"foreign data object", func(t *testing.T, b *blob.Bucket) { upload(t, b, "conversations/dt=2024-03-01/x.jsonl.gz", nil) },
			kinds(export.Stray), kinds(export.Stray)},
		{"part under another date", func(t *testing.T, b *blob.Bucket) {
			upload(t, b, strings.Replace(target, "dt=2024-03-03", "dt=2024-03-04", 1), nil)
		}, kinds(export.Stray), kinds(export.Stray)},
		{"part of another revision", func(t *testing.T, b *blob.Bucket) { upload(t, b, layout.Part(day(1), 1, 0), nil) },
			kinds(export.Stray), kinds(export.Stray)},
		{"foreign control object", func(t *testing.T, b *blob.Bucket) { upload(t, b, "_gcexport/conversations/x.json", []byte("{}")) },
			kinds(export.Stray), kinds(export.Stray)},
		{"supplement alone", func(t *testing.T, b *blob.Bucket) {
			m := manifest(t, b, day(1))
			m.Supplement, m.Parts = true, m.Parts[:1]
			m.Records, m.RawBytes, m.Bytes = m.Parts[0].Records, m.Parts[0].RawBytes, m.Parts[0].Bytes
			putJSON(t, b, layout.Supplement(day(1), 0, 0), m, 1)
			erase(t, b, layout.Manifest(day(1), 0))
		}, kinds(export.BadManifest, export.Gap, export.Unfinished), kinds(export.BadManifest, export.Gap, export.Unfinished)},
		{"overlapping chunk", func(t *testing.T, b *blob.Bucket) {
			m := manifest(t, b, day(1))
			iv := interval.Interval{Start: day(1).Start.Add(time.Hour), End: day(1).End.Add(time.Hour)}
			m.Interval, m.Parts, m.Records, m.RawBytes, m.Bytes = export.Span{Start: iv.Start, End: iv.End}, []export.Part{}, 0, 0, 0
			putJSON(t, b, layout.Manifest(iv, 0), m, 0)
		}, kinds(export.Overlap, export.Overlap), kinds(export.Overlap, export.Overlap)}, // with both neighbours
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	for _, d := range append(objectDamage(), bucketDamage()...) {
		t.Run(d.name, func(t *testing.T) {
			b := exported(t)
			d.do(t, b)
			for _, mode := range []struct {
				shallow bool
				want    []export.Kind
			}{{false, d.deep}, {true, d.shallow}} {
				r := verify(t, export.Verifier{Bucket: b, Shallow: mode.shallow, Range: interval.Interval{Start: day0, End: day(4).Start}})
				got := map[export.Kind]bool{}
				for _, f := range r.Findings {
					got[f.Kind] = true
				}
				slices.Sort(mode.want)
				if diff := cmp.Diff(slices.Compact(mode.want), slices.Sorted(maps.Keys(got))); diff != "" && (len(mode.want) > 0 || len(got) > 0) {
					t.Errorf("shallow %v: kinds (-want +got):\n%s%v", mode.shallow, diff, r.Findings)
				}
				if r.Damaged() != (len(mode.want) > 0) {
					t.Errorf("shallow %v: damaged %v, found %v", mode.shallow, r.Damaged(), r.Findings)
				}
			}
		})
	}
}

// TestVerifyFindsEveryFlippedBit flips bits of one object, one at a time.
func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	b := exported(t)
	data := fetch(t, b, target)
	for i := range 300 {
		bit := rand.N(8 * len(data))
		if i < 80 {
			bit = i // the header
		} else if i < 160 {
			bit = 8*len(data) - 1 - (i - 80) // the trailer, and the bits of the last block that mean nothing
		}
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		upload(t, b, target, flipped)
		r := verify(t, export.Verifier{Bucket: b, Range: day(2)})
		if !r.Damaged() || r.Findings[0].Key != target {
			t.Errorf("bit %d of %d flipped: %+v", bit, 8*len(data), r.Findings)
		}
	}
}

func TestVerifyReportsGapsAndOpenChunks(t *testing.T) {
	b := exported(t)
	erase(t, b, layout.Manifest(day(1), 0))
	open := manifest(t, b, day(2))
	r := verify(t, export.Verifier{Bucket: b})
	if r.Damaged() || r.Chunks != 3 || r.Open != 1 || r.Counts[export.Gap] != 1 || r.Counts[export.Unfinished] == 0 {
		t.Errorf("without a range: %+v", r)
	}
	for _, f := range r.Findings {
		if f.Chunk != day(1) || f.Damage {
			t.Errorf("finding: %+v", f)
		}
	}
	r = verify(t, export.Verifier{Bucket: b, Range: interval.Interval{Start: day0.Add(-time.Hour), End: day(5).Start}})
	if r.DamageCount != 3 || r.Counts[export.Gap] != 3 {
		t.Errorf("with a range: %+v", r.Findings)
	}
	wantClean(t, verify(t, export.Verifier{Bucket: b, Range: interval.Interval{Start: open.Interval.Start, End: open.Interval.End}}))
	if r := verify(t, export.Verifier{Bucket: openMem(t)}); !r.Empty() {
		t.Errorf("nothing: %+v", r)
	}
	r = verify(t, export.Verifier{Bucket: openMem(t), Range: day(0)})
	if !r.Damaged() || r.Empty() {
		t.Errorf("nothing where a day should be: %+v", r)
	}
}

// TestVerifyManifestFields changes each member of a manifest, one at a time.
func TestVerifyManifestFields(t *testing.T) {
	for path, value := range map[string]any{
		"format": "gcexport.manifest/2", "dataset": "others", "interval.start": "2024-03-02T00:00:01Z", "interval.end": "2024-03-04T00:00:00Z",
		"revision": 1, "supplement": true, "mode": "bulk", "settled": false, "watermark": nil, "fetched_at": "0001-01-01T00:00:00Z",
		"records": 1, "raw_bytes": 1, "bytes": 1, "dropped.foreign": -1, "dropped.duplicate": -1, "run": "me", "jobs": 7, "parts": []any{},
		"parts.0.key": target, "parts.0.records": 1, "parts.0.raw_bytes": 1, "parts.0.bytes": 1,
		"parts.0.sha256": strings.Repeat("0", 64), "parts.0.md5": strings.Repeat("0", 32),
		"parts.0.first_start": "2024-03-02T00:00:00.001Z", "parts.0.last_start": "2024-03-02T23:00:00Z",
	} {
		t.Run(path, func(t *testing.T) {
			b := exported(t)
			key := layout.Manifest(day(1), 0)
			var doc map[string]any
			if err := json.Unmarshal(fetch(t, b, key), &doc); err != nil {
				t.Fatal(err)
			}
			n := len(doc["parts"].([]any))
			set(doc, strings.Split(path, "."), value)
			putJSON(t, b, key, doc, n)
			r := verify(t, export.Verifier{Bucket: b, Range: day(1)})
			if !r.Damaged() {
				t.Errorf("not noticed: %+v", r)
			}
		})
	}
}

func set(doc any, path []string, value any) {
	switch d := doc.(type) {
	case map[string]any:
		if len(path) > 1 {
			set(d[path[0]], path[1:], value)
		} else {
			d[path[0]] = value
		}
	case []any:
		set(d[0], path[1:], value)
	}
}

// TestVerifySecondReading makes the filter so small that most ids fall under
// suspicion, wrongly; that they are too many; and that several rounds are
// needed.
func TestVerifySecondReading(t *testing.T) {
	rows := []struct {
		name            string
		filter, idBits  int64
		suspects        int
		least, readings int // that a clean bucket gives
	}{
		{"room", 0, 0, 0, 0, 1},
		{"rounds", 512, 9, 0, 0, 3},
		{"suspicion", 256, 1, 0, 300, 2},
		{"rounds and suspicion", 64, 1, 0, 50, 4},
		{"too much suspicion", 256, 1, 100, 101, 6},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := exported(t)
			v := export.Verifier{Bucket: b, FilterBytes: row.filter, Workers: 3}
			v.Squeeze(row.idBits, row.suspects)
			r := verify(t, v)
			wantClean(t, r)
			// A round whose filter suspects an id, as it may by chance, takes one more.
			if r.Suspects < int64(row.least) || r.Readings < row.readings || row.least == 0 && int64(r.Readings-row.readings) > r.Suspects {
				t.Errorf("%d suspects, %d readings", r.Suspects, r.Readings)
			}
			t.Logf("%d suspects, %d readings", r.Suspects, r.Readings)

			forge(t, b, day(2), 1, func(l []string) []string { return append(l, l[3], l[4], l[3]) })
			r = verify(t, v)
			if row.suspects > 0 && r.Counts[export.Duplicate] > 0 {
				return // not all need be found
			}
			if len(r.Findings) != 2 || r.Counts[export.Duplicate] != 2 {
				t.Fatalf("found %+v", r.Findings)
			}
			n := len(lines(t, target, fetch(t, b, target)))
			if want := fmt.Sprintf("stands 3 times: in line %d, and in line 4 of %s", n-2, target); !strings.Contains(r.Findings[0].Detail+r.Findings[1].Detail, want) {
				t.Errorf("details %q and %q, want %q", r.Findings[0].Detail, r.Findings[1].Detail, want)
			}
		})
	}
}

// TestVerifyIsDeterministic compares reports of a bucket that has been harmed
// in many places.
func TestVerifyIsDeterministic(t *testing.T) {
	b := exported(t)
	for _, d := range append(objectDamage(), bucketDamage()...)[5:] {
		if d.name != "manifest deleted" && d.name != "supplement alone" {
			d.do(t, b)
		}
	}
	var first *export.Report
	for i := range 5 {
		r := verify(t, export.Verifier{Bucket: b, Workers: 1 + 3*i})
		if first == nil {
			first = r
		}
		if diff := cmp.Diff(first.Findings, r.Findings); diff != "" {
			t.Fatal(diff)
		}
	}
	text, err := json.Marshal(first)
	if err != nil || !strings.Contains(string(text), `"format":"gcexport.verify/1","result":"damaged"`) {
		t.Errorf("%v: %.300s", err, text)
	}
}

// watch is an Observer that counts, and may do something on the way.
type watch struct {
	parts atomic.Int64
	on    func(export.Event)
}

func (w *watch) Observe(e export.Event) {
	if _, ok := e.(export.PartVerified); ok {
		w.parts.Add(1)
	}
	if w.on != nil {
		w.on(e)
	}
}

func TestVerifyStops(t *testing.T) {
	b := exported(t)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	w := &watch{on: func(export.Event) { cancel(why) }}
	v := &export.Verifier{Bucket: b, Dataset: export.Conversations, Observer: w, Workers: 2}
	if r, err := v.Run(ctx); !errors.Is(err, why) || r != nil {
		t.Errorf("report %v, error %v", r, err)
	}
	all := &watch{}
	r := verify(t, export.Verifier{Bucket: b, Observer: all, Logger: slog.New(slog.DiscardHandler)})
	if all.parts.Load() != int64(r.Parts) {
		t.Errorf("%d of %d parts observed", all.parts.Load(), r.Parts)
	}
}

// TestVerifyToleratesDeletion deletes what was listed, before it is read.
func TestVerifyToleratesDeletion(t *testing.T) {
	b := exported(t)
	w := &watch{on: func(e export.Event) {
		if _, ok := e.(export.VerifyBegun); ok {
			erase(t, b, target)
		}
	}}
	r := verify(t, export.Verifier{Bucket: b, Observer: w})
	if r.DamageCount != 1 || r.Findings[0].Kind != export.Missing || r.Findings[0].Key != target {
		t.Errorf("%+v", r.Findings)
	}
}

// BenchmarkVerify compares a deep verification with inflating alone.
func BenchmarkVerify(b *testing.B) {
	bucket, raw := bigBucket(b)
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(raw)
		for b.Loop() {
			wantClean(b, verify(b, export.Verifier{Bucket: bucket}))
		}
	})
	b.Run("gunzip", func(b *testing.B) {
		b.SetBytes(raw)
		for b.Loop() {
			gunzipAll(b, bucket)
		}
	})
}
