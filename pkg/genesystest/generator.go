package genesystest

import (
	"math"
	"strconv"
)

// A generator writes conversations. It holds the state of the one at hand, and
// its buffers are used again for the next.
type generator struct {
	w *world
	writer
	p        plan
	t        timeline
	asOf     int64
	attrs    bool
	large    bool
	plain    bool // a queue without skills, a customer with little data
	repeats  int
	customer uid // session that the others are peers of
	contact  uid
	address  string // the customer's
	service  string // ours
	minMos   int64  // in units of 1e-15
	minRF    int64  // in units of 1e-14
	metrics  []metric
	tail     []byte
}

type metric struct {
	name  string
	value int64
	at    int64
}

// append writes one conversation as it was known at asOf to b.
func (g *generator) append(b []byte, ix index, attrs bool, asOf int64) []byte {
	g.p = g.w.plan(ix)
	g.asOf, g.attrs = asOf, attrs
	g.minMos, g.minRF = math.MaxInt64, math.MaxInt64
	r := rng{g.p.key ^ 0xb0d7}
	if g.w.small {
		g.b = b
		g.smallRecord(&r)
		return g.b[:len(g.b)-1]
	}
	g.sizeUp(&r)
	g.t = g.plot(&r)
	g.customer, g.contact = r.uid(), r.uid()
	g.address, g.service = g.addresses(&r)

	// What stands at the head (the lowest audio quality) is known only after
	// the participants are written.
	g.b = g.tail[:0]
	g.participants()
	g.tail, g.b = g.b, b
	g.head(&r)
	g.b = append(g.b, g.tail...)
	g.close('}')
	return g.b[:len(g.b)-1]
}

// sizeUp decides whether the record is one of the large ones.
func (g *generator) sizeUp(r *rng) {
	n := r.next()
	g.plain = n>>32%100 < 66
	g.large = g.w.largeEvery > 0 && n%uint64(g.w.largeEvery) == 0
	if !g.large {
		return
	}
	size := r.between(50_000, 500_000)
	if g.w.largeBytes > 0 {
		size = int64(g.w.largeBytes)
	}
	g.repeats = int(size/1150) + 1
}

// stream returns a source of its own for a part of the record, so that leaving
// out one part does not change the others.
func (g *generator) stream(part int) rng { return rng{hash(g.p.key, uint64(part))} }

// head writes all that stands before the participants.
func (g *generator) head(r *rng) {
	p := &g.p
	end, closed := p.lifetime(g.asOf)
	g.open("", '{')
	if p.long && r.oneIn(40) {
		g.open("accessAttributes", '[')
		g.close(']')
	}
	if closed {
		g.time("conversationEnd", end)
	}
	g.id("conversationId", p.id)
	if p.media == message || p.media == email {
		g.str("conversationInitiator", "customer")
	}
	g.time("conversationStart", p.start)
	if p.media == message {
		g.bool("customerParticipation", !r.oneIn(9))
	}
	g.open("divisionIds", '[')
	for range r.below(4) {
		g.quoteID(pick(r, g.w.divisions))
	}
	g.close(']')
	if r.oneIn(25) {
		g.str("externalTag", "case\\/"+strconv.Itoa(r.below(1_000_000)))
	}
	if g.minMos != math.MaxInt64 {
		g.fixed("mediaStatsMinConversationMos", g.minMos, 15)
		g.fixed("mediaStatsMinConversationRFactor", g.minRF, 14)
	}
	direction := "inbound"
	if p.outbound {
		direction = "outbound"
	}
	g.str("originatingDirection", direction)
	if p.media <= message && r.percent(70) {
		g.bool("selfServed", r.oneIn(12))
	}
	if g.w.extra {
		g.raw("zzFutureField", `{"conversations":[{"conversationId":"not a record"}],"n":1.50,"e":-2E-7,"nothing":null,"deep":[[[[{}]]]]}`)
	}
	g.flaw()
	g.later(r)
}

// flaws are values that JSON allows and loaders refuse.
func flaws() []string {
	return []string{
		`"a\u0000b"`, `{"\u0000":""}`, `"\ud83d"`, `["\ude00\ud83d"]`, `"\ud83d\u0041"`, `1e400`, `{"n":[-2E+999]}`,
		`{"k":1,"k":2}`, `[{"a":{"key":1,"k\u0065y":2}}]`,
	}
}

// flaw gives some records one of the flaws.
func (g *generator) flaw() {
	if r := g.stream(6); g.w.flawedEvery > 0 && r.oneIn(g.w.flawedEvery) {
		g.raw("flaw", pick(&r, g.w.flaws))
	}
}

// fixed writes v divided by 10^places with all its digits.
func (g *generator) fixed(k string, v int64, places int) {
	g.key(k)
	one := int64(1)
	for range places {
		one *= 10
	}
	g.b = strconv.AppendInt(g.b, v/one, 10)
	g.b = append(g.b, '.')
	at := len(g.b)
	g.b = strconv.AppendInt(g.b, one+v%one, 10)
	copy(g.b[at:], g.b[at+1:]) // drop the leading 1 that kept the zeros
	g.b[len(g.b)-1] = ','
}

// participants writes the array of all who took part, in the order they joined.
func (g *generator) participants() {
	g.open("participants", '[')
	g.customerParticipant(g.stream(1))
	if g.t.flowEnd > 0 {
		g.flowParticipant(g.stream(2))
	}
	for i := range g.t.legs {
		l := &g.t.legs[i]
		if l.offered >= g.asOf {
			break
		}
		if !g.p.outbound || i > 0 {
			g.queueParticipant(g.stream(10+2*i), l, i)
		}
		if !g.t.abandoned && l.alert < g.asOf {
			g.agentParticipant(g.stream(11+2*i), l, i)
		}
	}
	g.close(']')
}

// add notes a metric, unless it lies in the future.
func (g *generator) add(name string, value, at int64) {
	if at <= g.asOf {
		g.metrics = append(g.metrics, metric{name, value, at})
	}
}

// writeMetrics writes the metrics that were added, ordered by emitDate.
func (g *generator) writeMetrics() {
	ms := g.metrics
	for i := 1; i < len(ms); i++ { // nearly sorted already
		for j := i; j > 0 && ms[j].at < ms[j-1].at; j-- {
			ms[j], ms[j-1] = ms[j-1], ms[j]
		}
	}
	g.open("metrics", '[')
	for _, m := range ms {
		g.b = append(g.b, '{')
		g.time("emitDate", m.at)
		g.str("name", m.name)
		g.int("value", m.value)
		g.close('}')
	}
	g.close(']')
	g.metrics = ms[:0]
}

// A segment is a stretch of a session.
type segment struct {
	kind       string
	start, end int64
	disconnect string
	errorCode  string
	queue      uid
	skills     []uid
	language   uid
	sip        int
	subject    string
	wrapup     uid
	note       string
}

// writeSegment writes one segment, unless it lies in the future; its end is
// left out while it lies there.
func (g *generator) writeSegment(s *segment) {
	if s.start >= g.asOf && s.start > g.p.start {
		return
	}
	g.b = append(g.b, '{')
	g.bool("conference", false)
	done := s.end <= g.asOf
	if done {
		g.str("disconnectType", s.disconnect)
		g.str("errorCode", s.errorCode)
	}
	g.id("queueId", s.queue)
	g.id("requestedLanguageId", s.language)
	g.ids("requestedRoutingSkillIds", s.skills)
	if done {
		g.time("segmentEnd", s.end)
	}
	g.time("segmentStart", s.start)
	g.str("segmentType", s.kind)
	if s.sip > 0 && done {
		g.open("sipResponseCodes", '[')
		g.b = strconv.AppendInt(g.b, int64(s.sip), 10)
		g.b = append(g.b, ']', ',')
	}
	g.str("subject", s.subject)
	if done {
		g.id("wrapUpCode", s.wrapup)
		g.str("wrapUpNote", s.note)
	}
	g.close('}')
}
