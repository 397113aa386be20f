package genesystest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// moment is when the tests' data end.
var moment = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// fixed returns options for data that do not depend on the clock.
func fixed(o Options) Options {
	o.To, o.AsOf = or(o.To, moment), or(o.AsOf, moment)
	o.From = or(o.From, moment.AddDate(0, -4, 0))
	o.Watermark = or(o.Watermark, moment)
	o.PerDay = or(o.PerDay, 100)
	o.Size = or(o.Size, SizeSmall)
	return o
}

// An api is a plain client, made without any of the project's own.
type api struct {
	t      *testing.T
	client *http.Client
	base   string
	token  string
}

func dial(t *testing.T, s *Server) *api {
	a := &api{t: t, client: s.Client(), base: "http://api.example.com"}
	a.login("demo", "demo")
	return a
}

// login takes a token; it returns the status.
func (a *api) login(id, secret string) int {
	a.t.Helper()
	r, _ := http.NewRequest("POST", a.base+"/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.SetBasicAuth(id, secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := a.client.Do(r)
	if err != nil {
		a.t.Fatalf("login: %v", err)
	}
	defer res.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		a.t.Fatalf("login: %v", err)
	}
	a.token = got.Token
	return res.StatusCode
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of the request or of the body
}

func (r reply) code() string {
	var e struct{ Code string }
	_ = json.Unmarshal(r.body, &e)
	return e.Code
}

func (r reply) message() string {
	var e struct{ Message string }
	_ = json.Unmarshal(r.body, &e)
	return e.Message
}

// do makes a request with the token, and JSON if there is a body.
func (a *api) do(method, path, body string) reply {
	a.t.Helper()
	r, err := http.NewRequest(method, a.base+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return a.send(r)
}

func (a *api) send(r *http.Request) reply {
	res, err := a.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, b, err}
}

// page is a body with records.
type page struct {
	Conversations []json.RawMessage
	Cursor        string
	TotalHits     *int64
	DataAvailable string `json:"dataAvailabilityDate"`
}

func (r reply) page(t *testing.T) page {
	t.Helper()
	if r.err != nil || r.status != 200 {
		t.Fatalf("page: status %d, error %v, body %.300s", r.status, r.err, r.body)
	}
	var p page
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("page: %v", err)
	}
	return p
}

// compact takes out the whitespace, as an exporter has to.
func compact(t *testing.T, m json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// submit starts a job and waits for it.
func (a *api) submit(body string) string {
	a.t.Helper()
	r := a.do("POST", jobsPath, body)
	var got struct{ JobID string }
	if err := json.Unmarshal(r.body, &got); err != nil || r.status != 202 {
		a.t.Fatalf("submit: status %d, %v, body %s", r.status, err, r.body)
	}
	for {
		st := a.state(got.JobID)
		if st != queued && st != pending {
			return got.JobID
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (a *api) state(job string) string {
	a.t.Helper()
	r := a.do("GET", jobsPath+"/"+job, "")
	var got struct{ State string }
	if err := json.Unmarshal(r.body, &got); err != nil {
		a.t.Fatalf("poll: status %d, %v, body %s", r.status, err, r.body)
	}
	return got.State
}

// results reads one page of a job.
func (a *api) results(job, cursor string, size int) reply {
	q := url.Values{"pageSize": {strconv.Itoa(size)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return a.do("GET", jobsPath+"/"+job+"/results?"+q.Encode(), "")
}

// readJob reads all records of a job.
func (a *api) readJob(job string, size int) []string {
	a.t.Helper()
	var out []string
	cursor := ""
	for {
		p := a.results(job, cursor, size).page(a.t)
		for _, m := range p.Conversations {
			out = append(out, compact(a.t, m))
		}
		if cursor = p.Cursor; cursor == "" {
			return out
		}
	}
}

// readQuery reads all pages of a query.
func (a *api) readQuery(from, to time.Time, size int) []string {
	a.t.Helper()
	var out []string
	for n := 1; ; n++ {
		p := a.do("POST", queryPath, queryText(from, to, size, n)).page(a.t)
		if len(p.Conversations) == 0 {
			return out
		}
		for _, m := range p.Conversations {
			out = append(out, compact(a.t, m))
		}
	}
}

func queryText(from, to time.Time, size, number int) string {
	return `{"interval":"` + span2(from, to) + `","paging":{"pageSize":` + strconv.Itoa(size) + `,"pageNumber":` + strconv.Itoa(number) + `}}`
}

func span2(from, to time.Time) string {
	return from.UTC().Format(time.RFC3339Nano) + "/" + to.UTC().Format(time.RFC3339Nano)
}

func jobText(from, to time.Time) string { return `{"interval":"` + span2(from, to) + `"}` }

func day(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }

// collect makes a slice of the truth.
func collect(s *Server, from, to time.Time, attributes bool) []string {
	var out []string
	for c := range s.Truth(from, to, attributes) {
		out = append(out, string(c.JSON))
	}
	return out
}
