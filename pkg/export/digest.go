package export

import (
	"crypto/fips140"
	"crypto/md5"
	"encoding/hex"
	"hash"
)

// digest computes the MD5 of an object on its way: the checksum that stores
// give in a listing. It protects against damage, not against an adversary; that
// is what the SHA-256 of the lines is for.
type digest struct{ hash hash.Hash }

// newDigest gives a digest that computes nothing where FIPS 140 forbids MD5.
func newDigest() digest {
	if fips140.Enforced() {
		return digest{}
	}
	return digest{md5.New()}
}

func (d digest) Write(p []byte) (int, error) {
	if d.hash == nil {
		return len(p), nil
	}
	return d.hash.Write(p)
}

func (d digest) hex() string {
	if d.hash == nil {
		return ""
	}
	return hex.EncodeToString(d.hash.Sum(nil))
}
