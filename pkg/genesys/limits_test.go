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
