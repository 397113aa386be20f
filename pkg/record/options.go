package record

import "cmp"

// Options say what a page looks like and how large it may be. A zero field
// stands for its default.
type Options struct {
	// Array is the member of the page that holds the records; "conversations".
	Array string
	// ID, Start and End are the members of a record that hold its id, its start
	// and its end; "conversationId", "conversationStart" and "conversationEnd".
	ID, Start, End string

	// MaxRaw bounds the inflated body, in bytes; 1 GiB.
	MaxRaw int64
	// MaxRecord bounds one record without its whitespace, in bytes; 128 MiB.
	MaxRecord int64
	// MaxEnvelope bounds each key and each kept value of the envelope, in
	// bytes; 1 MiB.
	MaxEnvelope int64
	// MaxDepth bounds how deep objects and arrays are nested, the page's own
	// object being 1; 512.
	MaxDepth int
}

func (o Options) withDefaults() Options {
	o.Array = cmp.Or(o.Array, "conversations")
	o.ID = cmp.Or(o.ID, "conversationId")
	o.Start = cmp.Or(o.Start, "conversationStart")
	o.End = cmp.Or(o.End, "conversationEnd")
	o.MaxRaw = cmp.Or(o.MaxRaw, 1<<30)
	o.MaxRecord = cmp.Or(o.MaxRecord, 128<<20)
	o.MaxEnvelope = cmp.Or(o.MaxEnvelope, 1<<20)
	o.MaxDepth = cmp.Or(o.MaxDepth, 512)
	return o
}
