package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/gcexport/gcexport/pkg/record"
)

// A RecordFormat says what a line of a data object is.
type RecordFormat string

const (
	// RecordRaw lines are the API's own objects.
	RecordRaw RecordFormat = "raw"
	// RecordEnvelope lines are objects of fixed columns, of which the last,
	// "record", is the API's own object, byte for byte. For loaders whose tables
	// must not change with the API: docs/format.md.
	RecordEnvelope RecordFormat = "envelope"
)

// envelopeSchema is the version of the envelope's columns.
const envelopeSchema = 1

// recordColumn is what stands between the other columns and the record. In JSON,
// it cannot stand within a string.
const recordColumn = `,"record":`

// An envelope makes lines of an attempt's records.
type envelope struct {
	columns []byte // those that all records of the attempt share
	line    []byte
}

func newEnvelope(asOf time.Time, run, source string) *envelope {
	return &envelope{columns: fmt.Appendf(nil, `,"as_of":%s,"export_id":%s,"source":%s,"revision":0,"schema_version":%d`,
		stamp(asOf), quoted([]byte(run)), quoted([]byte(source)), envelopeSchema)}
}

// wrap gives the record whose JSON is the line; it is good until the next one.
func (e *envelope) wrap(rec record.Record) record.Record {
	if cap(e.line) > 1<<20 {
		e.line = nil
	}
	e.line = appendEnvelope(e.line[:0], rec, e.columns)
	rec.JSON = e.line
	return rec
}

func appendEnvelope(b []byte, rec record.Record, columns []byte) []byte {
	b = append(append(b, `{"conversation_id":`...), quoted(rec.ID)...)
	b = append(append(b, `,"conversation_start":`...), stamp(rec.Start)...)
	b = append(append(b, `,"conversation_end":`...), stamp(rec.End)...)
	b = append(append(b, columns...), recordColumn...)
	return append(append(b, rec.JSON...), '}')
}

// quoted writes a JSON string.
func quoted(s []byte) []byte {
	for _, c := range s {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := json.Marshal(string(s))
			if err != nil {
				return []byte(`""`) // there is none
			}
			return text
		}
	}
	return append(append([]byte{'"'}, s...), '"')
}

// stamp writes a time as the API does, and null for none.
func stamp(t time.Time) []byte {
	switch {
	case t.IsZero():
		return []byte("null")
	case t.Nanosecond()%1e6 != 0:
		return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000000000Z"`)
	}
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`)
}

// attemptColumns are the columns that newEnvelope writes.
var attemptColumns = regexp.MustCompile(`^,"as_of":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","export_id":"[0-9A-HJKMNP-TV-Z]{26}","source":"[a-z]*","revision":0,"schema_version":1$`)

// A lineReader reads the lines of data objects in a format.
type lineReader struct {
	format  RecordFormat
	scanner *record.Scanner
	line    []byte
}

func newLineReader(f RecordFormat) *lineReader {
	return &lineReader{format: f, scanner: record.NewScanner(record.Options{})}
}

// read gives the record of a line, which is good until the next one. The error
// says in a phrase why the line is none that this program would write.
func (l *lineReader) read(line []byte) (record.Record, error) {
	if l.format != RecordEnvelope {
		return l.scanner.Line(line)
	}
	columns, rest, ok := bytes.Cut(line, []byte(recordColumn))
	if !ok || len(rest) == 0 || rest[len(rest)-1] != '}' {
		return record.Record{}, errors.New("no envelope")
	}
	rec, err := l.scanner.Line(rest[:len(rest)-1])
	if err != nil {
		return record.Record{}, err
	}
	at := bytes.Index(columns, []byte(`,"as_of":`))
	if at < 0 || !attemptColumns.Match(columns[at:]) {
		return record.Record{}, errors.New("an envelope with other columns")
	}
	if l.line = appendEnvelope(l.line[:0], rec, columns[at:]); !bytes.Equal(l.line, line) {
		return record.Record{}, errors.New("an envelope whose columns do not say what its record says")
	}
	return rec, nil
}

// leadingID finds the id of a record where it is the first member of the line
// and has no escapes, as the API and envelopes have it; the line is known to be
// a record.
func (l *lineReader) leadingID(line []byte) ([]byte, bool) {
	head := `{"conversationId":"`
	if l.format == RecordEnvelope {
		head = `{"conversation_id":"`
	}
	if !bytes.HasPrefix(line, []byte(head)) {
		return nil, false
	}
	rest := line[len(head):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return nil, false
	}
	return rest[:end], true
}
