package export

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A Kind says what a [Finding] is about.
type Kind string

// The kinds of findings. All are damage, but for [Unfinished], and for [Gap]
// where no range was asked for.
const (
	BadManifest Kind = "manifest"   // cannot be read, or contradicts itself or its name
	Missing     Kind = "missing"    // a part that a manifest lists is not there
	WrongSize   Kind = "size"       // an object is longer or shorter than its manifest says
	BadObject   Kind = "object"     // not one whole gzip member of lines
	BadContent  Kind = "content"    // whole, but not what the manifest says
	BadLine     Kind = "line"       // not a compact JSON record with id and start
	Foreign     Kind = "foreign"    // a record that another chunk owns
	Duplicate   Kind = "duplicate"  // a conversation that stands twice
	Overlap     Kind = "overlap"    // two committed chunks share some time
	Gap         Kind = "gap"        // time that no committed chunk covers
	Stray       Kind = "stray"      // an object that no manifest lists
	Unfinished  Kind = "unfinished" // a part of a chunk without a manifest
)

// A Finding is one thing that is not as it should be.
type Finding struct {
	Kind Kind
	// Damage is false for what is only worth knowing.
	Damage bool
	// Key is the object, and Chunk the interval, that it is about; empty where
	// there is none.
	Key   string
	Chunk interval.Interval
	// Detail says what is wrong, in a phrase.
	Detail string
}

func compareFindings(a, b Finding) int {
	return cmp.Or(a.Chunk.Start.Compare(b.Chunk.Start), a.Chunk.End.Compare(b.Chunk.End),
		cmp.Compare(a.Key, b.Key), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Detail, b.Detail))
}

// maxFindings bounds how many findings of a kind a report lists. All are
// counted.
const maxFindings = 1000

// findings collects findings from several goroutines. Which are kept of too
// many depends only on what they say.
type findings struct {
	mu     sync.Mutex
	kept   map[Kind][]Finding
	counts map[Kind]int64
	damage int64
}

func newFindings() *findings {
	return &findings{kept: map[Kind][]Finding{}, counts: map[Kind]int64{}}
}

func (f *findings) add(one Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[one.Kind]++
	if one.Damage {
		f.damage++
	}
	list := append(f.kept[one.Kind], one)
	if len(list) >= 2*maxFindings {
		slices.SortFunc(list, compareFindings)
		list = list[:maxFindings:maxFindings]
	}
	f.kept[one.Kind] = list
}

// list returns what is kept, in order.
func (f *findings) list() []Finding {
	var all []Finding
	for _, list := range f.kept {
		slices.SortFunc(list, compareFindings)
		all = append(all, list[:min(len(list), maxFindings)]...)
	}
	slices.SortFunc(all, compareFindings)
	return all
}

// A Report says what a [Verifier] looked at, and what it found.
type Report struct {
	Dataset string
	// Range is what should be covered: as asked for, or from the first to the
	// last committed chunk. It is empty where there is none.
	Range interval.Interval
	// Deep says that the objects were read, not only listed.
	Deep              bool
	Started, Finished time.Time

	// Chunks are committed, Open have parts and no manifest.
	Chunks, Open int
	Manifests    int
	// Parts are the objects that were looked at, Bytes their size. Records and
	// RawBytes are what was found in them, or, without Deep, what the
	// manifests say.
	Parts                    int
	Records, RawBytes, Bytes int64

	// Suspects is the number of ids that had to be looked at one by one to
	// tell whether they stand twice, Readings how often the data was read.
	Suspects int64
	Readings int

	// Findings are in order of time and name. Of each kind a thousand are
	// listed; Counts has all of them. DamageCount is how many are damage.
	Findings    []Finding
	Counts      map[Kind]int64
	DamageCount int64
}

// Damaged reports whether anything found is damage.
func (r *Report) Damaged() bool { return r.DamageCount > 0 }

// Empty reports whether there was nothing to look at.
func (r *Report) Empty() bool {
	return r.Manifests == 0 && r.Parts == 0 && len(r.Findings) == 0
}

// Kinds returns the kinds of what was found, in order.
func (r *Report) Kinds() []Kind { return slices.Sorted(maps.Keys(r.Counts)) }

// ReportFormat names the version of the report in JSON.
const ReportFormat = "gcexport.verify/1"

// MarshalJSON writes the report as docs/format.md describes it.
func (r *Report) MarshalJSON() ([]byte, error) {
	type findingRecord struct {
		Kind   Kind   `json:"kind"`
		Damage bool   `json:"damage"`
		Key    string `json:"key,omitempty"`
		Chunk  *Span  `json:"chunk,omitempty"`
		Detail string `json:"detail"`
	}
	span := func(iv interval.Interval) *Span {
		if iv.Empty() {
			return nil
		}
		return &Span{iv.Start, iv.End}
	}
	list := make([]findingRecord, 0, len(r.Findings))
	for _, f := range r.Findings {
		list = append(list, findingRecord{f.Kind, f.Damage, f.Key, span(f.Chunk), f.Detail})
	}
	result := "clean"
	if r.Damaged() {
		result = "damaged"
	}
	return json.Marshal(struct {
		Format    string          `json:"format"`
		Result    string          `json:"result"`
		Dataset   string          `json:"dataset"`
		Range     *Span           `json:"range,omitempty"`
		Deep      bool            `json:"deep"`
		Started   time.Time       `json:"started"`
		Finished  time.Time       `json:"finished"`
		Chunks    int             `json:"chunks"`
		Open      int             `json:"open"`
		Manifests int             `json:"manifests"`
		Parts     int             `json:"parts"`
		Records   int64           `json:"records"`
		RawBytes  int64           `json:"raw_bytes"`
		Bytes     int64           `json:"bytes"`
		Suspects  int64           `json:"suspects"`
		Readings  int             `json:"readings"`
		Damage    int64           `json:"damage"`
		Counts    map[Kind]int64  `json:"counts"`
		Findings  []findingRecord `json:"findings"`
	}{
		ReportFormat, result, r.Dataset, span(r.Range), r.Deep, r.Started, r.Finished, r.Chunks, r.Open, r.Manifests,
		r.Parts, r.Records, r.RawBytes, r.Bytes, r.Suspects, r.Readings, r.DamageCount, r.Counts, list,
	})
}

// VerifyBegun says what a [Verifier] is about to read.
type VerifyBegun struct {
	// Reading counts from 1; a further reading looks only for duplicates.
	Reading int
	Parts   int
	Bytes   int64
}

// PartVerified says that a Verifier has read a part.
type PartVerified struct {
	Key                      string
	Records, RawBytes, Bytes int64
}

func (VerifyBegun) event()  {}
func (PartVerified) event() {}
