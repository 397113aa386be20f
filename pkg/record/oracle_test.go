package record_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/pkg/record"
)

// A result is what comes out of a page; ok is false if the page is damaged.
type result struct {
	OK       bool
	Records  []item
	Envelope record.Envelope
}

type item struct {
	JSON, ID string
	Start    time.Time
	End      time.Time
	Flaws    record.Flaw
}

// scan is what the scanner makes of a body.
func scan(t testing.TB, s *record.Scanner, p *record.Page) result {
	t.Helper()
	var got result
	err := s.Scan(p, func(r record.Record) error {
		got.Records = append(got.Records, item{string(r.JSON), string(r.ID), r.Start, r.End, r.Flaws})
		return nil
	})
	if err != nil {
		if p.Whole() || p.Damage() != err {
			t.Fatalf("Scan = %v, but Whole = %t, Damage = %v", err, p.Whole(), p.Damage())
		}
		return result{}
	}
	if !p.Whole() || p.Damage() != nil || p.Records != len(got.Records) {
		t.Fatalf("Scan = nil, but Whole = %t, Damage = %v, Records = %d of %d", p.Whole(), p.Damage(), p.Records, len(got.Records))
	}
	got.OK, got.Envelope = true, p.Envelope
	return got
}

// oracle is what encoding/json and the rules of the package say about a body:
// slow, and written without a look at the scanner.
func oracle(body []byte, maxDepth int) result {
	if !json.Valid(body) || !utf8.Valid(body) || nesting(body) > maxDepth {
		return result{}
	}
	fields, ok := fieldsOf(body)
	if !ok {
		return result{}
	}
	want := result{OK: true, Envelope: record.Envelope{TotalHits: -1}}
	seen := map[string]bool{}
	for _, f := range fields {
		switch f.key {
		case "conversations", "cursor", "totalHits", "dataAvailabilityDate", "code", "message":
			if seen[f.key] {
				return result{}
			}
			seen[f.key] = true
		}
		if !want.add(f.key, f.value) {
			return result{}
		}
	}
	want.Envelope.Foreign = len(fields) > 0 && !seen["conversations"] && !seen["cursor"] && !seen["totalHits"] && !seen["dataAvailabilityDate"]
	return want
}

// add takes a member of the page into account.
func (r *result) add(key string, value json.RawMessage) bool {
	e := &r.Envelope
	text, isText := textOf(value)
	switch key {
	case "conversations":
		return r.addRecords(value)
	case "cursor":
		e.Cursor = text
		return isText || string(value) == "null"
	case "totalHits":
		if hits := int64(0); string(value) != "null" && json.Unmarshal(value, &hits) == nil {
			e.TotalHits = hits
		}
	case "dataAvailabilityDate":
		e.Watermark = timeOf(text)
	case "code":
		e.Code = text
	case "message":
		e.Message = text
	}
	return true
}

func (r *result) addRecords(value json.RawMessage) bool {
	if string(value) == "null" {
		return true
	}
	var elements []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &elements) != nil {
		return false
	}
	r.Envelope.HasRecords = true
	for _, raw := range elements {
		fields, ok := fieldsOf(raw)
		if !ok {
			return false
		}
		var line bytes.Buffer
		if json.Compact(&line, raw) != nil {
			return false
		}
		rec := item{JSON: line.String(), Flaws: flawsOf(raw)}
		seen := map[string]bool{}
		for _, f := range fields {
			if text, _ := textOf(f.value); !seen[f.key] && f.key == "conversationId" {
				rec.ID = text
			} else if !seen[f.key] && f.key == "conversationStart" {
				rec.Start = timeOf(text)
			}
			if text, _ := textOf(f.value); !seen[f.key] && f.key == "conversationEnd" {
				rec.End = timeOf(text)
			}
			seen[f.key] = true
		}
		r.Records = append(r.Records, rec)
	}
	return true
}

var escapeSequence = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// flawsOf looks for the flaws of a valid record one after the other.
func flawsOf(raw []byte) (flaws record.Flaw) {
	high, end := false, -1 // the half of a pair that waits for the other
	for _, at := range escapeSequence.FindAllIndex(raw, -1) {
		unit, err := strconv.ParseUint(string(raw[at[0]+2:at[1]]), 16, 16)
		isUnit := err == nil && at[1]-at[0] == 6
		low := isUnit && unit >= 0xdc00 && unit <= 0xdfff
		if low != (high && at[0] == end) || high && at[0] != end {
			flaws |= record.FlawSurrogate
		}
		if isUnit && unit == 0 {
			flaws |= record.FlawNUL
		}
		high, end = isUnit && unit >= 0xd800 && unit <= 0xdbff, at[1]
	}
	if high {
		flaws |= record.FlawSurrogate
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return flaws | valueFlaws(dec)
}

// valueFlaws reads one value.
func valueFlaws(dec *json.Decoder) (flaws record.Flaw) {
	token, err := dec.Token()
	if err != nil {
		panic(err) // the record is valid
	}
	switch v := token.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil {
			flaws |= record.FlawNumber
		}
	case json.Delim:
		keys := map[any]bool{}
		for dec.More() {
			if v == '{' {
				key, _ := dec.Token()
				if keys[key] {
					flaws |= record.FlawDuplicateKey
				}
				keys[key] = true
			}
			flaws |= valueFlaws(dec)
		}
		if _, err := dec.Token(); err != nil {
			panic(err)
		}
	}
	return flaws
}

type field struct {
	key   string
	value json.RawMessage
}

// fieldsOf returns the members of an object, in order, doubles included.
func fieldsOf(raw []byte) ([]field, bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, false
	}
	var fields []field
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, false
		}
		f := field{key: key.(string)}
		if dec.Decode(&f.value) != nil {
			return nil, false
		}
		fields = append(fields, f)
	}
	return fields, true
}

func textOf(value []byte) (string, bool) {
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil {
		return "", false
	}
	return *text, true
}

func timeOf(text string) time.Time {
	var t time.Time
	if t.UnmarshalText([]byte(text)) != nil {
		return time.Time{}
	}
	return t.UTC()
}

// nesting is the depth of a valid JSON text.
func nesting(body []byte) int {
	depth, deepest, inside := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case !inside && (c == '{' || c == '['):
			depth++
			deepest = max(deepest, depth)
		case !inside && (c == '}' || c == ']'):
			depth--
		}
	}
	return deepest
}

// agree fails the test if scanner and oracle differ on the body.
func agree(t testing.TB, s *record.Scanner, body []byte) {
	t.Helper()
	before := string(body)
	got, want := scan(t, s, &record.Page{Body: body}), oracle(body, maxDepth)
	if string(body) != before {
		t.Fatalf("Scan changed the body")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("body %q (-encoding/json +scanner):\n%s", body, diff)
	}
}

// maxDepth is small, so that mutations reach it.
const maxDepth = 12
