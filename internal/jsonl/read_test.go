package jsonl_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/record"
)

// zip packs with the standard library.
func zip(t testing.TB, data string, header gzip.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Header = header
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ignore([]byte) error { return nil }

// The Reader is used again and again, also behind objects that are damaged.
func TestRead(t *testing.T) {
	bounded := jsonl.Bounded(1 << 18)
	whole := zip(t, "{}\n{}\n", gzip.Header{})
	for _, c := range []struct {
		name   string
		object []byte
		lines  int64
		bad    string // what the error says, if there is one
	}{
		{"two lines", whole, 2, ""},
		{"no line", zip(t, "", gzip.Header{}), 0, ""},
		{"a name and a comment", zip(t, "{}\n", gzip.Header{Name: "ä.jsonl", Comment: "c", Extra: []byte("x")}), 1, ""},
		{"a carriage return is part of a line", zip(t, "{}\r\n", gzip.Header{}), 1, ""},
		{"line at the bound", zip(t, strings.Repeat("x", 1<<18)+"\n", gzip.Header{}), 1, ""},
		{"line over the bound", zip(t, "{}\n"+strings.Repeat("x", 1<<18+1)+"\n", gzip.Header{}), 0, "line 2 is longer than 262144 bytes"},
		{"line far over the bound", zip(t, strings.Repeat("x", 1<<23), gzip.Header{}), 0, "line 1 is longer"},
		{"last line without end", zip(t, "{}\n{}", gzip.Header{}), 0, "line 2, the last, has no line end"},
		{"an empty line", zip(t, "{}\n\n{}\n", gzip.Header{}), 0, "line 2 is empty"},
		{"nothing", nil, 0, "unexpected EOF"},
		{"not gzip", []byte("{}\n{}\n{}\n{}\n"), 0, "invalid header"},
		{"a second member", slices.Concat(whole, whole), 0, "something stands behind the end"},
		{"a byte behind", append(slices.Clone(whole), 0), 0, "something stands behind the end"},
		{"a wrong checksum", append(slices.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 6, 0, 0, 0), 0, "invalid checksum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"at once":      bytes.NewReader(c.object),
				"byte by byte": iotest.OneByteReader(bytes.NewReader(c.object)),
				"data and EOF": iotest.DataErrReader(bytes.NewReader(c.object)),
			} {
				stats, err := bounded.Read(r, ignore)
				if c.bad != "" {
					if !errors.Is(err, jsonl.ErrDamaged) || !strings.Contains(err.Error(), c.bad) {
						t.Errorf("%s: Read = %v, want %q", name, err, c.bad)
					}
					continue
				}
				if err != nil || stats.Records != c.lines || stats.Bytes != int64(len(c.object)) {
					t.Errorf("%s: Read = %+v, %v", name, stats, err)
				}
			}
		})
	}
}

// TestReadCutOrFlipped damages an object in every place.
func TestReadCutOrFlipped(t *testing.T) {
	pages := []page{{recs: recs(1, 30, 40)}, {recs: recs(2, 50)}}
	object, want := write(t, compressor(t, jsonl.DefaultLevel), pages)
	for n := range object {
		if _, err := new(jsonl.Reader).Read(bytes.NewReader(object[:n]), ignore); !errors.Is(err, jsonl.ErrDamaged) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(object), err)
		}
	}
	for bit := range 8 * len(object) {
		flipped := slices.Clone(object)
		flipped[bit/8] ^= 1 << (bit % 8)
		stats, err := new(jsonl.Reader).Read(bytes.NewReader(flipped), ignore)
		if err == nil && stats.SHA256 != want.SHA256 {
			t.Errorf("bit %d flipped: other lines, and no error", bit)
		}
	}
}

// TestReadErrors checks that errors of the reader and of the function are what
// they are, and not damage.
func TestReadErrors(t *testing.T) {
	broken := errors.New("connection lost")
	object, _ := write(t, compressor(t, 1), []page{{recs: recs(1, 300, 3000)}})
	for n := range len(object) + 1 {
		r := io.MultiReader(bytes.NewReader(object[:n]), iotest.ErrReader(broken))
		if _, err := new(jsonl.Reader).Read(r, ignore); !errors.Is(err, broken) || errors.Is(err, jsonl.ErrDamaged) {
			t.Fatalf("source that breaks after %d bytes: %v", n, err)
		}
	}
	if _, err := new(jsonl.Reader).Read(bytes.NewReader(object), func([]byte) error { return broken }); err != broken {
		t.Errorf("error of the function came back as %v", err)
	}
}

// FuzzRead checks that any object either is refused, or holds the lines that
// the standard library finds in it.
func FuzzRead(f *testing.F) {
	object, _ := write(f, compressor(f, jsonl.DefaultLevel), []page{{recs: recs(1, 30, 40)}, {recs: recs(2, 50)}})
	f.Add(object)
	f.Add(zip(f, "{}\n{}", gzip.Header{}))
	f.Add(zip(f, "", gzip.Header{Name: "name"}))
	f.Fuzz(func(t *testing.T, object []byte) {
		var lines bytes.Buffer
		stats, err := new(jsonl.Reader).Read(bytes.NewReader(object), func(line []byte) error {
			lines.Write(line)
			lines.WriteByte('\n')
			return nil
		})
		want, ok := reference(object)
		if (err == nil) != ok {
			t.Fatalf("Read = %v, but the standard library thinks %t", err, ok)
		}
		if err == nil && (lines.String() != want || stats.RawBytes != int64(len(want))) {
			t.Fatal("other lines than the standard library's")
		}
	})
}

// reference reads an object with the standard library, which does not mind the
// reserved flags that RFC 1952 forbids.
func reference(object []byte) (lines string, ok bool) {
	if len(object) > 3 && object[3]&0xe0 != 0 {
		return "", false
	}
	src := bytes.NewReader(object)
	zr, err := gzip.NewReader(src)
	if err != nil {
		return "", false
	}
	zr.Multistream(false)
	data, err := io.ReadAll(zr)
	if err != nil || src.Len() > 0 {
		return "", false
	}
	s := string(data)
	ok = s == "" || strings.HasSuffix(s, "\n") && s[0] != '\n' && !strings.Contains(s, "\n\n")
	return s, ok
}

// FuzzPart writes any lines, in any pages of which some are rolled back.
func FuzzPart(f *testing.F) {
	f.Add([]byte("{}|{\"a\":1}|!|||[1,2]"), uint8(5), uint16(0))
	f.Add([]byte("a|b|!c|d!|!|e"), uint8(1), uint16(7000))
	f.Fuzz(func(t *testing.T, script []byte, level uint8, long uint16) {
		var pages []page
		for _, text := range bytes.Split(bytes.ReplaceAll(script, []byte("\n"), nil), []byte("|")) {
			pg := page{bad: bytes.HasPrefix(text, []byte("!"))}
			for _, word := range bytes.Fields(text) {
				pg.recs = append(pg.recs, record.Record{JSON: word})
			}
			if len(pg.recs) > 0 {
				pg.recs = append(pg.recs, record.Record{JSON: bytes.Repeat(pg.recs[0].JSON, 1+int(long)/len(script))})
			}
			pages = append(pages, pg)
		}
		object, stats := write(t, compressor(t, 1+int(level)%9), pages)
		check(t, object, stats, pages)
	})
}

// A locker counts how often it was taken.
type locker struct{ taken, held int }

func (l *locker) Lock()   { l.taken++; l.held++ }
func (l *locker) Unlock() { l.held-- }

// Only objects with a long line are read one at a time, and only as long as
// they are read.
func TestReaderLong(t *testing.T) {
	long := strings.Repeat("x", 9<<20)
	for _, c := range []struct {
		name, data string
		taken      int
		damaged    bool
	}{
		{"short lines", strings.Repeat(strings.Repeat("x", 1<<20)+"\n", 20), 0, false},
		{"a long line", "{}\n" + long + "\n{}\n", 1, false},
		{"two long lines", long + "\n" + long + "\n", 1, false},
		{"a long line without end", long, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l locker
			rd := jsonl.Reader{Long: &l}
			for range 2 {
				l.taken = 0
				_, err := rd.Read(bytes.NewReader(zip(t, c.data, gzip.Header{})), func(line []byte) error {
					if len(line) > 8<<20 && l.held != 1 {
						t.Error("a long line without the lock")
					}
					return nil
				})
				if c.damaged != errors.Is(err, jsonl.ErrDamaged) || l.taken != c.taken || l.held != 0 {
					t.Errorf("taken %d times, held %d, %v", l.taken, l.held, err)
				}
			}
		})
	}
}
