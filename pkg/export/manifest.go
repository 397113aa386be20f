package export

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// ManifestFormat names the version of the manifest. A reader refuses a major
// version that it does not know; new members may come without a new version.
const ManifestFormat = "gcexport.manifest/1"

// A Manifest is the commit record of a chunk's revision: the chunk is done when
// it exists. The chunk's parts are those that it lists and, seldom, those of
// its supplements. docs/format.md is its contract with readers.
type Manifest struct {
	Format   string `json:"format"`
	Dataset  string `json:"dataset"`
	Interval Span   `json:"interval"`
	Revision int    `json:"revision"`
	// Supplement says that this is not the chunk's own manifest, but lists a
	// part that another process has published at the time of the commit.
	Supplement bool `json:"supplement,omitempty"`
	// RecordFormat is what the lines of the parts are; empty means [RecordRaw].
	RecordFormat RecordFormat `json:"record_format,omitempty"`
	// Mode is what the records came from: "job" or "query".
	Mode string `json:"mode,omitempty"`
	// Settled says that the source's watermark had passed the chunk's end
	// when its last page was read.
	Settled   bool       `json:"settled"`
	Watermark *time.Time `json:"watermark,omitempty"`
	FetchedAt time.Time  `json:"fetched_at"`
	// Jobs are the ids of the jobs whose results were read.
	Jobs []string `json:"jobs,omitempty"`

	Records  int64 `json:"records"`
	RawBytes int64 `json:"raw_bytes"`
	Bytes    int64 `json:"bytes"`
	// Dropped counts what the source gave and the chunk's parts do not hold.
	Dropped Dropped `json:"dropped"`
	Parts   []Part  `json:"parts"`
	// Diverted counts those of the records that loaders would refuse, and which
	// therefore stand in a sibling of the dataset.
	Diverted []Diverted `json:"diverted,omitempty"`

	Run     string `json:"run"`
	Program string `json:"program,omitempty"`
}

// A Span is an interval in a manifest.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

func (s Span) interval() interval.Interval { return interval.Interval{Start: s.Start, End: s.End} }

// Dropped counts records of a chunk's pages that are not in its parts.
type Dropped struct {
	// Foreign records started outside the chunk: their own chunk has them.
	Foreign int64 `json:"foreign"`
	// Duplicate records were there already.
	Duplicate int64 `json:"duplicate"`
}

// Diverted are the records of a chunk that stand in one sibling of its dataset.
type Diverted struct {
	// Dataset is the sibling's name; see [Layout.Siblings].
	Dataset  string `json:"dataset"`
	Records  int64  `json:"records"`
	RawBytes int64  `json:"raw_bytes"`
	Bytes    int64  `json:"bytes"`
	// Reasons counts the records by why they are there: [ReasonSize], or the
	// name of a flaw ([record.Flaw]); of several the first counts.
	Reasons map[string]int64 `json:"reasons"`
}

// A Part is one data object in a manifest.
type Part struct {
	// Key is the object's name, without the prefix of the bucket URL.
	Key     string `json:"key"`
	Records int64  `json:"records"`
	// RawBytes and SHA256 are those of the uncompressed lines, line ends included.
	RawBytes int64  `json:"raw_bytes"`
	SHA256   string `json:"sha256"`
	// Bytes is the size of the object.
	Bytes int64 `json:"bytes"`
	// MD5 is that of the object, in hex, for comparing with what stores say in
	// a listing. Where FIPS 140 forbids to compute it, it is empty.
	MD5 string `json:"md5,omitempty"`
	// First and Last are the lowest and highest conversationStart.
	First time.Time `json:"first_start"`
	Last  time.Time `json:"last_start"`
}

func (r *run) newManifest(c Chunk) *Manifest {
	return &Manifest{
		Format:       ManifestFormat,
		Dataset:      r.plan.Dataset,
		Interval:     Span{Start: c.Interval.Start, End: c.Interval.End},
		Mode:         r.Mode,
		RecordFormat: r.RecordFormat,
		Parts:        []Part{},
		Run:          r.summary.Run,
		Program:      r.Program,
	}
}

// page takes over what a whole page says about the source.
func (m *Manifest) page(p *record.Page, d Dropped) {
	m.Dropped.Foreign += d.Foreign
	m.Dropped.Duplicate += d.Duplicate
	if p.Job != "" && !slices.Contains(m.Jobs, p.Job) {
		m.Jobs = append(m.Jobs, p.Job)
	}
	if w := p.Envelope.Watermark; !w.IsZero() && (m.Watermark == nil || w.Before(*m.Watermark)) {
		m.Watermark = &w
	}
}

// partOf describes a part.
func partOf(key string, s jsonl.Stats, md5 string) Part {
	return Part{
		Key:      key,
		Records:  s.Records,
		RawBytes: s.RawBytes,
		SHA256:   hex.EncodeToString(s.SHA256[:]),
		Bytes:    s.Bytes,
		MD5:      md5,
		First:    s.First,
		Last:     s.Last,
	}
}

// add lists a part of the dataset or of one of its siblings; why counts the
// reasons of the latter's records.
func (m *Manifest) add(dataset string, p Part, why map[string]int64) {
	m.Parts = append(m.Parts, p)
	if dataset == m.Dataset {
		return
	}
	i := slices.IndexFunc(m.Diverted, func(d Diverted) bool { return d.Dataset == dataset })
	if i < 0 {
		i = len(m.Diverted)
		m.Diverted = append(m.Diverted, Diverted{Dataset: dataset, Reasons: map[string]int64{}})
	}
	d := &m.Diverted[i]
	d.Records += p.Records
	d.RawBytes += p.RawBytes
	d.Bytes += p.Bytes
	for reason, n := range why {
		d.Reasons[reason] += n
	}
}

// countOf is the number of parts of the dataset or of one of its siblings.
func (m *Manifest) countOf(l Layout) (n int) {
	for _, p := range m.Parts {
		if strings.HasPrefix(p.Key, l.DataPrefix()) {
			n++
		}
	}
	return n
}

// settled reports whether the source's data were complete to the end of the
// chunk, so far as its pages speak of it.
func (m *Manifest) settled() bool {
	return m.Watermark == nil || !m.Watermark.Before(m.Interval.End)
}

// sum adds up the parts.
func (m *Manifest) sum() {
	m.Records, m.RawBytes, m.Bytes = 0, 0, 0
	for _, p := range m.Parts {
		m.Records += p.Records
		m.RawBytes += p.RawBytes
		m.Bytes += p.Bytes
	}
}

// seal sums up the parts and stamps the manifest. With no watermark on its
// pages, the one that was read before the run decides whether it is settled.
func (m *Manifest) seal(before time.Time) {
	m.sum()
	if m.Watermark == nil && !before.IsZero() {
		m.Watermark = &before
	}
	m.Settled = m.Watermark != nil && m.settled()
	m.FetchedAt = time.Now().UTC().Truncate(time.Millisecond)
}

// maxManifest bounds what is read of a manifest: enough for the parts of a
// chunk of a hundred terabytes.
const maxManifest = 512 << 20

// ReadManifest reads and checks a manifest. A missing one is an error that
// gcerrors.Code calls NotFound.
func ReadManifest(ctx context.Context, b *blob.Bucket, key string, o *ObjectOptions) (*Manifest, error) {
	data, err := object.Read(ctx, b, key, o, maxManifest)
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s is not a manifest: %w", key, err)
	}
	if m.Format != ManifestFormat {
		return nil, fmt.Errorf("%s has format %q: this program reads %s", key, m.Format, ManifestFormat)
	}
	return m, nil
}

// tallyModulus is what a manifest's size is divided by to get the number of its
// parts as the remainder; see [Manifest.encode].
const tallyModulus = 100

// encode gives the manifest as it is written. Blanks before the last line end
// make its size leave the number of its parts when divided by a hundred: so
// that a listing, which gives sizes, tells whether a chunk has parts that its
// manifest does not list, and no manifest has to be opened for that.
func (m *Manifest) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	want, have := len(m.Parts)%tallyModulus, (len(data)+1)%tallyModulus
	data = append(data, bytes.Repeat([]byte{' '}, (want-have+tallyModulus)%tallyModulus)...)
	return append(data, '\n'), nil
}

// writeManifest creates the manifest under the key.
func (r *run) writeManifest(ctx context.Context, key string, m *Manifest) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	return r.put(ctx, key, data)
}

// put writes a small JSON document, create-only.
func (r *run) put(ctx context.Context, key string, data []byte) error {
	return r.create(ctx, key, "application/json", data)
}

// create writes a small object, create-only.
func (r *run) create(ctx context.Context, key, contentType string, data []byte) error {
	o := r.Object
	o.Writer.ContentType = contentType
	return object.Write(ctx, r.Bucket, key, &o, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
