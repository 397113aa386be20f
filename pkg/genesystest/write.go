package genesystest

import "strconv"

// A writer appends compact JSON to a buffer. Every member and element is
// written with a comma behind it; close takes the last one away again. Strings
// are given as they stand between the quotes: escaping is the data's own, and
// part of what a faithful reader has to keep.
type writer struct{ b []byte }

// key writes a name with its quotes and colon.
func (w *writer) key(k string) {
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) open(k string, bracket byte) {
	if k != "" {
		w.key(k)
	}
	w.b = append(w.b, bracket)
}

func (w *writer) close(bracket byte) {
	if n := len(w.b) - 1; w.b[n] == ',' {
		w.b[n] = bracket
	} else {
		w.b = append(w.b, bracket)
	}
	w.b = append(w.b, ',')
}

// str writes a string member, unless it is empty.
func (w *writer) str(k, v string) {
	if v == "" {
		return
	}
	w.key(k)
	w.quote(v)
}

// quote writes a string element.
func (w *writer) quote(v string) {
	w.b = append(w.b, '"')
	w.b = append(w.b, v...)
	w.b = append(w.b, '"', ',')
}

// raw writes a number or any other value as it stands.
func (w *writer) raw(k, v string) {
	w.key(k)
	w.b = append(w.b, v...)
	w.b = append(w.b, ',')
}

func (w *writer) int(k string, v int64) {
	w.key(k)
	w.b = strconv.AppendInt(w.b, v, 10)
	w.b = append(w.b, ',')
}

func (w *writer) bool(k string, v bool) {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
	w.b = append(w.b, ',')
}

// id writes an identifier, unless it is zero.
func (w *writer) id(k string, u uid) {
	if u.zero() {
		return
	}
	w.key(k)
	w.quoteID(u)
}

func (w *writer) quoteID(u uid) {
	w.b = append(w.b, '"')
	w.b = u.append(w.b)
	w.b = append(w.b, '"', ',')
}

// ids writes an array of identifiers, unless there are none.
func (w *writer) ids(k string, us []uid) {
	if len(us) == 0 {
		return
	}
	w.open(k, '[')
	for _, u := range us {
		w.quoteID(u)
	}
	w.close(']')
}

// list writes an array of strings, unless there are none.
func (w *writer) list(k string, vs ...string) {
	if len(vs) == 0 {
		return
	}
	w.open(k, '[')
	for _, v := range vs {
		w.quote(v)
	}
	w.close(']')
}

// time writes an instant, with milliseconds, unless it is zero.
func (w *writer) time(k string, ms int64) {
	if ms == 0 {
		return
	}
	w.key(k)
	w.b = append(w.b, '"')
	w.b = appendTime(w.b, ms)
	w.b = append(w.b, '"', ',')
}

// appendTime writes 2006-01-02T15:04:05.000Z, several times faster than
// package time: a record holds a hundred of them.
func appendTime(b []byte, ms int64) []byte {
	day := floorDiv(ms, dayMS)
	rest := int(ms - day*dayMS)
	y, m, d := civil(day)
	t := [24]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 23: 'Z'}
	put2(t[0:], y/100)
	put2(t[2:], y%100)
	put2(t[5:], m)
	put2(t[8:], d)
	put2(t[11:], rest/3_600_000)
	put2(t[14:], rest/60_000%60)
	put2(t[17:], rest/1000%60)
	t[20] = byte('0' + rest%1000/100)
	put2(t[21:], rest%100)
	return append(b, t[:]...)
}

func put2(b []byte, v int) {
	b[0], b[1] = byte('0'+v/10), byte('0'+v%10)
}

// civil turns days since the epoch into a date of the Gregorian calendar
// (Hinnant's algorithm, for days after the year 0).
func civil(day int64) (y, m, d int) {
	z := day + 719468
	era := z / 146097
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy - (153*mp+2)/5 + 1)
	m = int(mp + 3)
	if m > 12 {
		m -= 12
	}
	y = int(yoe + era*400)
	if m <= 2 {
		y++
	}
	return y, m, d
}
