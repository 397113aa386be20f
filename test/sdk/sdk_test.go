// Package sdk drives the simulator with the official Go SDK, so that it is not
// only this project's own reading of the API that is satisfied.
//
// It is a module of its own: the SDK is large, and nothing else needs it.
package sdk

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	platform "github.com/mypurecloud/platform-client-sdk-go/v129/platformclientv2"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

var (
	start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	end   = start.AddDate(0, 0, 1)
)

// connect starts a simulator on a port and logs the SDK in.
func connect(t *testing.T, o genesystest.Options) (*genesystest.Server, *platform.Configuration) {
	t.Helper()
	o.From, o.To = start.AddDate(0, 0, -20), start.AddDate(0, 0, 4)
	o.AsOf, o.Watermark = o.To, o.To
	if o.PerDay == 0 {
		o.PerDay = 120
	}
	s := genesystest.New(o)
	url, stop, err := s.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	// Never the machine's own configuration of the SDK.
	c := platform.NewConfigurationWithConfigFile(filepath.Join(t.TempDir(), "config"), false)
	c.BasePath = url
	if err := c.AuthorizeClientCredentials("demo", "demo"); err != nil {
		t.Fatalf("login: %v", err)
	}
	if c.AccessTokenExpiresIn != 86399 {
		t.Errorf("the token lives %d seconds", c.AccessTokenExpiresIn)
	}
	return s, c
}

func interval() *string {
	s := start.Format(time.RFC3339) + "/" + end.Format(time.RFC3339)
	return &s
}

// ok fails the test unless a call of the SDK succeeded with a status.
func ok(t *testing.T, r *platform.APIResponse, err error, status int) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if r.StatusCode != status || r.CorrelationID == "" {
		t.Fatalf("status %d, want %d; correlation id %q", r.StatusCode, status, r.CorrelationID)
	}
}

// runJob submits a job and waits until it is fulfilled.
func runJob(t *testing.T, api *platform.AnalyticsApi, q platform.Asyncconversationquery) string {
	t.Helper()
	job, r, err := api.PostAnalyticsConversationsDetailsJobs(q)
	ok(t, r, err, 202)
	for {
		st, r, err := api.GetAnalyticsConversationsDetailsJob(*job.JobId)
		ok(t, r, err, 200)
		switch *st.State {
		case "FULFILLED":
			if st.SubmissionDate == nil || st.CompletionDate == nil || st.ErrorMessage != nil || st.CompletionDate.Before(*st.SubmissionDate) {
				t.Errorf("status %v", st)
			}
			return *job.JobId
		case "QUEUED", "PENDING":
			if st.CompletionDate != nil {
				t.Errorf("a running job has a completionDate: %v", st)
			}
			time.Sleep(5 * time.Millisecond)
		default:
			t.Fatalf("state %s", *st.State)
		}
	}
}

// forms are the ways in which the same data come over the wire.
var forms = map[string]genesystest.Options{
	"compact":        {},
	"pretty chunked": {Pretty: true, Chunked: true},
	"gzip":           {Gzip: true},
	"unknown fields": {ExtraFields: true},
}

func TestJobs(t *testing.T) {
	for name, o := range forms {
		t.Run(name, func(t *testing.T) {
			o.JobTime = 20 * time.Millisecond
			s, c := connect(t, o)
			api := platform.NewAnalyticsApiWithConfig(c)
			matching := true
			id := runJob(t, api, platform.Asyncconversationquery{Interval: interval(), StartOfDayIntervalMatching: &matching})
			var got []platform.Analyticsconversation
			for cursor := ""; ; {
				page, r, err := api.GetAnalyticsConversationsDetailsJobResults(id, cursor, 50)
				ok(t, r, err, 200)
				got = append(got, *page.Conversations...)
				if !page.DataAvailabilityDate.Equal(start.AddDate(0, 0, 4)) {
					t.Errorf("dataAvailabilityDate %s", page.DataAvailabilityDate)
				}
				if page.Cursor == nil {
					break
				}
				cursor = *page.Cursor
			}
			compare(t, s, got)

			r, err := api.DeleteAnalyticsConversationsDetailsJob(id)
			ok(t, r, err, 204)
			if open := s.OpenJobs(); len(open) > 0 {
				t.Errorf("jobs %q are left", open)
			}
		})
	}
}

// compare holds what the SDK read against the truth: once as the SDK reads the
// true record, once in the values that must not be lost.
func compare(t *testing.T, s *genesystest.Server, got []platform.Analyticsconversation) {
	t.Helper()
	n := 0
	for want := range s.Truth(start, end, true) {
		if n >= len(got) {
			break
		}
		g := got[n]
		n++
		var typed platform.Analyticsconversation
		if err := json.Unmarshal(want.JSON, &typed); err != nil {
			t.Fatalf("the SDK cannot read %s: %v", want.JSON, err)
		}
		if !reflect.DeepEqual(g, typed) {
			t.Fatalf("the SDK read another record than %s", want.JSON)
		}
		if *g.ConversationId != want.ID || !g.ConversationStart.Equal(want.Start) {
			t.Fatalf("got %s of %s, want %s of %s", *g.ConversationId, g.ConversationStart, want.ID, want.Start)
		}
		values(t, g, want.JSON)
	}
	if total := s.Count(start, end); int64(len(got)) != total {
		t.Errorf("%d records, want %d", len(got), total)
	}
}

// values compares attributes and metrics with those that encoding/json reads.
func values(t *testing.T, g platform.Analyticsconversation, truth []byte) {
	t.Helper()
	var want struct {
		MinMos       *float64 `json:"mediaStatsMinConversationMos"`
		Participants []struct {
			Purpose    string
			Attributes map[string]string
			Sessions   []struct {
				Metrics []struct {
					Name  string
					Value int
				}
				Segments []struct{ SegmentType string }
			}
		}
	}
	if err := json.Unmarshal(truth, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g.MediaStatsMinConversationMos, want.MinMos) || len(*g.Participants) != len(want.Participants) {
		t.Fatalf("%s: MOS %v, %d participants", *g.ConversationId, g.MediaStatsMinConversationMos, len(*g.Participants))
	}
	for i, p := range want.Participants {
		gp := (*g.Participants)[i]
		if *gp.Purpose != p.Purpose || p.Attributes != nil && !reflect.DeepEqual(*gp.Attributes, p.Attributes) {
			t.Errorf("%s: participant %d differs", *g.ConversationId, i)
		}
		for j, s := range p.Sessions {
			gs := (*gp.Sessions)[j]
			if len(*gs.Segments) != len(s.Segments) || len(*gs.Metrics) != len(s.Metrics) {
				t.Fatalf("%s: session %d.%d differs", *g.ConversationId, i, j)
			}
			for k, m := range s.Metrics {
				if gm := (*gs.Metrics)[k]; *gm.Name != m.Name || *gm.Value != m.Value {
					t.Errorf("%s: metric %s is %d, want %d", *g.ConversationId, m.Name, *gm.Value, m.Value)
				}
			}
		}
	}
}

func TestQuery(t *testing.T) {
	for name, o := range forms {
		t.Run(name, func(t *testing.T) {
			s, c := connect(t, o)
			api := platform.NewAnalyticsApiWithConfig(c)
			var got []string
			size, hits := 50, 0
			for number := 1; ; number++ {
				page, r, err := api.PostAnalyticsConversationsDetailsQuery(platform.Conversationquery{
					Interval: interval(), Paging: &platform.Pagingspec{PageSize: &size, PageNumber: &number},
				})
				ok(t, r, err, 200)
				hits = *page.TotalHits
				if page.Conversations == nil {
					break
				}
				for _, conv := range *page.Conversations {
					got = append(got, *conv.ConversationId)
				}
			}
			var want []string
			for conv := range s.Truth(start, end, false) {
				want = append(want, conv.ID)
			}
			if !slices.Equal(got, want) || hits != len(want) {
				t.Errorf("%d records and %d hits, want %d", len(got), hits, len(want))
			}
		})
	}
}

func TestAvailabilityAndLimits(t *testing.T) {
	_, c := connect(t, genesystest.Options{RequestsPerMinute: 120, MaxJobs: 3})
	mark, r, err := platform.NewAnalyticsApiWithConfig(c).GetAnalyticsConversationsDetailsJobsAvailability()
	ok(t, r, err, 200)
	if !mark.DataAvailabilityDate.Equal(start.AddDate(0, 0, 4)) {
		t.Errorf("dataAvailabilityDate %s", mark.DataAvailabilityDate)
	}
	org := platform.NewOrganizationApiWithConfig(c)
	limits, r, err := org.GetOrganizationsLimitsNamespace("platform.api")
	ok(t, r, err, 200)
	if l := (*limits.Entities)[0]; *l.Key != "token.rate.per.minute" || *l.Value != 120 || *l.Namespace != "platform.api" {
		t.Errorf("limit %v", l)
	}
	limits, r, err = org.GetOrganizationsLimitsNamespaceDefaults("platform.api")
	ok(t, r, err, 200)
	if l := (*limits.Entities)[0]; *l.Value != 300 {
		t.Errorf("default %v", l)
	}
	_, r, err = org.GetOrganizationsLimitsNamespaces(25, 1)
	ok(t, r, err, 200)
	_, r, err = org.GetOrganizationsLimitsDocs()
	ok(t, r, err, 200)
}

// TestErrors: the SDK finds code, message and correlation id where it looks
// for them.
func TestErrors(t *testing.T) {
	_, c := connect(t, genesystest.Options{})
	api := platform.NewAnalyticsApiWithConfig(c)
	month := start.Format(time.RFC3339) + "/" + start.AddDate(0, 0, 8).Format(time.RFC3339)
	_, r, err := api.PostAnalyticsConversationsDetailsQuery(platform.Conversationquery{Interval: &month})
	if err == nil || r.StatusCode != 400 || r.Error == nil ||
		r.Error.Message != "You must specify a search interval as part of your query that does not exceed 7 days" {
		t.Errorf("status %d, %v", r.StatusCode, err)
	}
	_, r, err = api.GetAnalyticsConversationsDetailsJob("00000000-0000-4000-8000-000000000000")
	if err == nil || r.StatusCode != 404 || r.Error.Code != "not.found" || r.Error.ContextID != r.CorrelationID {
		t.Errorf("status %d, %v", r.StatusCode, err)
	}
	bad := platform.NewConfigurationWithConfigFile(filepath.Join(t.TempDir(), "config"), false)
	bad.BasePath = c.BasePath
	if err := bad.AuthorizeClientCredentials("demo", "wrong"); err == nil || err.Error() != "Auth Error: 400 - invalid_client (client not found or secret is wrong)" {
		t.Errorf("login: %v", err)
	}
}

// TestRetryAfter: the SDK's own retries understand a 429 of the simulator, and
// are let in again after the time that it names.
func TestRetryAfter(t *testing.T) {
	s, c := connect(t, genesystest.Options{RequestsPerMinute: 3, Window: time.Second})
	c.RetryConfiguration = &platform.RetryConfiguration{RetryWaitMax: 5 * time.Second, RetryMax: 3}
	api := platform.NewAnalyticsApiWithConfig(c)
	for range 5 {
		_, r, err := api.GetAnalyticsConversationsDetailsJobsAvailability()
		ok(t, r, err, 200)
	}
	if got := s.Tally()[genesystest.Availability]; got[200] != 5 || got[429] != 1 {
		t.Errorf("statuses %v, want five of 200 and one of 429", got)
	}
}
