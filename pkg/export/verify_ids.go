package export

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
)

// An idKey stands for a conversationId in 16 bytes: a UUID as it is, anything
// else by its hash.
type idKey [16]byte

func keyOf(id []byte) idKey {
	if u, ok := parseUUID(id); ok {
		return u
	}
	sum := sha256.Sum256(id)
	return idKey(sum[:16])
}

// The constants that idKeys are mixed with: hexadecimal digits of pi, odd.
const (
	mixA = 0x243f6a8885a308d3
	mixB = 0x13198a2e03707345
	mixC = 0xa4093822299f31d1
	mixD = 0x082efa98ec4e6c89
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (k idKey) hash() uint64 {
	return mix(binary.LittleEndian.Uint64(k[:8])^mixA, binary.LittleEndian.Uint64(k[8:])^mixB)
}

const (
	blockWords = 8 // of 64 bits: a block is a line of the processor's cache
	// idBits is how much of the filter an id gets at least: below it, too many
	// ids would fall under suspicion for nothing, and they are checked in
	// several rounds instead.
	idBits = 9
	// roomyBits is how much it gets where the filter need not be of full size.
	roomyBits = 64
)

// An idFilter says of an id that it was certainly not added before, or that it
// may have been. It is a Bloom filter in blocks: an id sets some bits in each
// word of one block. Its size does not change. It may be used by several
// goroutines at once.
type idFilter struct {
	words   []uint64
	blocks  uint64
	perWord int             // bits that an id sets in each word of its block
	locks   [256]sync.Mutex // by block: to test and set must be one step
}

// newIDFilter makes a filter for about n ids, of at most maxBytes.
func newIDFilter(n, maxBytes int64) *idFilter {
	const blockBytes = 8 * blockWords
	most := max(maxBytes/blockBytes, 1)
	blocks := min(most, 16+n/(8*blockBytes/roomyBits))
	f := &idFilter{words: make([]uint64, blocks*blockWords), blocks: uint64(blocks)}
	// The best number of bits is 0.7 times what each id has.
	f.perWord = int(min(max(float64(blocks*blockBytes)/float64(max(n, 1))*0.7+0.5, 1), 3))
	return f
}

// add adds an id, and reports whether it may have been there before.
func (f *idFilter) add(h uint64) (there bool) {
	block, _ := bits.Mul64(h, f.blocks)
	words := f.words[block*blockWords : (block+1)*blockWords]
	lock := &f.locks[block%uint64(len(f.locks))]
	lock.Lock()
	defer lock.Unlock()
	there = true
	for i := range f.perWord {
		x := mix(h^mixC, mixD+2*uint64(i)*mixA)
		for j := range words {
			bit := uint64(1) << (x & 63)
			there = there && words[j]&bit != 0
			words[j] |= bit
			x >>= 6
		}
	}
	return there
}

// maxSuspects bounds the ids that are looked at one by one, some 60 MiB.
const maxSuspects = 1 << 19

// A place is a line of a part.
type place struct {
	part int
	line int64
}

func (p place) before(q place) bool {
	return p.part < q.part || p.part == q.part && p.line < q.line
}

// A sighting says where an id was seen: how often, and the first two places.
type sighting struct {
	id     string // once it was seen twice
	count  int64
	places [2]place
}

// duplicates finds the ids that stand twice, in bounded memory and without
// doubt. A first reading of the data puts every id through a filter, and keeps
// as suspects those that may have been there before; a second one, only where
// there are suspects, counts them one by one. Where there are more ids than the
// filter is good for, each round of two readings takes its share of them.
type duplicates struct {
	filter        *idFilter
	round, rounds uint64
	limit         int

	mu        sync.Mutex
	suspects  map[idKey]int32 // place in sightings
	sightings []sighting
	overflow  bool // there were more suspects than limit
}

func newDuplicates(filter *idFilter, round, rounds uint64, limit int) *duplicates {
	return &duplicates{filter: filter, round: round, rounds: rounds, limit: limit, suspects: map[idKey]int32{}}
}

// note takes an id in the first reading.
func (d *duplicates) note(id []byte) {
	k := keyOf(id)
	h := k.hash()
	if d.rounds > 1 && mix(h^mixB, mixD)%d.rounds != d.round {
		return
	}
	if !d.filter.add(h) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch _, known := d.suspects[k]; {
	case known:
	case len(d.suspects) >= d.limit:
		d.overflow = true
	default:
		d.suspects[k] = int32(len(d.sightings))
		d.sightings = append(d.sightings, sighting{})
	}
}

// sight takes an id in the second reading. The set of suspects is complete.
func (d *duplicates) sight(id []byte, at place) {
	i, ok := d.suspects[keyOf(id)]
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.sightings[i]
	if s.count++; s.count == 2 {
		s.id = clip(id)
	}
	// The order in which parts are read is not fixed, that of places is.
	first, second := &s.places[0], &s.places[1]
	switch {
	case s.count == 1:
		*first = at
	case at.before(*first):
		*first, *second = at, *first
	case s.count == 2 || at.before(*second):
		*second = at
	}
}
