package genesystest

// An indenter spreads compact JSON over lines. It keeps its place between
// calls, so that a body can be indented piece by piece.
type indenter struct {
	depth   int
	inside  bool // a string
	escaped bool
	opened  bool // an array or object with nothing in it so far
}

func (p *indenter) append(dst, src []byte) []byte {
	for _, c := range src {
		if p.inside {
			dst = append(dst, c)
			switch {
			case p.escaped:
				p.escaped = false
			case c == '\\':
				p.escaped = true
			case c == '"':
				p.inside = false
			}
			continue
		}
		if c == '}' || c == ']' {
			p.depth--
			if !p.opened {
				dst = p.line(dst)
			}
			p.opened = false
			dst = append(dst, c)
			continue
		}
		if p.opened {
			p.opened = false
			dst = p.line(dst)
		}
		dst = append(dst, c)
		switch c {
		case '{', '[':
			p.depth++
			p.opened = true
		case ',':
			dst = p.line(dst)
		case ':':
			dst = append(dst, ' ')
		case '"':
			p.inside = true
		}
	}
	return dst
}

func (p *indenter) line(dst []byte) []byte {
	dst = append(dst, '\n')
	for range p.depth {
		dst = append(dst, ' ', ' ')
	}
	return dst
}
