package genesystest

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"strconv"
	"time"
)

// deliver sends an answer, or as much of it as the fault at hand lets through.
func (x *exchange) deliver(a answer) {
	o := &x.s.opt
	x.encode(&a)
	if f, ok := x.fault.(Reset); ok && f.Late {
		x.reset()
	}
	body, whole := x.damage(a)
	h := x.w.Header()
	h.Set("ININ-Correlation-Id", x.id)
	h.Set("Cache-Control", "no-store")
	for k, v := range a.header {
		h.Set(k, v)
	}
	switch {
	case a.html:
		h.Set("Content-Type", "text/html")
	case len(a.body) > 0:
		h.Set("Content-Type", "application/json")
	}
	if a.gzipped {
		h.Set("Content-Encoding", "gzip")
	}
	cut, isCut := x.fault.(Cut)
	if len(a.body) > 0 && !o.Chunked && !(isCut && cut.Chunked) {
		h.Set("Content-Length", strconv.Itoa(whole))
	}
	x.note(func(r *Request) { r.Status, r.Bytes = a.status, len(body) })
	x.w.WriteHeader(a.status)
	if a.status != 204 {
		x.send(body)
	}
}

// encode brings a body into the form that the options ask for. Pages are in it
// already.
func (x *exchange) encode(a *answer) {
	o := &x.s.opt
	if a.html || a.gzipped || len(a.body) == 0 {
		return
	}
	if o.Pretty && a.body[0] == '{' && !bytes.ContainsRune(a.body[:min(len(a.body), 4)], '\n') {
		var p indenter
		a.body = p.append(nil, a.body)
	}
	if o.Gzip && len(a.body) > 512 && acceptsGzip(x.r.Header.Get("Accept-Encoding")) {
		var out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&out, o.GzipLevel) // the level was checked
		z.Write(a.body)                                //nolint:errcheck // into a bytes.Buffer
		z.Close()                                      //nolint:errcheck // into a bytes.Buffer
		a.body, a.gzipped = out.Bytes(), true
	}
}

// damage returns the bytes that will be sent, and how many are announced.
func (x *exchange) damage(a answer) (body []byte, announced int) {
	body = a.body
	switch f := x.fault.(type) {
	case Cut:
		return body[:portion(len(body), f.Bytes, f.At)], len(body)
	case Shorten:
		body = body[:portion(len(body), f.Bytes, f.At)]
	case Hang:
		return body[:portion(len(body), f.Bytes, f.At)], len(body)
	case BadGzip:
		if len(body) < 18 || !a.gzipped {
			break
		}
		if f.Cut {
			body = body[:len(body)-8]
			break
		}
		body = bytes.Clone(body)
		body[len(body)-6] ^= 0x10
	}
	return body, len(body)
}

// portion says where a body of n bytes is cut.
func portion(n, at int, fraction float64) int {
	if at <= 0 {
		at = int(float64(n) * or(fraction, 0.5))
	}
	return max(min(at, n-1), 0)
}

// send writes the body, and ends the connection the way the fault has it.
func (x *exchange) send(body []byte) {
	if f, ok := x.fault.(Slow); ok {
		x.drip(body, f.BytesPerSecond)
		return
	}
	for len(body) > 0 {
		n := min(len(body), 64<<10)
		if _, err := x.w.Write(body[:n]); err != nil {
			x.hangUp()
		}
		body = body[n:]
	}
	switch f := x.fault.(type) {
	case Cut:
		x.flush()
		if f.Hard {
			x.reset()
		}
		x.hangUp()
	case Hang:
		x.flush()
		<-x.r.Context().Done()
		x.hangUp()
	}
}

// drip writes ten times a second.
func (x *exchange) drip(body []byte, rate int) {
	step := max(rate/10, 1)
	wait := time.Duration(step) * time.Second / time.Duration(rate)
	for len(body) > 0 {
		n := min(step, len(body))
		if _, err := x.w.Write(body[:n]); err != nil {
			x.hangUp()
		}
		x.flush()
		body = body[n:]
		if pause(x.r.Context(), wait) != nil {
			x.hangUp()
		}
	}
}

func (x *exchange) flush() {
	_ = http.NewResponseController(x.w).Flush() // a writer that cannot has nothing to flush
}

// A resetter is a response whose connection can be broken without a socket.
type resetter interface{ reset() }

// reset breaks the connection so that the client sees it reset, where the
// transport allows that, and closed otherwise.
func (x *exchange) reset() {
	if r, ok := x.w.(resetter); ok {
		r.reset()
		x.hangUp()
	}
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.hangUp()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // then closing sends a reset
	}
	_ = conn.Close()
	x.hangUp()
}
