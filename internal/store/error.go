package store

import (
	"context"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/gcexport/gcexport/internal/object"
)

// Kind says what sort of trouble a store makes, and so what can be done.
type Kind int

// The kinds of store errors.
const (
	// Other is none of those below; trying again may help.
	Other Kind = iota
	// NotFound is a bucket or an object that is not there.
	NotFound
	// Denied is missing, refused or insufficient credentials.
	Denied
	// Unreachable is a store that does not answer or is overloaded; trying
	// again may help.
	Unreachable
	// Config is a URL or an environment that cannot work.
	Config
)

// String gives the name of the kind, for logs.
func (k Kind) String() string {
	return [...]string{"other", "not found", "denied", "unreachable", "config"}[k]
}

// Error is a store error for people: one line and a hint, without secrets.
type Error struct {
	Kind    Kind
	Message string // one line, lower case
	Hint    string // what to do about it; may be empty
	Err     error  // what the store said; for errors.Is and As, not for people
}

// Error gives the one line.
func (e *Error) Error() string { return e.Message }

// Unwrap gives what the store said.
func (e *Error) Unwrap() error { return e.Err }

// errNoAnswer is the reason of a check that ran into its deadline.
var errNoAnswer = errors.New("no answer within 10s")

const hintCredentials = "credentials belong into the environment or the files of the cloud's own tools, never into a URL"

// badConfig is an error that was found without asking anybody.
func badConfig(message, hint string) *Error {
	return &Error{Kind: Config, Message: message, Hint: hint}
}

// named puts the name of the store before the line.
func named(name string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Message = name + ": " + e.Message
	return &c
}

// Explain turns an error of a store, from Open, a listing, or the object
// package, into an *[Error]. It keeps nil, an *Error in the chain, and the
// error itself for errors.Is and errors.As.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	for _, explain := range []func(error) *Error{explainObject, explainAWS, explainGoogle, explainAzure, explainFile, explainNet} {
		if e := explain(err); e != nil {
			e.Err = err
			return e
		}
	}
	return &Error{Kind: Other, Message: oneLine(err.Error()), Err: err}
}

// explainObject knows the errors that are not those of one store.
func explainObject(err error) *Error {
	switch {
	case errors.Is(err, context.Canceled):
		return &Error{Kind: Other, Message: "cancelled"}
	case errors.Is(err, object.ErrExists):
		return &Error{Kind: Other, Message: oneLine(err.Error()), Hint: "another process exports the same; what is there is kept"}
	case errors.Is(err, object.ErrStalled):
		return &Error{Kind: Unreachable, Message: oneLine(err.Error()), Hint: "the store or the way to it hangs; try again"}
	}
	return nil
}

// byStatus explains an HTTP status where the store's own code says nothing.
func byStatus(status int) *Error {
	switch {
	case status == 401:
		return &Error{Kind: Denied, Message: "the store refuses the credentials"}
	case status == 403:
		return &Error{Kind: Denied, Message: "access denied"}
	case status == 404:
		return &Error{Kind: NotFound, Message: "not found"}
	case status == 408 || status == 429 || status >= 500:
		return &Error{Kind: Unreachable, Message: "the store is overloaded or out of order", Hint: "retries were used up; try again later"}
	}
	return nil
}

func isDeadline(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &ne) && ne.Timeout()) ||
		errors.Is(err, context.Canceled) || strings.Contains(err.Error(), context.DeadlineExceeded.Error())
}

var (
	queryString = regexp.MustCompile(`\?[^\s"'<>)]+`)
	userInfo    = regexp.MustCompile(`://[^/\s"'@]+@`)
	keyValue    = regexp.MustCompile(`(?i)\b(AccountKey|SharedAccessSignature|Signature|Credential|sig|secret|token|password)(=|: )[^\s;,&"']+`)
)

// maxLine is the length beyond which nobody reads on.
const maxLine = 300

// oneLine makes text of an SDK fit to be shown: its lines joined, without the
// rules between them and without what could be a secret.
func oneLine(s string) string {
	words := slices.DeleteFunc(strings.Fields(s), func(w string) bool { return len(w) > 1 && strings.Trim(w, "-=") == "" })
	line := strings.Join(words, " ")
	line = queryString.ReplaceAllString(line, "")
	line = userInfo.ReplaceAllString(line, "://")
	line = keyValue.ReplaceAllString(line, "$1=***")
	if r := []rune(line); len(r) > maxLine {
		line = string(r[:maxLine]) + "…"
	}
	if line == "" {
		return "unknown error"
	}
	return line
}
