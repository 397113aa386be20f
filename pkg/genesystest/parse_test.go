package genesystest

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseFault(t *testing.T) {
	cases := []struct {
		text string
		want Fault
	}{
		{"page:429:after=3,times=2,retry-after=5", Fault{Kind: Page, After: 3, Times: 2, Action: Status{Code: 429, RetryAfter: "5"}}},
		{"any:503:p=0.01,seed=4", Fault{Probability: 0.01, Seed: 4, Action: Status{Code: 503}}},
		{"any:reset:probability=0.02", Fault{Probability: 0.02, Action: Reset{}}},
		{"submit:reset:late", Fault{Kind: Submit, Action: Reset{Late: true}}},
		{"page:cut:at=0.9,chunked=true,every=10", Fault{Kind: Page, Every: 10, Action: Cut{At: 0.9, Chunked: true}}},
		{"page:cut:bytes=100,hard=true", Fault{Kind: Page, Action: Cut{Bytes: 100, Hard: true}}},
		{"query:shorten", Fault{Kind: Query, Action: Shorten{}}},
		{"page:bad-gzip:cut=true", Fault{Kind: Page, Action: BadGzip{Cut: true}}},
		{"page:garble:page=7,job=2", Fault{Kind: Page, Page: 7, Job: 2, Action: Garble{}}},
		{"page:expired-cursor:status=404", Fault{Kind: Page, Action: ExpiredCursor{Status: 404}}},
		{"page:repeat-cursor", Fault{Kind: Page, Action: RepeatCursor{}}},
		{"page:empty-page", Fault{Kind: Page, Action: EmptyPage{}}},
		{"page:duplicate:records=3", Fault{Kind: Page, Action: Duplicate{Records: 3}}},
		{"submit:job-failed:message=no", Fault{Kind: Submit, Action: JobState{State: failed, Message: "no"}}},
		{"poll:job-expired", Fault{Kind: Poll, Action: JobState{State: expired}}},
		{"submit:job-endless", Fault{Kind: Submit, Action: JobEndless{}}},
		{"page:slow:rate=1000", Fault{Kind: Page, Action: Slow{BytesPerSecond: 1000}}},
		{"token:hang", Fault{Kind: Token, Action: Hang{}}},
		{"page:hang:bytes=10", Fault{Kind: Page, Action: Hang{Body: true, Bytes: 10}}},
		{"limits:delay:for=5s,path=/defaults", Fault{Kind: Limits, Path: "/defaults", Action: Delay{For: 5 * time.Second}}},
		{"query:revoke-token", Fault{Kind: Query, Action: RevokeToken{}}},
		{"availability:watermark-back:by=24h0m0s", Fault{Kind: Availability, Action: WatermarkBack{By: 24 * time.Hour}}},
		{"other:html502", Fault{Kind: Other, Action: HTML502{}}},
		{"delete:error-body", Fault{Kind: Delete, Action: ErrorBody{}}},
	}
	for _, c := range cases {
		t.Run(c.text, func(t *testing.T) {
			got, err := ParseFault(c.text)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, c.want)
			}
			again, err := ParseFault(got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("%q is read as %+v, %v", got, again, err)
			}
		})
	}
}

func TestParseFaultRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "unknown action",
		"page":                     "unknown action",
		"page:explode":             "unknown action",
		":503":                     "no kind",
		"pages:503":                "unknown kind",
		"page:999":                 "status 999",
		"page:503:retry=5":         `"retry" does not belong`,
		"page:reset:rate=5":        `"rate" does not belong`,
		"page:503:after=x":         "after=x is not understood",
		"page:503:after=-1":        "out of range",
		"page:503:p=2":             "out of range",
		"page:slow":                "needs a rate",
		"submit:job-queued":        `state "QUEUED"`,
		"page:delay:for=5":         "for=5 is not understood",
		"page:cut:chunked=perhaps": "chunked=perhaps",
	} {
		if f, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", text, f, err, want)
		}
	}
}
