package record_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A synth makes conversations that look like those of the Analytics API, in
// shape, sizes (1.6 to 150 KB, median about 7 KB) and how well they compress.
type synth struct {
	r   *rand.Rand
	out []byte
	now time.Time
	ids []string // queues, users, skills: the same all over
}

func newSynth(seed uint64) *synth {
	g := &synth{
		r:   rand.New(rand.NewPCG(seed, 1)),
		now: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	for range 400 {
		g.ids = append(g.ids, g.uuid())
	}
	return g
}

func (g *synth) uuid() string {
	const digits = "0123456789abcdef"
	var b [36]byte
	for i := range b {
		b[i] = digits[g.r.IntN(16)]
	}
	b[8], b[13], b[14], b[18], b[23] = '-', '-', '4', '-', '-'
	return string(b[:])
}

func (g *synth) known() string { return g.ids[g.r.IntN(len(g.ids))] }

func (g *synth) pick(words ...string) string { return words[g.r.IntN(len(words))] }

func (g *synth) later(max int) string {
	g.now = g.now.Add(time.Duration(g.r.IntN(max)) * time.Millisecond)
	return g.now.Format("2006-01-02T15:04:05.000Z")
}

func (g *synth) raw(s string) { g.out = append(g.out, s...) }

// str, num and arr write a member, with a comma before it if it needs one.
func (g *synth) key(k string) {
	if c := g.out[len(g.out)-1]; c != '{' {
		g.raw(",")
	}
	g.raw(`"` + k + `":`)
}

func (g *synth) str(k, v string) { g.key(k); g.raw(`"` + v + `"`) }

func (g *synth) num(k string, v int) { g.key(k); g.out = strconv.AppendInt(g.out, int64(v), 10) }

func (g *synth) float(k string, v float64) {
	g.key(k)
	g.out = strconv.AppendFloat(g.out, v, 'f', -1, 64)
}

func (g *synth) arr(k string, n int, each func()) {
	g.key(k)
	g.raw("[")
	for i := range n {
		if i > 0 {
			g.raw(",")
		}
		each()
	}
	g.raw("]")
}

// conversation appends one conversation to out.
func (g *synth) conversation() {
	size := min(max(7000*math.Exp(0.75*g.r.NormFloat64()), 1700), 150e3)
	from := len(g.out)
	g.raw("{")
	g.str("conversationEnd", g.now.Add(time.Hour).Format("2006-01-02T15:04:05.000Z"))
	g.str("conversationId", g.uuid())
	g.str("conversationStart", g.later(4000))
	g.arr("divisionIds", 1+g.r.IntN(2), func() { g.raw(`"` + g.known() + `"`) })
	g.float("mediaStatsMinConversationMos", 4+g.r.Float64())
	g.str("originatingDirection", g.pick("inbound", "outbound"))
	g.key("participants")
	g.raw("[")
	for first := true; first || len(g.out)-from < int(size); first = false {
		if !first {
			g.raw(",")
		}
		g.participant()
	}
	g.raw("]}")
}

func (g *synth) participant() {
	g.raw("{")
	g.str("participantId", g.uuid())
	g.str("participantName", g.pick("Main Inbound IVR", "Billing Support", "Indianapolis IN", "Zoë Müller", `Quote \"Q\" Ltd`))
	g.str("purpose", g.pick("customer", "ivr", "acd", "agent"))
	g.arr("sessions", 1, g.session)
	if g.r.IntN(3) == 0 {
		g.key("attributes")
		g.raw("{")
		for i := range 4 + g.r.IntN(20) {
			g.str("IVR.Step."+strconv.Itoa(i), g.pick("Gold", "billing_dispute", "en-US", "1>3>2", strconv.Itoa(g.r.IntN(1e8))))
		}
		g.raw("}")
	}
	g.raw("}")
}

func (g *synth) session() {
	g.raw("{")
	g.arr("activeSkillIds", 2, func() { g.raw(`"` + g.known() + `"`) })
	g.str("ani", "tel:+1317555"+strconv.Itoa(1000+g.r.IntN(9000)))
	g.str("direction", "inbound")
	g.str("dnis", "tel:+18005550199")
	g.str("edgeId", g.known())
	g.str("mediaType", g.pick("voice", "chat", "email", "message"))
	g.str("peerId", g.uuid())
	g.str("provider", "Edge")
	g.arr("requestedRoutings", 1, func() { g.raw(`"Standard"`) })
	g.str("sessionId", g.uuid())
	g.arr("mediaEndpointStats", g.r.IntN(3), func() {
		g.raw(`{"codecs":["audio/opus"]`)
		g.str("eventTime", g.later(1000))
		g.num("maxLatencyMs", 10*g.r.IntN(9))
		g.float("minMos", 4+g.r.Float64())
		g.float("minRFactor", float64(float32(90+3*g.r.Float64())))
		g.num("receivedPackets", g.r.IntN(30000))
		g.raw("}")
	})
	g.arr("metrics", 1+g.r.IntN(6), func() {
		g.raw("{")
		g.str("emitDate", g.later(9000))
		g.str("name", g.pick("tTalk", "tHeld", "tAcw", "tHandle", "nConnected", "tTalkComplete", "tAlert"))
		g.num("value", g.r.IntN(600000))
		g.raw("}")
	})
	g.arr("segments", 1+g.r.IntN(4), func() {
		g.raw(`{"conference":false`)
		g.str("disconnectType", g.pick("peer", "endpoint", "transfer"))
		g.str("queueId", g.known())
		g.arr("requestedRoutingSkillIds", g.r.IntN(3), func() { g.raw(`"` + g.known() + `"`) })
		g.str("segmentStart", g.later(9000))
		g.str("segmentEnd", g.later(9000))
		g.str("segmentType", g.pick("interact", "hold", "wrapup", "alert", "system", "ivr"))
		g.raw("}")
	})
	g.raw("}")
}

// page returns a compact page of n conversations.
func (g *synth) page(n int) []byte {
	g.out = []byte(`{"conversations":[`)
	for i := range n {
		if i > 0 {
			g.raw(",")
		}
		g.conversation()
	}
	g.raw(`],"cursor":"Y3Vyc29yX3YyMTAwMA==","dataAvailabilityDate":"2024-03-05T02:00:00Z"}`)
	return g.out
}

// tinyPage returns a page of n records that are hardly more than their ids.
func (g *synth) tinyPage(n int) []byte {
	g.out = []byte(`{"conversations":[`)
	for i := range n {
		if i > 0 {
			g.raw(",")
		}
		g.raw("{")
		g.str("conversationId", g.uuid())
		g.str("conversationStart", g.later(4000))
		g.raw("}")
	}
	g.raw(`],"totalHits":12}`)
	return g.out
}

// hugePage returns a page of n records of some megabytes.
func (g *synth) hugePage(n int) []byte {
	g.out = []byte(`{"conversations":[`)
	for i := range n {
		if i > 0 {
			g.raw(",")
		}
		g.raw("{")
		g.str("conversationId", g.uuid())
		g.str("conversationStart", g.later(4000))
		g.arr("participants", 1500, g.participant)
		g.raw("}")
	}
	g.raw(`]}`)
	return g.out
}

func indent(page []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, page, "", "  "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func zip(data []byte, level int) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		panic(err)
	}
	w.Write(data)
	w.Close()
	return b.Bytes()
}
