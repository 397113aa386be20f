package record

// SetWindow makes the scanner read n bytes at a time, so that tests meet the
// end of the window everywhere.
func (s *Scanner) SetWindow(n int) { s.window, s.buf = n, nil }

// Buffer is the size of the scanner's buffer.
func (s *Scanner) Buffer() int { return len(s.buf) }
