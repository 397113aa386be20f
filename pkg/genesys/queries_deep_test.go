package genesys

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// A server that fails on deep pages is asked for shallow ones.
func TestQueriesDeep(t *testing.T) {
	for _, tc := range []struct {
		name      string
		simulator genesystest.Options
		ask       string
		depth     int
	}{
		{"shallower than we think", genesystest.Options{StartedInside: true, DeepPaging: 1000}, "1999-12-03/1999-12-04", 0},
		{"odd interval", genesystest.Options{StartedInside: true, DeepPaging: 800}, "1999-12-03T07:13:00Z/1999-12-05T01:00:30Z", 90_000},
		{"matched by days", genesystest.Options{DeepPaging: 5000}, "1999-12-03/1999-12-06", 20_000},
		{"as deep as is known", genesystest.Options{StartedInside: true, DeepPaging: 8000, PerDay: 8500, Flat: true}, "1999-12-03/1999-12-04", 9000},
		{"rough numbers", genesystest.Options{StartedInside: true, DeepPaging: 1000, FuzzyHits: true, ShortPages: true}, "1999-12-03/1999-12-05", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tc.simulator.PerDay = or(tc.simulator.PerDay, 3000)
				iv := parse(t, tc.ask)
				s, c := simulate(t, tc.simulator)
				h, err := export(t.Context(), c.Queries(QueryOptions{Depth: tc.depth}), iv, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				h.compare(t, s, iv, false)
				if s.Tally()[genesystest.Query][502] == 0 {
					t.Error("no page was too deep")
				}
			})
		})
	}
}

// Where a cut does not make the pages fewer, a deep page that fails is the end.
func TestQueriesTooDeep(t *testing.T) {
	for _, tc := range []struct {
		name    string
		perDay  int
		deepest int
		queries int // that fail, at most
	}{
		{"past the known depth", 9000, 8000, deepAttempts},
		{"before it", 3000, 1000, defaultAttempts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, c := simulate(t, genesystest.Options{PerDay: tc.perDay, Flat: true, DeepPaging: tc.deepest})
				_, err := export(t.Context(), c.Queries(QueryOptions{}), december(3, 3), 0, 1)
				if e := wantErr[*PageError](t, err); e.Interval != december(3, 3) || wantErr[*Error](t, err).Status != 502 {
					t.Errorf("%v", err)
				}
				if n := s.Tally()[genesystest.Query][502]; n != tc.queries {
					t.Errorf("%d queries failed, want %d", n, tc.queries)
				}
			})
		})
	}
}

// At the exact bounds of the API: nothing past them is asked for, and what
// cannot be seen to be complete is not taken to be.
func TestQueriesBounds(t *testing.T) {
	for _, tc := range []struct {
		name    string
		hits    int
		byDay   bool
		depth   int
		deepest string // the last page that is asked for
		text    string // of the error
	}{
		{"99,900", 99_900, true, 0, "1000", ""},
		{"100,000", 100_000, true, 0, "1000", "the last of the 100000 results that a query gives may not be the end"},
		{"100,001", 100_001, true, 0, "1", "100001 hits, and a query gives 100000 at most"},
		{"99,901, a deep wish", 99_901, false, 1_000_000, "501", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				crowd := spread(day(1), tc.hits)
				crowd.byDay = tc.byDay
				f := newFake()
				f.query = crowd.answer
				c := f.client(t, func(cfg *Config) { cfg.RequestsPerMinute = 1e5 })
				ids, err := collect(c.Queries(QueryOptions{Depth: tc.depth}).Pages(t.Context(), day(1)))
				if tc.text == "" && err != nil || tc.text != "" && (err == nil || !strings.Contains(err.Error(), tc.text)) {
					t.Errorf("error %v, want %q", err, tc.text)
				}
				slices.Sort(ids)
				if n := len(slices.Compact(ids)); tc.text == "" && n != tc.hits {
					t.Errorf("%d records", n)
				}
				if last := crowd.queries[len(crowd.queries)-1]; !strings.HasSuffix(last, " "+tc.deepest) {
					t.Errorf("last query %s, want page %s", last, tc.deepest)
				}
			})
		})
	}
}

// The page size of the API is the most that is asked for.
func TestQueriesPageSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, c := simulate(t, genesystest.Options{PerDay: 400})
		h, err := export(t.Context(), c.Queries(QueryOptions{PageSize: 1000}), december(3, 3), 24*time.Hour, 1)
		if err != nil {
			t.Fatal(err)
		}
		h.compare(t, s, december(3, 3), false)
	})
}
