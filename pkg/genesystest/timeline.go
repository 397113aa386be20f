package genesystest

// A timeline is when things happen in one conversation, in Unix milliseconds.
type timeline struct {
	start, connected int64
	flowEnd          int64 // end of the IVR or bot flow; 0 without one
	legs             []leg
	talkEnd          int64 // when the customer is gone
	end              int64
	abandoned        bool // the customer left while waiting in the queue
}

// A leg is one pass through a queue to an agent.
type leg struct {
	queue, agent, skill, skill2 int
	offered, accepted           int64 // waiting in the queue
	alert                       int64 // the agent's telephone rings
	talk                        []int64
	wrapup, end                 int64
}

// plot lays out a conversation so that its last segment ends with it.
func (g *generator) plot(r *rng) timeline {
	p := &g.p
	d := p.end - p.start
	t := timeline{start: p.start, end: p.end, connected: p.start + min(d/20, r.between(40, 400))}
	at := t.connected
	if p.media <= message && !p.outbound && r.percent(80) {
		t.flowEnd = at + d*r.between(6, 18)/100
		at = t.flowEnd
	}
	n := g.legCount(r, d)
	if n == 0 {
		t.abandoned = true
		t.legs = append(t.legs, leg{offered: at, accepted: p.end, end: p.end, queue: r.below(len(g.w.queues))})
		t.talkEnd = p.end
		return t
	}
	for i := range n {
		to := at + (p.end-at)/int64(n-i)
		if i == 0 && p.gapFrom > 0 {
			to = p.gapFrom
		}
		t.legs = append(t.legs, g.plotLeg(r, at, to, n))
		at = to
		if i == 0 && p.gapTo > 0 {
			at = p.gapTo
		}
	}
	t.talkEnd = t.legs[n-1].wrapup
	return t
}

// legCount decides how many agents have part in a conversation.
func (g *generator) legCount(r *rng, d int64) int {
	n := r.below(100)
	switch {
	case g.p.gapFrom > 0:
		return 2
	case g.p.media <= chat && !g.p.outbound && d < 90_000 && n < 60:
		return 0
	case n < 80 || d < 90_000:
		return 1
	case n < 93:
		return 2
	case n < 98:
		return 3
	}
	return 5
}

// plotLeg lays out one of some passes through a queue, within [from, to].
func (g *generator) plotLeg(r *rng, from, to int64, legs int) leg {
	d := to - from
	l := leg{
		queue: r.below(len(g.w.queues)), agent: r.below(len(g.w.users)),
		skill: r.below(len(g.w.skills)), skill2: r.below(len(g.w.skills)),
		offered: from, end: to,
	}
	l.accepted = from + d*r.between(4, 20)/100
	l.alert = l.accepted - (l.accepted-from)*r.between(10, 60)/100
	l.wrapup = to - d*r.between(3, 14)/100
	pieces := 1
	switch n := r.below(100); {
	case n < 14:
		pieces = 15 + 2*r.below(26)
	case n < 28:
		pieces = 3
	}
	if g.large {
		pieces = 2*(g.repeats/legs) + 1
	}
	// talk[i] to talk[i+1] is talk for even i, hold for odd ones.
	at := l.accepted
	for i := range pieces {
		l.talk = append(l.talk, at)
		at += (l.wrapup - at) / int64(pieces-i) * r.between(60, 100) / 100
	}
	l.talk = append(l.talk, l.wrapup)
	return l
}
