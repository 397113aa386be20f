package export

// ids is the set of conversationIds that a chunk's parts hold. Ids are UUIDs,
// which are kept in 16 bytes each; whatever else turns up is kept as it is.
type ids struct {
	uuids  map[[16]byte]struct{}
	others map[string]struct{}
	// fresh are the ids added since the last keep, so that a page that proves
	// damaged can be taken out again.
	freshUUIDs  [][16]byte
	freshOthers []string
}

func newIDs() *ids {
	return &ids{uuids: map[[16]byte]struct{}{}, others: map[string]struct{}{}}
}

// add reports whether the id was not in the set; it is in it afterwards.
func (s *ids) add(id []byte) bool {
	if u, ok := parseUUID(id); ok {
		if _, there := s.uuids[u]; there {
			return false
		}
		s.uuids[u] = struct{}{}
		s.freshUUIDs = append(s.freshUUIDs, u)
		return true
	}
	if _, there := s.others[string(id)]; there {
		return false
	}
	s.others[string(id)] = struct{}{}
	s.freshOthers = append(s.freshOthers, string(id))
	return true
}

// keep makes what was added permanent.
func (s *ids) keep() {
	s.freshUUIDs = s.freshUUIDs[:0]
	s.freshOthers = s.freshOthers[:0]
}

// undo takes out what was added since the last keep.
func (s *ids) undo() {
	for _, u := range s.freshUUIDs {
		delete(s.uuids, u)
	}
	for _, o := range s.freshOthers {
		delete(s.others, o)
	}
	s.keep()
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
