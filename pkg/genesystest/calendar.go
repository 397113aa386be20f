package genesystest

import (
	"iter"
	"sort"
	"time"
)

const (
	minuteMS = int64(60_000)
	hourMS   = 60 * minuteMS
	dayMS    = 24 * hourMS

	// minutes in a day.
	minutes = 1440

	// One conversation of each stride of ordinals is long. All others end
	// within shortMax, so that a search for what overlaps an instant looks at
	// every conversation of the last hours, but only at one in stride of the
	// last two months.
	longStride = 64
	shortMax   = 4 * hourMS
	longMax    = 59 * dayMS
)

// An index names a conversation: the UTC day it started on, counted from the
// epoch, and its ordinal among the conversations of that day in order of start.
type index struct{ day, ord int64 }

// A span is a run of consecutive conversations, in order of start: from is the
// first, to is behind the last.
type span struct{ from, to index }

// A calendar says when conversations start: how many a day has, and how they
// spread over it. Nothing is stored but the shape of a day.
type calendar struct {
	seed     uint64
	perDay   int64
	flat     bool
	from, to int64 // Unix ms; no conversation starts outside [from, to)

	// load[m] is the share of a day's conversations before minute m, in units
	// of load[minutes].
	load [minutes + 1]int64
}

func newCalendar(o Options) *calendar {
	c := &calendar{
		seed:   o.Seed,
		perDay: int64(o.PerDay),
		flat:   o.Flat,
		from:   o.From.UnixMilli(),
		to:     o.To.UnixMilli(),
	}
	hours := [25]int64{4, 3, 2, 2, 3, 6, 14, 34, 62, 84, 96, 100, 94, 92, 97, 98, 92, 80, 62, 46, 32, 22, 14, 8, 4}
	for m := range int64(minutes) {
		h, mm := m/60, m%60
		weight := hours[h]*(60-mm) + hours[h+1]*mm
		if c.flat {
			weight = 1
		}
		c.load[m+1] = c.load[m] + weight
	}
	return c
}

// count returns how many conversations a day has, before clipping to the range.
func (c *calendar) count(day int64) int64 {
	if c.flat {
		return c.perDay
	}
	week := [7]int64{42, 128, 122, 118, 116, 112, 62} // percent, Sunday first
	weekday := ((day+4)%7 + 7) % 7                    // the epoch was a Thursday
	h := hash(c.seed, 'd', uint64(day))
	jitter := int64(900 + h%201)
	return (c.perDay*week[weekday]*jitter + int64(h>>32%100_000)) / 100_000
}

// before returns how many of a day's n conversations start before minute m. The
// first minute has one at least, and the last one, whatever the hour's load.
func (c *calendar) before(n, m int64) int64 {
	switch {
	case m == 0:
		return 0
	case m == minutes || n < 2:
		return n
	}
	return 1 + (n-2)*c.load[m]/c.load[minutes]
}

// start returns when a conversation starts, in Unix milliseconds.
func (c *calendar) start(ix index) int64 {
	n := c.count(ix.day)
	m := int64(sort.Search(minutes, func(m int) bool { return c.before(n, int64(m)+1) > ix.ord }))
	first := c.before(n, m)
	return ix.day*dayMS + m*minuteMS + c.offset(ix, m, ix.ord-first, c.before(n, m+1)-first)
}

// offset places conversation j of the n of minute m within that minute. Some
// start on the very edge of an hour, and the outermost of a day on the edges
// of the day: that is where ownership goes wrong.
func (c *calendar) offset(ix index, m, j, n int64) int64 {
	h := hash(c.seed, 's', uint64(ix.day), uint64(ix.ord))
	if j == 0 && m%60 == 0 && (m == 0 || h>>62 == 0) {
		return 0
	}
	if j == n-1 && m%60 == 59 && (m == minutes-1 || h>>62 == 1) {
		return minuteMS - 1
	}
	return (j*minuteMS + int64(h%uint64(minuteMS))) / n
}

// seek returns the first conversation that starts at or after ms, which may be
// one behind the last of its day.
func (c *calendar) seek(ms int64) index {
	day := floorDiv(ms, dayMS)
	rest := ms - day*dayMS
	n := c.count(day)
	m := rest / minuteMS
	ord, end := c.before(n, m), c.before(n, m+1)
	for ord < end && c.start(index{day, ord}) < ms {
		ord++
	}
	return index{day, ord}
}

// between returns the conversations that start in [from, to), as far as the
// data reach.
func (c *calendar) between(from, to int64) span {
	from, to = max(from, c.from), min(to, c.to)
	if from >= to {
		return span{}
	}
	return span{c.seek(from), c.seek(to)}
}

// len returns the number of conversations of a span.
func (c *calendar) len(s span) int64 {
	n := s.to.ord - s.from.ord
	for d := s.from.day; d < s.to.day; d++ {
		n += c.count(d)
	}
	return n
}

// at returns conversation i of a span.
func (c *calendar) at(s span, i int64) index {
	ix := index{s.from.day, s.from.ord + i}
	for {
		n := c.count(ix.day)
		if ix.ord < n {
			return ix
		}
		ix = index{ix.day + 1, ix.ord - n}
	}
}

// all walks over a span.
func (c *calendar) all(s span) iter.Seq[index] {
	return func(yield func(index) bool) {
		ix := s.from
		for ; ix.day <= s.to.day; ix = (index{ix.day + 1, 0}) {
			end := s.to.ord
			if ix.day < s.to.day {
				end = c.count(ix.day)
			}
			for ; ix.ord < end; ix.ord++ {
				if !yield(ix) {
					return
				}
			}
		}
	}
}

// long returns the ordinal of the long conversation of a stride.
func (c *calendar) long(day, stride int64) int64 {
	return stride*longStride + int64(hash(c.seed, 'l', uint64(day), uint64(stride))%longStride)
}

// isLong reports whether a conversation is of the long class.
func (c *calendar) isLong(ix index) bool { return ix.ord == c.long(ix.day, ix.ord/longStride) }

// longOnes walks over the long conversations of a span.
func (c *calendar) longOnes(s span) iter.Seq[index] {
	return func(yield func(index) bool) {
		for day := s.from.day; day <= s.to.day; day++ {
			lo, hi := int64(0), c.count(day)
			if day == s.from.day {
				lo = s.from.ord
			}
			if day == s.to.day {
				hi = s.to.ord
			}
			for stride := lo / longStride; stride*longStride < hi; stride++ {
				ord := c.long(day, stride)
				if ord >= lo && ord < hi && !yield(index{day, ord}) {
					return
				}
			}
		}
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
