package rate

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/genesys"
)

// Under one allowance, an export takes as long as the allowance says, in however
// many processes it is done: none of them gains by the others, and none loses.
func TestPods(t *testing.T) {
	var alone time.Duration
	for _, processes := range []int{1, 2, 4, 8} {
		name := fmt.Sprintf("one export in %d pods", processes)
		synctest.Test(t, func(t *testing.T) {
			s := scenario{name: name, options: organisation(), days: 160, workers: 8, processes: processes, jobs: genesys.JobOptions{PageSize: 5}}
			r := s.play(t)
			r.whole(t)
			got := r.judge()
			r.row(t, got)
			if processes == 1 {
				alone = r.took
			}
			if times := r.took.Seconds() / alone.Seconds(); times > 1.1 || times < 0.9 || got.densest > 300 {
				t.Errorf("%s takes %v, %.2f times as long as in one, with up to %d requests a minute", name, r.took, times, got.densest)
			}
		})
	}
}
