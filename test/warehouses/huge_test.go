package warehouses

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// Conversations of 5, 20 and 40 MB stand in no object that a loader would refuse
// because of them, and DuckDB loads those objects, and them from where they are.
func TestHugeConversations(t *testing.T) {
	for _, size := range []int{5e6, 20e6, 40e6} {
		t.Run(fmt.Sprintf("%d MB", size/1e6), func(t *testing.T) {
			s := genesystest.New(genesystest.Options{
				Seed: 5, PerDay: 30, Size: genesystest.SizeNormal, LargeEvery: 40, LargeBytes: 2 * size, Gzip: true, GzipLevel: 1, RequestsPerMinute: -1, JobTime: time.Millisecond,
				From: firstDay.AddDate(0, 0, -1), To: firstDay.AddDate(0, 0, days+1),
			})
			url, stop, err := s.Listen("127.0.0.1:0")
			must(t, err)
			defer func() { must(t, stop()) }()
			o, dir := &organisation{s, url}, t.TempDir()
			run(t, o.export(t.Context(), t, dir, nil))
			run(t, gcexport(t.Context(), t, nil, "verify", dir, "--start", day(0), "--end", day(days), "--quiet"))

			loaded, huge, most := 0, 0, 0
			for c := range s.Truth(firstDay, firstDay.AddDate(0, 0, days), true) {
				if len(c.JSON) > 4e6 {
					huge, most = huge+1, max(most, len(c.JSON))
				} else {
					loaded++
				}
			}
			if huge == 0 || loaded < 50 {
				t.Fatalf("%d and %d conversations", loaded, huge)
			}
			t.Logf("%d are larger than 4 MB, up to %d bytes", huge, most)
			db := newDuckDB(t)
			if found := db.rows(t, kit(t, "duckdb", nil, "--bucket", dir)); len(found) > 0 {
				t.Errorf("the reconciliation finds %q", found)
			}
			if got := db.rows(t, "SELECT count(*) FROM genesys.conversations")[0][0]; got != strconv.Itoa(loaded) {
				t.Errorf("%s conversations are loaded, want %d", got, loaded)
			}
			aside := db.rows(t, fmt.Sprintf(`SELECT length(json) FROM read_json_objects('%s/%s/*/*.jsonl.gz', format = 'newline_delimited', maximum_object_size = 134217728)`, dir, oversize))
			if len(aside) != huge {
				t.Errorf("%d lines are put aside, want %d", len(aside), huge)
			}
		})
	}
}
