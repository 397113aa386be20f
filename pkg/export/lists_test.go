package export_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

func s3URI(key string) string { return "s3://bucket/prefix/" + key }

// listedBy reads all lists of both forms as a loader does: the objects of each
// run. The forms must agree, and tell the sizes.
func listedBy(t *testing.T, b *blob.Bucket) map[string][]string {
	t.Helper()
	objects, runs := contents(t, b), map[string][]string{}
	for key, data := range objects {
		run, ok := strings.CutSuffix(strings.TrimPrefix(key, "_gcexport/runs/"), ".files.txt")
		if !ok {
			continue
		}
		var redshift struct {
			Entries []struct {
				URL       string
				Mandatory bool
				Meta      struct {
					Length int `json:"content_length"`
				}
			}
		}
		if err := json.Unmarshal(objects["_gcexport/runs/"+run+".redshift.json"], &redshift); err != nil {
			t.Errorf("%s: %v", run, err)
		}
		var urls []string
		for _, e := range redshift.Entries {
			urls = append(urls, e.URL+"\n")
			if data := objects[strings.TrimPrefix(e.URL, s3URI(""))]; !e.Mandatory || e.Meta.Length != len(data) || len(data) == 0 {
				t.Errorf("%s: entry %+v, object of %d bytes", run, e, len(data))
			}
		}
		runs[run] = slices.Collect(strings.Lines(string(data)))
		if !slices.Equal(urls, runs[run]) || len(urls) == 0 {
			t.Errorf("%s: files %q, Redshift %q", run, runs[run], urls)
		}
	}
	return runs
}

// checkLists wants all lists together to name each data object once.
func checkLists(t *testing.T, b *blob.Bucket) {
	t.Helper()
	var got, want []string
	for _, uris := range listedBy(t, b) {
		got = append(got, uris...)
	}
	for key := range contents(t, b) {
		if strings.HasPrefix(key, "conversations/") {
			want = append(want, s3URI(key)+"\n")
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, there are %q", got, want)
	}
}

func TestLists(t *testing.T) {
	all, b := conversations(400, 4), memBucket(t)
	e := &export.Exporter{Source: &source{all: all, pageSize: 10}, Bucket: b, PartRawBytes: 8000, URI: s3URI}
	first := mustRun(t, e, plan(2, interval.Day))
	checkLists(t, b)
	second := mustRun(t, e, plan(4, interval.Day))
	checkLists(t, b)
	runs := listedBy(t, b)
	if len(runs) != 2 || len(runs[first.Run]) != first.Parts || len(runs[second.Run]) != second.Parts || first.Parts < 4 {
		t.Errorf("runs %v; the first wrote %d parts, the second %d", runs, first.Parts, second.Parts)
	}
	before := maps.Collect(maps.All(contents(t, b)))
	mustRun(t, e, plan(4, interval.Day))
	if after := contents(t, b); len(after) != len(before) {
		t.Errorf("%d objects, %d before a run with nothing to do", len(after), len(before))
	}
}

// What a run leaves unlisted that is killed at any point of listing, the next
// one lists, even if nothing else is left to do; it lists nothing twice.
func TestListsOfKilledRuns(t *testing.T) {
	const list = "_gcexport/lists/conversations/000002.json"
	for name, lost := range map[string]func(run string) []string{
		"before the list":       func(run string) []string { return []string{list, files(run), redshift(run)} },
		"before its forms":      func(run string) []string { return []string{files(run), redshift(run)} },
		"between its forms":     func(run string) []string { return []string{files(run)} },
		"between the others":    func(run string) []string { return []string{redshift(run)} },
		"after the last object": func(string) []string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			all, b := conversations(100, 4), memBucket(t)
			e := &export.Exporter{Source: &source{all: all, pageSize: 10}, Bucket: b, URI: s3URI}
			mustRun(t, e, plan(1, interval.Day))
			killed := mustRun(t, e, plan(3, interval.Day))
			for _, key := range lost(killed.Run) {
				if err := b.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			mustRun(t, e, plan(3, interval.Day))
			checkLists(t, b)
			mustRun(t, e, plan(4, interval.Day))
			checkLists(t, b)
		})
	}
}

func files(run string) string    { return "_gcexport/runs/" + run + ".files.txt" }
func redshift(run string) string { return "_gcexport/runs/" + run + ".redshift.json" }

// Runs that end at once list each object once.
func TestListsOfRunsAtOnce(t *testing.T) {
	all, b := conversations(600, 6), memBucket(t)
	done := make(chan error)
	const n = 4
	for i := range n {
		p := plan(6, interval.Day/2)
		if i > 0 { // two of them share a range
			p.Shard = export.Shard{Index: i % 2, Count: 2}
		}
		go func() {
			e := &export.Exporter{Source: &source{all: all, pageSize: 20}, Bucket: b, URI: s3URI}
			_, err := e.Run(t.Context(), p)
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	checkLists(t, b)
	checkExactlyOnce(t, b, all, plan(6, interval.Day).Range)
}

// Lists name what is loaded into the dataset's table: not what is put aside. A
// run without objects writes none; where the bucket is not S3, none for Redshift.
func TestListsOfOthers(t *testing.T) {
	b := memBucket(t)
	e := &export.Exporter{Source: &source{all: conversations(50, 1), pageSize: 10}, Bucket: b, MaxRecord: 150, URI: s3URI}
	s := mustRun(t, e, plan(1, interval.Day))
	if s.Diverted["conversations_oversize"] == 0 {
		t.Fatal("nothing was put aside")
	}
	checkLists(t, b)

	b = memBucket(t)
	mustRun(t, &export.Exporter{Source: &source{}, Bucket: b, URI: s3URI}, plan(1, interval.Day))
	for key := range contents(t, b) {
		if strings.Contains(key, "/lists/") || strings.HasSuffix(key, ".files.txt") || strings.HasSuffix(key, ".redshift.json") {
			t.Errorf("%s of nothing", key)
		}
	}

	b = memBucket(t)
	s = mustRun(t, &export.Exporter{Source: &source{all: conversations(5, 1), pageSize: 5}, Bucket: b,
		URI: func(key string) string { return "gs://bucket/" + key }}, plan(1, interval.Day))
	all := contents(t, b)
	if text := string(all[files(s.Run)]); text != "gs://bucket/conversations/dt=2024-03-01/20240301T000000Z-20240302T000000Z.r0.p0000.jsonl.gz\n" {
		t.Errorf("files %q", text)
	}
	if all[redshift(s.Run)] != nil {
		t.Error("a list for Redshift, which loads from S3")
	}
}

// Where a chunk was done again, its objects stand in two lists: the number of those in
// lists then tells nothing of what a run has left that was killed.
func TestListsOfChunksDoneAgain(t *testing.T) {
	all, b, layout := conversations(400, 3), memBucket(t), export.Layout{Dataset: export.Conversations}
	run := func(uri func(string) string, days int) {
		mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 1000}, Bucket: b, URI: uri}, plan(days, interval.Day))
	}
	run(s3URI, 2)
	first := interval.Interval{Start: day0, End: day0.AddDate(0, 0, 1)}
	for _, key := range []string{layout.Manifest(first, 0), layout.Part(first, 0, 0)} {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	run(s3URI, 2)
	run(nil, 3) // as if killed before its list
	run(s3URI, 3)
	count := map[string]int{}
	for _, keys := range listedBy(t, b) {
		for _, key := range keys {
			count[strings.TrimSpace(key)]++
		}
	}
	for day, want := range []int{2, 1, 1} {
		iv := interval.Interval{Start: day0.AddDate(0, 0, day), End: day0.AddDate(0, 0, day+1)}
		if n := count[s3URI(layout.Part(iv, 0, 0))]; n != want {
			t.Errorf("the part of day %d stands in %d lists, want %d: %v", day, n, want, count)
		}
	}
}
