package genesys

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The first poll comes when the wanted part of the jobs has ended, whatever
// their durations are, and follows them when they change.
func TestPollsLearn(t *testing.T) {
	for _, part := range []float64{eager, patient} {
		for _, bounds := range [][2]time.Duration{{3 * time.Second, 20 * time.Second}, {time.Minute, 2 * time.Minute}, {2 * time.Second, 4 * time.Second}} {
			t.Run(fmt.Sprintf("%g of %v", part, bounds), func(t *testing.T) {
				var p polls
				r := rand.New(rand.NewPCG(1, 1))
				hits := 0
				for i := range 600 {
					takes := bounds[0] + time.Duration(r.Int64N(int64(bounds[1]-bounds[0])))
					ended, unready := p.first(), time.Duration(0)
					for n := 1; ended < takes; n++ {
						ended, unready = ended+p.gap(n), ended
					}
					if i >= 200 && unready == 0 {
						hits++
					}
					p.learn(ended, unready, part)
				}
				if got := float64(hits) / 400; got < part-0.08 || got > part+0.08 {
					t.Errorf("%.2f of the jobs were found ended at first", got)
				}
			})
		}
	}
}

// All polls together stay within their share, the first polls of many jobs aside.
func TestPollsStayWithinTheirShare(t *testing.T) {
	var p polls
	start := time.Unix(0, 0)
	latest := start
	n := 0
	for job := range 60 { // a job every 10 seconds, with more polls than there is room for
		now := start.Add(time.Duration(job) * 10 * time.Second)
		p.spend(now, 300, true)
		n++
		for range 4 {
			if at := now.Add(p.spend(now, 300, false)); at.After(latest) {
				latest = at
			}
			n++
		}
	}
	if minutes := latest.Sub(start).Minutes(); float64(n) > minutes*15+60+pollBurst {
		t.Errorf("%d polls in %.1f minutes", n, minutes)
	}
}
