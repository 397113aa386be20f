package genesystest

import (
	"iter"
	"time"
)

// A Conversation is a record as the API holds it.
type Conversation struct {
	// ID is its conversationId.
	ID string
	// Start is its conversationStart, in UTC.
	Start time.Time
	// JSON is the record without insignificant whitespace. It is the caller's.
	JSON []byte
}

// Truth yields, ordered by start, all conversations that started in
// [start, end): what a perfect export of that interval holds. Records read by
// jobs carry participant attributes, those read by the query do not.
//
// It knows no watermark. An export of an interval that reaches past it is
// rightly shorter.
func (s *Server) Truth(start, end time.Time, attributes bool) iter.Seq[Conversation] {
	return func(yield func(Conversation) bool) {
		g := generator{w: s.world}
		asOf := s.asOf()
		var b []byte
		for ix := range s.world.cal.all(s.world.cal.between(ceilMS(start), ceilMS(end))) {
			b = g.append(b[:0], ix, attributes, asOf)
			c := Conversation{ID: g.p.id.String(), Start: instant(g.p.start), JSON: append([]byte(nil), b...)}
			if !yield(c) {
				return
			}
		}
	}
}

// Count returns how many conversations started in [start, end), without making
// them.
func (s *Server) Count(start, end time.Time) int64 {
	return s.world.cal.len(s.world.cal.between(ceilMS(start), ceilMS(end)))
}

// ceilMS rounds up: a conversation starts on a whole millisecond, so the first
// one that is not before t is not before the next of these.
func ceilMS(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

// asOf is the moment as of which conversations are known, in Unix ms.
func (s *Server) asOf() int64 {
	if s.opt.Live {
		return time.Now().UnixMilli()
	}
	return s.opt.AsOf.UnixMilli()
}

// now is the organisation's clock.
func (s *Server) now() time.Time {
	now := time.Now()
	if s.opt.Live || s.opt.AsOf.Before(now) {
		return now
	}
	return s.opt.AsOf
}
