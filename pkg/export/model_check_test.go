package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"gocloud.dev/blob"

	"github.com/gcexport/gcexport/pkg/export"
)

// holds looks at the bucket as a reader does, with other tools than those that
// wrote it: each record stands once in the parts, the manifests list each part
// once and tell the truth, and the records that must be there are. If may is
// not nil, the run is over, and there is no part that is not listed and no
// record but those.
func (w *modelWorld) holds(must, may map[string]bool) error {
	layout := export.Layout{Dataset: export.Conversations}
	listed := map[string]bool{}
	held := map[string]bool{}
	for key, obj := range w.objects {
		_, manifest := layout.ParseManifest(key)
		_, supplement := layout.ParseSupplement(key)
		if !manifest && !supplement {
			continue
		}
		var m export.Manifest
		if err := json.Unmarshal(obj.data, &m); err != nil {
			return err
		}
		if m.Supplement != supplement {
			return fmt.Errorf("%s: supplement is %v", key, m.Supplement)
		}
		if err := w.lists(&m, listed, held); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	for line := range must {
		if !held[line] {
			return fmt.Errorf("missing: %s", line)
		}
	}
	if may == nil {
		return nil
	}
	for line := range held {
		if !may[line] {
			return fmt.Errorf("unexpected: %s", line)
		}
	}
	for key := range w.objects {
		if strings.HasPrefix(key, layout.DataPrefix()) && !listed[key] {
			return fmt.Errorf("not listed: %s", key)
		}
	}
	return nil
}

// lists compares a manifest with the parts.
func (w *modelWorld) lists(m *export.Manifest, listed, held map[string]bool) error {
	var records, raw, size int64
	for _, p := range m.Parts {
		obj, there := w.objects[p.Key]
		switch {
		case listed[p.Key]:
			return fmt.Errorf("listed twice: %s", p.Key)
		case !there:
			return fmt.Errorf("%s is not there", p.Key)
		}
		listed[p.Key] = true
		text, err := unzipped(obj.data)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Key, err)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); held[line] {
				return fmt.Errorf("%s: twice: %s", p.Key, line)
			}
			held[line] = true
		}
		want := export.Part{Key: p.Key, Records: int64(strings.Count(text, "\n")), RawBytes: int64(len(text)), Bytes: int64(len(obj.data)),
			SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), MD5: fmt.Sprintf("%x", md5.Sum(obj.data)), First: p.First, Last: p.Last}
		if p != want {
			return fmt.Errorf("says %+v, there is %+v", p, want)
		}
		records, raw, size = records+p.Records, raw+p.RawBytes, size+p.Bytes
	}
	if records != m.Records || raw != m.RawBytes || size != m.Bytes || m.Dropped != (export.Dropped{}) {
		return fmt.Errorf("sums are not those of the parts, or something was dropped: %+v", m)
	}
	return nil
}

// settled wants a listing to show nothing that is left to do.
func (w *modelWorld) settled() error {
	p := &process{world: w, free: true}
	b := blob.NewBucket(modelBucket{p: p})
	inv, err := export.TakeInventory(context.Background(), b, export.Layout{Dataset: export.Conversations})
	if err != nil {
		return err
	}
	if len(inv.Committed) != 1 || len(inv.Open) > 0 || len(inv.Unlisted) > 0 {
		return fmt.Errorf("something is left to do: %+v", inv)
	}
	return nil
}

func unzipped(data []byte) (string, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(zr)
	return string(text), err
}

func zipped(line string) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, _ = io.WriteString(zw, line+"\n")
	_ = zw.Close()
	return b.Bytes()
}
