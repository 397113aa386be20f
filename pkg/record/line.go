package record

// Line checks one line of a data object, without its line end: it must be a
// record as Scan hands them out, without whitespace between tokens, and nothing
// else. The record is valid until the Scanner is used again. If the line is
// anything else, the error is a [*DamagedError].
func (s *Scanner) Line(line []byte) (Record, error) {
	s.rewind(line, false)
	defer s.release()
	s.depth = 2 // as on a page
	i := s.record(s.next(0))
	if !s.failed && s.w-s.start != len(line) {
		s.failWith(i, "more than a compact record", nil)
	}
	if s.failed {
		return Record{}, s.damage
	}
	return s.taken(), nil
}
