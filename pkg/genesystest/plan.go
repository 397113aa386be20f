package genesystest

// Media of a conversation. The rarer kinds (video, cobrowse, screenshare) ride
// on a chat or a voice conversation as further sessions.
type media int

const (
	voice media = iota
	callback
	chat
	message
	email
	video
)

func (m media) String() string {
	return [...]string{"voice", "callback", "chat", "message", "email", "video"}[m]
}

// A plan is what a search must know of a conversation: cheap to compute, where
// its JSON is not.
type plan struct {
	ix         index
	key        uint64 // seed of all the rest of it
	id         uid
	media      media
	long       bool
	outbound   bool
	start, end int64
	// The conversation was closed at gapFrom and opened again at gapTo; both
	// are zero for nearly all.
	gapFrom, gapTo int64
}

// plan computes the outline of a conversation.
func (w *world) plan(ix index) plan {
	key := hash(w.cal.seed, 'c', uint64(ix.day), uint64(ix.ord))
	r := rng{key}
	p := plan{ix: ix, key: key, id: r.uid(), long: w.cal.isLong(ix), start: w.cal.start(ix)}
	p.media = pickMedia(&r, p.long)
	p.outbound = p.media <= callback && r.percent(18) || p.media == email && r.percent(10)
	if !p.long {
		p.end = p.start + shortDuration(&r, p.media)
		return p
	}
	// Doubling steps: as many conversations last 4 to 8 hours as 4 to 8 weeks,
	// so that the number still open decays with age.
	step := 4 * hourMS << r.below(9)
	p.end = p.start + min(r.between(step, 2*step), longMax)
	if p.media == email && r.oneIn(8) {
		d := p.end - p.start
		p.gapFrom, p.gapTo = p.start+d*3/10, p.start+d*7/10
	}
	return p
}

func pickMedia(r *rng, long bool) media {
	n := r.below(100)
	if long {
		switch {
		case n < 55:
			return message
		case n < 95:
			return email
		}
		return callback
	}
	switch {
	case n < 58:
		return voice
	case n < 66:
		return callback
	case n < 74:
		return chat
	case n < 88:
		return message
	case n < 98:
		return email
	}
	return video
}

// shortDuration returns milliseconds, at most shortMax.
func shortDuration(r *rng, m media) int64 {
	n := r.below(100)
	switch m {
	case voice, video:
		switch {
		case n < 8:
			return r.between(1_900, 40_000)
		case n < 68:
			return r.between(60_000, 420_000)
		case n < 92:
			return r.between(420_000, 1_200_000)
		case n < 99:
			return r.between(1_200_000, hourMS)
		}
		return r.between(hourMS, shortMax)
	case chat:
		return r.between(2*minuteMS, 40*minuteMS)
	case message:
		return r.between(8*minuteMS, 200*minuteMS)
	}
	return r.between(6*minuteMS, shortMax)
}

// lifetime returns when a conversation ended as it was known at asOf, and
// whether it had: an open one is taken to reach to the end of time.
func (p *plan) lifetime(asOf int64) (end int64, closed bool) {
	if p.gapFrom > 0 && asOf >= p.gapFrom && asOf < p.gapTo {
		return p.gapFrom, true
	}
	return p.end, p.end <= asOf
}

// overlaps reports whether a conversation had activity in [from, to).
func (p *plan) overlaps(from, to, asOf int64) bool {
	if p.start >= to {
		return false
	}
	end, closed := p.lifetime(asOf)
	return p.start >= from || !closed || end > from
}
