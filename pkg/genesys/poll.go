package genesys

import (
	"sync"
	"time"
)

const (
	// firstPoll is when a job is first looked at while nothing is known of how
	// long they take, leastPoll and mostPoll bound what is learnt.
	firstPoll = 2 * time.Second
	leastPoll = time.Second
	mostPoll  = 5 * time.Minute
	// leastGap and longestGap are the bounds of the time between two polls.
	leastGap   = 3 * time.Second
	longestGap = 30 * time.Second
	// pollShare is the part of the allowance that polls may use, over all jobs;
	// the first poll of a job is always let through, and counts.
	pollShare = 0.05
	pollBurst = 4
	// Jobs ended when first looked at: patient is the part that is aimed at where
	// requests are scarce, eager where places for jobs are.
	patient, eager = 0.8, 0.5
	learnStep      = 0.2
)

// polls says when to look at jobs. It learns how long they take, so that the
// first poll finds most of them ended, and spaces the others so that all polls
// together stay within their share of the allowance.
type polls struct {
	mu     sync.Mutex
	usual  time.Duration // when a job is first looked at; 0: nothing is known
	credit float64       // polls that may be made at once
	at     time.Time     // when credit was that
}

// first is how long after its submission a job is looked at.
func (p *polls) first() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.usual == 0 {
		return firstPoll
	}
	return p.usual
}

// spend takes the credit for a poll, where so many requests a minute are
// allowed, and says how long it is until there is enough for it. The first poll
// of a job does not ask; the debt that it may leave is a minute's worth at most.
func (p *polls) spend(now time.Time, perMinute float64, first bool) time.Duration {
	perSecond := perMinute * pollShare / 60
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.credit = pollBurst
	} else {
		p.credit = min(p.credit+now.Sub(p.at).Seconds()*perSecond, pollBurst)
	}
	p.at = now
	if !first || p.credit > -perSecond*60 {
		p.credit--
	}
	return time.Duration(max(0, -p.credit) / perSecond * float64(time.Second))
}

// gap is how long to wait between the nth poll of a job, from 1, and the next.
func (p *polls) gap(n int) time.Duration {
	p.mu.Lock()
	gap := max(leastGap, p.usual/4)
	p.mu.Unlock()
	for ; n > 1 && gap < longestGap; n-- {
		gap = gap * 3 / 2
	}
	return min(gap, longestGap)
}

// learn notes that a job was found ended at a time after its submission, and
// not yet at an earlier one, 0 if there was none. The time of the first look
// goes up and down by steps that balance where the wanted part of all jobs has
// ended by then.
func (p *polls) learn(ended, unready time.Duration, part float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	usual := float64(p.usual)
	switch {
	case p.usual == 0:
		usual = float64(ended+unready) / 2
	case unready > 0:
		usual *= 1 + learnStep*part
	default:
		usual *= 1 - learnStep*(1-part)
	}
	p.usual = min(max(time.Duration(usual), leastPoll), mostPoll)
}
