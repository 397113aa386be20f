package record_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/pkg/record"
)

func TestScan(t *testing.T) {
	start := time.Date(2024, 3, 1, 12, 34, 56, 789e6, time.UTC)
	for _, c := range []struct {
		name, body string
		want       result
	}{
		{
			"job page",
			` {"conversations": [ {"conversationId": "a b", "n": 1.0, "conversationStart" :"2024-03-01T12:34:56.789Z"}, {} ],
			  "cursor":"bmV4dA==", "dataAvailabilityDate":"2024-03-05T02:00:00Z"} `,
			result{
				Records: []item{
					{`{"conversationId":"a b","n":1.0,"conversationStart":"2024-03-01T12:34:56.789Z"}`, "a b", start, time.Time{}, 0},
					{JSON: `{}`},
				},
				Envelope: record.Envelope{Cursor: "bmV4dA==", TotalHits: -1, HasRecords: true, Watermark: time.Date(2024, 3, 5, 2, 0, 0, 0, time.UTC)},
			},
		},
		{
			"numbers, order and doubles stay as they are",
			`{"totalHits": 3, "conversations":[{"z":12345678901234567890.10e+00,"a":-0,"z":1E5,"s":"\u003c<\/"}]}`,
			result{
				Records:  []item{{JSON: `{"z":12345678901234567890.10e+00,"a":-0,"z":1E5,"s":"\u003c<\/"}`, Flaws: record.FlawDuplicateKey}},
				Envelope: record.Envelope{TotalHits: 3, HasRecords: true},
			},
		},
		{
			"keys and values with escapes",
			`{"c\u006fnversations":[{"\u0063onversationId":"\ud83d\ude00","conversationStart":"2024-03-01T12:34:56.789\u005a"}],"\u0063ursor":"\u0041"}`,
			result{
				Records:  []item{{`{"\u0063onversationId":"\ud83d\ude00","conversationStart":"2024-03-01T12:34:56.789\u005a"}`, "😀", start, time.Time{}, 0}},
				Envelope: record.Envelope{Cursor: "A", TotalHits: -1, HasRecords: true},
			},
		},
		{
			"the first id counts, also of the wrong type, and no inner one",
			`{"conversations":[{"in":{"conversationId":"x"},"conversationId":"y","conversationId":"z"},{"conversationId":5,"conversationId":"z"}]}`,
			result{
				Records: []item{
					{JSON: `{"in":{"conversationId":"x"},"conversationId":"y","conversationId":"z"}`, ID: "y", Flaws: record.FlawDuplicateKey},
					{JSON: `{"conversationId":5,"conversationId":"z"}`, Flaws: record.FlawDuplicateKey},
				},
				Envelope: record.Envelope{TotalHits: -1, HasRecords: true},
			},
		},
		{
			"error body",
			`{"message":"no\nway","code":"not.found","status":404,"messageWithParams":"x","details":[{"conversations":[{}]}]}`,
			result{Envelope: record.Envelope{TotalHits: -1, Foreign: true, Code: "not.found", Message: "no\nway"}},
		},
		{"no records", `{"conversations":[]}`, result{Envelope: record.Envelope{TotalHits: -1, HasRecords: true}}},
		{"null for records", `{"conversations":null}`, result{Envelope: record.Envelope{TotalHits: -1}}},
		{"empty object", `{}`, result{Envelope: record.Envelope{TotalHits: -1}}},
	} {
		c.want.OK = true
		for _, window := range []int{1, 10, 64 << 10} {
			t.Run(fmt.Sprintf("%s/window %d", c.name, window), func(t *testing.T) {
				s := record.NewScanner(record.Options{})
				s.SetWindow(window)
				for _, p := range []*record.Page{
					{Body: []byte(c.body)},
					{Body: zip([]byte(c.body), 6), Gzip: true},
				} {
					if diff := cmp.Diff(c.want, scan(t, s, p)); diff != "" {
						t.Errorf("gzip %t (-want +got):\n%s", p.Gzip, diff)
					}
					if p.RawBytes != int64(len(c.body)) {
						t.Errorf("RawBytes = %d, want %d", p.RawBytes, len(c.body))
					}
				}
			})
		}
	}
}

func TestScanDamage(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"empty", ``, "damaged at byte 0: unexpected end"},
		{"only whitespace", `  `, "damaged at byte 2: unexpected end"},
		{"cut", `{"conversations":[{"a":1}`, "damaged at byte 25: unexpected end"},
		{"cut in a string", `{"conversations":[{"a":"xy`, "damaged at byte 26: unexpected end"},
		{"not an object", `[]`, "damaged at byte 0: the page is not an object"},
		{"two roots", `{} {}`, "damaged at byte 3: something behind the end"},
		{"a zero byte behind", "{}\x00", "damaged at byte 2: something behind the end"},
		{"records not an array", `{"conversations":{}}`, "damaged at byte 17: the records are not an array"},
		{"record not an object", `{"conversations":[{},1]}`, "damaged at byte 21: a record is not an object"},
		{"records twice", `{"conversations":[],"conversations":[]}`, "damaged at byte 36: a member of the envelope stands twice"},
		{"cursor a number", `{"cursor":12}`, "damaged at byte 12: the cursor is not a string"},
		{"bad UTF-8", "{\"a\":\"x\xff\"}", "damaged at byte 7: invalid UTF-8"},
		{"control character", "{\"a\":\"x\n\"}", "damaged at byte 7: control character in a string"},
		{"zero byte in a string", "{\"a\":\"x\x00\"}", "damaged at byte 7: control character in a string"},
		{"zero byte between", "{\"a\":\x001}", "damaged at byte 5: invalid value"},
		{"bad escape", `{"a":"\q"}`, "damaged at byte 7: invalid escape sequence in a string"},
		{"bad number", `{"a":01}`, "damaged at byte 6: no comma or closing bracket behind a value"},
		{"bad word", `{"a":nill}`, "damaged at byte 5: invalid value"},
		{"wrong bracket", `{"a":[1}]}`, "damaged at byte 7: no comma or closing bracket behind a value"},
		{"comma at the end", `{"a":[1,]}`, "damaged at byte 8: invalid value"},
		{"no key", `{"a":{1:2}}`, "damaged at byte 6: no key in an object"},
		{"no colon", `{"a":{"b",2}}`, "damaged at byte 9: no colon behind a key"},
		{"byte order mark", "\ufeff{}", "damaged at byte 0: the page is not an object"},
	} {
		for _, window := range []int{1, 5, 64 << 10} {
			t.Run(fmt.Sprintf("%s/window %d", c.name, window), func(t *testing.T) {
				s := record.NewScanner(record.Options{})
				s.SetWindow(window)
				p := &record.Page{Body: []byte(c.body)}
				err := s.Scan(p, func(record.Record) error { return nil })
				var damage *record.DamagedError
				if !errors.As(err, &damage) || err.Error() != c.want {
					t.Fatalf("Scan = %v, want %s", err, c.want)
				}
				if p.Damage() != err || p.Whole() || p.Records != 0 || p.RawBytes != 0 || p.Envelope != (record.Envelope{TotalHits: -1}) {
					t.Errorf("page is %+v", p)
				}
			})
		}
	}
}

func TestScanBounds(t *testing.T) {
	const big = 5000
	str := strings.Repeat("x", big)
	rec := `{"a":"` + str + `"}`
	page := `{"conversations":[` + rec + `,` + rec + `]}`
	nested := `{"conversations":[{"a":` + strings.Repeat("[", 97) + strings.Repeat("]", 97) + `}]}`
	spaced := `{"conversations":[{"a":"b"` + strings.Repeat(" ", big) + `}]}`
	for _, c := range []struct {
		name, body string
		opt        record.Options
		bad        bool
	}{
		{"record at the bound", page, record.Options{MaxRecord: int64(len(rec))}, false},
		{"record over the bound", page, record.Options{MaxRecord: int64(len(rec)) - 1}, true},
		{"record below the bound but for its whitespace", spaced, record.Options{MaxRecord: 9}, false},
		{"body at the bound", page, record.Options{MaxRaw: int64(len(page))}, false},
		{"body over the bound", page, record.Options{MaxRaw: int64(len(page)) - 1}, true},
		{"whitespace over the bound", page + strings.Repeat(" ", 100), record.Options{MaxRaw: int64(len(page))}, true},
		{"depth at the bound", nested, record.Options{MaxDepth: 100}, false},
		{"depth over the bound", nested, record.Options{MaxDepth: 99}, true},
		{"records deeper than the bound", nested, record.Options{MaxDepth: 2}, true},
		{"array deeper than the bound", `{"conversations":[]}`, record.Options{MaxDepth: 1}, true},
		{"skipped value deeper than the bound", `{"other":[[]]}`, record.Options{MaxDepth: 2}, true},
		{"cursor at the bound", `{"cursor":"` + str + `"}`, record.Options{MaxEnvelope: big + 2}, false},
		{"cursor over the bound", `{"cursor":"` + str + `"}`, record.Options{MaxEnvelope: big + 1}, true},
		{"key over the bound", `{"` + str + `":1}`, record.Options{MaxEnvelope: big + 1}, true},
		{"a value that is not kept may be larger", `{"other":"` + str + `"}`, record.Options{MaxEnvelope: 100}, false},
		{"a record may be larger", page, record.Options{MaxEnvelope: 100}, false},
	} {
		for _, window := range []int{1, 100, 64 << 10} {
			t.Run(fmt.Sprintf("%s/window %d", c.name, window), func(t *testing.T) {
				s := record.NewScanner(c.opt)
				s.SetWindow(window)
				for _, p := range []*record.Page{
					{Body: []byte(c.body)},
					{Body: zip([]byte(c.body), 6), Gzip: true},
				} {
					if got := scan(t, s, p); got.OK == c.bad {
						t.Errorf("gzip %t: whole = %t, %v", p.Gzip, got.OK, p.Damage())
					}
				}
			})
		}
	}
}

// TestScanBomb sees to it that a small body cannot make the scanner large.
func TestScanBomb(t *testing.T) {
	const size = 4 << 20
	for _, c := range []struct{ name, body string }{
		{"whitespace", `{"conversations":[` + strings.Repeat(" ", size) + `]}`},
		{"whitespace in a record", `{"conversations":[{` + strings.Repeat(" ", size) + `}]}`},
		{"a value that is not kept", `{"other":"` + strings.Repeat("x", size) + `"}`},
		{"numbers that are not kept", `{"other":[1` + strings.Repeat(",1", size/2) + `]}`},
		{"many records", `{"conversations":[{}` + strings.Repeat(",{}", size/3) + `]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := zip([]byte(c.body), 1)
			s := record.NewScanner(record.Options{})
			p := &record.Page{Body: body, Gzip: true}
			if err := s.Scan(p, func(record.Record) error { return nil }); err != nil {
				t.Errorf("Scan = %v", err)
			}
			if s.Buffer() > 65<<10 {
				t.Errorf("buffer has grown to %d bytes", s.Buffer())
			}
			s = record.NewScanner(record.Options{MaxRaw: size / 2})
			if err := s.Scan(p, func(record.Record) error { return nil }); err == nil {
				t.Error("a body beyond MaxRaw is whole")
			}
		})
	}
}

// TestScanStops checks that an error of fn comes back as it is, and that the
// scanner is as good as new after it, and after damage.
func TestScanStops(t *testing.T) {
	stop := &record.DamagedError{Reason: "not the scanner's"}
	s := record.NewScanner(record.Options{})
	page := newSynth(4).page(20)
	want := scan(t, record.NewScanner(record.Options{}), &record.Page{Body: page})
	for n := range 20 {
		p := &record.Page{Body: zip(page, 1), Gzip: true}
		calls := 0
		err := s.Scan(p, func(record.Record) error {
			if calls++; calls > n {
				return stop
			}
			return nil
		})
		if err != error(stop) || calls != n+1 {
			t.Fatalf("Scan = %v after %d calls", err, calls)
		}
		if p.Whole() || p.Damage() != nil || p.Records != 0 || p.Envelope != (record.Envelope{TotalHits: -1}) {
			t.Fatalf("the page counts as scanned: %+v", p)
		}
		if err := s.Scan(&record.Page{Body: page[:len(page)*n/20]}, func(record.Record) error { return nil }); err == nil {
			t.Fatal("half a page is whole")
		}
		if diff := cmp.Diff(want, scan(t, s, p)); diff != "" {
			t.Fatalf("the same page afterwards (-want +got):\n%s", diff)
		}
	}
}

// TestScanBuffer checks that the buffer grows with the records and shrinks.
func TestScanBuffer(t *testing.T) {
	s := record.NewScanner(record.Options{})
	for _, c := range []struct{ record, least, most int }{
		{1 << 10, 64 << 10, 65 << 10},
		{1 << 20, 1 << 20, 3 << 20},
		{1 << 10, 1 << 20, 3 << 20},
		{9 << 20, 0, 0},
		{1 << 10, 64 << 10, 65 << 10},
	} {
		rec := `{"conversationId":"a","x":"` + strings.Repeat("y", c.record) + `"}`
		got := scan(t, s, &record.Page{Body: []byte(`{"conversations":[` + rec + `,` + rec + `]}`)})
		if len(got.Records) != 2 || got.Records[0].JSON != rec || got.Records[1].JSON != rec {
			t.Fatalf("records of %d bytes come out wrong", c.record)
		}
		if s.Buffer() < c.least || s.Buffer() > c.most {
			t.Errorf("buffer of %d bytes after records of %d", s.Buffer(), c.record)
		}
	}
}

func TestScanOtherDataset(t *testing.T) {
	s := record.NewScanner(record.Options{Array: "userDetails", ID: "userId", Start: "at"})
	got := scan(t, s, &record.Page{Body: []byte(`{"conversations":5,"userDetails":[{"userId":"u","at":"2024-03-01T00:00:00Z","conversationId":"c"}]}`)})
	if !got.OK || len(got.Records) != 1 || got.Records[0].ID != "u" || got.Records[0].Start.IsZero() {
		t.Errorf("got %+v", got)
	}
}

// TestScanAllocates checks that records cost no allocation.
func TestScanAllocates(t *testing.T) {
	page := newSynth(6).page(300)
	for _, p := range []*record.Page{
		{Body: page}, {Body: indent(page)}, {Body: zip(page, 6), Gzip: true},
	} {
		s := record.NewScanner(record.Options{})
		each := func(record.Record) error { return nil }
		if err := s.Scan(p, each); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(5, func() { s.Scan(p, each) }); n > 4 {
			t.Errorf("gzip %t: %v allocations for a page", p.Gzip, n)
		}
	}
}
