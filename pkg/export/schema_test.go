package export_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

func manifestSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("../../docs/manifest.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// manifests makes manifests of every kind: with many parts and with none, with
// and without a watermark, with records put aside, with names that only grow, and a
// supplement.
func manifests(t *testing.T) map[string][]byte {
	t.Helper()
	all, b, p := conversations(900, 3), memBucket(t), plan(4, interval.Day)
	layout := export.Layout{Dataset: export.Conversations}
	mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 50}, Bucket: b, Mode: "job", Program: "gcexport test", PartRawBytes: 9000}, p)
	put(t, b, layout.Part(interval.Interval{Start: day0.AddDate(0, 0, 3), End: day0.AddDate(0, 0, 4)}, 0, 0),
		zipped(`{"conversationId":"late","conversationStart":"2024-03-04T01:00:00.000Z"}`))
	p.Range.End = day0.AddDate(0, 0, 5)
	mustRun(t, &export.Exporter{Source: plainSource{&source{all: all}}, Bucket: b}, p)
	p.Range.End = day0.AddDate(0, 0, 6)
	large := withLarge(conversations(600, 6), 5, 3000)
	mustRun(t, &export.Exporter{Source: &source{all: large, pageSize: 50}, Bucket: b, Mode: "job", MaxRecord: 2000}, p)
	found, growing := contents(t, b), memBucket(t)
	mustRun(t, &export.Exporter{Source: &source{all: all, pageSize: 50}, Bucket: growing, Partition: export.PartitionExportDay, PartRawBytes: 9000}, plan(1, interval.Day))
	for key, data := range contents(t, growing) {
		found[strings.Replace(key, layout.ManifestPrefix(), layout.ManifestPrefix()+"growing-", 1)] = data
	}
	maps.DeleteFunc(found, func(key string, _ []byte) bool { return !strings.HasPrefix(key, layout.ManifestPrefix()) })
	if len(found) != 8 {
		t.Fatalf("%d manifests, want 8", len(found))
	}
	return found
}

// plainSource hides that a source knows a watermark.
type plainSource struct{ export.Source }

func TestManifestSchema(t *testing.T) {
	schema := manifestSchema(t)
	for key, data := range manifests(t) {
		if err := schema.Validate(decode(t, data)); err != nil {
			t.Errorf("%s: %v\n%s", key, err, data)
		}
	}
	for name, old := range map[string][2]string{
		"format":     {"gcexport.manifest/1", "gcexport.manifest/2"},
		"time":       {"T00:00:00Z", "T00:00:00+00:00"},
		"name":       {".jsonl.gz", ".json.gz"},
		"hash":       {`"sha256": "`, `"sha256": "x`},
		"negative":   {`"foreign": `, `"foreign": -1`},
		"run":        {`"run": "`, `"run": "u`},
		"no parts":   {`"parts"`, `"part"`},
		"put aside":  {`"revision": 0`, `"revision": 0, "diverted": [{"dataset": "conversations_oversize"}]`},
		"supplement": {`"revision": 0`, `"revision": 0, "supplement": true`},
	} {
		for key, data := range manifests(t) {
			bad := strings.Replace(string(data), old[0], old[1], 1)
			if !strings.Contains(key, "20240301T") || !json.Valid([]byte(bad)) {
				continue
			}
			if bad == string(data) || schema.Validate(decode(t, []byte(bad))) == nil {
				t.Errorf("%s: accepted\n%s", name, bad)
			}
		}
	}
}

// Every member that a manifest can have is in the schema.
func TestManifestSchemaIsComplete(t *testing.T) {
	var known struct {
		Properties map[string]any
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	data, err := json.Marshal(decode(t, schemaText(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &known); err != nil {
		t.Fatal(err)
	}
	for _, data := range manifests(t) {
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		for name := range m {
			if known.Properties[name] == nil {
				t.Errorf("the schema does not know %s", name)
			}
		}
		parts := m["parts"].([]any)
		diverted, _ := m["diverted"].([]any)
		for _, d := range diverted {
			d := d.(map[string]any)
			for name := range d {
				if known.Properties["diverted"].(map[string]any)["items"].(map[string]any)["properties"].(map[string]any)[name] == nil {
					t.Errorf("the schema does not know diverted.%s", name)
				}
			}
		}
		for _, p := range parts {
			for name := range p.(map[string]any) {
				if known.Defs["part"].Properties[name] == nil {
					t.Errorf("the schema does not know parts.%s", name)
				}
			}
		}
	}
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../../docs/manifest.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}
