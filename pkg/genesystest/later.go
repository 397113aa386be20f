package genesystest

import "strconv"

// later writes what reaches a conversation after it has ended: evaluations,
// surveys and resolutions, each only once its time has come.
func (g *generator) later(r *rng) {
	t := &g.t
	ev, sv := g.stream(4), g.stream(5)
	agent, queue := g.w.users[t.legs[0].agent], g.w.queues[t.legs[0].queue]
	evaluated := ev.oneIn(14)
	at := t.end + ev.between(hourMS, 12*dayMS)
	if evaluated && at <= g.asOf {
		g.open("evaluations", '[')
		g.evaluation(&ev, agent, queue, at)
		g.close(']')
	}
	surveyed := sv.oneIn(11)
	at = t.end + sv.between(5*minuteMS, 3*dayMS)
	if surveyed && at <= g.asOf {
		g.open("surveys", '[')
		g.survey(&sv, agent, queue, at)
		g.close(']')
	} else if r.oneIn(300) {
		g.open("surveys", '[')
		g.close(']')
	}
	if r.oneIn(18) && t.end <= g.asOf {
		g.open("resolutions", '[')
		g.open("", '{')
		g.time("eventTime", t.end)
		g.id("queueId", queue)
		g.id("userId", agent)
		g.int("nNextContactAvoided", int64(r.below(2)))
		g.close('}')
		g.close(']')
	}
}

func (g *generator) evaluation(r *rng, agent, queue uid, at int64) {
	form := r.below(len(g.w.forms))
	g.open("", '{')
	g.bool("assigneeApplicable", true)
	g.id("assigneeId", pick(r, g.w.users))
	g.id("contextId", r.uid())
	g.bool("deleted", false)
	g.id("evaluationId", r.uid())
	g.str("evaluationStatus", "Finished")
	g.id("evaluatorId", pick(r, g.w.users))
	g.time("eventTime", at)
	g.id("formId", g.w.forms[form])
	g.str("formName", "Quality v"+strconv.Itoa(form+1))
	g.id("queueId", queue)
	g.bool("released", true)
	g.bool("rescored", false)
	g.bool("systemSubmitted", false)
	g.id("userId", agent)
	g.int("oTotalCriticalScore", r.between(0, 100))
	g.int("oTotalScore", r.between(40, 100))
	g.close('}')
}

func (g *generator) survey(r *rng, agent, queue uid, at int64) {
	form := r.below(len(g.w.surveyForms))
	g.open("", '{')
	g.time("eventTime", at)
	g.id("queueId", queue)
	g.time("surveyCompletedDate", at-135)
	g.id("surveyFormContextId", r.uid())
	g.id("surveyFormId", g.w.surveyForms[form])
	g.str("surveyFormName", "Post-contact CSAT "+strconv.Itoa(form+1))
	g.id("surveyId", r.uid())
	g.bool("surveyPartialResponse", false)
	g.int("surveyPromoterScore", r.between(0, 10))
	g.str("surveyStatus", "Finished")
	g.str("surveyType", "Web")
	g.id("userId", agent)
	g.int("oSurveyTotalScore", r.between(0, 100))
	g.close('}')
}

// smallRecord writes a conversation of some 500 bytes: right in what matters to
// a reader of pages (times, ids, openness, a few values), with nothing else.
func (g *generator) smallRecord(r *rng) {
	p := &g.p
	end, closed := p.lifetime(g.asOf)
	g.open("", '{')
	if closed {
		g.time("conversationEnd", end)
	}
	g.id("conversationId", p.id)
	g.time("conversationStart", p.start)
	g.str("originatingDirection", "inbound")
	if g.w.extra {
		g.raw("zzFutureField", `{"conversations":[{"conversationId":"not a record"}],"n":1.50,"nothing":null}`)
	}
	g.flaw()
	g.open("participants", '[')
	g.open("", '{')
	g.str("purpose", "customer")
	g.open("sessions", '[')
	g.open("", '{')
	g.str("mediaType", p.media.String())
	g.add("tConnected", p.end-p.start, p.end)
	g.writeMetrics()
	g.open("segments", '[')
	g.writeSegment(&segment{kind: "interact", start: p.start, end: end, disconnect: "peer"})
	g.close(']')
	g.close('}')
	g.close(']')
	if g.attrs {
		g.open("attributes", '{')
		g.str("Account.Tier", pick(r, g.w.attributeValues))
		g.str("note", pick(r, g.w.oddValues))
		g.close('}')
	}
	g.close('}')
	g.close(']')
	g.close('}')
}
