package genesys

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.always["limits"] = func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.RawQuery != "":
				return answer(200, `{"entities":[{"key":"second","namespace":"n","value":1.5},{"odd":true},17]}`), nil
			case strings.HasSuffix(r.URL.EscapedPath(), "/a%2Fb"):
				return answer(200, `{"entities":[{"key":"first","namespace":"n","value":300}],"nextUri":"/api/v2/x?pageNumber=2&pageSize=1"}`), nil
			}
			return answer(200, `{"entities":["platform.api",{"name":"auth.api"},{"id":"analytics"},{},3]}`), nil
		}
		c := f.client(t)
		limits, err := c.Limits(t.Context(), "a/b")
		if diff := cmp.Diff([]Limit{{"first", "n", 300}, {"second", "n", 1.5}}, limits); diff != "" || err != nil {
			t.Error(err, diff)
		}
		names, err := c.Namespaces(t.Context())
		if diff := cmp.Diff([]string{"platform.api", "auth.api", "analytics"}, names); diff != "" || err != nil {
			t.Error(err, diff)
		}
	})
}

func TestLimitsDoNotGoOnForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.always["limits"] = say(`{"entities":[],"nextUri":"/x?pageNumber=2"}`)
		if _, err := f.client(t).Limits(t.Context(), "n"); err == nil || len(f.calls("limits")) != listPages {
			t.Errorf("%v after %d requests", err, len(f.calls("limits")))
		}
	})
}

// The limits are found wherever they stand, in four requests at most, and what
// cannot be read is done without.
func TestQuotas(t *testing.T) {
	const jobs = `{"key":"analytics.conversations.details.jobs.concurrent.access.max","value":10},{"key":"details.jobs.rate.per.second","value":5},{"key":"users.details.jobs.concurrent.access.max","value":1}`
	for _, tc := range []struct {
		name     string
		answers  map[string]string // by namespace; others are 404
		want     Quotas
		requests int
	}{
		{"all", map[string]string{
			"platform.api": `{"key":"token.rate.per.minute","value":600},{"key":"ui.token.rate.per.minute","value":30}`,
			"auth.api":     `{"key":"client.credentials.token.rate.per.minute","value":450}`, "analytics": jobs}, Quotas{450, 10, 5}, 3},
		{"elsewhere", map[string]string{"platform.api": `{"key":"token.rate.per.minute","value":300}`, "analytics.data.extraction": jobs}, Quotas{300, 10, 5}, 4},
		{"odd", map[string]string{"platform.api": `{"key":"token.rate.per.minute","value":0},{"key":"token.rate.per.minute","value":"x"},17`}, Quotas{}, 4},
		{"none", nil, Quotas{}, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.always["limits"] = func(r *http.Request) (*http.Response, error) {
					if a, ok := tc.answers[r.URL.Path[len(limitsPath)+1:]]; ok {
						return answer(200, `{"entities":[`+a+`]}`), nil
					}
					return answer(404, `{"status":404}`), nil
				}
				q, err := f.client(t).Quotas(t.Context())
				if q != tc.want || (err != nil) != (tc.requests > 3) {
					t.Errorf("%+v, %v", q, err)
				}
				if n := len(f.calls("limits")); n != tc.requests {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
	for _, status := range []int{429, 503} {
		bubble(t, func(t *testing.T) {
			f := newFake()
			f.always["limits"] = refuse(status, "Retry-After: 3")
			if _, err := f.client(t).Quotas(t.Context()); err == nil || len(f.calls("limits")) > 4 {
				t.Errorf("%v, %d requests", err, len(f.calls("limits")))
			}
		})
	}
}
