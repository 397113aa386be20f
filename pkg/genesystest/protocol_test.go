package genesystest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	goodInterval = `"interval":"2026-03-02T00:00:00.000Z/2026-03-03T00:00:00.000Z"`
	noJob        = jobsPath + "/00000000-0000-4000-8000-000000000000"
)

func TestAnswers(t *testing.T) {
	eight := `{"interval":"2026-03-02T00:00:00Z/2026-03-09T00:00:00.001Z"`
	thirtyTwo := `{"interval":"2026-02-01T00:00:00Z/2026-03-05T00:00:00Z"`
	filter := `"conversationFilters":[{"type":"and","predicates":[{"dimension":"conversationEnd","operator":"exists"}]}]`
	cases := []struct {
		name, method, path, body string
		status                   int
		code, message            string
	}{
		{"query", "POST", queryPath, `{` + goodInterval + `}`, 200, "", ""},
		{"query with offsets", "POST", queryPath, `{"interval":"2026-03-02T00:00:00+01:00/2026-03-03T00:00:00+01:00"}`, 200, "", ""},
		{"query of 7 days", "POST", queryPath, `{"interval":"2026-03-02T00:00:00Z/2026-03-09T00:00:00Z"}`, 200, "", ""},
		{"query over 7 days", "POST", queryPath, eight + `}`, 400, "bad.request",
			"You must specify a search interval as part of your query that does not exceed 7 days"},
		{"the same with a filter", "POST", queryPath, eight + `,` + filter + `}`, 200, "", ""},
		{"query over 31 days with a filter", "POST", queryPath, thirtyTwo + `,` + filter + `}`, 400, "bad.request",
			"You must specify a search interval as part of your query that does not exceed 31 days"},
		{"filter type", "POST", queryPath, `{` + goodInterval + `,"segmentFilters":[{"type":"","predicates":[]}]}`, 400, "invalid.value",
			"Value [] is not valid for field type [QueryFilterType]. Allowable values are: and, or"},
		{"unknown filter", "POST", queryPath, `{` + goodInterval + `,"segmentFilters":[{"type":"or","predicates":[{"dimension":"remote"}]}]}`,
			400, "bad.request", ""},
		{"last possible page", "POST", queryPath, `{` + goodInterval + `,"paging":{"pageSize":100,"pageNumber":1000}}`, 200, "", ""},
		{"over 100000 results", "POST", queryPath, `{` + goodInterval + `,"paging":{"pageSize":100,"pageNumber":1001}}`, 400, "bad.request",
			"Pagination may not exceed 100000 results."},
		{"page number alone", "POST", queryPath, `{` + goodInterval + `,"paging":{"pageNumber":1}}`, 400, "bad.request", ""},
		{"page zero", "POST", queryPath, `{` + goodInterval + `,"paging":{"pageSize":5,"pageNumber":0}}`, 400, "bad.request", ""},
		{"page too large", "POST", queryPath, `{` + goodInterval + `,"paging":{"pageSize":101,"pageNumber":1}}`, 400, "bad.request", ""},
		{"order", "POST", queryPath, `{` + goodInterval + `,"order":"down"}`, 400, "invalid.value",
			"Value [down] is not valid for field type [QueryOrderType]. Allowable values are: asc, desc, unordered"},
		{"orderBy", "POST", jobsPath, `{` + goodInterval + `,"orderBy":"start_time"}`, 400, "invalid.value", "Value [start_time] is not valid"},
		{"no interval", "POST", jobsPath, `{}`, 400, "invalid.date", ""},
		{"interval without a zone", "POST", jobsPath, `{"interval":"2026-03-02T00:00:00/2026-03-03T00:00:00"}`, 400, "invalid.date", ""},
		{"interval backwards", "POST", jobsPath, `{"interval":"2026-03-03T00:00:00Z/2026-03-02T00:00:00Z"}`, 400, "invalid.date", ""},
		{"no JSON", "POST", jobsPath, `interval`, 400, "bad.request", ""},
		{"two values", "POST", jobsPath, `{` + goodInterval + `}{}`, 400, "bad.request", ""},
		{"startDate", "POST", jobsPath, `{"startDate":"2026-03-02"}`, 400, "bad.request", ""},
		{"paging in a job", "POST", jobsPath, `{` + goodInterval + `,"paging":{"pageSize":5,"pageNumber":1}}`, 400, "bad.request", ""},
		{"job", "POST", jobsPath, `{` + goodInterval + `,"startOfDayIntervalMatching":true,"order":"asc","orderBy":"conversationStart"}`, 202, "", ""},
		{"unknown job", "GET", noJob, "", 404, "not.found", ""},
		{"results of an unknown job", "GET", noJob + "/results", "", 404, "not.found", ""},
		{"deleting an unknown job", "DELETE", noJob, "", 404, "not.found", ""},
		{"availability", "GET", jobsPath + "/availability", "", 200, "", ""},
		{"unknown path", "GET", "/api/v2/conversations", "", 404, "not.found", ""},
		{"wrong method on jobs", "GET", jobsPath, "", 405, "method.not.allowed", ""},
		{"wrong method on results", "POST", noJob + "/results", "{}", 405, "method.not.allowed", ""},
		{"body too large", "POST", queryPath, `{"interval":"` + strings.Repeat("x", maxRequestBytes) + `"}`, 413, "request.entity.too.large",
			"The request is over the size limit. Maximum bytes: 512000"},
		{"limits", "GET", limitPath + "namespaces/platform.api", "", 200, "", ""},
		{"limits of nothing", "GET", limitPath + "namespaces/nothing", "", 404, "not.found", ""},
		{"queues", "GET", "/api/v2/routing/queues?pageSize=5&pageNumber=2", "", 200, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, s *Server, a *api) {
				r := a.do(c.method, c.path, c.body)
				if r.err != nil || r.status != c.status || r.code() != c.code || !strings.HasPrefix(r.message(), c.message) {
					t.Fatalf("status %d, %v, body %.400s", r.status, r.err, r.body)
				}
				checkHeaders(t, r)
			})
		})
	}
}

// checkHeaders checks what every answer of the API carries.
func checkHeaders(t *testing.T, r reply) {
	t.Helper()
	id := r.header.Get("ININ-Correlation-Id")
	if len(id) != 36 || r.header.Get("Content-Type") != "application/json" || r.header.Get("inin-ratelimit-allowed") == "" && r.status != 413 {
		t.Errorf("header %v", r.header)
	}
	if r.status < 400 {
		return
	}
	var e map[string]any
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Fatal(err)
	}
	details, _ := e["details"].([]any)
	errs, _ := e["errors"].([]any)
	if e["contextId"] != id || e["status"] != float64(r.status) || details == nil || errs == nil {
		t.Errorf("correlation id %s, body %s", id, r.body)
	}
}

func TestWrongContentType(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, _ *Server, a *api) {
		for kind, want := range map[string]int{"": 415, "text/plain": 415, "application/json; charset=utf-8": 200} {
			r, _ := http.NewRequest("POST", a.base+queryPath, strings.NewReader(`{`+goodInterval+`}`))
			r.Header.Set("Authorization", "Bearer "+a.token)
			r.Header.Set("Content-Type", kind)
			if got := a.send(r); got.status != want {
				t.Errorf("%q: status %d, want %d", kind, got.status, want)
			}
		}
	})
}

func TestLogin(t *testing.T) {
	form := "application/x-www-form-urlencoded"
	cases := []struct {
		name                          string
		opt                           Options
		id, secret, kind, query, body string
		status                        int
		code                          string
	}{
		{"good", Options{}, "demo", "demo", form, "", "grant_type=client_credentials", 200, ""},
		{"in the query", Options{}, "demo", "demo", "", "?grant_type=client_credentials", "", 200, ""},
		{"own client", Options{ClientID: "a b", ClientSecret: "c+d/"}, "a b", "c+d/", form, "", "grant_type=client_credentials", 200, ""},
		{"escaped", Options{ClientID: "a b", ClientSecret: "c+d/"}, "a+b", "c%2Bd%2F", form, "", "grant_type=client_credentials", 200, ""},
		{"second client", Options{Clients: map[string]string{"two": "2"}}, "two", "2", form, "", "grant_type=client_credentials", 200, ""},
		{"wrong secret", Options{}, "demo", "x", form, "", "grant_type=client_credentials", 400, "invalid_client"},
		{"wrong secret, 401", Options{BadClientStatus: 401}, "demo", "x", form, "", "grant_type=client_credentials", 401, "invalid_client"},
		{"unknown client", Options{}, "x", "", form, "", "grant_type=client_credentials", 400, "invalid_client"},
		{"credentials in the body", Options{}, "", "", form, "", "grant_type=client_credentials&client_id=demo&client_secret=demo", 400, "invalid_client"},
		{"no grant", Options{}, "demo", "demo", form, "", "scope=x", 400, "invalid_request"},
		{"other grant", Options{}, "demo", "demo", form, "", "grant_type=password", 400, "unsupported_grant_type"},
		{"JSON", Options{}, "demo", "demo", "application/json", "", `{"grant_type":"client_credentials"}`, 415, "invalid_request"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, c.opt, func(t *testing.T, s *Server, a *api) {
				r, _ := http.NewRequest("POST", a.base+"/oauth/token"+c.query, strings.NewReader(c.body))
				if c.id != "" {
					r.SetBasicAuth(c.id, c.secret)
				}
				r.Header.Set("Content-Type", c.kind)
				got := a.send(r)
				var b struct {
					Token   string `json:"access_token"`
					Type    string `json:"token_type"`
					Expires int    `json:"expires_in"`
					Error   string
					Desc    *string `json:"error_description"`
				}
				if err := json.Unmarshal(got.body, &b); err != nil {
					t.Fatal(err)
				}
				if got.status != c.status || b.Error != c.code || (b.Desc == nil) != (c.code == "") {
					t.Errorf("status %d, body %s", got.status, got.body)
				}
				if c.status == 200 && (b.Token == "" || b.Type != "bearer" || b.Expires != 86399) {
					t.Errorf("body %s", got.body)
				}
			})
		})
	}
}

func TestBearer(t *testing.T) {
	bubble(t, Options{TokenLife: time.Hour}, func(t *testing.T, _ *Server, a *api) {
		good := a.token
		ask := func(token string) string {
			a.token = token
			r := a.do("GET", jobsPath+"/availability", "")
			if r.status != 200 && r.status != 401 {
				t.Errorf("status %d", r.status)
			}
			return r.code()
		}
		got := []string{ask(good), ask(""), ask("x")}
		time.Sleep(time.Hour)
		got = append(got, ask(good))
		if want := []string{"", "authentication.required", "bad.credentials", "credentials.expired"}; !slices.Equal(got, want) {
			t.Errorf("codes %q, want %q", got, want)
		}
	})
}

func TestPermissions(t *testing.T) {
	cases := []struct {
		name                string
		permissions         []string
		query, availability string
	}{
		{"all", nil, "", ""},
		{"none", []string{}, "missing.any.permissions", "missing.permissions"},
		{"agents only", []string{permissionAgent}, "", "missing.permissions"},
		{"others", []string{"routing:queue:view"}, "missing.any.permissions", "missing.permissions"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{Permissions: c.permissions}, func(t *testing.T, _ *Server, a *api) {
				q, j := a.do("POST", queryPath, `{`+goodInterval+`}`), a.do("POST", jobsPath, `{`+goodInterval+`}`)
				v, l := a.do("GET", jobsPath+"/availability", ""), a.do("GET", limitPath+"namespaces", "")
				if q.code() != c.query || j.code() != c.query || v.code() != c.availability || l.status != 200 {
					t.Errorf("query %s, job %s, availability %s, limits %s", q.body, j.body, v.body, l.body)
				}
				if c.query != "" && (q.status != 403 || !strings.Contains(q.message(), permissionAgent)) {
					t.Errorf("status %d, message %s", q.status, q.message())
				}
			})
		})
	}
}

func TestListings(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, _ *Server, a *api) {
		for path, total := range map[string]int{
			"/api/v2/users": 240, "/api/v2/routing/queues": 24, "/api/v2/routing/wrapupcodes": 48,
			limitPath + "namespaces": 4,
		} {
			got, pages := 0, 0
			for next := path; next != ""; pages++ {
				r := a.do("GET", next, "")
				var l struct {
					Entities                               []any
					PageSize, PageNumber, Total, PageCount int
					FirstURI, SelfURI, NextURI, LastURI    string
				}
				if err := json.Unmarshal(r.body, &l); err != nil || l.Total != total || l.PageNumber != pages+1 || l.SelfURI == "" {
					t.Fatalf("%s: %v, %.300s", next, err, r.body)
				}
				got += len(l.Entities)
				next = l.NextURI
			}
			if got != total {
				t.Errorf("%s: %d entities on %d pages, want %d", path, got, pages, total)
			}
		}
	})
}

// TestCursors: a cursor has to be escaped, belongs to its job, and may work
// once only.
func TestCursors(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, _ *Server, a *api) {
		job, other := a.submit(jobText(day(2), day(3))), a.submit(jobText(day(3), day(4)))
		cursor := a.results(job, "", 10).page(t).Cursor
		if !strings.HasSuffix(cursor, "=") || !strings.Contains(cursor, "+") || !strings.Contains(cursor, "/") {
			t.Errorf("cursor %q should hold what has to be escaped", cursor)
		}
		ask := func(job, raw string) int {
			return a.do("GET", jobsPath+"/"+job+"/results?pageSize=10&cursor="+raw, "").status
		}
		for name, c := range map[string]struct {
			got, want int
		}{
			"escaped":     {ask(job, url.QueryEscape(cursor)), 200},
			"again":       {ask(job, url.QueryEscape(cursor)), 200},
			"raw":         {ask(job, cursor), 400},
			"= raw":       {ask(job, strings.ReplaceAll(url.QueryEscape(cursor), "%3D", "=")), 400},
			"of another":  {ask(other, url.QueryEscape(cursor)), 400},
			"invented":    {ask(job, "Y3Vyc29yX3YyMTAwMA%3D%3D"), 400},
			"page 0":      {a.do("GET", jobsPath+"/"+job+"/results?pageSize=0", "").status, 400},
			"page letter": {a.do("GET", jobsPath+"/"+job+"/results?pageSize=x", "").status, 400},
		} {
			if c.got != c.want {
				t.Errorf("%s: status %d, want %d", name, c.got, c.want)
			}
		}
	})
	bubble(t, Options{CursorOnce: true, UnknownCursorStatus: 404}, func(t *testing.T, _ *Server, a *api) {
		job := a.submit(jobText(day(2), day(3)))
		cursor := a.results(job, "", 10).page(t).Cursor
		if got := []int{a.results(job, cursor, 10).status, a.results(job, cursor, 10).status}; !slices.Equal(got, []int{200, 404}) {
			t.Errorf("statuses %v", got)
		}
	})
}

func TestPageSizes(t *testing.T) {
	o := Options{PageSize: 30, MaxPageSize: 50}
	bubble(t, o, func(t *testing.T, _ *Server, a *api) {
		job := a.submit(jobText(day(2), day(4)))
		def := a.do("GET", jobsPath+"/"+job+"/results", "").page(t)
		if n, m := len(def.Conversations), len(a.results(job, "", 1000).page(t).Conversations); n != 30 || m != 50 {
			t.Errorf("pages of %d and %d, want 30 and 50", n, m)
		}
		if n := len(a.do("POST", queryPath, `{`+goodInterval+`}`).page(t).Conversations); n != 25 {
			t.Errorf("query page of %d, want 25", n)
		}
	})
	o.RefusePageSize, o.ClampQueryPageSize = true, true
	bubble(t, o, func(t *testing.T, _ *Server, a *api) {
		job := a.submit(jobText(day(2), day(3)))
		if r := a.results(job, "", 51); r.status != 400 || r.code() != "invalid.value" {
			t.Errorf("status %d, body %s", r.status, r.body)
		}
		if n := len(a.do("POST", queryPath, queryText(day(2), day(4), 500, 1)).page(t).Conversations); n != 100 {
			t.Errorf("query page of %d, want 100", n)
		}
	})
}
