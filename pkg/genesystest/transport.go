package genesystest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Client returns an HTTP client whose requests go straight to the server,
// whatever host their URL names: no sockets, and so fit for a testing/synctest
// bubble. Bodies are streamed; a connection that the server breaks shows as an
// error of the request or of its body, as over a network. Like the transport of
// net/http it asks for gzip, and unpacks it, unless the request names an
// encoding itself.
//
// When a response's body has been closed, or read to its end, nothing of the
// request is left running.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

// Transport returns the transport of [Server.Client].
func (s *Server) Transport() http.RoundTripper { return &transport{s} }

type transport struct{ handler http.Handler }

// RoundTrip runs the handler in a goroutine of its own, which lives until the
// body is closed or at its end.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		closeBody(r)
		return nil, err
	}
	ctx, cancel := context.WithCancel(r.Context())
	inner, unzip := serverRequest(ctx, r)
	pr, pw := io.Pipe()
	w := &pipeWriter{
		header: make(http.Header), pipe: pw, started: make(chan struct{}), done: make(chan struct{}), length: -1,
	}
	go func() {
		defer close(w.done)
		defer closeBody(r)
		w.run(t.handler, inner)
	}()
	stop := context.AfterFunc(ctx, func() { pr.CloseWithError(context.Cause(ctx)) })
	body := &pipeBody{pipe: pr, ctx: r.Context(), cancel: func() { stop(); cancel() }, done: w.done}

	select {
	case <-w.started:
	case <-w.done:
		select {
		case <-w.started:
		default:
			body.cancel()
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return nil, w.failure()
		}
	case <-r.Context().Done():
		pr.CloseWithError(r.Context().Err())
		body.cancel()
		<-w.done
		return nil, r.Context().Err()
	}
	return w.response(r, body, unzip), nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // the contract of a RoundTripper
	}
}

// serverRequest turns an outgoing request into an incoming one. It reports
// whether the transport asked for gzip on its own account.
func serverRequest(ctx context.Context, r *http.Request) (in *http.Request, unzip bool) {
	in = r.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234"
	in.Host = or(in.Host, in.URL.Host)
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Header == nil {
		in.Header = make(http.Header)
	}
	if in.ContentLength > 0 {
		in.Header.Set("Content-Length", strconv.FormatInt(in.ContentLength, 10))
	}
	if in.Header.Get("Accept-Encoding") == "" && in.Method != http.MethodHead {
		in.Header.Set("Accept-Encoding", "gzip")
		unzip = true
	}
	return in, unzip
}

// A pipeWriter is the response as the handler sees it.
type pipeWriter struct {
	header  http.Header
	pipe    *io.PipeWriter
	started chan struct{} // closed with the header
	done    chan struct{} // closed when the handler has returned

	status  int
	sent    http.Header // the header as it was when started
	length  int64       // announced; -1 if not
	written int64
	err     error // why the connection broke
}

// run calls the handler and ends the body the way the handler ended.
func (w *pipeWriter) run(h http.Handler, r *http.Request) {
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // it is panicked with, not wrapped
			panic(p)
		}
		switch {
		case p != nil:
			w.pipe.CloseWithError(w.failure())
		case r.Context().Err() != nil: // a body given up is not one that ended
			w.pipe.CloseWithError(r.Context().Err())
		case w.length >= 0 && w.written < w.length:
			w.pipe.CloseWithError(io.ErrUnexpectedEOF)
		default:
			w.WriteHeader(http.StatusOK)
			w.pipe.Close()
		}
	}()
	h.ServeHTTP(w, r)
}

// failure is what the client sees of a connection that broke.
func (w *pipeWriter) failure() error {
	if w.err != nil {
		return w.err
	}
	return fmt.Errorf("genesystest: connection closed by the server: %w", io.ErrUnexpectedEOF)
}

// reset makes the break that follows a reset.
func (w *pipeWriter) reset() {
	w.err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

// Header returns the header that will be sent.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader sends the header, once.
func (w *pipeWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil {
		w.length = n
	}
	close(w.started)
}

// Write hands bytes to the reader of the body, and waits until they are taken.
func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.length >= 0 && w.written+int64(len(b)) > w.length {
		return 0, http.ErrContentLength
	}
	n, err := w.pipe.Write(b)
	w.written += int64(n)
	return n, err
}

// Flush sends the header; written bytes are never held back.
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

// response makes the client's view of the answer.
func (w *pipeWriter) response(r *http.Request, body *pipeBody, unzip bool) *http.Response {
	res := &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: w.length, Request: r,
	}
	if w.length < 0 {
		res.TransferEncoding = []string{"chunked"}
	}
	if w.status == http.StatusNoContent {
		res.ContentLength, res.TransferEncoding = 0, nil
	}
	if unzip && strings.EqualFold(w.sent.Get("Content-Encoding"), "gzip") {
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength, res.Uncompressed = -1, true
		res.Body = &unzipBody{pipeBody: body}
	}
	return res
}

// A pipeBody is the body of a response. Closing it cancels the handler and
// waits for it.
type pipeBody struct {
	pipe   *io.PipeReader
	ctx    context.Context // of the request; a body outlives RoundTrip
	cancel func()
	done   <-chan struct{}
	once   sync.Once
}

// Read reads; at the end, good or bad, the handler is waited for.
func (b *pipeBody) Read(p []byte) (int, error) {
	n, err := b.pipe.Read(p)
	if err == nil {
		return n, nil
	}
	if cause := b.ctx.Err(); cause != nil && !errors.Is(err, io.EOF) {
		err = cause
	}
	b.finish()
	return n, err
}

// Close gives the body up.
func (b *pipeBody) Close() error {
	_ = b.pipe.Close() // never fails
	b.finish()
	return nil
}

func (b *pipeBody) finish() {
	b.once.Do(func() {
		b.cancel()
		<-b.done
	})
}

// An unzipBody unpacks a body that the transport itself asked to be packed.
type unzipBody struct {
	*pipeBody
	zip *gzip.Reader
	err error
}

// Read reads unpacked bytes.
func (b *unzipBody) Read(p []byte) (int, error) {
	if b.zip == nil && b.err == nil {
		b.zip, b.err = gzip.NewReader(b.pipeBody)
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.zip.Read(p)
}
