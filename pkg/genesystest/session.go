package genesystest

import (
	"fmt"
	"strconv"
)

// addresses returns the customer's address and the one that was reached. All
// telephone numbers are of the range reserved for fiction, all names of hosts
// under example.com.
func (g *generator) addresses(r *rng) (customer, service string) {
	phone := func() string {
		return fmt.Sprintf("+1%d555%04d", 200+11*r.below(70), 100+r.below(100))
	}
	switch g.p.media {
	case chat, video:
		return "customer" + strconv.Itoa(r.below(90_000)) + "@example.com", "web.example.com"
	case message:
		if r.percent(30) {
			return phone(), "+18005550199"
		}
		return g.contact.String(), "deployment-" + strconv.Itoa(r.below(9)) + ".example.com"
	case email:
		return "customer" + strconv.Itoa(r.below(90_000)) + "@example.com", "service" + strconv.Itoa(r.below(12)) + "@example.com"
	}
	return "tel:" + phone(), "tel:+18005550" + strconv.Itoa(100+r.below(100))
}

// A session is the scalars of a session that differ from one to the next.
type session struct {
	id, peer, bridge uid
	purpose          string
	agent            uid
	script           uid
	skills           []uid
	recording        bool
	flowIn           string
	mediaType        string // if not that of the conversation
	place            string
}

// writeScalars writes the plain members of a session in alphabetical order.
func (g *generator) writeScalars(r *rng, s *session) {
	p := &g.p
	kind := s.mediaType
	if kind == "" {
		kind = p.media.String()
	}
	phone := kind == "voice" || p.media == callback
	g.ids("activeSkillIds", s.skills)
	if !phone {
		g.str("addressFrom", g.address)
		g.str("addressTo", g.service)
	} else {
		g.str("ani", g.address)
	}
	if kind == "callback" {
		g.list("callbackNumbers", g.address[len("tel:"):])
		g.time("callbackScheduledTime", g.t.connected+minuteMS)
		g.str("callbackUserName", s.place)
	}
	if p.media == email && s.purpose == "customer" {
		g.open("cc", '[')
		g.close(']')
	}
	if p.media == message && s.purpose == "agent" {
		g.str("deliveryStatus", "DeliverySuccess")
		g.time("deliveryStatusChangeDate", min(g.t.talkEnd, g.asOf))
	}
	if s.purpose == "acd" {
		g.list("destinationAddresses", "sip:agent"+strconv.Itoa(r.below(240))+"%40example.com@localhost")
	}
	direction := "inbound"
	if p.outbound {
		direction = "outbound"
	}
	g.str("direction", direction)
	if p.outbound && s.purpose == "customer" {
		g.str("dispositionName", "default.Wrapup.Code")
	}
	if phone {
		g.str("dnis", g.service)
		g.id("edgeId", pick(r, g.w.edges))
	}
	if p.media == message {
		g.str("engagementSource", "WebChat")
	}
	g.str("flowInType", s.flowIn)
	if p.media == chat || p.media == message {
		g.id("journeyCustomerId", g.contact)
		g.str("journeyCustomerIdType", "cookie")
	}
	if p.media == message {
		g.int("mediaCount", int64(r.below(4)))
	}
	g.str("mediaType", kind)
	g.writeRouting(r, s, phone)
}

// writeRouting writes the rest of the scalars, from m to z.
func (g *generator) writeRouting(r *rng, s *session, phone bool) {
	p := &g.p
	if p.media == message {
		g.str("messageType", "webmessaging")
	}
	if p.outbound && s.purpose == "customer" {
		g.id("outboundCampaignId", pick(r, g.w.campaigns))
		g.id("outboundContactId", pick(r, g.w.contacts))
		g.id("outboundContactListId", pick(r, g.w.lists))
	}
	g.id("peerId", s.peer)
	if phone {
		g.id("protocolCallId", r.uid())
	}
	g.str("provider", g.provider(s.mediaType))
	if s.recording {
		g.bool("recording", true)
	}
	g.str("remote", s.place)
	if s.purpose != "agent" {
		g.str("remoteNameDisplayable", s.place)
	}
	if s.purpose != "ivr" {
		g.list("requestedRoutings", "Standard")
	}
	g.id("roomId", s.bridge)
	if s.purpose == "agent" {
		g.id("scriptId", s.script)
	}
	if s.purpose != "ivr" {
		g.id("selectedAgentId", s.agent)
	}
	if phone {
		g.str("sessionDnis", g.service)
	}
	g.id("sessionId", s.id)
	if s.mediaType == "screenshare" {
		g.bool("sharingScreen", true)
	}
	if s.purpose != "ivr" && !s.agent.zero() {
		g.str("usedRouting", "Standard")
	}
	if p.media == video {
		g.id("videoRoomId", g.contact)
	}
}

func (g *generator) provider(mediaType string) string {
	switch {
	case mediaType == "callback":
		return "PureCloud Callback"
	case g.p.media <= callback:
		return "Edge"
	case g.p.media == email:
		return "PureCloud Email"
	case g.p.media == message:
		return "PureCloud Messaging"
	}
	return "PureCloud Webchat v2"
}

// writeStats writes what the media gateways measured: fractions with all their
// digits, and now and then in a form that a careless reader would change.
func (g *generator) writeStats(r *rng, n int, from, to int64) {
	if g.p.media != voice && g.p.media != callback || to > g.asOf {
		return
	}
	g.open("mediaEndpointStats", '[')
	for i := range n {
		g.b = append(g.b, '{')
		g.list("codecs", []string{"audio/opus", "audio\\/PCMU", "audio/PCMA"}[r.below(3)])
		if r.oneIn(4) {
			g.int("discardedPackets", r.between(1, 40))
		}
		g.time("eventTime", from+(to-from)*int64(i+1)/int64(n))
		g.int("maxLatencyMs", r.between(8, 90))
		mos := 4_000_000_000_000_000 + r.between(300_000_000_000_000, 949_999_999_999_999)
		rf := 85_00_000_000_000_000/100*100 + r.between(0, 899_999_999_999_999)
		odd := r.below(400)
		if odd < 4 {
			g.raw("minMos", [...]string{"4.990", "5.00", "5E0", "0.500e+1"}[odd])
			g.raw("minRFactor", [...]string{"1E2", "99.10", "100.0", "9.90e1"}[odd])
		} else {
			g.minMos, g.minRF = min(g.minMos, mos), min(g.minRF, rf)
			g.fixed("minMos", mos, 15)
			g.fixed("minRFactor", rf, 14)
		}
		g.int("receivedPackets", r.between(100, 40_000))
		g.close('}')
	}
	g.close(']')
}
