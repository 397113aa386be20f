package jsonl

import "io"

// ReadBounded is Read with another bound on a line.
func ReadBounded(r io.Reader, fn func([]byte) error, maxLine int) (Stats, error) {
	return read(r, fn, maxLine)
}
