package genesystest

import "strconv"

// customerParticipant writes the one who called, or was called.
func (g *generator) customerParticipant(r rng) {
	t := &g.t
	place := pick(&r, g.w.places)
	g.open("", '{')
	if r.percent(60) {
		g.id("externalContactId", g.contact)
	}
	g.id("participantId", r.uid())
	g.str("participantName", place)
	g.str("purpose", "customer")
	g.open("sessions", '[')
	g.open("", '{')
	agent := uid{}
	if !t.abandoned {
		agent = g.w.users[t.legs[0].agent]
	}
	g.writeScalars(&r, &session{
		id: g.customer, purpose: "customer", agent: agent, place: place, recording: r.percent(60),
		mediaType: g.callMedia(),
	})
	g.writeStats(&r, g.statCount(&r), t.connected, t.talkEnd)
	g.customerMetrics(&r)
	g.open("segments", '[')
	g.writeSegment(&segment{kind: "system", start: t.start, end: t.connected})
	if g.p.gapFrom > 0 {
		l := &t.legs[0]
		g.writeSegment(&segment{kind: "interact", start: t.connected, end: l.end, disconnect: "peer"})
		g.writeSegment(&segment{kind: "interact", start: g.p.gapTo, end: t.talkEnd, disconnect: "endpoint", subject: g.subject(&r)})
	} else {
		g.writeSegment(&segment{
			kind: "interact", start: t.connected, end: t.talkEnd, disconnect: "endpoint",
			queue: g.w.queues[t.legs[0].queue], subject: g.subject(&r),
		})
	}
	g.close(']')
	g.close('}')
	g.shareSession(&r)
	g.close(']')
	if g.plain {
		g.attributes(g.stream(3), 1, 12)
	} else {
		g.attributes(g.stream(3), 10, 70)
	}
	g.close('}')
}

func (g *generator) customerMetrics(r *rng) {
	t := &g.t
	g.add("nConnected", 1, t.connected)
	g.add("tConnected", t.talkEnd-t.connected, t.talkEnd)
	switch g.p.media {
	case message, chat:
		g.add("oMediaCount", int64(r.below(3)), t.talkEnd)
		g.add("oMessageTurn", int64(r.below(30)), t.talkEnd)
	case voice:
		if t.abandoned {
			g.add("tAbandon", t.talkEnd-t.legs[0].offered, t.talkEnd)
		}
	}
	// Counters of a clock that was never set: they happen, and do not fit into
	// 32 or 53 bits.
	switch r.below(2500) {
	case 0:
		g.add("tConversationDuration", 5_170_000_000, t.talkEnd)
	case 1:
		g.add("oExternalMediaCount", 9_223_372_036_854_775_807, t.talkEnd)
	case 2:
		g.add("oExternalMediaCount", 9_007_199_254_740_993, t.talkEnd)
	}
	g.writeMetrics()
}

// shareSession adds a co-browsing or screen sharing session to few customers.
func (g *generator) shareSession(r *rng) {
	n := r.below(120)
	if n > 1 || g.t.talkEnd > g.asOf {
		return
	}
	g.open("", '{')
	g.writeScalars(r, &session{
		id: r.uid(), peer: g.customer, bridge: r.uid(), purpose: "customer",
		mediaType: [...]string{"cobrowse", "screenshare"}[n],
	})
	g.open("metrics", '[')
	g.close(']')
	g.open("segments", '[')
	g.writeSegment(&segment{kind: "sharing", start: g.t.connected, end: g.t.talkEnd, disconnect: "peer"})
	g.close(']')
	g.close('}')
}

// flowParticipant writes the IVR of a call, or the bot of a digital contact.
func (g *generator) flowParticipant(r rng) {
	t := &g.t
	purpose, flowType, seg := "ivr", "INBOUNDCALL", "ivr"
	if g.p.media == chat || g.p.media == message {
		purpose, flowType = "workflow", "INBOUNDSHORTMESSAGE"
	}
	flow := r.below(len(g.w.flows))
	name := pick(&r, g.w.queueNames)
	g.open("", '{')
	g.id("participantId", r.uid())
	g.str("participantName", name)
	g.str("purpose", purpose)
	g.open("sessions", '[')
	g.open("", '{')
	g.writeScalars(&r, &session{id: r.uid(), peer: g.customer, purpose: "ivr", place: name, mediaType: g.callMedia()})
	g.writeStats(&r, 1, t.connected, t.flowEnd)
	g.writeFlow(&r, flow, flowType)
	begin := t.connected + (t.flowEnd-t.connected)/50
	g.add("nFlow", 1, begin)
	g.add("tFlow", t.flowEnd-begin, t.flowEnd)
	g.add("tFlowExit", t.flowEnd-begin, t.flowEnd)
	g.add("tIvr", t.flowEnd-t.connected, t.flowEnd)
	g.writeMetrics()
	g.open("segments", '[')
	g.writeSegment(&segment{kind: "system", start: t.start, end: t.connected})
	g.writeSegment(&segment{kind: seg, start: t.connected, end: t.flowEnd, disconnect: "transfer"})
	g.close(']')
	g.close('}')
	g.close(']')
	g.close('}')
}

func (g *generator) writeFlow(r *rng, flow int, flowType string) {
	t := &g.t
	g.open("flow", '{')
	g.str("endingLanguage", "en-us")
	g.str("entryReason", g.service)
	g.str("entryType", "dnis")
	g.str("exitReason", "TRANSFER")
	g.id("flowId", g.w.flows[flow])
	g.str("flowName", pick(r, g.w.queueNames))
	g.str("flowType", flowType)
	g.str("flowVersion", strconv.Itoa(flow+7)+".0")
	g.str("startingLanguage", "en-us")
	g.id("transferTargetAddress", g.w.queues[t.legs[0].queue])
	g.str("transferTargetName", g.w.queueNames[t.legs[0].queue])
	g.str("transferType", "ACD")
	if r.percent(35) {
		g.open("outcomes", '[')
		for range 1 + r.below(2) {
			id := pick(r, g.w.outcomes)
			g.open("", '{')
			g.str("flowOutcome", id.String()+":SUCCESS")
			g.time("flowOutcomeEndTimestamp", t.flowEnd-(t.flowEnd-t.connected)/10)
			g.id("flowOutcomeId", id)
			g.time("flowOutcomeStartTimestamp", t.connected+(t.flowEnd-t.connected)/3)
			g.str("flowOutcomeValue", "SUCCESS")
			g.close('}')
		}
		g.close(']')
	}
	g.close('}')
}

// queueParticipant writes the wait in a queue.
func (g *generator) queueParticipant(r rng, l *leg, i int) {
	skills, language := g.demands(l)
	g.open("", '{')
	g.id("participantId", r.uid())
	g.str("participantName", g.w.queueNames[l.queue])
	g.str("purpose", "acd")
	g.open("sessions", '[')
	g.open("", '{')
	agent, disconnect, sip := g.w.users[l.agent], "transfer", 410
	if g.t.abandoned {
		agent, disconnect, sip = uid{}, "peer", 0
	}
	if g.p.media > callback {
		sip = 0
	}
	g.writeScalars(&r, &session{
		id: r.uid(), peer: g.customer, purpose: "acd", agent: agent, skills: skills,
		flowIn: map[bool]string{true: "ivr"}[g.t.flowEnd > 0 && i == 0], place: g.w.queueNames[l.queue],
		mediaType: g.agentMedia(),
	})
	g.writeStats(&r, 1, l.offered, l.accepted)
	begin := l.offered + (l.accepted-l.offered)/100
	g.add("nOffered", 1, begin)
	if g.t.abandoned {
		g.add("tAbandon", l.accepted-begin, l.accepted)
	} else {
		g.add("tAcd", l.accepted-begin, l.accepted)
	}
	g.writeMetrics()
	g.open("segments", '[')
	s := segment{kind: "delay", start: l.offered, end: begin, queue: g.w.queues[l.queue], skills: skills, language: language}
	g.writeSegment(&s)
	s.kind, s.start, s.end, s.disconnect, s.sip = "interact", begin, l.accepted, disconnect, sip
	g.writeSegment(&s)
	g.close(']')
	g.close('}')
	g.close(']')
	g.attributes(g.stream(40+i), 0, 3)
	g.close('}')
}

// callMedia is what the customer takes part in: a callback is a call to them.
func (g *generator) callMedia() string {
	if g.p.media == callback {
		return "voice"
	}
	return ""
}

// demands returns the skills and the language that a queue asks of its agents.
func (g *generator) demands(l *leg) (skills []uid, language uid) {
	if g.plain {
		return nil, uid{}
	}
	return []uid{g.w.skills[l.skill], g.w.skills[l.skill2]}, g.w.languages[l.skill%len(g.w.languages)]
}

// statCount is how many measurements a customer's call has.
func (g *generator) statCount(r *rng) int {
	if g.plain {
		return 1 + r.below(2)
	}
	return 2 + r.below(6)
}

// agentMedia is what queue and agent work on.
func (g *generator) agentMedia() string {
	if g.p.media == callback {
		return "callback"
	}
	return ""
}
