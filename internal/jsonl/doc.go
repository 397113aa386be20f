// Package jsonl writes records as gzipped lines, page by page, and reads them
// back.
//
// A data object ([Part]) is one gzip member: no name, no time, each line ended
// by LF. It comes into being in pieces, one for each page: a piece is a stretch
// of the deflate stream that starts with an empty window and ends on a byte
// boundary, so that a page that proves damaged is dropped as if it had never
// been there, and pieces need only be put one behind the other. The price is a
// few bytes for each page.
//
// What a writer must keep while it waits for the next page is little, and is
// the Part. What it needs while it compresses is a [Compressor], some 1 MiB,
// and can be shared.
package jsonl

import (
	"crypto/sha256"
	"time"
)

// Stats say what is in a data object.
type Stats struct {
	// Records counts the lines.
	Records int64
	// RawBytes and Bytes are the sizes of the lines and of the gzipped object.
	RawBytes, Bytes int64
	// SHA256 is that of the lines, uncompressed.
	SHA256 [sha256.Size]byte
	// First and Last are the least and the greatest start of the records that
	// have one; zero if none has, and after Read, which does not look.
	First, Last time.Time
}
