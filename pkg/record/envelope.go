package record

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// The members of a page that are looked at; all others are only checked.
const (
	memberNone = iota
	memberArray
	memberCursor
	memberTotalHits
	memberWatermark
	memberCode
	memberMessage
	memberCount
)

// pageMember checks a member of the page, and takes note of it.
func (s *Scanner) pageMember(key []byte, i int) int {
	if int64(len(key)) > s.limit {
		return s.fail(i, tooLarge)
	}
	s.keep = false
	m := s.member(key)
	if m == memberNone {
		s.seen[memberNone] = true
		return s.value(i)
	}
	if s.seen[m] {
		return s.fail(i, "a member of the envelope stands twice")
	}
	s.seen[m] = true
	if m == memberArray {
		return s.arrayMember(i)
	}
	s.begin(i, s.opt.MaxEnvelope)
	i = s.complete(s.value(i))
	s.keep = false
	if !s.failed && !s.page.Envelope.set(m, s.buf[s.start:s.w]) {
		return s.fail(i, "the cursor is not a string")
	}
	return i
}

// foreign tells whether the page has members, and none of those that results have.
func (s *Scanner) foreign() bool {
	results := s.seen[memberArray] || s.seen[memberCursor] || s.seen[memberTotalHits] || s.seen[memberWatermark]
	return !results && s.seen != [memberCount]bool{}
}

// arrayMember checks the member that should be the array of records.
func (s *Scanner) arrayMember(i int) int {
	switch s.buf[i] {
	case '[':
		s.page.Envelope.HasRecords = true
		return s.array(i)
	case 'n':
		return s.literal(i, "null")
	}
	return s.fail(i, "the records are not an array")
}

// member tells which member of the page has the key.
func (s *Scanner) member(key []byte) int {
	switch name := text(key); string(name) {
	case s.opt.Array:
		return memberArray
	case "cursor":
		return memberCursor
	case "totalHits":
		return memberTotalHits
	case "dataAvailabilityDate":
		return memberWatermark
	case "code":
		return memberCode
	case "message":
		return memberMessage
	}
	return memberNone
}

// set takes a value. What does not have the right type counts as absent, but
// for the cursor: a page that says there is more, and not where, must not pass
// for the last. It reports whether that is so.
func (e *Envelope) set(member int, value []byte) bool {
	switch member {
	case memberCursor:
		e.Cursor = string(text(value))
		return value[0] == '"' || value[0] == 'n'
	case memberTotalHits:
		if hits, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			e.TotalHits = hits
		}
	case memberWatermark:
		e.Watermark = instant(value)
	case memberCode:
		e.Code = string(text(value))
	case memberMessage:
		e.Message = string(text(value))
	}
	return true
}

// text returns what a valid JSON string says, and nothing for other values. It
// is a part of value where no escape stands in the way.
func text(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var said string
	if err := json.Unmarshal(value, &said); err != nil {
		return nil
	}
	return []byte(said)
}

// instant returns the time that a valid JSON string says, in UTC, and the zero
// time for everything else.
func instant(value []byte) time.Time {
	if t, ok := apiTime(value); ok {
		return t
	}
	var t time.Time
	if said := text(value); len(said) == 0 || t.UnmarshalText(said) != nil {
		return time.Time{}
	}
	return t.UTC()
}

// apiTime reads the one form in which the API writes times, faster than the
// time package does, which is left with everything else.
func apiTime(b []byte) (time.Time, bool) {
	const form = `"2024-03-01T12:34:56.789Z"`
	if len(b) != len(form) || b[0] != '"' || b[5] != '-' || b[8] != '-' || b[11] != 'T' ||
		b[14] != ':' || b[17] != ':' || b[20] != '.' || b[24] != 'Z' {
		return time.Time{}, false
	}
	year, month, day := 100*two(b[1:])+two(b[3:]), two(b[6:]), two(b[9:])
	hour, minute, second := two(b[12:]), two(b[15:]), two(b[18:])
	centis, millis := two(b[21:]), two(b[22:])
	if year < 1 || year > 9999 || month > 12 || hour > 23 || minute > 59 || second > 59 || centis > 99 || millis > 99 ||
		month < 1 || day < 1 || day > daysOf(year, month) {
		return time.Time{}, false
	}
	seconds := ((int64(daysTo(year, month)+day-1)*24+int64(hour))*60+int64(minute))*60 + int64(second)
	return time.Unix(seconds, int64(10*centis+millis%10)*1e6).UTC(), true
}

// daysOf counts the days of a month, and daysTo those from 1970 to its first.
func daysOf(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	}
	return 30 + (month+month/8)&1
}

func daysTo(year, month int) int {
	if month < 3 { // a year that begins in March ends with the day that is not always there
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 - 719468
}

// two reads two digits; anything else gives a number too large for them.
func two(b []byte) int {
	tens, ones := b[0]-'0', b[1]-'0'
	if tens > 9 || ones > 9 {
		return 1 << 20
	}
	return 10*int(tens) + int(ones)
}
