package genesystest

// agentParticipant writes the work of one agent: the ringing, talk and hold by
// turns, and the work after the contact.
func (g *generator) agentParticipant(r rng, l *leg, i int) {
	skills, language := g.demands(l)
	g.open("", '{')
	g.id("participantId", r.uid())
	purpose := "agent"
	if r.oneIn(15) {
		purpose = "user"
		g.str("participantName", g.w.person(&r))
	}
	g.str("purpose", purpose)
	g.id("teamId", g.w.teams[l.agent%len(g.w.teams)])
	g.id("userId", g.w.users[l.agent])
	g.open("sessions", '[')
	g.open("", '{')
	g.writeScalars(&r, &session{
		id: r.uid(), peer: g.customer, purpose: "agent", agent: g.w.users[l.agent], skills: skills,
		script: pick(&r, g.w.scripts), recording: true, place: pick(&r, g.w.places), mediaType: g.agentMedia(),
	})
	g.writeStats(&r, 1+r.below(3), l.accepted, l.wrapup)
	g.agentMetrics(&r, l, i)
	g.agentSegments(&r, l, i, skills, language)
	g.close('}')
	g.close(']')
	if purpose == "user" {
		g.attributes(g.stream(60+i), 0, 4)
	}
	g.close('}')
}

// agentMetrics adds up as the API does: tHandle is all tTalk, tHeld and tAcw.
func (g *generator) agentMetrics(r *rng, l *leg, i int) {
	g.add("tAlert", l.accepted-l.alert, l.accepted)
	g.add("tAnswered", l.accepted-l.offered, l.accepted)
	var talk, held int64
	last := len(l.talk) - 1
	hold, _ := g.holdNames()
	for k := range last {
		d, at := l.talk[k+1]-l.talk[k], l.talk[k+1]
		if k%2 == 0 {
			talk += d
			g.add("tTalk", d, at)
			if g.p.media >= chat && r.percent(60) {
				g.add("tAgentResponseTime", d/3, at)
				g.add("tUserResponseTime", d/2, at)
			}
			continue
		}
		held += d
		g.add(hold, d, at)
		if k == last-2 {
			g.add(hold+"Complete", held, at)
		}
	}
	g.add("tTalkComplete", talk, l.wrapup)
	if i < len(g.t.legs)-1 {
		g.add("nTransferred", 1, l.wrapup)
		g.add("nBlindTransferred", 1, l.wrapup)
	}
	g.add("tAcw", l.end-l.wrapup, l.end)
	g.add("tHandle", talk+held+l.end-l.wrapup, l.end)
	g.writeMetrics()
}

// holdNames returns the metric and the segment type of a pause.
func (g *generator) holdNames() (name, segmentType string) {
	return "tHeld", "hold"
}

func (g *generator) agentSegments(r *rng, l *leg, i int, skills []uid, language uid) {
	g.open("segments", '[')
	s := segment{queue: g.w.queues[l.queue], skills: skills, language: language}
	s.kind, s.start, s.end = "alert", l.alert, l.accepted
	g.writeSegment(&s)
	last := len(l.talk) - 1
	_, hold := g.holdNames()
	for k := range last {
		s.kind, s.start, s.end = "interact", l.talk[k], l.talk[k+1]
		if k%2 == 1 {
			s.kind = hold
		}
		if k == last-1 {
			s.disconnect = "peer"
			if i < len(g.t.legs)-1 {
				s.disconnect = "transfer"
			}
			if r.oneIn(60) {
				s.disconnect, s.errorCode = "error", "error.ininedgecontrol.session.inactive"
			}
		}
		g.writeSegment(&s)
	}
	s.kind, s.start, s.end, s.disconnect, s.errorCode = "wrapup", l.wrapup, l.end, "peer", ""
	s.wrapup = pick(r, g.w.wrapups)
	if r.percent(40) {
		s.note = pick(r, g.w.attributeValues)
	}
	// Reprocessing corrects some records when they are three days old.
	if r.oneIn(50) && g.asOf-g.p.start > 3*dayMS {
		s.note = "corrected by reprocessing"
	}
	g.writeSegment(&s)
	g.close(']')
}

// subject is that of an e-mail; other media have none.
func (g *generator) subject(r *rng) string {
	if g.p.media != email {
		return ""
	}
	return "Re: " + pick(r, g.w.attributeValues)
}
