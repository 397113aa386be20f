package genesystest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a rule from a line of text:
//
//	kind:action
//	kind:action:name=value,name=value,…
//
// The kind is one of [Kinds], or "any". The action is a status number, or the
// name of one: html502, error-body, reset, cut, shorten, garble, bad-gzip,
// repeat-cursor, expired-cursor, empty-page, duplicate, job-failed,
// job-cancelled, job-expired, job-endless, slow, hang, delay, revoke-token,
// watermark-back.
//
// These names go with every action: after, times, every, p (or probability),
// seed, job, page, path. And these with some:
//
//	retry-after, body     a status number
//	late                  reset
//	bytes, at             cut, shorten, hang (which then hangs within the body)
//	chunked, hard         cut
//	cut                   bad-gzip
//	status                expired-cursor
//	records               duplicate
//	message               job-failed
//	rate                  slow: bytes a second
//	for, by               delay, watermark-back: a duration such as 5s
//
// Examples:
//
//	page:429:after=3,times=2,retry-after=5
//	any:503:p=0.01
//	page:cut:at=0.9,chunked=true
//	submit:job-endless
func ParseFault(s string) (Fault, error) {
	kind, rest, _ := strings.Cut(s, ":")
	action, list, _ := strings.Cut(rest, ":")
	p := params{values: make(map[string]string)}
	if list != "" {
		for part := range strings.SplitSeq(list, ",") {
			name, value, found := strings.Cut(part, "=")
			if !found {
				value = "true"
			}
			p.values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	f := Fault{Kind: Kind(kind)}
	if kind == "any" {
		f.Kind = ""
	}
	f.Path, f.Job, f.Page = p.text("path"), p.int("job"), p.int("page")
	f.After, f.Times, f.Every = p.int("after"), p.int("times"), p.int("every")
	f.Probability, f.Seed = or(p.float("p"), p.float("probability")), uint64(p.int("seed"))
	f.Action = p.action(action)
	if err := p.finish(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", s, err)
	}
	if f.Action == nil {
		return Fault{}, fmt.Errorf("fault %q: unknown action %q", s, action)
	}
	if kind == "" {
		return Fault{}, fmt.Errorf("fault %q: no kind of request", s)
	}
	if err := f.check(); err != nil {
		return Fault{}, err
	}
	return f, nil
}

// action makes the action of a name; nil if there is none.
func (p *params) action(name string) Action {
	if code, err := strconv.Atoi(name); err == nil {
		return Status{Code: code, RetryAfter: p.text("retry-after"), Body: p.text("body")}
	}
	if state, found := strings.CutPrefix(name, "job-"); found && name != "job-endless" {
		return JobState{State: strings.ToUpper(state), Message: p.text("message")}
	}
	switch name {
	case "html502":
		return HTML502{}
	case "error-body":
		return ErrorBody{}
	case "reset":
		return Reset{Late: p.bool("late")}
	case "cut":
		return Cut{Bytes: p.int("bytes"), At: p.float("at"), Chunked: p.bool("chunked"), Hard: p.bool("hard")}
	case "shorten":
		return Shorten{Bytes: p.int("bytes"), At: p.float("at")}
	case "hang":
		h := Hang{Bytes: p.int("bytes"), At: p.float("at")}
		h.Body = h.Bytes > 0 || h.At > 0
		return h
	case "slow":
		return Slow{BytesPerSecond: p.int("rate")}
	case "delay":
		return Delay{For: p.duration("for")}
	case "revoke-token":
		return RevokeToken{}
	case "job-endless":
		return JobEndless{}
	}
	return p.pageAction(name)
}

// pageAction makes the actions that only pages know.
func (p *params) pageAction(name string) Action {
	switch name {
	case "garble":
		return Garble{}
	case "bad-gzip":
		return BadGzip{Cut: p.bool("cut")}
	case "repeat-cursor":
		return RepeatCursor{}
	case "expired-cursor":
		return ExpiredCursor{Status: p.int("status")}
	case "empty-page":
		return EmptyPage{}
	case "duplicate":
		return Duplicate{Records: p.int("records")}
	case "watermark-back":
		return WatermarkBack{By: p.duration("by")}
	}
	return nil
}

// params are the named values of a rule. Those that were asked for are struck
// off; what is left in the end is an error, and so is what did not parse.
type params struct {
	values map[string]string
	err    error
}

func (p *params) text(name string) string {
	v := p.values[name]
	delete(p.values, name)
	return v
}

func (p *params) int(name string) int { return parseParam(p, name, strconv.Atoi) }

func (p *params) bool(name string) bool { return parseParam(p, name, strconv.ParseBool) }

func (p *params) duration(name string) time.Duration { return parseParam(p, name, time.ParseDuration) }

func (p *params) float(name string) float64 {
	return parseParam(p, name, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

func parseParam[T any](p *params, name string, parse func(string) (T, error)) (v T) {
	text := p.text(name)
	if text == "" {
		return v
	}
	v, err := parse(text)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s=%s is not understood", name, text)
	}
	return v
}

func (p *params) finish() error {
	if p.err != nil {
		return p.err
	}
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		return fmt.Errorf("%q does not belong to this action", name)
	}
	return nil
}

// String writes the rule in the form that [ParseFault] reads.
func (f Fault) String() string {
	var list []string
	add := func(name string, v any) {
		switch text := fmt.Sprint(v); text {
		case "", "0", "false", "0s":
		default:
			list = append(list, name+"="+text)
		}
	}
	add("path", f.Path)
	add("job", f.Job)
	add("page", f.Page)
	add("after", f.After)
	add("times", f.Times)
	add("every", f.Every)
	add("p", f.Probability)
	add("seed", f.Seed)
	name := describe(f.Action, add)
	s := string(or(f.Kind, "any")) + ":" + name
	if len(list) > 0 {
		s += ":" + strings.Join(list, ",")
	}
	return s
}

// describe names an action and adds its values.
func describe(a Action, add func(string, any)) string {
	switch a := a.(type) {
	case nil:
		return "nothing"
	case Status:
		add("retry-after", a.RetryAfter)
		add("body", a.Body)
		return strconv.Itoa(a.Code)
	case Reset:
		add("late", a.Late)
	case Cut:
		add("bytes", a.Bytes)
		add("at", a.At)
		add("chunked", a.Chunked)
		add("hard", a.Hard)
	case Shorten:
		add("bytes", a.Bytes)
		add("at", a.At)
	case Hang:
		if a.Body && a.Bytes == 0 {
			add("at", or(a.At, 0.5))
		}
		add("bytes", a.Bytes)
	case BadGzip:
		add("cut", a.Cut)
	case ExpiredCursor:
		add("status", a.Status)
	case Duplicate:
		add("records", a.Records)
	case JobState:
		add("message", a.Message)
		return "job-" + strings.ToLower(a.State)
	case Slow:
		add("rate", a.BytesPerSecond)
	case Delay:
		add("for", a.For)
	case WatermarkBack:
		add("by", a.By)
	}
	return a.Name()
}
