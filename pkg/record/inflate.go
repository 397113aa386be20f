package record

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
)

// An inflater reads the inflated bytes of a body, and does not end with io.EOF
// unless the body is whole: each gzip member with its checksum and length
// right, and nothing else behind the last one.
type inflater struct {
	body   bytes.Reader
	zr     gzip.Reader
	zipped bool
	open   bool // a member has begun and not ended
}

// reset turns to another body.
func (r *inflater) reset(body []byte, zipped bool) error {
	r.body.Reset(body)
	r.zipped, r.open = zipped, false
	if zipped {
		return r.member()
	}
	return nil
}

// release lets go of the body.
func (r *inflater) release() { r.body.Reset(nil) }

// member begins the gzip member that must follow. gzip.Reader could go from
// member to member by itself, but takes some cut headers for a proper end.
func (r *inflater) member() error {
	if err := r.zr.Reset(&r.body); err != nil {
		return noEOF(err)
	}
	r.zr.Multistream(false)
	r.open = true
	return nil
}

// Read is io.Reader's, but for returning neither bytes nor an error at the
// seam of two members.
func (r *inflater) Read(p []byte) (int, error) {
	if !r.zipped {
		return r.body.Read(p)
	}
	if !r.open {
		if r.body.Len() == 0 {
			return 0, io.EOF
		}
		return 0, r.member()
	}
	n, err := r.zr.Read(p)
	if err == io.EOF {
		r.open, err = false, nil
	}
	return n, err
}

// noEOF makes of an end where none may be an error that says so.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
