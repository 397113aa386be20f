package export

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

// A Layout names the objects of one dataset in a bucket. Names depend on
// nothing but dataset, interval, revision and part number, or also on the order of
// parts ([PartitionExportDay]); they sort by time, and hold no character that a
// store, an event or a loader escapes. The layout is a contract with readers:
// docs/format.md.
type Layout struct {
	Dataset string
}

const (
	controlFolder = "_gcexport/"
	dataSuffix    = ".jsonl.gz"
	begunSuffix   = ".begun.json"
	filesSuffix   = ".files.txt"
	nameTime      = "20060102T150405Z"
)

// Siblings are the layouts of the datasets that take what loaders would refuse
// of this one: first the records that are too large, then those that have flaws
// ([record.Flaw]). They have parts and supplements, and no manifests: a chunk's
// manifest lists the parts of all.
func (l Layout) Siblings() []Layout {
	return []Layout{oversize: {Dataset: l.Dataset + "_oversize"}, rejected: {Dataset: l.Dataset + "_rejected"}}
}

// The siblings, by their place among them.
const (
	oversize = iota
	rejected
)

// family is the layout with its siblings.
func (l Layout) family() []Layout { return append([]Layout{l}, l.Siblings()...) }

// DataPrefix is what the names of all data objects begin with.
func (l Layout) DataPrefix() string { return l.Dataset + "/" }

// ManifestPrefix is what the names of all manifests begin with.
func (l Layout) ManifestPrefix() string { return controlFolder + l.Dataset + "/" }

// PartPrefix is what the names of a chunk's parts of one revision begin with.
func (l Layout) PartPrefix(iv interval.Interval, revision int) string {
	return fmt.Sprintf("%sdt=%s/%s.r%d.p", l.DataPrefix(), iv.Start.UTC().Format(time.DateOnly), intervalName(iv), revision)
}

// Part is the name of a data object.
func (l Layout) Part(iv interval.Interval, revision, part int) string {
	return fmt.Sprintf("%s%04d%s", l.PartPrefix(iv, revision), part, dataSuffix)
}

// Manifest is the name of the manifest of a chunk's revision.
func (l Layout) Manifest(iv interval.Interval, revision int) string {
	return l.revisionPrefix(iv, revision) + "json"
}

// Supplement is the name of the manifest that lists one part which the chunk's
// own manifest does not.
func (l Layout) Supplement(iv interval.Interval, revision, part int) string {
	return fmt.Sprintf("%sp%04d.json", l.revisionPrefix(iv, revision), part)
}

// revisionPrefix is what the names of all manifests of a chunk's revision begin
// with.
func (l Layout) revisionPrefix(iv interval.Interval, revision int) string {
	return fmt.Sprintf("%s%s.r%d.", l.ManifestPrefix(), intervalName(iv), revision)
}

// RunBegun is the name of the record that says that a run has begun.
func (l Layout) RunBegun(run string) string { return l.runPrefix() + run + begunSuffix }

// RunSummary is the name of the record that says what a run did.
func (l Layout) RunSummary(run string) string { return l.runPrefix() + run + ".json" }

// RunFiles is the name of the list of a run's objects, one URI a line.
func (l Layout) RunFiles(run string) string { return l.runPrefix() + run + filesSuffix }

// RunRedshift is the name of the same list in the form that Redshift takes.
func (l Layout) RunRedshift(run string) string { return l.runPrefix() + run + ".redshift.json" }

// dataset is the name of the record that says what the dataset's objects are like.
func (l Layout) dataset() string { return controlFolder + "datasets/" + l.Dataset + ".json" }

// listPrefix is what the names of all load lists begin with.
func (l Layout) listPrefix() string { return controlFolder + "lists/" + l.Dataset + "/" }

// list is the name of a load list.
func (l Layout) list(number int) string { return fmt.Sprintf("%s%06d.json", l.listPrefix(), number) }

// parseList reads the name of a load list.
func (l Layout) parseList(key string) (number int, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(key, l.listPrefix()), ".json")
	number, err := strconv.Atoi(digits)
	return number, err == nil && number > 0 && key == l.list(number)
}

// runPrefix is what the names of the records of runs begin with.
func (Layout) runPrefix() string { return controlFolder + "runs/" }

// claimPrefix is what the names of all claims begin with ([claim]).
func (l Layout) claimPrefix() string { return controlFolder + "order/" + l.Dataset + "/" }

// claim is the name of the claim of a place in the order of parts.
func (l Layout) claim(place int) string { return fmt.Sprintf("%s%010d.json", l.claimPrefix(), place) }

// parseClaim reads the name of a claim.
func (l Layout) parseClaim(key string) (place int, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(key, l.claimPrefix()), ".json")
	place, err := strconv.Atoi(digits)
	return place, err == nil && place > 0 && key == l.claim(place)
}

// orderedPart is the name of a data object where names say in which order parts came,
// and on which day.
func (l Layout) orderedPart(day string, place int, iv interval.Interval, revision, part int) string {
	return fmt.Sprintf("%sdt=%s/%010d-%s.r%d.p%04d%s", l.DataPrefix(), day, place, intervalName(iv), revision, part, dataSuffix)
}

// A Name is what the name of a part, a manifest or a supplement says.
type Name struct {
	Interval interval.Interval
	Revision int
	// Place is where the part stands in the order of all parts of its dataset, from
	// 1; 0 where names do not say ([PartitionDay]).
	Place int
	// Part is the number of the part, or of the one that a supplement lists;
	// -1 in the name of a chunk's manifest.
	Part int
}

var (
	partPattern       = regexp.MustCompile(`^dt=(\d{4}-\d{2}-\d{2})/(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)\.r(\d{1,6})\.p(\d{4,6})\.jsonl\.gz$`)
	orderedPattern    = regexp.MustCompile(`^dt=(\d{4}-\d{2}-\d{2})/(\d{10})-(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)\.r(\d{1,6})\.p(\d{4,6})\.jsonl\.gz$`)
	manifestPattern   = regexp.MustCompile(`^(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)\.r(\d{1,6})\.json$`)
	supplementPattern = regexp.MustCompile(`^(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)\.r(\d{1,6})\.p(\d{4,6})\.json$`)
)

// ParsePart reads the name of a data object, of either [Partition]. ok is false for
// any name that the program would not have given.
func (l Layout) ParsePart(key string) (n Name, ok bool) {
	rest, ok := strings.CutPrefix(key, l.DataPrefix())
	if !ok {
		return Name{}, false
	}
	if m := orderedPattern.FindStringSubmatch(rest); m != nil {
		return l.parseOrdered(key, m)
	}
	m := partPattern.FindStringSubmatch(rest)
	if m == nil {
		return Name{}, false
	}
	n, ok = parseName(m[2], m[3], m[4], m[5])
	return n, ok && key == l.Part(n.Interval, n.Revision, n.Part)
}

func (l Layout) parseOrdered(key string, m []string) (n Name, ok bool) {
	place, err := strconv.Atoi(m[2])
	_, dayErr := time.Parse(time.DateOnly, m[1])
	n, ok = parseName(m[3], m[4], m[5], m[6])
	n.Place = place
	return n, ok && err == nil && dayErr == nil && place > 0 && key == l.orderedPart(m[1], place, n.Interval, n.Revision, n.Part)
}

// parseAnyPart reads the name of a data object of the dataset or a sibling, and
// says whose it is.
func (l Layout) parseAnyPart(key string) (of Layout, n Name, ok bool) {
	for _, of := range l.family() {
		if n, ok := of.ParsePart(key); ok {
			return of, n, true
		}
	}
	return Layout{}, Name{}, false
}

// ParseManifest reads the name of a chunk's manifest, likewise.
func (l Layout) ParseManifest(key string) (n Name, ok bool) {
	rest, ok := strings.CutPrefix(key, l.ManifestPrefix())
	m := manifestPattern.FindStringSubmatch(rest)
	if !ok || m == nil {
		return Name{}, false
	}
	n, ok = parseName(m[1], m[2], m[3], "-1")
	return n, ok && key == l.Manifest(n.Interval, n.Revision)
}

// ParseSupplement reads the name of a supplement, likewise.
func (l Layout) ParseSupplement(key string) (n Name, ok bool) {
	rest, ok := strings.CutPrefix(key, l.ManifestPrefix())
	m := supplementPattern.FindStringSubmatch(rest)
	if !ok || m == nil {
		return Name{}, false
	}
	n, ok = parseName(m[1], m[2], m[3], m[4])
	return n, ok && key == l.Supplement(n.Interval, n.Revision, n.Part)
}

func parseName(start, end, revision, part string) (n Name, ok bool) {
	from, err1 := time.Parse(nameTime, start)
	to, err2 := time.Parse(nameTime, end)
	iv, err3 := interval.New(from, to)
	r, err4 := strconv.Atoi(revision)
	p, err5 := strconv.Atoi(part)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return Name{}, false
		}
	}
	return Name{Interval: iv, Revision: r, Part: p}, true
}

func intervalName(iv interval.Interval) string {
	return iv.Start.UTC().Format(nameTime) + "-" + iv.End.UTC().Format(nameTime)
}
