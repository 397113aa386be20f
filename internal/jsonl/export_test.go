package jsonl

// Bounded is a Reader with another bound on a line.
func Bounded(maxLine int) *Reader { return &Reader{maxLine: maxLine} }
