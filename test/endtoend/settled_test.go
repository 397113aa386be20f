package endtoend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// Results whose dataAvailabilityDate lies before the chunk's end are not
// committed: the chunk is postponed, and done by a later run.
func TestWatermarkMovesBack(t *testing.T) {
	for _, fault := range []string{
		"page:watermark-back:by=480h,job=2,times=-1",        // from the first page on
		"page:watermark-back:by=480h,job=2,after=3,times=1", // in the midst of a job
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := genesystest.ParseFault(fault)
				if err != nil {
					t.Fatal(err)
				}
				o := genesystest.Options{Flat: true, Watermark: first.AddDate(0, 0, 30), AsOf: first.AddDate(0, 3, 0)} // every job has pages enough
				healthy := newWorld(t, o)
				o.Faults = []genesystest.Fault{f}
				w := newWorld(t, o)
				w.jobs.PageSize, w.engine.PartRawBytes, w.engine.Workers = 5, 4000, 1
				p := days(3, 12*time.Hour)
				s, err := w.export(t.Context(), p)
				if err != nil || len(s.Postponed) != 1 || len(s.Failed) != 0 || s.Chunks.Exported != 5 || s.Complete() {
					t.Fatalf("postponed %v, failed %v, chunks %+v, %v", s.Postponed, s.Failed, s.Chunks, err)
				}
				w.checkJobs(s)
				w.checkHeld(p.Range, false)
				inv, err := export.TakeInventory(t.Context(), w.bucket, export.Layout{Dataset: export.Conversations})
				if err != nil || len(inv.Committed) != 5 {
					t.Errorf("inventory %+v, %v", inv, err)
				}
				healthy.bucket, healthy.jobs, healthy.engine = w.bucket, w.jobs, w.engine
				if s := healthy.complete(p); s.Chunks.Exported != 1 {
					t.Errorf("%d chunks were exported, want the one that is left", s.Chunks.Exported)
				}
			})
		})
	}
}
