package genesystest

import "math/bits"

// rng is SplitMix64: tiny, fast and the same on every platform. All data comes
// from it in whole numbers; floating point would differ between processors.
type rng struct{ s uint64 }

func (r *rng) next() uint64 {
	r.s += 0x9e3779b97f4a7c15
	return mix(r.s)
}

// below returns a number in [0, n).
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// between returns a number in [lo, hi].
func (r *rng) between(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	h, _ := bits.Mul64(r.next(), uint64(hi-lo+1))
	return lo + int64(h)
}

// oneIn is true once in n draws.
func (r *rng) oneIn(n int) bool { return r.below(n) == 0 }

// percent is true in p of 100 draws.
func (r *rng) percent(p int) bool { return r.below(100) < p }

// uid draws an identifier.
func (r *rng) uid() uid { return uid{r.next(), r.next()} }

// mix is the finisher of SplitMix64, a bijection of 64-bit words.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hash mixes words into one; the order matters.
func hash(words ...uint64) uint64 {
	h := uint64(0x243f6a8885a308d3)
	for _, w := range words {
		h = mix(h ^ mix(w+0x9e3779b97f4a7c15))
	}
	return h
}

// A uid is the random part of a UUID; the zero value stands for none.
type uid struct{ hi, lo uint64 }

func (u uid) zero() bool { return u == uid{} }

const hexDigits = "0123456789abcdef"

// append writes u as a version 4 UUID of 36 characters.
func (u uid) append(b []byte) []byte {
	hi := u.hi&^0xf000 | 0x4000
	lo := u.lo&^(3<<62) | 2<<62
	var t [36]byte
	p := 0
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			t[p] = '-'
			p++
		}
		w := hi
		if i >= 16 {
			w = lo
		}
		t[p] = hexDigits[w>>(60-4*(i%16))&15]
		p++
	}
	return append(b, t[:]...)
}

func (u uid) String() string { return string(u.append(nil)) }
