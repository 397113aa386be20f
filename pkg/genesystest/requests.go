package genesystest

import (
	"fmt"
	"slices"
	"time"
)

// Kind is what a request is about.
type Kind string

// The kinds of requests.
const (
	Token        Kind = "token"
	Submit       Kind = "submit"
	Poll         Kind = "poll"
	Page         Kind = "page"
	Delete       Kind = "delete"
	Query        Kind = "query"
	Availability Kind = "availability"
	Limits       Kind = "limits"
	Other        Kind = "other"
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{Token, Submit, Poll, Page, Delete, Query, Availability, Limits, Other}
}

// A Request is one entry of the log.
type Request struct {
	// Time is when the request arrived.
	Time time.Time
	Kind Kind
	// Status that was answered; 0 while, or if, there was no answer.
	Status int
	Method string
	Path   string
	// Query is the raw query string.
	Query string
	// Client is the OAuth client, where known.
	Client string
	// Job is the job's id, and PageSize how many records were asked for.
	Job      string
	PageSize int
	// Records and Bytes of the body that was answered.
	Records int
	Bytes   int
	// Fault is the rule that was applied, in its text form.
	Fault string
	// CorrelationID is that of the answer.
	CorrelationID string
}

// Requests returns the log so far: every request, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, len(s.requests))
	for i, r := range s.requests {
		out[i] = *r
	}
	return out
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Tally counts the requests of the log by kind and status.
func (s *Server) Tally() map[Kind]map[int]int {
	out := make(map[Kind]map[int]int)
	for _, r := range s.Requests() {
		if out[r.Kind] == nil {
			out[r.Kind] = make(map[int]int)
		}
		out[r.Kind][r.Status]++
	}
	return out
}

// Window returns the highest number of requests of all kinds in any half-open
// window of length d, wherever it begins.
func (s *Server) Window(d time.Duration) int {
	var times []time.Time
	for _, r := range s.Requests() {
		times = append(times, r.Time)
	}
	n, _ := densest(times, d)
	return n
}

// CheckAllowance returns an error if any client ever made more requests within
// a window than it is allowed, wherever that window begins: stricter than the
// API, which counts in windows of its own.
func (s *Server) CheckAllowance() error {
	byClient := make(map[string][]time.Time)
	for _, r := range s.Requests() {
		byClient[r.Client] = append(byClient[r.Client], r.Time)
	}
	for client, times := range byClient {
		n, at := densest(times, s.opt.Window)
		if allowed := s.opt.RequestsPerMinute; allowed >= 0 && n > allowed {
			return fmt.Errorf("client %q made %d requests in the %v from %s, %d are allowed",
				client, n, s.opt.Window, at.UTC().Format(time.RFC3339Nano), allowed)
		}
	}
	return nil
}

// densest returns the highest number of instants in any window of length d, and
// where that window begins.
func densest(times []time.Time, d time.Duration) (best int, at time.Time) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, t := range times {
		for t.Sub(times[first]) >= d {
			first++
		}
		if n := i - first + 1; n > best {
			best, at = n, times[first]
		}
	}
	return best, at
}
