package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gcexport/gcexport/pkg/interval"
)

// march is the chunk of the manifests in these tests.
var march = Name{Part: -1, Interval: interval.Interval{
	Start: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC)}}

// sound is a manifest of n parts without fault.
func sound(t testing.TB, n int) []byte {
	t.Helper()
	l := Layout{Dataset: Conversations}
	w := march.Interval.End
	m := &Manifest{
		Format: ManifestFormat, Dataset: Conversations, Interval: Span{march.Interval.Start, march.Interval.End},
		Mode: "job", Settled: true, Watermark: &w, FetchedAt: w, Jobs: []string{"a", "b"}, Parts: []Part{},
		Run: "01JQZ3K8M2T7W9X1Y5V4B6N8PD", Program: "gcexport v1",
	}
	for i := range n {
		m.Parts = append(m.Parts, Part{Key: l.Part(march.Interval, 0, i), Records: 2, RawBytes: 1000, Bytes: 100,
			SHA256: strings.Repeat("ab", 32), MD5: strings.Repeat("cd", 16), First: march.Interval.Start, Last: march.Interval.Start})
	}
	m.sum()
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestClaimOfSoundManifest(t *testing.T) {
	for _, n := range []int{0, 1, 3, 250} {
		c, err := claimOf(iotest.OneByteReader(bytes.NewReader(sound(t, n))), Layout{Conversations}, march)
		if err != nil || len(c.parts) != n || len(c.problems) > 0 {
			t.Errorf("%d parts: %+v, %v", n, c, err)
		}
	}
}

func TestClaimOfOtherThings(t *testing.T) {
	good := string(sound(t, 2))
	for name, text := range map[string]string{
		"nothing":            "",
		"blanks":             "  \n",
		"another value":      `[1]`,
		"null":               "null",
		"cut":                good[:len(good)/2],
		"cut at the end":     strings.TrimRight(good, " \n}"),
		"something behind":   good + "{}",
		"a type":             strings.Replace(good, `"records": 4`, `"records": "4"`, 1),
		"a part's type":      strings.Replace(good, `"records": 2`, `"records": {}`, 1),
		"a time":             strings.Replace(good, `"fetched_at": "2024`, `"fetched_at": "20x4`, 1),
		"member twice":       strings.Replace(good, `"mode"`, `"dataset"`, 1),
		"member in capitals": strings.Replace(good, `"mode"`, `"DATASET"`, 1),
		"PARTS":              strings.Replace(good, `"parts"`, `"PARTS"`, 1),
		"partſ":              strings.Replace(good, `"parts"`, `"partſ"`, 1),
		"two lists":          strings.Replace(good, `"mode": "job"`, `"parts": []`, 1),
		"no list":            strings.Replace(good, `"parts"`, `"party"`, 1),
		"parts null":         `{"parts":null}`,
		"part twice":         strings.Replace(good, "p0001", "p0000", 1),
		"part elsewhere":     strings.Replace(good, `"conversations/dt`, `"/etc/conversations/dt`, 1),
		"part of a path":     strings.Replace(good, `"conversations/dt`, `"../conversations/dt`, 1),
		"sum overflows":      strings.ReplaceAll(good, `"records": 2`, `"records": 9223372036854775807`),
		"number too large":   strings.Replace(good, `"records": 2`, `"records": 92233720368547758070`, 1),
		"negative":           strings.Replace(good, `"bytes": 100`, `"bytes": -100`, 1),
		"hash too short":     strings.Replace(good, `"abab`, `"ab`, 1),
		"no hash":            strings.Replace(good, `"abab`, `"zzab`, 1),
		"MD5 too short":      strings.Replace(good, `"cdcd`, `"cd`, 1),
		"gzip":               "\x1f\x8b\x08\x00\x00",
		"deep":               `{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
	} {
		c, err := claimOf(strings.NewReader(text), Layout{Conversations}, march)
		var bad manifestError
		if !errors.As(err, &bad) || len(bad) > 320 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := claimOf(io.MultiReader(strings.NewReader(good[:100]), iotest.ErrReader(io.ErrClosedPipe)), Layout{Conversations}, march); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error of reading: %v", err)
	}
}

// TestClaimOfHugeManifest reads what would be many times its size in memory.
func TestClaimOfHugeManifest(t *testing.T) {
	fillUp := func(head, item, tail string) string {
		return head + strings.Repeat(item, (maxCheckedManifest-len(head)-len(tail))/len(item)) + tail
	}
	for name, text := range map[string]string{
		"empty parts":  fillUp(`{"parts":[{}`, ",{}", `]}`),
		"empty jobs":   fillUp(`{"parts":[],"jobs":[""`, `,""`, `]}`),
		"a long name":  fillUp(`{"`, "x", `":1,"parts":[]}`),
		"a long key":   fillUp(`{"parts":[{"key":"`, "x", `"}]}`),
		"many members": fillUp(`{"x":1`, `,"yyyyyyyyyyyyyyyyyyyyyyyyy":1`, `,"parts":[]}`),
		"open arrays":  fillUp(`{"x":`, "[", ""),
		"blanks":       fillUp("", " ", "{}"),
		"too large":    strings.Repeat(" ", maxCheckedManifest+1) + `{"parts":[]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := claimOf(strings.NewReader(text), Layout{Conversations}, march)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 6*maxCheckedManifest {
			t.Errorf("%s: %d MiB in memory", name, used>>20)
		}
		var bad manifestError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzManifest reads whatever a bucket may hold where a manifest should be. It
// must not panic, what it keeps must be in proportion, and what it finds no
// fault with must be what encoding/json reads.
func FuzzManifest(f *testing.F) {
	good := string(sound(f, 2))
	for _, seed := range []string{good, string(sound(f, 0)), "", "{}", `{"parts":[{}]}`, `{"parts":[],"jobs":null}`,
		strings.Replace(good, `"job"`, `"bulk"`, 1), strings.Replace(good, "p0001", "p0000", 1), good[:200]} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := claimOf(bytes.NewReader(data), Layout{Conversations}, march)
		if err != nil {
			if c != nil || !errors.As(err, new(manifestError)) {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		if len(c.parts) > len(data)/64 || len(c.problems) > maxProblems {
			t.Fatalf("%d parts and %d problems of %d bytes", len(c.parts), len(c.problems), len(data))
		}
		var m Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if len(m.Parts) != len(c.parts) {
			t.Fatalf("%d parts, encoding/json sees %d", len(c.parts), len(m.Parts))
		}
		if len(c.problems) > 0 {
			return
		}
		var records int64
		for _, p := range m.Parts {
			records += p.Records
		}
		if m.Records != records || m.Format != ManifestFormat || m.Dataset != Conversations || m.Settled != (m.Watermark != nil && !m.Watermark.Before(march.Interval.End)) {
			t.Fatalf("no fault found with %+v", m)
		}
	})
}

func TestClipText(t *testing.T) {
	if got := manifestErrorf("%s", strings.Repeat("é", 1000)); len(got.Error()) > 310 {
		t.Error(fmt.Sprint(len(got.Error())))
	}
}
