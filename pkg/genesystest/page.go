package genesystest

import (
	"bytes"
	"compress/gzip"
	"strings"
	"sync"
)

// A pageOf is a page to be written.
type pageOf struct {
	hits         *hitList
	offset, size int64
	attrs        bool
	asOf         int64
	tail         []byte // members behind the records, each with a comma
	omitEmpty    bool
	key          uint64 // what the page is cached under; 0 never
	garble       bool
	duplicate    int64
}

// pageAnswer makes the answer that holds a page of records.
func (x *exchange) pageAnswer(p pageOf) answer {
	o := &x.s.opt
	zip := o.Gzip && acceptsGzip(x.r.Header.Get("Accept-Encoding"))
	switch f := x.fault.(type) {
	case Garble:
		p.garble = true
	case Duplicate:
		p.duplicate = int64(or(f.Records, 1))
	}
	n := max(min(p.size, p.hits.len()-p.offset), 0)
	x.note(func(r *Request) { r.Records = int(n) })
	a := answer{status: 200, gzipped: zip}
	key := cacheKey{hash(p.key, uint64(len(p.tail)), hashBytes(p.tail)), zip}
	cacheable := o.PageCache > 0 && p.key != 0 && x.fault == nil
	if cacheable {
		if b := x.s.pages.get(key); b != nil {
			a.body = b
			return a
		}
	}
	a.body = x.s.writePage(p, n, zip)
	if cacheable {
		x.s.pages.put(key, a.body)
	}
	return a
}

// acceptsGzip reads an Accept-Encoding header as far as that matters.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if (name == "gzip" || name == "*") && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// writePage writes the body of a page with n records. Records go into the
// compressor as they are made, so that only the finished body is held.
func (s *Server) writePage(p pageOf, n int64, zip bool) []byte {
	var out bytes.Buffer
	g := generator{w: s.world}
	sink := pageSink{pretty: s.opt.Pretty}
	if zip {
		sink.zip, _ = gzip.NewWriterLevel(&out, s.opt.GzipLevel) // the level was checked
	}
	b := append(sink.buf, '{')
	if s.opt.ExtraFields {
		b = append(b, `"pageInfo":{"conversations":[{"conversationId":"not a record"}],"cursor":"no"},`...)
	}
	if n > 0 || !p.omitEmpty {
		b = append(b, `"conversations":[`...)
		for i := -min(p.duplicate, p.offset); i < n; i++ {
			if p.garble && i == n/2 {
				b = append(b, `{"conversationId":tru,,}`...)
			}
			b = append(g.append(b, p.hits.at(p.offset+i), p.attrs, p.asOf), ',')
			b = sink.drain(b)
		}
		if b[len(b)-1] == ',' {
			b = b[:len(b)-1]
		}
		b = append(b, ']', ',')
	}
	b = append(b, p.tail...)
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	b = append(b, '}')
	return sink.finish(b, &out)
}

// A pageSink takes the body of a page bit by bit.
type pageSink struct {
	pretty bool
	indent indenter
	buf    []byte
	zip    *gzip.Writer
}

// drain takes finished bytes out of b, except the last, which may be a comma
// too much.
func (k *pageSink) drain(b []byte) []byte {
	if len(b) < 64<<10 || k.zip == nil {
		return b
	}
	last := b[len(b)-1]
	k.write(b[:len(b)-1])
	return append(b[:0], last)
}

func (k *pageSink) write(b []byte) {
	if k.pretty {
		k.buf = k.indent.append(k.buf[:0], b)
		b = k.buf
	}
	k.zip.Write(b) //nolint:errcheck // into a bytes.Buffer
}

func (k *pageSink) finish(b []byte, out *bytes.Buffer) []byte {
	if k.zip == nil {
		if k.pretty {
			return k.indent.append(nil, b)
		}
		return b
	}
	k.write(b)
	k.zip.Close() //nolint:errcheck // into a bytes.Buffer
	return out.Bytes()
}

type cacheKey struct {
	page uint64
	zip  bool
}

// A pageCache keeps finished bodies, the oldest leaving first.
type pageCache struct {
	mu     sync.Mutex
	limit  int64
	size   int64
	bodies map[cacheKey][]byte
	order  []cacheKey
}

func (c *pageCache) get(k cacheKey) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bodies[k]
}

func (c *pageCache) put(k cacheKey, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.bodies[k]; known || int64(len(b)) > c.limit {
		return
	}
	if c.bodies == nil {
		c.bodies = make(map[cacheKey][]byte)
	}
	c.bodies[k] = b
	c.order = append(c.order, k)
	for c.size += int64(len(b)); c.size > c.limit; c.order = c.order[1:] {
		c.size -= int64(len(c.bodies[c.order[0]]))
		delete(c.bodies, c.order[0])
	}
}

func hashBytes(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
