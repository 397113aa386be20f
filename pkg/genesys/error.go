package genesys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/gcexport/gcexport/pkg/interval"
)

// An Error is an answer of the API that is a refusal.
type Error struct {
	// Op says what was asked for, such as "submit job".
	Op string
	// Method and Path are those of the request.
	Method, Path string
	// Status is the HTTP status.
	Status int
	// Code and Message are the API's own, as far as it gave any.
	Code, Message string
	// CorrelationID is the API's name for the answer, for its support.
	CorrelationID string
	// RetryAfter is how long the server asks to wait, capped; 0 if it does not.
	RetryAfter time.Duration
	// LimitKey and LimitValue name the limit that was hit, where the API says so.
	LimitKey   string
	LimitValue float64
	// Attempts counts the attempts that were made.
	Attempts int
}

// Error returns one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the API answered %d", e.Op, e.Status)
	if text := http.StatusText(e.Status); text != "" {
		fmt.Fprintf(&b, " %s", text)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ", %s", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	fmt.Fprintf(&b, " (%s %s", e.Method, e.Path)
	if e.LimitKey != "" {
		fmt.Fprintf(&b, ", limit %s = %g", e.LimitKey, e.LimitValue)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, ", %d attempts", e.Attempts)
	}
	if e.CorrelationID != "" {
		fmt.Fprintf(&b, ", correlation id %s", e.CorrelationID)
	}
	b.WriteByte(')')
	return b.String()
}

// Fatal reports whether the credentials or permissions are refused, so that no
// other request will fare better: 401 with a new token, 403, or a token that
// the login service does not give out.
func (e *Error) Fatal() bool {
	if e.Op == opToken {
		c := classify(e.Status)
		return e.Status < 500 && (c == final || c == expired)
	}
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// ErrStalled says that the server kept silent for the stall timeout, or did not
// give a token in the token timeout.
var ErrStalled = errors.New("nothing came from the server in time")

// Reasons of a ConnError for an answer that came, but not as it should.
var (
	errShort    = errors.New("the body ended before its length")
	errSlow     = errors.New("the body comes too slowly")
	errTooLarge = errors.New("the body is larger than allowed")
	errEncoding = errors.New("the body has an encoding that was not asked for")
)

// ErrAnswer says that an answer is not the JSON that the API gives, as when another
// server answers in its place.
var ErrAnswer = errors.New("the answer is not the JSON that was expected")

// A ConnError says that an answer did not come, or not whole.
type ConnError struct {
	// Op says what was asked for, such as "read results".
	Op string
	// Method, Host and Path are those of the request.
	Method, Host, Path string
	// Attempts counts the attempts that were made.
	Attempts int
	// Err is the cause, without the URL.
	Err error
}

// Error returns one line.
func (e *ConnError) Error() string {
	attempts := ""
	if e.Attempts > 1 {
		attempts = fmt.Sprintf(" (%d attempts)", e.Attempts)
	}
	return fmt.Sprintf("%s: %s %s%s: %s%s", e.Op, e.Method, e.Host, e.Path, clean(e.Err.Error(), 300), attempts)
}

// Unwrap returns the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// class says what the error means for the next attempt.
func (e *ConnError) class() class {
	switch {
	case errors.Is(e.Err, errTooLarge), errors.Is(e.Err, errEncoding), badCertificate(e.Err):
		return final
	case errors.Is(e.Err, ErrAnswer):
		return suspect
	}
	return transient
}

// kind is a short word for the error, for metrics.
func (e *ConnError) kind() string {
	for reason, word := range map[error]string{
		ErrStalled: "stalled", errSlow: "slow", errShort: "short", errTooLarge: "too large",
		errEncoding: "answer", ErrAnswer: "answer",
	} {
		if errors.Is(e.Err, reason) {
			return word
		}
	}
	return "connection"
}

// badCertificate reports whether TLS failed for a reason that will stay.
func badCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	return errors.Is(err, http.ErrSchemeMismatch) // plain HTTP on the other side
}

// A JobError says that a job did not come to its results.
type JobError struct {
	JobID string
	// State is the last state that the API gave: FAILED, CANCELLED or EXPIRED,
	// or another one if the job was not ready in time.
	State string
	// Message is the API's, or ours if the job was not ready in time.
	Message       string
	Interval      interval.Interval
	CorrelationID string
}

// Error returns one line.
func (e *JobError) Error() string {
	text := fmt.Sprintf("job %s for %s is %s", e.JobID, e.Interval, e.State)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.CorrelationID != "" {
		text += fmt.Sprintf(" (correlation id %s)", e.CorrelationID)
	}
	return text
}

// A PageError says that the pages of an interval could not be read to their
// end, although the API answered.
type PageError struct {
	Interval interval.Interval
	// JobID is "" for a query.
	JobID         string
	CorrelationID string
	// Err is the reason.
	Err error
}

// Error returns one line.
func (e *PageError) Error() string {
	of := "query"
	if e.JobID != "" {
		of = "job " + e.JobID
	}
	text := fmt.Sprintf("read %s for %s: %v", of, e.Interval, e.Err)
	if e.CorrelationID != "" {
		text += fmt.Sprintf(" (correlation id %s)", e.CorrelationID)
	}
	return text
}

// Unwrap returns the reason.
func (e *PageError) Unwrap() error { return e.Err }

// errorBody is the body of a refusal, of the API or of the login service.
type errorBody struct {
	Message     string `json:"message"`
	Code        string `json:"code"`
	ContextID   string `json:"contextId"`
	Error       string `json:"error"`
	Description string `json:"description"`
	OAuthText   string `json:"error_description"`
	Limit       struct {
		Key   string  `json:"key"`
		Value float64 `json:"value"`
	} `json:"limit"`
}

// fill takes from an error body what is to be reported. A body that is not JSON
// (a proxy's or CDN's page) is not quoted.
func (e *Error) fill(body []byte, contentType string) {
	var b errorBody
	if json.Unmarshal(body, &b) != nil && b == (errorBody{}) {
		if len(body) > 0 {
			e.Message = fmt.Sprintf("the body is no error of the API (%s)", clean(contentType, 60))
		}
		return
	}
	e.Code = clean(firstOf(b.Code, b.Error), 100)
	e.Message = clean(firstOf(b.Message, b.OAuthText, b.Description), 300)
	e.LimitKey, e.LimitValue = clean(b.Limit.Key, 100), b.Limit.Value
	e.CorrelationID = firstOf(e.CorrelationID, clean(b.ContextID, 100))
}

// clean makes a text of the server fit for one line of a log: no control
// characters, no invalid UTF-8, no more than limit characters.
func clean(text string, limit int) string {
	var b strings.Builder
	n, blank := 0, false
	for _, r := range strings.TrimSpace(text) {
		if n == limit {
			b.WriteString("…")
			break
		}
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			blank = true
			continue
		}
		if blank {
			b.WriteByte(' ')
			n++
		}
		b.WriteRune(r)
		n, blank = n+1, false
	}
	return b.String()
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// withoutURL takes off the layers of net/http that would repeat the URL, and
// with it a cursor.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// counted notes in err, if it is one of ours, how many attempts were made.
func counted(err error, attempts int) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Attempts = attempts
	}
	if e, ok := errors.AsType[*ConnError](err); ok {
		e.Attempts = attempts
	}
	return err
}

// detailed reports whether err says what went wrong with a request.
func detailed(err error) bool {
	if _, ok := errors.AsType[*Error](err); ok {
		return true
	}
	_, ok := errors.AsType[*ConnError](err)
	return ok
}

// interrupted is the error of a request whose context has ended: the cause, and
// what went wrong before, which is often why the time ran out.
func interrupted(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	if last == nil || errors.Is(last, cause) || classOf(last) == expired {
		return cause // a 401 says nothing before a new token was tried
	}
	return fmt.Errorf("%w; before that: %w", cause, last)
}
