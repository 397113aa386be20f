// Package record takes pages of the Analytics API apart into records, byte for
// byte.
//
// A [Page] is the body of one answer, as it came over the wire. A [Scanner]
// inflates it, checks all of it against RFC 8259 and UTF-8, and hands out its
// records one by one: each a [Record] whose JSON is the API's own value with
// the insignificant whitespace taken out, and nothing else changed: same keys
// in the same order, same digits, same escapes. What stands beside the records
// (cursor, totalHits, dataAvailabilityDate) is kept as the page's [Envelope].
//
// Records come out while the page is still being read, so whoever takes them
// must hold them as provisional until [Scanner.Scan] has returned nil: only
// then is the page known to be whole.
package record

import (
	"strconv"
	"time"
)

// A Record is one conversation (or one element of another dataset's array).
// All of it is valid only until the function that it was passed to returns.
type Record struct {
	// JSON is the value without insignificant whitespace: one line, no line end.
	JSON []byte
	// ID is the conversationId, unescaped; empty where the record has none.
	ID []byte
	// Start is the conversationStart in UTC; zero where the record has none,
	// or one that is not a time.
	Start time.Time
	// End is the conversationEnd in UTC; zero likewise, as of a conversation
	// that goes on.
	End time.Time
	// Flaws are what loaders would refuse the record for; usually 0.
	Flaws Flaw
}

// An Envelope is what a page says beside its records. All of it is optional.
type Envelope struct {
	// Cursor asks for the next page of a job's results; "" on the last page.
	Cursor string
	// TotalHits is the query's approximate number of hits; -1 if absent.
	TotalHits int64
	// Watermark is dataAvailabilityDate: the data is complete up to there.
	Watermark time.Time
	// HasRecords says that the array of records was there, if only empty.
	HasRecords bool
	// Foreign says that the page has members, and none that results have: it is
	// something else than results, such as a proxy's word.
	Foreign bool
	// Code and Message are those of an error body that came with status 200.
	Code, Message string
}

// A Page is one answer of the API. The source that made it owns Body, and may
// use it again once it is asked for the next page.
type Page struct {
	// Body is the whole body as received.
	Body []byte
	// Gzip says that Body is gzip-compressed (Content-Encoding).
	Gzip bool
	// Job is the id of the job whose results these are; "" for a query.
	Job string
	// CorrelationID is the API's name for the answer, for its support.
	CorrelationID string

	// What Scan found; set when it returns nil.
	Envelope Envelope
	// Records and RawBytes count the records, and the bytes of the inflated body.
	Records  int
	RawBytes int64

	state state
	err   error
}

type state int

const (
	unread state = iota
	whole
	damaged
)

// Whole reports whether the page was scanned to its end and found complete.
func (p *Page) Whole() bool { return p.state == whole }

// Damage returns the [*DamagedError] of a scan that found the page incomplete
// or not valid, and nil otherwise. A source that sees one fetches the page again.
func (p *Page) Damage() error { return p.err }

// A DamagedError says that a page is cut, corrupt, not valid JSON, or larger
// than the limits allow. It holds no data of the page.
type DamagedError struct {
	// Offset counts bytes of the inflated body.
	Offset int64
	// Reason is a short phrase such as "invalid UTF-8".
	Reason string
	// Err is the cause where another package found the damage; may be nil.
	Err error
}

// Error says what is wrong and where, in one line.
func (e *DamagedError) Error() string {
	text := "damaged at byte " + strconv.FormatInt(e.Offset, 10) + ": " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause, if another package found the damage.
func (e *DamagedError) Unwrap() error { return e.Err }
