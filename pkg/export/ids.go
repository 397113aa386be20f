package export

// ids is the set of conversationIds that a chunk's parts hold. Ids are UUIDs,
// which are kept in 16 bytes each; whatever else turns up is kept as it is.
type ids struct {
	uuids  map[[16]byte]origin
	others map[string]origin
	// fresh are the ids touched since the last keep, so that a page that proves
	// damaged can be taken out again.
	freshUUIDs  [][16]byte
	freshOthers []string
}

// origin says how an id has come into the set.
type origin uint8

const (
	idNew   origin = iota
	idGiven        // by the source
	idFound        // in a part of an earlier attempt
	idBoth         // found, and given by the source since
)

func newIDs() *ids {
	return &ids{uuids: map[[16]byte]origin{}, others: map[string]origin{}}
}

// find takes in an id that stands in a part. It reports whether it is new.
func (s *ids) find(id []byte) bool {
	if u, ok := parseUUID(id); ok {
		return insert(s.uuids, u)
	}
	return insert(s.others, string(id))
}

func insert[K comparable](m map[K]origin, id K) bool {
	if m[id] != idNew {
		return false
	}
	m[id] = idFound
	return true
}

// give takes in an id that the source gives, and reports where the id was
// before.
func (s *ids) give(id []byte) origin {
	if u, ok := parseUUID(id); ok {
		return touch(s.uuids, &s.freshUUIDs, u)
	}
	return touch(s.others, &s.freshOthers, string(id))
}

func touch[K comparable](m map[K]origin, fresh *[]K, id K) origin {
	was := m[id]
	switch was {
	case idNew:
		m[id] = idGiven
	case idFound:
		m[id] = idBoth
	default:
		return idGiven
	}
	*fresh = append(*fresh, id)
	return was
}

// keep makes what was given permanent.
func (s *ids) keep() {
	s.freshUUIDs = s.freshUUIDs[:0]
	s.freshOthers = s.freshOthers[:0]
}

// undo takes back what was given since the last keep.
func (s *ids) undo() {
	untouch(s.uuids, s.freshUUIDs)
	untouch(s.others, s.freshOthers)
	s.keep()
}

func untouch[K comparable](m map[K]origin, fresh []K) {
	for _, id := range fresh {
		if m[id] == idBoth {
			m[id] = idFound
		} else {
			delete(m, id)
		}
	}
}

// parseUUID reads the one spelling of a UUID that the API uses: lower-case hex
// with dashes. Another spelling is another id, as bytes are bytes.
func parseUUID(id []byte) (u [16]byte, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return u, false
	}
	i := 0
	for j := range u {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			i++
		}
		hi, ok1 := hexDigit(id[i])
		lo, ok2 := hexDigit(id[i+1])
		if !ok1 || !ok2 {
			return u, false
		}
		u[j] = hi<<4 | lo
		i += 2
	}
	return u, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
