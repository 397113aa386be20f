package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	gojson "github.com/goccy/go-json"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/pkg/record"
)

// BenchmarkScan measures the scanner alone, on bodies without compression,
// against what Go programs do otherwise to get from a page to lines.
func BenchmarkScan(b *testing.B) {
	normal := page(simulated(genesystest.SizeNormal, -1), 1000)
	for _, c := range []struct {
		name string
		page []byte
	}{
		{"compact", normal},
		{"pretty", indent(normal)},
		{"tiny", tinyPage(20_000)},
		{"huge", page(simulated(genesystest.SizeNormal, 1), 6)},
	} {
		b.Run(c.name, func(b *testing.B) {
			compare(b, len(c.page), scanner(c.page), rawMessages("std", c.page, json.Unmarshal, json.Compact),
				rawMessages("goccy", c.page, gojson.Unmarshal, gojson.Compact), tokens(c.page))
		})
	}
}

// BenchmarkDecode measures the ways that do not keep the bytes as they are, but
// make values of them and write those.
func BenchmarkDecode(b *testing.B) {
	page := page(simulated(genesystest.SizeNormal, -1), 1000)
	compare(b, len(page), scanner(page),
		values("std", page, json.Unmarshal, json.Marshal), values("goccy", page, gojson.Unmarshal, gojson.Marshal))
}

func scanner(page []byte) side {
	s := record.NewScanner(record.Options{})
	p := &record.Page{Body: page}
	return side{"scanner", func() error {
		return s.Scan(p, func(record.Record) error { return nil })
	}}
}

// rawMessages takes the page apart with []json.RawMessage, and compacts each.
func rawMessages(name string, page []byte, unmarshal func([]byte, any) error, compact func(*bytes.Buffer, []byte) error) side {
	return side{name, func() error {
		var parsed struct{ Conversations []json.RawMessage }
		if err := unmarshal(page, &parsed); err != nil {
			return err
		}
		var line bytes.Buffer
		for _, r := range parsed.Conversations {
			line.Reset()
			if err := compact(&line, r); err != nil {
				return err
			}
		}
		return nil
	}}
}

// values decodes the page to Go values, and encodes each.
func values(name string, page []byte, unmarshal func([]byte, any) error, marshal func(any) ([]byte, error)) side {
	return side{name, func() error {
		var parsed struct{ Conversations []map[string]any }
		if err := unmarshal(page, &parsed); err != nil {
			return err
		}
		for _, r := range parsed.Conversations {
			if _, err := marshal(r); err != nil {
				return err
			}
		}
		return nil
	}}
}

// tokens reads the page with jsontext: down to the array, value by value, and to
// the end.
func tokens(page []byte) side {
	return side{"jsontext", func() error {
		d := jsontext.NewDecoder(bytes.NewReader(page), jsontext.AllowDuplicateNames(true))
		for {
			t, err := d.ReadToken()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if t.Kind() != '[' || d.StackDepth() != 2 {
				continue
			}
			for d.PeekKind() != ']' {
				v, err := d.ReadValue()
				if err != nil {
					return err
				}
				if err := v.Compact(jsontext.AllowDuplicateNames(true)); err != nil {
					return err
				}
				if len(v) == 0 {
					return errors.New("nothing in a value")
				}
			}
		}
	}}
}
