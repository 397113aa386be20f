package genesys

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

const (
	limitsPath = "/api/v2/organizations/limits/namespaces"
	opLimits   = "read limits"
	// listPages bounds a listing whose next page never ends.
	listPages = 100
)

// A Limit is a limit of the organisation that is in force.
type Limit struct {
	Key       string  `json:"key"`
	Namespace string  `json:"namespace"`
	Value     float64 `json:"value"`
}

// Namespaces returns the names of the groups of limits that the organisation has.
func (c *Client) Namespaces(ctx context.Context) ([]string, error) {
	entities, err := c.list(ctx, limitsPath, 0)
	var names []string
	for _, raw := range entities {
		var name string
		if json.Unmarshal(raw, &name) != nil {
			var named struct{ Name, Namespace, ID string }
			_ = json.Unmarshal(raw, &named) // what is not understood is left out
			name = firstOf(named.Name, named.Namespace, named.ID)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names, err
}

// Limits returns the limits of a namespace, such as "platform.api" or
// "analytics.data.extraction".
func (c *Client) Limits(ctx context.Context, namespace string) ([]Limit, error) {
	return c.limits(ctx, namespace, 0)
}

func (c *Client) limits(ctx context.Context, namespace string, attempts int) ([]Limit, error) {
	entities, err := c.list(ctx, limitsPath+"/"+url.PathEscape(namespace), attempts)
	var limits []Limit
	for _, raw := range entities {
		var l Limit
		if json.Unmarshal(raw, &l) == nil && l.Key != "" {
			limits = append(limits, l)
		}
	}
	return limits, err
}

// Quotas are the organisation's limits that concern an export; what is 0 is not
// known.
type Quotas struct {
	// RequestsPerMinute is what a token may make.
	RequestsPerMinute float64
	// ConcurrentJobs is how many details jobs may be in preparation at once, over
	// all programs, and SubmitsPerSecond how many may be submitted in a second.
	ConcurrentJobs   int
	SubmitsPerSecond float64
}

// Quotas reads the limits from where they may be published, with four requests
// at most, each tried once. It returns what it has found, also where it returns
// an error.
func (c *Client) Quotas(ctx context.Context) (Quotas, error) {
	var q Quotas
	var errs []error
	for _, namespace := range []string{"platform.api", "auth.api", "analytics", "analytics.data.extraction"} {
		if q.ConcurrentJobs > 0 && q.SubmitsPerSecond > 0 {
			break // those come last
		}
		limits, err := c.limits(ctx, namespace, 1)
		if err != nil {
			errs = append(errs, err)
		}
		for _, l := range limits {
			q.take(l)
		}
	}
	return q, errors.Join(errs...)
}

// take keeps a limit if it is one of those, and lower than what was found so
// far: keys stand in several places, under names that are not documented.
func (q *Quotas) take(l Limit) {
	lower := func(known, found float64) float64 {
		if known == 0 {
			return found
		}
		return min(known, found)
	}
	has := func(end string) bool { return l.Value >= 1 && strings.HasSuffix(l.Key, end) }
	switch {
	case strings.HasPrefix(l.Key, "ui.") || strings.Contains(l.Key, "users."): // of other tokens, of other jobs
	case has("token.rate.per.minute"):
		q.RequestsPerMinute = lower(q.RequestsPerMinute, l.Value)
	case has("details.jobs.concurrent.access.max"):
		q.ConcurrentJobs = int(lower(float64(q.ConcurrentJobs), l.Value))
	case has("details.jobs.rate.per.second"):
		q.SubmitsPerSecond = lower(q.SubmitsPerSecond, l.Value)
	}
}

// list reads a listing to its end: the page after the last is not named. With a
// number of attempts it tries each page so often, and never after a 429.
func (c *Client) list(ctx context.Context, path string, attempts int) ([]json.RawMessage, error) {
	var all []json.RawMessage
	r := request{op: opLimits, kind: KindLimits, method: http.MethodGet, path: path, attempts: attempts}
	if attempts > 0 {
		r.patience = 1
	}
	for range listPages {
		var answer struct {
			Entities []json.RawMessage `json:"entities"`
			NextURI  string            `json:"nextUri"`
		}
		r.into = &answer
		if _, err := c.send(ctx, &r, nil); err != nil {
			return nil, err
		}
		all = append(all, answer.Entities...)
		next, err := url.Parse(answer.NextURI)
		if answer.NextURI == "" || err != nil {
			return all, nil
		}
		if r.query = next.Query(); len(r.query) == 0 {
			return all, nil
		}
	}
	return nil, c.connError(&r, errors.New("the listing does not end"))
}
