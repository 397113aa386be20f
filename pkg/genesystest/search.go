package genesystest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A searchBody is what jobs and query have in common in their requests.
type searchBody struct {
	Interval            string   `json:"interval"`
	Order               string   `json:"order"`
	OrderBy             string   `json:"orderBy"`
	ConversationFilters []filter `json:"conversationFilters"`
	SegmentFilters      []filter `json:"segmentFilters"`
	EvaluationFilters   []filter `json:"evaluationFilters"`
	SurveyFilters       []filter `json:"surveyFilters"`
	ResolutionFilters   []filter `json:"resolutionFilters"`
}

// A filter is the platform's filter grammar: as much of it as is needed to
// check that a request is well formed.
type filter struct {
	Type       string      `json:"type"`
	Clauses    []filter    `json:"clauses"`
	Predicates []predicate `json:"predicates"`
}

type predicate struct {
	Type         string `json:"type"`
	Dimension    string `json:"dimension"`
	Metric       string `json:"metric"`
	Property     string `json:"property"`
	PropertyType string `json:"propertyType"`
	Operator     string `json:"operator"`
	Value        string `json:"value"`
	Range        any    `json:"range"`
}

func (q *searchBody) filters() []filter {
	var all []filter
	for _, fs := range [][]filter{q.ConversationFilters, q.SegmentFilters, q.EvaluationFilters, q.SurveyFilters, q.ResolutionFilters} {
		all = append(all, fs...)
	}
	return all
}

// A criteria is a checked search.
type criteria struct {
	from, to   int64 // Unix ms
	descending bool
	byEnd      bool
	keep       func(*plan, int64) bool // nil without filters
}

// criteria checks a search and turns it into what is to be found.
func (x *exchange) criteria(q *searchBody) (c criteria, bad *answer) {
	refuse := func(a answer) (criteria, *answer) { return criteria{}, &a }
	from, to, problem := parseInterval(q.Interval)
	if problem != "" {
		return refuse(x.fail(400, "invalid.date", "Invalid interval ["+q.Interval+"]: "+problem))
	}
	c.from, c.to = from, to
	switch q.Order {
	case "", "asc", "unordered":
	case "desc":
		c.descending = true
	default:
		return refuse(x.invalid(q.Order, "QueryOrderType", "asc", "desc", "unordered"))
	}
	switch q.OrderBy {
	case "", "conversationStart", "segmentStart":
	case "conversationEnd", "segmentEnd":
		c.byEnd = true
	default:
		return refuse(x.invalid(q.OrderBy, "ConversationOrderBy", "conversationStart", "conversationEnd", "segmentStart", "segmentEnd"))
	}
	for _, f := range q.filters() {
		if a := x.checkFilter(f); a != nil {
			return criteria{}, a
		}
	}
	keep, err := compile(q)
	if err != nil {
		return refuse(x.fail(400, "bad.request", err.Error()))
	}
	c.keep = keep
	return c, nil
}

// checkFilter checks the enumerations of a filter.
func (x *exchange) checkFilter(f filter) *answer {
	if f.Type != "and" && f.Type != "or" {
		a := x.invalid(f.Type, "QueryFilterType", "and", "or")
		return &a
	}
	for _, p := range f.Predicates {
		switch p.Operator {
		case "", "matches", "exists", "notExists":
		default:
			a := x.invalid(p.Operator, "QueryOperator", "matches", "exists", "notExists")
			return &a
		}
	}
	for _, c := range f.Clauses {
		if a := x.checkFilter(c); a != nil {
			return a
		}
	}
	return nil
}

// compile makes a test of the filters that the simulator knows how to apply:
// conversationId, conversationEnd, originatingDirection and mediaType. Others
// are refused: to ignore one would answer a question that was not asked.
func compile(q *searchBody) (func(*plan, int64) bool, error) {
	var tests []func(*plan, int64) bool
	for _, f := range q.filters() {
		t, err := f.compile()
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	if len(tests) == 0 {
		return nil, nil
	}
	return every(tests), nil
}

func every(tests []func(*plan, int64) bool) func(*plan, int64) bool {
	return func(p *plan, asOf int64) bool {
		for _, t := range tests {
			if !t(p, asOf) {
				return false
			}
		}
		return true
	}
}

func (f filter) compile() (func(*plan, int64) bool, error) {
	var tests []func(*plan, int64) bool
	for _, c := range f.Clauses {
		t, err := c.compile()
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	for _, p := range f.Predicates {
		t, err := p.compile()
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	if f.Type == "and" {
		return every(tests), nil
	}
	return func(p *plan, asOf int64) bool {
		for _, t := range tests {
			if t(p, asOf) {
				return true
			}
		}
		return false
	}, nil
}

func (p predicate) compile() (func(*plan, int64) bool, error) {
	var value func(*plan, int64) string
	switch p.Dimension {
	case "conversationId":
		value = func(c *plan, _ int64) string { return c.id.String() }
	case "originatingDirection":
		value = func(c *plan, _ int64) string {
			if c.outbound {
				return "outbound"
			}
			return "inbound"
		}
	case "mediaType":
		value = func(c *plan, _ int64) string { return c.media.String() }
	case "conversationEnd":
		value = func(c *plan, asOf int64) string {
			if end, closed := c.lifetime(asOf); closed {
				return string(appendTime(nil, end))
			}
			return ""
		}
	default:
		return nil, fmt.Errorf("the simulator cannot filter by %q", p.Dimension+p.Metric+p.Property)
	}
	switch p.Operator {
	case "exists":
		return func(c *plan, asOf int64) bool { return value(c, asOf) != "" }, nil
	case "notExists":
		return func(c *plan, asOf int64) bool { return value(c, asOf) == "" }, nil
	}
	if p.Range != nil {
		return nil, fmt.Errorf("the simulator cannot filter by a range of %q", p.Dimension)
	}
	return func(c *plan, asOf int64) bool { return strings.EqualFold(value(c, asOf), p.Value) }, nil
}

// parseInterval reads start/end: RFC 3339 with or without fractions, with Z or
// an offset. It says what is wrong, if anything.
func parseInterval(s string) (from, to int64, problem string) {
	a, b, found := strings.Cut(s, "/")
	start, err1 := time.Parse(time.RFC3339, a)
	end, err2 := time.Parse(time.RFC3339, b)
	switch {
	case !found || err1 != nil || err2 != nil:
		return 0, 0, "it must be an ISO-8601 interval such as 2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z"
	case !start.Before(end):
		return 0, 0, "the end must be after the start"
	}
	return ceilMS(start), ceilMS(end), ""
}

// A hitList is what a search found, in order. What can be counted is not
// stored: early lists single conversations, span a run of them.
type hitList struct {
	early []index
	span  span
	cal   *calendar
	n     int64
	limit int64 // 0: none
	desc  bool
}

func (h *hitList) len() int64 {
	n := int64(len(h.early)) + h.n
	if h.limit > 0 {
		n = min(n, h.limit)
	}
	return n
}

func (h *hitList) at(i int64) index {
	if h.desc {
		i = int64(len(h.early)) + h.n - 1 - i
	}
	if i < int64(len(h.early)) {
		return h.early[i]
	}
	return h.cal.at(h.span, i-int64(len(h.early)))
}

// overlapping finds the conversations with activity in [from, to): those that
// started before and were not over, and all that started inside.
func (w *world) overlapping(c criteria, asOf int64) hitList {
	var early []index
	look := func(ix index) {
		if p := w.plan(ix); p.overlaps(c.from, c.to, asOf) && (c.keep == nil || c.keep(&p, asOf)) {
			early = append(early, ix)
		}
	}
	recent := c.from - shortMax
	for ix := range w.cal.longOnes(w.cal.between(c.from-longMax-dayMS, recent)) {
		look(ix)
	}
	for ix := range w.cal.all(w.cal.between(recent, c.from)) {
		look(ix)
	}
	return w.hits(c, early, w.cal.between(c.from, c.to), asOf)
}

// hits joins what was found one by one with a run, and puts both in order.
func (w *world) hits(c criteria, early []index, run span, asOf int64) hitList {
	h := hitList{early: early, span: run, cal: w.cal, n: w.cal.len(run), desc: c.descending}
	if c.keep == nil && !c.byEnd {
		return h
	}
	for ix := range w.cal.all(run) {
		if p := w.plan(ix); c.keep == nil || c.keep(&p, asOf) {
			h.early = append(h.early, ix)
		}
	}
	h.span, h.n = span{}, 0
	if c.byEnd {
		w.sortByEnd(h.early, asOf)
	}
	return h
}

// sinceMidnight finds what overlaps an interval and started on its first day or
// later.
func (w *world) sinceMidnight(c criteria, keep func(*plan, int64) bool, midnight, asOf int64) hitList {
	var early []index
	for ix := range w.cal.all(w.cal.between(midnight, c.from)) {
		if p := w.plan(ix); p.overlaps(c.from, c.to, asOf) && (keep == nil || keep(&p, asOf)) {
			early = append(early, ix)
		}
	}
	return w.hits(c, early, w.cal.between(c.from, c.to), asOf)
}

// sortByEnd puts open conversations last.
func (w *world) sortByEnd(list []index, asOf int64) {
	end := make(map[index]int64, len(list))
	for _, ix := range list {
		p := w.plan(ix)
		e, closed := p.lifetime(asOf)
		if !closed {
			e = math.MaxInt64
		}
		end[ix] = e
	}
	slices.SortStableFunc(list, func(a, b index) int { return cmp.Compare(end[a], end[b]) })
}
