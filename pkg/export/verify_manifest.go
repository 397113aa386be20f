package export

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
)

const (
	md5Size = 16
	// maxCheckedManifest bounds a manifest that is verified: 40,000 parts.
	maxCheckedManifest = 16 << 20
	// usualManifest is the size up to which several are read at once.
	usualManifest = 1 << 20
	// maxManifestHead bounds all of a manifest but its parts.
	maxManifestHead = 1 << 20
)

// A manifestError says what is wrong with a manifest.
type manifestError string

func (e manifestError) Error() string { return string(e) }

func manifestErrorf(format string, args ...any) error {
	return manifestError(clipText(fmt.Sprintf(format, args...)))
}

// clipText keeps what a hostile object says from filling the report.
func clipText(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// scanManifest reads a manifest that may hold anything, and calls part for each
// part that it lists; an error of part ends the reading. The Manifest that it
// returns, with the size of its object, has no parts. Nothing is believed: whatever is in r, memory stays
// within a few times the largest value in it, and the error of what is not a
// manifest is a manifestError. Other errors are those of reading.
func scanManifest(r io.Reader, part func(Part) error) (m *Manifest, size int64, err error) {
	src := &sourceReader{r: io.LimitReader(r, maxCheckedManifest+1)}
	s := manifestScanner{dec: json.NewDecoder(src), part: part, head: map[string]json.RawMessage{}, seen: map[string]bool{}}
	m, err = s.scan()
	var bad manifestError
	switch {
	case src.err != nil:
		err = src.err
	case src.n > maxCheckedManifest:
		err = manifestErrorf("is larger than %d bytes", maxCheckedManifest)
	case err != nil && !errors.As(err, &bad):
		err = manifestErrorf("is not a manifest: %v", err)
	}
	return m, src.n, err
}

// A sourceReader remembers an error of reading, as opposed to what a decoder
// makes of the bytes.
type sourceReader struct {
	r   io.Reader
	n   int64
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type manifestScanner struct {
	dec  *json.Decoder
	part func(Part) error
	head map[string]json.RawMessage // all members but the parts
	size int                        // of head
	seen map[string]bool            // names of members, in lower case
}

func (s *manifestScanner) scan() (*Manifest, error) {
	if err := s.delim('{'); err != nil {
		return nil, err
	}
	for s.dec.More() {
		if err := s.member(); err != nil {
			return nil, err
		}
	}
	if err := s.delim('}'); err != nil {
		return nil, err
	}
	if _, err := s.dec.Token(); err != io.EOF {
		return nil, manifestErrorf("has something behind its end")
	}
	if !s.seen["parts"] {
		return nil, manifestErrorf("has no list of parts")
	}
	head, err := json.Marshal(s.head)
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	return m, json.Unmarshal(head, m)
}

func (s *manifestScanner) delim(want json.Delim) error {
	t, err := s.dec.Token()
	if err == nil && t != want {
		err = manifestErrorf("is not a manifest: %v where %v should be", t, want)
	}
	return err
}

func (s *manifestScanner) member() error {
	t, err := s.dec.Token()
	if err != nil {
		return err
	}
	name, ok := t.(string)
	if !ok {
		return manifestErrorf("is not a manifest: %v where a name should be", t)
	}
	if len(name) > maxManifestHead {
		return manifestErrorf("holds more than %d bytes beside its parts", maxManifestHead)
	}
	// Readers of JSON often take a name in other cases for the same.
	folded := strings.ToLower(strings.ToUpper(name))
	switch {
	case name == "parts":
		return s.parts()
	case folded == "parts":
		return manifestErrorf("has a member %q", clipText(name))
	}
	var value json.RawMessage
	if err := s.dec.Decode(&value); err != nil {
		return err
	}
	if s.seen[folded] {
		return manifestErrorf("has the member %q twice", clipText(name))
	}
	s.seen[folded] = true
	if s.size += len(name) + len(value); s.size > maxManifestHead {
		return manifestErrorf("holds more than %d bytes beside its parts", maxManifestHead)
	}
	s.head[name] = value
	return nil
}

func (s *manifestScanner) parts() error {
	if s.seen["parts"] {
		return manifestErrorf("has two lists of parts")
	}
	s.seen["parts"] = true
	if err := s.delim('['); err != nil {
		return err
	}
	for s.dec.More() {
		var p Part
		if err := s.dec.Decode(&p); err != nil {
			return err
		}
		if err := s.part(p); err != nil {
			return err
		}
	}
	return s.delim(']')
}

// A partClaim is what a manifest says about a part.
type partClaim struct {
	records, raw, bytes int64
	sha                 [32]byte
	md5                 string // as bytes; empty where the manifest has none
	object              string // the name, where that does not follow from the part's number
	first, last         time.Time
}

// A chunkClaim is what a manifest says, as far as it can be believed.
type chunkClaim struct {
	format   RecordFormat
	parts    map[partName]partClaim
	problems []string
}

// readClaim reads the manifest of a chunk and checks what can be checked
// without its parts. Where the manifest cannot be read at all, err is a
// manifestError.
func readClaim(ctx context.Context, b *blob.Bucket, l Layout, key string, n Name, o *ObjectOptions) (c *chunkClaim, err error) {
	rd, err := object.Open(ctx, b, key, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	return claimOf(rd, l, n)
}

// claimOf is readClaim for a reader.
func claimOf(r io.Reader, l Layout, n Name) (*chunkClaim, error) {
	c := &chunkClaim{parts: map[partName]partClaim{}}
	var sum partSum
	m, size, err := scanManifest(r, func(p Part) error {
		if !sum.add(p) {
			return manifestErrorf("lists %q with impossible sizes", clipText(p.Key))
		}
		return c.take(p, l, n)
	})
	if err != nil {
		return nil, err
	}
	c.format = m.formatOf()
	c.check(m, sum, l, n)
	if n.Part < 0 {
		c.checkDiverted(m, l)
	}
	if size%tallyModulus != int64(len(c.parts)%tallyModulus) {
		c.problem("has a size that does not tell the number of its parts")
	}
	return c, nil
}

// A partSum adds up parts.
type partSum struct{ records, raw, bytes int64 }

// add reports whether the part has sizes that a part can have.
func (s *partSum) add(p Part) bool {
	if p.Records < 1 || p.RawBytes < 1 || p.Bytes < 1 || math.MaxInt64-s.records < p.Records ||
		math.MaxInt64-s.raw < p.RawBytes || math.MaxInt64-s.bytes < p.Bytes {
		return false
	}
	s.records += p.Records
	s.raw += p.RawBytes
	s.bytes += p.Bytes
	return true
}

// checkDiverted holds what is said about the siblings against their parts.
func (c *chunkClaim) checkDiverted(m *Manifest, l Layout) {
	sums := map[string]partSum{}
	for name, p := range c.parts {
		if name.sibling > 0 {
			dataset := l.family()[name.sibling].Dataset
			s := sums[dataset]
			sums[dataset] = partSum{s.records + p.records, s.raw + p.raw, s.bytes + p.bytes}
		}
	}
	for _, d := range m.Diverted {
		var reasons int64
		for _, n := range d.Reasons {
			reasons += n
		}
		if (partSum{d.Records, d.RawBytes, d.Bytes}) != sums[d.Dataset] || reasons != d.Records || d.Records == 0 {
			c.problem("says other sums of %q than its parts", d.Dataset)
		}
		delete(sums, d.Dataset)
	}
	for dataset := range sums {
		c.problem("lists parts of %s, of which it says nothing else", dataset)
	}
}

// take takes a part that the manifest lists. Each takes its name's length in
// the manifest, and is taken once, so that memory follows the manifest's size.
func (c *chunkClaim) take(p Part, l Layout, n Name) error {
	of, name, ok := l.parseAnyPart(p.Key)
	sibling := slices.Index(l.family(), of)
	if !ok || name.Revision != n.Revision || !sameInterval(name.Interval, n.Interval) {
		return manifestErrorf("lists %q, which is no part of the chunk", clipText(p.Key))
	}
	if c.lists(partName{sibling, name.Part}) {
		return manifestErrorf("lists %s twice", p.Key)
	}
	claim := partClaim{records: p.Records, raw: p.RawBytes, bytes: p.Bytes, first: p.First, last: p.Last}
	if len(p.SHA256) != hex.EncodedLen(len(claim.sha)) {
		return manifestErrorf("lists %s without a SHA-256", p.Key)
	}
	if _, err := hex.Decode(claim.sha[:], []byte(p.SHA256)); err != nil {
		return manifestErrorf("lists %s without a SHA-256", p.Key)
	}
	sum, err := hex.DecodeString(p.MD5)
	if err != nil || len(sum) != 0 && len(sum) != md5Size {
		return manifestErrorf("lists %s with an MD5 that is none", p.Key)
	}
	claim.md5 = string(sum)
	if name.Place > 0 {
		claim.object = p.Key
	}
	if !n.Interval.Contains(p.First) || !n.Interval.Contains(p.Last) || p.Last.Before(p.First) {
		c.problem("lists %s with first and last starts outside of the chunk", p.Key)
	}
	c.parts[partName{sibling, name.Part}] = claim
	return nil
}

// maxProblems bounds what is told about one manifest.
const maxProblems = 10

func (c *chunkClaim) problem(format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, clipText(fmt.Sprintf(format, args...)))
	}
}

// check holds the manifest against its name, its parts and itself. What it says
// about where the data came from cannot be proved by the bucket.
func (c *chunkClaim) check(m *Manifest, sum partSum, l Layout, n Name) {
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			c.problem(format, args...)
		}
	}
	wrong(m.Format != ManifestFormat, "has format %q", m.Format)
	wrong(m.Dataset != l.Dataset, "speaks of dataset %q", m.Dataset)
	wrong(!sameInterval(m.Interval.interval(), n.Interval), "speaks of %s", m.Interval.interval())
	wrong(m.Revision != n.Revision, "speaks of revision %d", m.Revision)
	wrong(m.Supplement != (n.Part >= 0), "says supplement %v", m.Supplement)
	wrong(n.Part >= 0 && (len(c.parts) != 1 || !c.lists(partName{0, n.Part})), "does not list the part of its name alone")
	wrong(m.Records != sum.records, "says %d records, its parts %d", m.Records, sum.records)
	wrong(m.RawBytes != sum.raw, "says %d raw bytes, its parts %d", m.RawBytes, sum.raw)
	wrong(m.Bytes != sum.bytes, "says %d bytes, its parts %d", m.Bytes, sum.bytes)
	wrong(m.Dropped.Foreign < 0 || m.Dropped.Duplicate < 0, "counts less than nothing as dropped")
	wrong(m.Settled != (m.Watermark != nil && !m.Watermark.Before(n.Interval.End)), "says settled %v, which its watermark denies", m.Settled)
	wrong(m.Mode != "" && m.Mode != "job" && m.Mode != "query", "says mode %q", m.Mode)
	wrong(m.FetchedAt.IsZero(), "does not say when the data was read")
	_, err := ulid.ParseStrict(m.Run)
	wrong(err != nil, "does not name the run that wrote it")
}

func sameInterval(a, b interval.Interval) bool { return a.Start.Equal(b.Start) && a.End.Equal(b.End) }

func (c *chunkClaim) lists(n partName) bool { _, ok := c.parts[n]; return ok }
