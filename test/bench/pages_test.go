package bench

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

var (
	from  = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	until = from.AddDate(0, 0, 7)
)

// simulated returns a simulator with a week of conversations.
func simulated(size string, large int) *genesystest.Server {
	return genesystest.New(genesystest.Options{
		Seed: 7, From: from, To: until, PerDay: 10_000, Flat: true, Size: size, LargeEvery: large, LargeBytes: 2 << 20,
	})
}

// page returns a compact page of results with n records of the simulator.
func page(server *genesystest.Server, n int) []byte {
	return pageOf(n, func(yield func([]byte) bool) {
		for c := range server.Truth(from, until, true) {
			if !yield(c.JSON) {
				return
			}
		}
	})
}

// tinyPage returns a page of n records that are hardly more than their ids.
func tinyPage(n int) []byte {
	return pageOf(n, func(yield func([]byte) bool) {
		for i := 0; yield([]byte(`{"conversationId":"69377157-94d8-43a6-9340-` + strconv.Itoa(1e11+i) +
			`","conversationStart":"2026-03-02T14:05:10.214Z"}`)); i++ {
		}
	})
}

func pageOf(n int, records func(func([]byte) bool)) []byte {
	var b bytes.Buffer
	b.WriteString(`{"conversations":[`)
	left := n
	records(func(record []byte) bool {
		if left < n {
			b.WriteByte(',')
		}
		b.Write(record)
		left--
		return left > 0
	})
	b.WriteString(`],"cursor":"Y3Vyc29yX3YyMTAwMA==","dataAvailabilityDate":"2026-03-19T02:00:00Z"}`)
	return b.Bytes()
}

func indent(page []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, page, "", "  "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func zip(data []byte, level int) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		panic(err)
	}
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// linesOf returns the lines of a page, made by encoding/json.
func linesOf(page []byte) []byte {
	var parsed struct{ Conversations []json.RawMessage }
	if err := json.Unmarshal(page, &parsed); err != nil {
		panic(err)
	}
	var lines bytes.Buffer
	for _, r := range parsed.Conversations {
		if err := json.Compact(&lines, r); err != nil {
			panic(err)
		}
		lines.WriteByte('\n')
	}
	return lines.Bytes()
}
