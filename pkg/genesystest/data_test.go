package genesystest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestGolden holds the data of a seed still: exports of it are compared between
// versions and platforms.
func TestGolden(t *testing.T) {
	cases := []struct {
		name string
		opt  Options
		want string
	}{
		{"normal", Options{Size: SizeNormal, Seed: 1}, "e6b5bcc4aa16bd8a"},
		{"small", Options{Size: SizeSmall, Seed: 1}, "b87e93d97254da91"},
		{"another seed", Options{Size: SizeSmall, Seed: 2}, "7de6f75ed1883a64"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := sha256.New()
			for _, r := range collect(New(fixed(c.opt)), day(1), day(20), true) {
				io.WriteString(h, r+"\n")
			}
			if got := hex.EncodeToString(h.Sum(nil))[:16]; got != c.want {
				t.Errorf("data hash %s, want %s", got, c.want)
			}
		})
	}
}

// TestRecords checks every record of some weeks against what section 7 of the
// platform's documentation and real records say of them.
func TestRecords(t *testing.T) {
	s := New(fixed(Options{Size: SizeNormal, PerDay: 30, ExtraFields: true}))
	seen := make(map[string]bool)
	last := time.Time{}
	for c := range s.Truth(day(1), day(20), true) {
		switch {
		case !json.Valid(c.JSON) || !utf8.Valid(c.JSON):
			t.Fatalf("not valid: %s", c.JSON)
		case seen[c.ID]:
			t.Fatalf("%s is there twice", c.ID)
		case c.Start.Before(last):
			t.Fatalf("%s is out of order", c.ID)
		}
		seen[c.ID], last = true, c.Start
		var b bytes.Buffer
		if err := json.Compact(&b, c.JSON); err != nil || b.Len() != len(c.JSON) {
			t.Fatalf("not compact: %s", c.JSON)
		}
		if err := checkRecord(c); err != nil {
			t.Fatalf("%v in %s", err, c.JSON)
		}
		if err := checkOrder(json.NewDecoder(bytes.NewReader(c.JSON))); err != nil {
			t.Fatalf("%v in %s", err, c.JSON)
		}
	}
	if len(seen) < 500 {
		t.Errorf("only %d records", len(seen))
	}
}

type record struct {
	ID           string     `json:"conversationId"`
	Start        time.Time  `json:"conversationStart"`
	End          *time.Time `json:"conversationEnd"`
	MinMos       float64    `json:"mediaStatsMinConversationMos"`
	Participants []struct {
		Purpose    string
		Attributes map[string]string
		Sessions   []struct {
			SessionID, PeerID, MediaType string
			Stats                        []struct{ MinMos float64 } `json:"mediaEndpointStats"`
			Metrics                      []struct {
				Name     string
				Value    int64
				EmitDate time.Time
			}
			Segments []struct {
				Start time.Time  `json:"segmentStart"`
				End   *time.Time `json:"segmentEnd"`
			}
		}
	}
}

// checkRecord checks the sums and times of a record.
func checkRecord(c Conversation) error {
	var r record
	if err := json.Unmarshal(c.JSON, &r); err != nil {
		return err
	}
	if r.ID != c.ID || !r.Start.Equal(c.Start) {
		return fmt.Errorf("id %s, start %s", r.ID, r.Start)
	}
	var first, last time.Time
	open := false
	minMos := 0.0
	for _, p := range r.Participants {
		for _, s := range p.Sessions {
			previous := time.Time{}
			for _, g := range s.Segments {
				if g.Start.Before(previous) {
					return fmt.Errorf("segments out of order")
				}
				previous = g.Start
				if first.IsZero() || g.Start.Before(first) {
					first = g.Start
				}
				if g.End == nil {
					open = true
				} else if g.End.After(last) {
					last = *g.End
				}
			}
			sums := make(map[string]int64)
			previous = time.Time{}
			for _, m := range s.Metrics {
				if m.EmitDate.Before(previous) || m.Value < 0 {
					return fmt.Errorf("metric %s: %d at %s", m.Name, m.Value, m.EmitDate)
				}
				previous = m.EmitDate
				sums[m.Name] += m.Value
			}
			if h, known := sums["tHandle"]; known && h != sums["tTalk"]+sums["tHeld"]+sums["tAcw"] {
				return fmt.Errorf("tHandle %d of %v", h, sums)
			}
			if h, known := sums["tHeldComplete"]; known && h != sums["tHeld"] {
				return fmt.Errorf("tHeldComplete %d of %v", h, sums)
			}
			for _, st := range s.Stats {
				if minMos == 0 || st.MinMos < minMos {
					minMos = st.MinMos
				}
			}
		}
	}
	switch {
	case !first.Equal(r.Start):
		return fmt.Errorf("the first segment starts at %s", first)
	case open != (r.End == nil):
		return fmt.Errorf("open is %v, conversationEnd %v", open, r.End)
	case !open && !last.Equal(*r.End):
		return fmt.Errorf("the last segment ends at %s", last)
	case minMos != r.MinMos:
		return fmt.Errorf("lowest MOS %v", minMos)
	}
	return nil
}

// checkOrder checks that scalars stand in alphabetical order, before nested
// things, and that no key is there twice. The scores of evaluations and surveys
// stand behind, as in the real API.
func checkOrder(d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('['):
		for d.More() {
			if err := checkOrder(d); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	case json.Delim('{'):
	default:
		return nil
	}
	var keys, scalars []string
	for d.More() {
		k, _ := d.Token()
		key := k.(string)
		if slices.Contains(keys, key) {
			return fmt.Errorf("key %q twice", key)
		}
		keys = append(keys, key)
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		nested := v[0] == '{' || strings.HasPrefix(string(v), "[{") || string(v) == "[]"
		switch {
		case key == "attributes" || key == "zzFutureField":
			continue
		case nested && key != "cc" && key != "divisionIds" && key != "accessAttributes":
			if err := checkOrder(json.NewDecoder(bytes.NewReader(v))); err != nil {
				return err
			}
		case len(key) < 3 || key[1] < 'A' || key[1] > 'Z':
			scalars = append(scalars, key)
		}
	}
	if !slices.IsSorted(scalars) {
		return fmt.Errorf("keys in the order %q", scalars)
	}
	_, err = d.Token()
	return err
}

// TestVariety checks that what readers stumble over is really there.
func TestVariety(t *testing.T) {
	s := New(fixed(Options{Size: SizeNormal, PerDay: 400, From: moment.AddDate(0, 0, -19)}))
	var all bytes.Buffer
	for _, r := range collect(s, day(1), day(20), true) {
		all.WriteString(r)
	}
	for _, want := range []string{
		`"mediaType":"voice"`, `"mediaType":"callback"`, `"mediaType":"chat"`, `"mediaType":"message"`,
		`"mediaType":"email"`, `"mediaType":"video"`, `"mediaType":"cobrowse"`, `"mediaType":"screenshare"`,
		`"purpose":"ivr"`, `"purpose":"acd"`, `"purpose":"agent"`, `"purpose":"customer"`, `"purpose":"workflow"`,
		`"evaluations":[{`, `"surveys":[{`, `"surveys":[]`, `"resolutions":[{`, `"divisionIds":[]`, `"attributes":{}`,
		`"minMos":4.990,`, `"minMos":5E0,`, `"minRFactor":1E2,`, `"value":9223372036854775807`, `"value":5170000000`,
		`"outcomes":[`, `"account.tier"`, `"CRM.Case Number"`, `a\/b`, `caf\u00e9`, "café", "東京都千代田区", "مرحبا",
		`\ud83d\ude00`, "😀", `\"hello\"`, `C:\\temp`, `</script>`, `\u2028`, "\u2028", `"":"`, `error.ininedgecontrol`,
		`"originatingDirection":"outbound"`, `corrected by reprocessing`,
	} {
		if !bytes.Contains(all.Bytes(), []byte(want)) {
			t.Errorf("no %s in %d bytes", want, all.Len())
		}
	}
	if bytes.Contains(all.Bytes(), []byte("null")) && bytes.Contains(all.Bytes(), []byte(`:null,`)) {
		t.Error("absent fields are omitted, not null")
	}
}

func TestSizes(t *testing.T) {
	s := New(fixed(Options{Size: SizeNormal, PerDay: 100, LargeEvery: 1000}))
	var sizes []int
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	total := 0
	for _, r := range collect(s, day(1), day(20), true) {
		sizes = append(sizes, len(r))
		total += len(r)
		io.WriteString(z, r)
	}
	z.Close()
	slices.Sort(sizes)
	n := len(sizes)
	median, mean, ratio := sizes[n/2], total/n, float64(total)/float64(zipped.Len())
	t.Logf("%d records, median %d, mean %d, largest %d, gzip %.1f:1", n, median, mean, sizes[n-1], ratio)
	if median < 6_000 || median > 9_500 || mean < 9_000 || mean > 13_000 || ratio < 5 || ratio > 7 || sizes[n-1] < 50_000 || sizes[n-1] > 700_000 {
		t.Errorf("median %d, mean %d, gzip %.1f:1, largest %d", median, mean, ratio, sizes[n-1])
	}
}

// TestEdges: conversations start on the very edges of hours and days, where
// ownership goes wrong.
func TestEdges(t *testing.T) {
	s := New(fixed(Options{PerDay: 2000}))
	starts := make(map[int64]bool)
	for c := range s.Truth(day(2), day(3), false) {
		starts[c.Start.Sub(day(2)).Milliseconds()] = true
	}
	if !starts[0] || !starts[dayMS-1] {
		t.Error("nothing starts on the edges of the day")
	}
	hours := 0
	for h := range int64(24) {
		if starts[h*hourMS] {
			hours++
		}
	}
	if hours < 2 {
		t.Errorf("%d starts on the hour", hours)
	}
}

func TestOpenOnesDecayWithAge(t *testing.T) {
	s := New(fixed(Options{PerDay: 2000}))
	open := func(from, to time.Time) (n int) {
		for _, r := range collect(s, from, to, false) {
			if !strings.Contains(r, "conversationEnd") {
				n++
			}
		}
		return n
	}
	week, month := open(moment.AddDate(0, 0, -7), moment), open(moment.AddDate(0, 0, -35), moment.AddDate(0, 0, -28))
	old := open(moment.AddDate(0, 0, -70), moment.AddDate(0, 0, -63))
	if week < 2*month || month == 0 || old != 0 {
		t.Errorf("open: %d of the last week, %d of a month ago, %d of two months ago", week, month, old)
	}
}

func BenchmarkGenerate(b *testing.B) {
	s := New(fixed(Options{Size: SizeNormal, PerDay: 100_000}))
	g := generator{w: s.world}
	run := s.world.cal.between(day(2).UnixMilli(), day(3).UnixMilli())
	var buf []byte
	var n, bytes int64
	for b.Loop() {
		buf = g.append(buf[:0], s.world.cal.at(run, n%s.world.cal.len(run)), true, s.asOf())
		bytes += int64(len(buf))
		n++
	}
	b.SetBytes(bytes / n)
}
