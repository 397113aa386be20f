package genesystest

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// cursorPrefix is what the cursors of the real API decode to, with the offset
// behind it. Ours go on with bytes that put "+" and "/" into the base64, and
// always end in "=": whoever puts a cursor into a URL without escaping it is
// told so.
const cursorPrefix = "cursor_v2"

// cursor names the page at an offset.
func (j *job) cursor(offset int64) string {
	b := []byte(cursorPrefix + strconv.FormatInt(offset, 10) + ":")
	b = append(b, 0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff)
	h := hash(j.key, uint64(offset))
	for len(b)%3 == 0 || h > 1<<40 {
		b = append(b, byte(h))
		h >>= 8
	}
	return base64.StdEncoding.EncodeToString(b)
}

// offset reads a cursor of this job.
func (j *job) offset(cursor string) (int64, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return 0, false
	}
	rest, found := strings.CutPrefix(string(b), cursorPrefix)
	digits, _, colon := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !found || !colon || err != nil || j.cursor(n) != cursor {
		return 0, false
	}
	return n, true
}

// rawCursor returns the cursor of a query string as its sender escaped it.
func rawCursor(query string) string {
	for part := range strings.SplitSeq(query, "&") {
		if v, found := strings.CutPrefix(part, "cursor="); found {
			return v
		}
	}
	return ""
}

// results answers one page of a job.
func (x *exchange) results() answer {
	j, bad := x.find()
	if bad != nil {
		return *bad
	}
	size, bad := x.pageSize()
	if bad != nil {
		return *bad
	}
	x.note(func(r *Request) { r.PageSize = size })
	x.s.mu.Lock()
	state := j.state(time.Now(), x.s.opt.Retention)
	x.s.mu.Unlock()
	if state != fulfilled {
		return x.fail(x.s.opt.EarlyStatus, "bad.request", "The job has no results: its state is "+state)
	}
	offset, bad := x.position(j)
	if bad != nil {
		return *bad
	}
	p := pageOf{
		hits: &j.hits, offset: offset, size: int64(size), attrs: true, asOf: j.asOf, omitEmpty: x.s.opt.OmitEmpty,
		key: hash(j.key, uint64(offset), uint64(size)),
	}
	p.tail = x.resultsTail(j, offset, int64(size))
	if _, empty := x.fault.(EmptyPage); empty {
		p.size = 0
	}
	return x.pageAnswer(p)
}

// resultsTail writes what stands behind the records.
func (x *exchange) resultsTail(j *job, offset, size int64) []byte {
	var w writer
	next := offset + size
	switch x.fault.(type) {
	case RepeatCursor, EmptyPage:
		next = offset
	}
	if next < j.hits.len() {
		w.str("cursor", j.cursor(next))
	}
	w.str("dataAvailabilityDate", x.markOf(j.watermark))
	return w.b
}

// pageSize reads and checks that of results.
func (x *exchange) pageSize() (int, *answer) {
	text := x.r.URL.Query().Get("pageSize")
	if text == "" {
		return x.s.opt.PageSize, nil
	}
	n, err := strconv.Atoi(text)
	most := x.s.opt.MaxPageSize
	if err != nil || n < 1 || n > most && x.s.opt.RefusePageSize {
		a := x.invalid(text, "pageSize", "1 to "+strconv.Itoa(most))
		return 0, &a
	}
	return min(n, most), nil
}

// position finds where the page begins that a request asks for.
func (x *exchange) position(j *job) (int64, *answer) {
	refuse := func(status int) (int64, *answer) {
		code := "bad.request"
		if status == 404 {
			code = "not.found"
		}
		a := x.fail(status, code, "The cursor is not valid, or has expired")
		return 0, &a
	}
	if f, ok := x.fault.(ExpiredCursor); ok {
		return refuse(or(f.Status, x.s.opt.UnknownCursorStatus))
	}
	raw := rawCursor(x.r.URL.RawQuery)
	if raw == "" {
		return 0, nil
	}
	cursor, err := url.QueryUnescape(raw)
	n, known := j.offset(cursor)
	if err != nil || strings.ContainsAny(raw, "+=") || !known {
		return refuse(x.s.opt.UnknownCursorStatus)
	}
	if !x.s.opt.CursorOnce {
		return n, nil
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if j.used[n] {
		return refuse(x.s.opt.UnknownCursorStatus)
	}
	j.used[n] = true
	return n, nil
}

// locate finds out which page a request asks for, so that faults can be bound
// to pages.
func (x *exchange) locate(kind Kind) {
	switch kind {
	case Page:
		x.countPages(x.r.URL.Query())
	case Query:
		x.page = queryPage(x.body)
	}
}

// countPages counts the pages of a job from 1.
func (x *exchange) countPages(q url.Values) {
	size, bad := x.pageSize()
	if bad != nil {
		return
	}
	x.page = 1
	x.s.mu.Lock()
	j := x.s.jobs[x.jobID]
	x.s.mu.Unlock()
	if j == nil {
		return
	}
	if n, known := j.offset(q.Get("cursor")); known {
		x.page = int(n/int64(size)) + 1
	}
}
