// Package interval holds half-open ranges of time in UTC: [Start, End).
//
// An [Interval] is what a user asks for, what a chunk covers and what the API
// is asked about. Half-open ranges can be laid side by side without a gap and
// without an instant that belongs to two of them; that is what makes "each
// conversation belongs to exactly one chunk" possible.
//
// [ParseTime] and [ParseLength] read what people write, [Interval.Split] cuts a
// range into chunks, and [Interval.String] writes the form that the Genesys
// Cloud Analytics API expects.
package interval

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Layout is how the API writes an instant: UTC with milliseconds.
const Layout = "2006-01-02T15:04:05.000Z"

// An Interval is the half-open range [Start, End) of instants in UTC. The zero
// Interval is empty and contains nothing.
type Interval struct {
	Start, End time.Time
}

// New returns [start, end) in UTC. It is an error if end is not after start.
func New(start, end time.Time) (Interval, error) {
	if !end.After(start) {
		return Interval{}, fmt.Errorf("the end %s is not after the start %s", Format(end), Format(start))
	}
	return Interval{Start: start.UTC(), End: end.UTC()}, nil
}

// Parse reads the form that [Interval.String] writes, "start/end", where each
// side is anything that [ParseTime] reads.
func Parse(s string) (Interval, error) {
	from, to, ok := strings.Cut(s, "/")
	if !ok {
		return Interval{}, fmt.Errorf("%q is not an interval: want START/END", s)
	}
	start, err := ParseTime(from)
	if err != nil {
		return Interval{}, fmt.Errorf("parse start: %w", err)
	}
	end, err := ParseTime(to)
	if err != nil {
		return Interval{}, fmt.Errorf("parse end: %w", err)
	}
	return New(start, end)
}

// String writes the interval as the API takes it (ISO 8601, UTC, milliseconds):
// "2024-03-01T00:00:00.000Z/2024-03-02T00:00:00.000Z".
func (iv Interval) String() string {
	return Format(iv.Start) + "/" + Format(iv.End)
}

// MarshalText writes the interval as [Interval.String] does, for logs and JSON.
func (iv Interval) MarshalText() ([]byte, error) { return []byte(iv.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (iv *Interval) UnmarshalText(text []byte) (err error) {
	*iv, err = Parse(string(text))
	return err
}

// Format writes an instant in [Layout].
func Format(t time.Time) string { return t.UTC().Format(Layout) }

// Length is End minus Start.
func (iv Interval) Length() time.Duration { return iv.End.Sub(iv.Start) }

// Empty reports whether no instant lies in the interval.
func (iv Interval) Empty() bool { return !iv.End.After(iv.Start) }

// Contains reports whether Start <= t < End.
func (iv Interval) Contains(t time.Time) bool {
	return !t.Before(iv.Start) && t.Before(iv.End)
}

// Overlaps reports whether some instant lies in both intervals.
func (iv Interval) Overlaps(other Interval) bool {
	return iv.Start.Before(other.End) && other.Start.Before(iv.End)
}

// Split cuts the interval into pieces of the given length, counted from Start;
// the last piece is cut at End. The pieces are in order, contiguous, disjoint
// and never empty. A length that is not positive gives no cut: one piece.
func (iv Interval) Split(length time.Duration) iter.Seq[Interval] {
	return func(yield func(Interval) bool) {
		for start := iv.Start; start.Before(iv.End); {
			end := iv.End
			if length > 0 && end.Sub(start) > length {
				end = start.Add(length)
			}
			if !yield(Interval{Start: start, End: end}) {
				return
			}
			start = end
		}
	}
}

// Halves cuts the interval in two at its middle, rounded down to whole units.
// ok is false where the interval is too short for two pieces of a whole unit.
func (iv Interval) Halves(unit time.Duration) (first, second Interval, ok bool) {
	half := (iv.Length() / 2).Truncate(unit)
	if half <= 0 {
		return Interval{}, Interval{}, false
	}
	middle := iv.Start.Add(half)
	return Interval{iv.Start, middle}, Interval{middle, iv.End}, true
}

// ParseTime reads a date ("2024-03-01", midnight UTC) or an RFC 3339 instant
// with a zone ("2024-03-01T06:00:00+02:00") and returns it in UTC. A time
// without a zone is refused: it would mean something else on another machine.
func ParseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	for _, zoneless := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if _, err := time.Parse(zoneless, s); err == nil {
			return time.Time{}, fmt.Errorf("%q has no time zone: add Z for UTC, or an offset such as +02:00", s)
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: want a date such as 2024-03-01, or RFC 3339 such as 2024-03-01T06:00:00Z", s)
}

// Day is 24 hours; in UTC every day has that length.
const Day = 24 * time.Hour

// ParseLength reads a positive length of time as [time.ParseDuration] does,
// with days (d) and weeks (w) allowed as well: "6h", "7d", "1d12h", "2w".
func ParseLength(s string) (time.Duration, error) {
	total, rest, err := leadingDays(s)
	if err == nil && rest != "" {
		var d time.Duration
		d, err = time.ParseDuration(rest)
		total += d
		if d < 0 || total < 0 {
			err = errors.New("negative or too long")
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a length of time: want for example 6h, 24h or 7d", s)
	}
	if total <= 0 {
		return 0, fmt.Errorf("%q is not a positive length of time", s)
	}
	return total, nil
}

// leadingDays takes the weeks and days off the front of s; what it leaves is
// for time.ParseDuration.
func leadingDays(s string) (total time.Duration, rest string, err error) {
	const longest = 100 * 366 // days: more than any organisation keeps, far from overflow
	for rest = s; ; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 6 || digits == len(rest) {
			return total, rest, nil
		}
		unit := Day
		switch rest[digits] {
		case 'd':
		case 'w':
			unit = 7 * Day
		default:
			return total, rest, nil
		}
		var n time.Duration
		for _, c := range rest[:digits] {
			n = n*10 + time.Duration(c-'0')
		}
		if total += n * unit; n > longest || total > longest*Day {
			return 0, "", errors.New("too long")
		}
		rest = rest[digits+1:]
	}
}
