package genesys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// A fault takes the place of a good answer. It returns nils to let that through.
type fault func(*http.Request) (*http.Response, error)

// A fake is the API as a transport: good answers, unless a fault stands in line
// for the kind of call. It is for precise accidents; the simulator of package
// genesystest is for faithful behaviour.
type fake struct {
	mu     sync.Mutex
	faults map[string][]fault // by kind; each is used once, in order
	always map[string]fault   // after those
	log    []call
	jobs   int
	tokens int
	life   int                           // of a token, in seconds
	pages  []string                      // of results: bodies; cursors are "c=1", "c=2", …
	query  func(body string) string      // the body of the answer to a query
	header func(kind string) http.Header // added to good answers
}

// A call is a request that the fake has seen.
type call struct {
	kind, path, query, body, auth string
	at                            time.Time
}

func newFake(pages ...string) *fake {
	return &fake{faults: map[string][]fault{}, always: map[string]fault{}, life: 86399, pages: pages}
}

// fail lines up faults for the next calls of a kind.
func (f *fake) fail(kind string, faults ...fault) *fake {
	f.faults[kind] = append(f.faults[kind], faults...)
	return f
}

func kindOf(r *http.Request) string {
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/oauth/token"):
		return "token"
	case strings.HasSuffix(path, "/details/query"):
		return "query"
	case strings.HasSuffix(path, "/availability"):
		return "availability"
	case strings.HasSuffix(path, "/results"):
		return "results"
	case strings.Contains(path, "/limits/"):
		return "limits"
	case r.Method == http.MethodPost:
		return "submit"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return "poll"
}

// RoundTrip implements http.RoundTripper.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	kind := kindOf(r)
	f.mu.Lock()
	f.log = append(f.log, call{kind, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Get("Authorization"), time.Now()})
	act := f.always[kind]
	if line := f.faults[kind]; len(line) > 0 {
		act, f.faults[kind] = line[0], line[1:]
	}
	f.mu.Unlock()
	if act != nil {
		if resp, err := act(r); resp != nil || err != nil {
			return resp, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.good(r, kind, string(body)), nil
}

func (f *fake) good(r *http.Request, kind, body string) *http.Response {
	resp := answer(200, "")
	switch kind {
	case "token":
		f.tokens++
		resp = answer(200, fmt.Sprintf(`{"access_token":"token-%d","token_type":"bearer","expires_in":%d}`, f.tokens, f.life))
	case "submit":
		f.jobs++
		resp = answer(202, fmt.Sprintf(`{"jobId":"job-%d"}`, f.jobs))
	case "poll":
		resp = answer(200, `{"state":"FULFILLED"}`)
	case "results":
		n := 0
		if cursor := r.URL.Query().Get("cursor"); cursor != "" {
			fmt.Sscanf(cursor, "c=%d", &n)
		}
		resp = answer(200, f.pages[n])
	case "query":
		resp = answer(200, f.query(body))
	case "delete":
		resp = answer(204, "")
	case "availability":
		resp = answer(200, `{"dataAvailabilityDate":"2024-03-05T02:00:00Z"}`)
	}
	if f.header != nil {
		for name, values := range f.header(kind) {
			resp.Header[name] = values
		}
	}
	return resp
}

// calls returns the calls of a kind, of all kinds for "".
func (f *fake) calls(kind string) (found []call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.log {
		if kind == "" || c.kind == kind {
			found = append(found, c)
		}
	}
	return found
}

// kinds returns the kinds of all calls, in order.
func (f *fake) kinds() string {
	var kinds []string
	for _, c := range f.calls("") {
		kinds = append(kinds, c.kind)
	}
	return strings.Join(kinds, " ")
}

// answer makes an answer; headers are "Name: value".
func answer(status int, body string, headers ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Inin-Correlation-Id": {"corr-1"}, "Content-Type": {"application/json"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		resp.Header.Set(name, value)
	}
	return resp
}

// Faults.

// refuse answers with a status and an error body.
func refuse(status int, headers ...string) fault {
	return func(*http.Request) (*http.Response, error) {
		body := fmt.Sprintf(`{"message":"no","code":"some.code","status":%d,"contextId":"ctx-1"}`, status)
		return answer(status, body, headers...), nil
	}
}

// say answers with 200 and the body.
func say(body string) fault {
	return func(*http.Request) (*http.Response, error) { return answer(200, body), nil }
}

// reset breaks the connection before an answer.
func reset(*http.Request) (*http.Response, error) {
	return nil, errors.New("read tcp 10.0.0.1:5000->10.0.0.2:443: connection reset by peer")
}

// hang never answers.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// through is no fault.
func through(*http.Request) (*http.Response, error) { return nil, nil }

// body answers 200 with what the reader gives, of unknown length.
func body(read func(ctx context.Context, p []byte) (int, error)) fault {
	return func(r *http.Request) (*http.Response, error) {
		resp := answer(200, "")
		resp.ContentLength = -1
		resp.Body = io.NopCloser(readFunc(func(p []byte) (int, error) { return read(r.Context(), p) }))
		return resp, nil
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// cut answers with a Content-Length that the body does not reach.
func cut(body string) fault {
	return func(*http.Request) (*http.Response, error) {
		resp := answer(200, body)
		resp.ContentLength += 10
		return resp, nil
	}
}

// page is a page of results with conversations of the given ids.
func page(cursor string, ids ...string) string {
	var records []string
	for _, id := range ids {
		records = append(records, fmt.Sprintf(`{"conversationId":%q,"conversationStart":"2024-03-01T10:00:00.000Z"}`, id))
	}
	text := `{"conversations":[` + strings.Join(records, ",") + `]`
	if cursor != "" {
		text += fmt.Sprintf(`,"cursor":%q`, cursor)
	}
	return text + "}"
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// client makes a client of the fake, after change has had its way.
func (f *fake) client(t *testing.T, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		APIURL: "https://api.example.com", LoginURL: "https://login.example.com",
		ClientID: "demo", ClientSecret: NewSecret("s3cret"), Transport: f,
	}
	for _, ch := range change {
		ch(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// day is an interval of days from 2024-03-01.
func day(n int) interval.Interval {
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	return interval.Interval{Start: start, End: start.AddDate(0, 0, n)}
}

// collect consumes pages as the contract asks, and returns the ids of the
// records of whole pages.
func collect(pages iter.Seq2[*record.Page, error]) (ids []string, err error) {
	s := record.NewScanner(record.Options{})
	for p, err := range pages {
		if err != nil {
			return ids, err
		}
		var fresh []string
		err := s.Scan(p, func(r record.Record) error {
			fresh = append(fresh, string(r.ID))
			return nil
		})
		if err == nil {
			ids = append(ids, fresh...)
		}
	}
	return ids, nil
}

// wantErr finds an error of a type in err.
func wantErr[E error](t *testing.T, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("error is %T %v, want a %T", err, err, e)
	}
	return e
}
