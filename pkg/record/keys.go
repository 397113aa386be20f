package record

import (
	"encoding/binary"
)

// How keys that stand twice in an object are found at hardly any cost. Keys are
// few and come again and again: each that has been seen has a number, and each
// object a set of numbers, as bits. And they come in much the same order: each
// key knows which one came behind it the last time, and which one was the first
// of an object in its value. Who finds that one again has checked it with one
// comparison. Others are looked up, and new ones added.
//
// There is room for so many keys; when they are more, all are forgotten before
// the next record, so that memory is bounded and no data slows the scanner for
// good. A record in which a key has no number is looked through by doubles.

const (
	maxKeys = 1024
	maxKey  = 128 // bytes of a key that gets a number, with its quotes

	noKey    = 0 // the number of keys that have none, and of what is no key
	idKey    = 1 // of Options.ID
	startKey = 2 // of Options.Start
	endKey   = 3 // of Options.End
)

// A key is one spelling of a key.
type key struct {
	token           string // as it stands in the record, with its quotes
	head, low, tail uint64 // its first eight bytes, which bits of those count, and its last eight
	says            uint32 // the number of the first spelling that says the same: its place in sets
	guess           [2]guess
}

// A guess is what came next the last times.
type guess struct{ first, second uint32 }

// Where the next key stands: key.guess is indexed by it.
const (
	behind = iota // the key, in the same object
	within        // the key's value, as the first of an object
)

// A keySet holds the keys of one object.
type keySet [maxKeys / 64]uint64

// add puts the key into the set. If it was there, that is a flaw.
func (s *keySet) add(k *key) (flaw Flaw) {
	word, bit := &s[k.says/64%uint32(len(s))], uint64(1)<<(k.says%64)
	if *word&bit != 0 && k.says != noKey {
		flaw = FlawDuplicateKey
	}
	*word |= bit
	return flaw
}

// stands reports whether the key stands in b at i; 16 bytes can be read there.
func (k *key) stands(b []byte, i int) bool {
	if binary.LittleEndian.Uint64(b[i:i+8])&k.low != k.head {
		return false
	}
	end := i + len(k.token)
	switch {
	case len(k.token) <= 8:
		return true
	case len(k.token) <= 16:
		return binary.LittleEndian.Uint64(b[end-8:end]) == k.tail
	}
	return end <= len(b) && string(b[i:end]) == k.token
}

// keys are all that have a number, which is their place in all.
type keys struct {
	all    []key
	tokens map[string]uint32
	says   map[string]uint32 // the number of the first spelling
}

// reset forgets all keys if there is no room for more.
func (k *keys) reset(o *Options) {
	switch {
	case k.all == nil:
		k.all = make([]key, 0, maxKeys)
		k.tokens, k.says = map[string]uint32{}, map[string]uint32{}
	case len(k.all) < maxKeys:
		return
	}
	clear(k.tokens)
	clear(k.says)
	k.all = append(k.all[:0], newKey(" ", noKey)) // no key begins with a blank: it stands nowhere
	k.add(`"`+o.ID+`"`, o.ID)
	k.add(`"`+o.Start+`"`, o.Start)
	k.add(`"`+o.End+`"`, o.End)
}

// find gives the key its number, which is noKey if it cannot have one.
func (k *keys) find(token []byte) uint32 {
	if number, known := k.tokens[string(token)]; known {
		return number
	}
	said := text(token)
	if len(k.all) == maxKeys || len(token) > maxKey {
		return k.says[string(said)]
	}
	return k.add(string(token), string(said))
}

func (k *keys) add(token, said string) uint32 {
	number := uint32(len(k.all))
	says, known := k.says[said]
	if !known {
		says = number
		k.says[said] = says
	}
	k.all = append(k.all, newKey(token, says))
	k.tokens[token] = number
	return number
}

func newKey(token string, says uint32) key {
	k := key{token: token, says: says, low: ^uint64(0)}
	if n := len(token); n < 8 {
		k.low = 1<<(8*n) - 1
	} else {
		k.tail = binary.LittleEndian.Uint64([]byte(token[n-8:]))
	}
	k.head = binary.LittleEndian.Uint64(append([]byte(token), make([]byte, 8)...))
	return k
}

// key checks the key at i and returns the place behind it, and its number.
func (s *Scanner) key(i int, at level) (int, uint32) {
	if s.buf[i] != '"' {
		return s.fail(i, "no key in an object"), noKey
	}
	g := &s.keys.all[at.key].guess[at.place&1]
	if k := &s.keys.all[g.first]; k.stands(s.buf, i) {
		return i + len(k.token), g.first
	}
	if k := &s.keys.all[g.second]; k.stands(s.buf, i) {
		g.first, g.second = g.second, g.first
		return i + len(k.token), g.first
	}
	from, before := s.offset(i), s.flaws
	s.flaws = 0
	i = s.str(i + 1)
	flawed := s.flaws != 0
	s.flaws |= before
	if s.failed || flawed || !s.inside { // such a key is not to be taken as known the next time
		s.unsure = true
		return i, noKey
	}
	s.flush(i)
	number := s.keys.find(s.kept(span{from, s.w - s.start}))
	g.first, g.second = number, g.first
	s.unsure = s.unsure || number == noKey
	return i, number
}

// doubles reports whether an object in the record has a key twice, by whatever
// escapes. The record is valid and has no whitespace between its tokens.
func doubles(record []byte) bool {
	var open []map[string]bool // the keys of the objects that are open
	depth := 0
	for i := 0; i < len(record); i++ {
		switch record[i] {
		case '{':
			if depth++; depth > len(open) {
				open = append(open, map[string]bool{})
			}
		case '}':
			depth--
			if len(open[depth]) > 64 { // to clear it takes time for each key it ever had
				open[depth] = map[string]bool{}
			}
			clear(open[depth])
		case '"':
			from := i
			for i++; record[i] != '"'; i++ {
				if record[i] == '\\' {
					i++
				}
			}
			if i+1 == len(record) || record[i+1] != ':' {
				continue // no key
			}
			said := text(record[from : i+1])
			if open[depth-1][string(said)] {
				return true
			}
			open[depth-1][string(said)] = true
		}
	}
	return false
}
