package genesys

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
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
	entities, err := c.list(ctx, limitsPath)
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
	entities, err := c.list(ctx, limitsPath+"/"+url.PathEscape(namespace))
	var limits []Limit
	for _, raw := range entities {
		var l Limit
		if json.Unmarshal(raw, &l) == nil && l.Key != "" {
			limits = append(limits, l)
		}
	}
	return limits, err
}

// list reads a listing to its end: the page after the last is not named.
func (c *Client) list(ctx context.Context, path string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	r := request{op: opLimits, kind: KindLimits, method: http.MethodGet, path: path}
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
