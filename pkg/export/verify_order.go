package export

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gocloud.dev/blob"
)

// A placed is an object that has a place in the order of parts.
type placed struct {
	number int
	key    string
}

// surveyOrder looks whether the parts whose names say their order keep it: each has
// claimed its place, no place is taken twice or left out, and names grow with places.
func (c *check) surveyOrder(ctx context.Context) error {
	if c.partition != PartitionExportDay {
		return nil
	}
	for _, l := range c.layout.family() {
		claims := map[int]bool{}
		err := list(ctx, c.Bucket, l.claimPrefix(), func(o *blob.ListObject) {
			n, ok := l.parseClaim(o.Key)
			if !ok {
				c.stray(o.Key, "is no claim")
				return
			}
			claims[n] = true
		})
		if err != nil {
			return err
		}
		c.checkOrder(l, claims)
	}
	return nil
}

func (c *check) checkOrder(l Layout, claims map[int]bool) {
	taken := c.places[l]
	slices.SortFunc(taken, func(a, b placed) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.key, b.key)) })
	last := placed{}
	for _, p := range taken {
		switch {
		case p.number == last.number:
			c.stray(p.key, "has the place of "+last.key)
		case p.key < last.key:
			c.stray(p.key, "comes after "+last.key+", which has a higher name")
		case !claims[p.number]:
			c.stray(p.key, "has a place that nobody has claimed")
		}
		for n := last.number + 1; n < p.number; n++ {
			c.findings.add(Finding{Kind: Missing, Damage: true, Key: l.claim(n), Detail: fmt.Sprintf("nothing is at place %d, though a later one is taken", n)})
			if n > last.number+maxProblems {
				break // the first ones say enough
			}
		}
		last = p
	}
}
