package record

// A Flaw is something in a record that JSON allows and that loaders refuse, or
// read each in its own way: one record with a flaw can keep the whole object
// that it stands in out of a warehouse. Several may come together.
type Flaw uint8

const (
	// FlawSurrogate is an escaped half of a surrogate pair without the other:
	// no Unicode text has one (RFC 8259, 8.2).
	FlawSurrogate Flaw = 1 << iota
	// FlawNUL is an escaped character NUL, in a key or a value.
	FlawNUL
	// FlawNumber is a number beyond those of IEEE 754 double precision (RFC 8259, 6).
	FlawNumber
	// FlawDuplicateKey is a key that stands twice in one object, by whatever
	// escapes (RFC 8259, 4).
	FlawDuplicateKey
)

// String names the first of the flaws: "surrogate", "nul", "number" or
// "duplicate_key"; "" if there is none.
func (f Flaw) String() string {
	switch {
	case f&FlawSurrogate != 0:
		return "surrogate"
	case f&FlawNUL != 0:
		return "nul"
	case f&FlawNumber != 0:
		return "number"
	case f&FlawDuplicateKey != 0:
		return "duplicate_key"
	}
	return ""
}
