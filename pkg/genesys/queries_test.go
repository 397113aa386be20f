package genesys

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A crowd answers queries about conversations at given starts.
type crowd struct {
	starts  []time.Time // in order
	byDay   bool        // match by the touched days alone
	skip    int         // every so many pages, one record is missing
	queries []string
}

func (c *crowd) answer(body string) string {
	var q detailsQuery
	if err := json.Unmarshal([]byte(body), &q); err != nil {
		return ""
	}
	c.queries = append(c.queries, fmt.Sprintf("%s %d", q.Interval, q.Paging.Number))
	iv, _ := interval.Parse(q.Interval)
	if c.byDay {
		iv = interval.Interval{Start: midnight(iv.Start), End: midnight(iv.End.Add(-time.Millisecond)).Add(interval.Day)}
	}
	first, _ := slices.BinarySearchFunc(c.starts, iv.Start, time.Time.Compare)
	end, _ := slices.BinarySearchFunc(c.starts, iv.End, time.Time.Compare)
	hits := end - first
	var ids []string
	for i := first + (q.Paging.Number-1)*q.Paging.Size; i < end && len(ids) < q.Paging.Size; i++ {
		ids = append(ids, fmt.Sprint(i))
	}
	if c.skip > 0 && len(ids) > 0 && q.Paging.Number%c.skip == 0 {
		ids = ids[:len(ids)-1]
	}
	if len(ids) == 0 {
		return fmt.Sprintf(`{"totalHits":%d}`, hits) // the key is absent past the end
	}
	return strings.TrimSuffix(page("", ids...), "}") + fmt.Sprintf(`,"totalHits":%d}`, hits)
}

// spread makes a crowd of n starts evenly over an interval.
func spread(iv interval.Interval, n int) *crowd {
	c := &crowd{}
	for i := range n {
		c.starts = append(c.starts, iv.Start.Add(iv.Length()*time.Duration(i)/time.Duration(n)))
	}
	return c
}

func TestQueries(t *testing.T) {
	hour := func(from, to int) interval.Interval {
		return interval.Interval{Start: day(1).Start.Add(time.Duration(from) * time.Hour), End: day(1).Start.Add(time.Duration(to) * time.Hour)}
	}
	for _, tc := range []struct {
		name    string
		crowd   *crowd
		byDay   bool
		ask     interval.Interval
		depth   int
		queries int // at most
		deepest int // page, at most
	}{
		{"none", spread(day(1), 0), false, day(1), 0, 1, 1},
		{"one page", spread(day(1), 100), false, day(1), 0, 2, 2},
		{"some pages", spread(day(1), 1234), false, day(1), 0, 14, 14},
		{"by day", spread(day(1), 1234), true, day(1), 0, 14, 14},
		{"longer than a week", spread(day(20), 2000), false, day(20), 0, 26, 10},
		{"weeks in the middle of days", spread(day(31), 3000), true, hour(7, 24*20+7), 0, 30, 12},
		{"days are cut at midnight", spread(day(7), 7000), true, day(7), 1200, 91, 11},
		{"a day is cut", spread(day(1), 4000), false, day(1), 500, 110, 6},
		{"a day cannot be cut", spread(day(1), 4000), true, day(1), 500, 43, 41},
		{"all in one hour", spread(hour(9, 10), 4000), false, day(1), 500, 70, 41},
		{"all in the morning", spread(hour(0, 6), 4000), false, day(1), 1000, 70, 11},
		{"all in the evening", spread(hour(18, 24), 4000), false, day(1), 1000, 70, 11},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tc.crowd.byDay = tc.byDay
				f := newFake()
				f.query = tc.crowd.answer
				ids, err := collect(f.client(t).Queries(QueryOptions{Depth: tc.depth}).Pages(t.Context(), tc.ask))
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for i, at := range tc.crowd.starts {
					if tc.ask.Contains(at) {
						want = append(want, fmt.Sprint(i))
					}
				}
				slices.Sort(ids)
				slices.Sort(want)
				missing := slices.DeleteFunc(want, func(id string) bool { _, ok := slices.BinarySearch(ids, id); return ok })
				if len(missing) > 0 {
					t.Errorf("%d records are missing", len(missing))
				}
				if n := len(tc.crowd.queries); n > tc.queries {
					t.Errorf("%d queries, want at most %d", n, tc.queries)
				}
				if once := slices.Compact(slices.Sorted(slices.Values(tc.crowd.queries))); len(once) != len(tc.crowd.queries) {
					t.Errorf("%d queries, of them %d different", len(tc.crowd.queries), len(once))
				}
				for _, q := range tc.crowd.queries {
					var number int
					span, rest, _ := strings.Cut(q, " ")
					fmt.Sscan(rest, &number)
					if iv, err := interval.Parse(span); err != nil || iv.Length() > longestQuery || number > tc.deepest {
						t.Errorf("query %s: %v", q, err)
					}
				}
			})
		})
	}
}

func TestQueriesRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.query = spread(day(1), 1).answer
		if _, err := collect(f.client(t).Queries(QueryOptions{}).Pages(t.Context(), day(1))); err != nil {
			t.Fatal(err)
		}
		var bodies []string
		for _, c := range f.calls("query") {
			bodies = append(bodies, c.body)
		}
		const common = `{"interval":"2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z","order":"asc","orderBy":"conversationStart","paging":{"pageSize":100,"pageNumber":`
		if diff := cmp.Diff([]string{common + "1}}", common + "2}}"}, bodies); diff != "" {
			t.Error(diff)
		}
	})
}

// Short pages and a wrong count are not the end; an empty page is.
func TestQueriesEnd(t *testing.T) {
	t.Run("short pages", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c := spread(day(1), 1000)
			c.skip = 2
			f := newFake()
			f.query = c.answer
			ids, err := collect(f.client(t).Queries(QueryOptions{}).Pages(t.Context(), day(1)))
			if err != nil || len(ids) != 995 || len(c.queries) != 11 {
				t.Errorf("%d records of %d queries, %v", len(ids), len(c.queries), err)
			}
		})
	})
	for _, last := range []string{`{}`, `{"conversations":[]}`, `{"conversations":[],"totalHits":0}`, `{"totalHits":7}`} {
		t.Run(last, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.query = func(body string) string {
					if strings.Contains(body, `"pageNumber":3`) {
						return last
					}
					return page("", "a", "b")
				}
				ids, err := collect(f.client(t).Queries(QueryOptions{}).Pages(t.Context(), day(1)))
				if err != nil || len(ids) != 4 || len(f.calls("query")) != 3 {
					t.Errorf("%v of %d queries, %v", ids, len(f.calls("query")), err)
				}
			})
		})
	}
}

func TestQueriesFail(t *testing.T) {
	for _, tc := range []struct {
		name    string
		query   func(body string) string
		text    string
		queries int
	}{
		{"too many hits", func(string) string { return strings.TrimSuffix(page("", "a"), "}") + `,"totalHits":100001}` },
			"read query for 2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z: 100001 hits, and a query gives 100000 at most: read such intervals by jobs", 3},
		{"pages without end", func(string) string { return page("", "a") }, "may not be the end: read such intervals by jobs", 1000},
		{"damaged", func(string) string { return `{"conversations":[` }, "read query for ", 4},
		{"error", func(string) string { return `{"code":"x.y","message":"oops"}` }, "an error instead of records: x.y oops", 4},
		{"something else", func(string) string { return `{"Conversations":[],"state":"QUEUED"}` }, "nothing of what results have", 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.query = tc.query
				_, err := collect(f.client(t).Queries(QueryOptions{}).Pages(t.Context(), day(1)))
				if err == nil || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("error %v, want %q in it", err, tc.text)
				}
				if n := len(f.calls("query")); n != tc.queries {
					t.Errorf("%d queries, want %d", n, tc.queries)
				}
			})
		})
	}
	t.Run("refused", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake().fail("query", refuse(502), refuse(400))
			_, err := collect(f.client(t).Queries(QueryOptions{}).Pages(t.Context(), day(1)))
			if e := wantErr[*Error](t, err); e.Status != 400 || e.Attempts != 2 {
				t.Errorf("%v", err)
			}
		})
	})
}
