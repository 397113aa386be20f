// Package doctor runs checks one after the other and says of each what is
// right, what is wrong and what to do about it. What is checked is the business
// of its user.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Status says how a check came out.
type Status string

// How checks come out.
const (
	Right   Status = "right"
	Warning Status = "warning" // works, and could be better
	Wrong   Status = "wrong"
	Skipped Status = "skipped" // because another check is wrong
)

// A Check looks at one thing.
type Check struct {
	// Name is one or two words.
	Name string
	// Needs names checks without which this one means nothing: where one of them
	// is wrong or skipped, this one is skipped.
	Needs []string
	// Do looks, and says in one line what it saw. An error is what is wrong; a
	// [*Advice] is a warning. It must end soon after ctx has.
	Do func(ctx context.Context) (detail string, err error)
}

// An Advice is the error of a check that found something which works and could
// be better.
type Advice struct{ Detail, Hint string }

func (a *Advice) Error() string { return a.Detail }

// A Finding is what a check has found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	// Hint says what to do; "" where there is nothing to do.
	Hint string `json:"hint,omitempty"`
	// Err is what a wrong check returned.
	Err error `json:"-"`
}

// A Doctor runs checks.
type Doctor struct {
	// Limit is the time that one check may take, and Total the time of all; what
	// has not begun by then is skipped.
	Limit, Total time.Duration
	// Explain finds words for an error: one line, and what to do.
	Explain func(error) (detail, hint string)
	// Found, if not nil, is told of each finding at once.
	Found func(Finding)
}

// Run runs the checks in order. The error is the cause of the end of ctx.
func (d *Doctor) Run(ctx context.Context, checks []Check) ([]Finding, error) {
	total, cancel := context.WithTimeout(ctx, d.Total)
	defer cancel()
	bad := map[string]bool{}
	var findings []Finding
	for _, c := range checks {
		f := d.check(total, c, bad)
		if ctx.Err() != nil {
			return findings, context.Cause(ctx)
		}
		bad[c.Name] = f.Status == Wrong || f.Status == Skipped
		findings = append(findings, f)
		if d.Found != nil {
			d.Found(f)
		}
	}
	return findings, nil
}

func (d *Doctor) check(ctx context.Context, c Check, bad map[string]bool) Finding {
	f := Finding{Check: c.Name, Status: Skipped}
	for _, need := range c.Needs {
		if bad[need] {
			f.Detail = need + " comes first"
			return f
		}
	}
	if ctx.Err() != nil {
		f.Detail = fmt.Sprintf("the other checks took more than %v", d.Total)
		return f
	}
	limited, cancel := context.WithTimeout(ctx, d.Limit)
	defer cancel()
	detail, err := c.Do(limited)
	var advice *Advice
	switch {
	case err == nil:
		f.Status, f.Detail = Right, detail
	case errors.As(err, &advice):
		f.Status, f.Detail, f.Hint = Warning, advice.Detail, advice.Hint
	default:
		f.Status, f.Err = Wrong, err
		f.Detail, f.Hint = d.Explain(err)
		if limited.Err() != nil {
			f.Detail = fmt.Sprintf("no answer within %v", d.Limit)
		}
	}
	return f
}

// WriteText writes a finding for people; marks are coloured if color is set.
func WriteText(w io.Writer, f Finding, color bool) error {
	mark := string(f.Status)
	if code, ok := map[Status]string{Right: "32", Warning: "33", Wrong: "31"}[f.Status]; ok && color {
		mark = "\x1b[" + code + "m" + mark + "\x1b[0m" + strings.Repeat(" ", 8-len(f.Status))
	}
	_, err := fmt.Fprintf(w, "%-8s %-14s %s\n", mark, f.Check, f.Detail)
	if err == nil && f.Hint != "" {
		_, err = fmt.Fprintf(w, "%-8s %-14s → %s\n", "", "", f.Hint)
	}
	return err
}

// WriteJSON writes a finding as a line of JSON.
func WriteJSON(w io.Writer, f Finding) error { return json.NewEncoder(w).Encode(f) }
