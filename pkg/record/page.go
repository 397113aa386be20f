package record

// A span is a piece of what is kept, as offsets.
type span struct{ from, to int }

// reset makes everything ready for the page.
func (s *Scanner) reset(p *Page, fn func(Record) error) {
	p.state, p.err = unread, nil
	p.Envelope, p.Records, p.RawBytes = Envelope{TotalHits: -1}, 0, 0
	s.page, s.fn = p, fn
	s.rewind(p.Body, p.Gzip)
}

// rewind turns to the start of a body.
func (s *Scanner) rewind(body []byte, zipped bool) {
	if s.buf == nil {
		s.buf = make([]byte, s.window+padding)
	}
	s.start, s.w, s.run, s.n, s.read = 0, 0, 0, 0, 0
	s.eof, s.keep, s.inside = false, false, false
	s.failed, s.damage, s.stop = false, nil, nil
	s.depth, s.records, s.seen = 0, 0, [memberCount]bool{}
	s.last = noKey
	s.keys.reset(&s.opt)
	s.buf[0] = 0
	if err := s.src.reset(body, zipped); err != nil {
		s.failWith(0, "cannot inflate", err)
	}
}

// release lets go of all that belongs to the page.
func (s *Scanner) release() {
	s.page, s.fn = nil, nil
	s.src.release()
	if len(s.buf) > keepSize+padding {
		s.buf = nil
	}
}

// root checks the page's object.
func (s *Scanner) root(i int) int {
	if s.buf[i] != '{' {
		return s.fail(i, "the page is not an object")
	}
	return s.object(i)
}

// end checks that nothing but whitespace follows, and reads to the end of the
// body, where its checksum is.
func (s *Scanner) end(i int) {
	s.keep = false
	if i = s.gap(i); i < s.n {
		s.fail(i, "something behind the end")
	}
}

// object checks the page's object at i.
func (s *Scanner) object(i int) int {
	if i = s.open(i); s.buf[i] == '}' {
		return s.close(i)
	}
	for {
		if s.buf[i] != '"' {
			return s.fail(i, "no key in an object")
		}
		s.begin(i, s.opt.MaxEnvelope)
		key := span{from: s.offset(i)}
		i = s.str(i + 1)
		key.to = s.offset(i)
		if i = s.gap(i); s.buf[i] != ':' {
			return s.fail(i, "no colon behind a key")
		}
		i = s.skip(i + 1)
		i = s.skip(s.pageMember(s.kept(key), i))
		switch s.buf[i] {
		case ',':
			i = s.skip(i + 1)
		case '}':
			return s.close(i)
		default:
			return s.fail(i, "no comma or closing bracket behind a value")
		}
	}
}

// array checks the array of records at i.
func (s *Scanner) array(i int) int {
	if i = s.open(i); s.buf[i] == ']' {
		return s.close(i)
	}
	for {
		if i = s.record(i); s.failed {
			return s.n
		}
		s.records++
		if err := s.fn(s.taken()); err != nil {
			s.failed, s.stop = true, err
			return s.n
		}
		s.keep = false
		i = s.skip(i)
		switch s.buf[i] {
		case ',':
			i = s.skip(i + 1)
		case ']':
			return s.close(i)
		default:
			return s.fail(i, "no comma or closing bracket behind a value")
		}
	}
}

// open passes an opening bracket, and close a closing one.
func (s *Scanner) open(i int) int {
	if s.depth++; s.depth > s.opt.MaxDepth {
		return s.fail(i, "nested too deep")
	}
	return s.skip(i + 1)
}

func (s *Scanner) close(i int) int {
	s.depth--
	return i + 1
}

// kept returns a piece of what is kept; all of it must have been flushed.
func (s *Scanner) kept(p span) []byte {
	return s.buf[s.start+p.from : s.start+p.to]
}

// record checks the record at i, and keeps it.
func (s *Scanner) record(i int) int {
	if s.buf[i] != '{' {
		return s.fail(i, "a record is not an object")
	}
	s.begin(i, s.opt.MaxRecord)
	s.found = [endKey + 1]span{}
	s.keys.reset(&s.opt)
	s.inside, s.flaws, s.unsure = true, 0, false
	i = s.members(i)
	s.inside, s.last = false, noKey
	i = s.complete(i)
	if s.unsure && !s.failed && doubles(s.buf[s.start:s.w]) {
		s.flaws |= FlawDuplicateKey
	}
	return i
}

// complete ends what is kept at i. From then on, until keep is false, it stands
// in buf[start:w].
func (s *Scanner) complete(i int) int {
	s.flush(i)
	if int64(s.w-s.start) > s.limit {
		return s.fail(i, tooLarge)
	}
	return i
}

// taken returns the record that is kept.
func (s *Scanner) taken() Record {
	return Record{
		JSON:  s.buf[s.start:s.w:s.w],
		ID:    text(s.kept(s.found[idKey])),
		Start: instant(s.kept(s.found[startKey])),
		End:   instant(s.kept(s.found[endKey])),
		Flaws: s.flaws,
	}
}

// members checks the object of a record at i, and takes note of its id, its start and its end.
func (s *Scanner) members(i int) int {
	if i = s.open(i); s.buf[i] == '}' {
		return s.close(i)
	}
	s.sets[s.depth] = keySet{}
	for at := (level{place: within}); ; at.place = behind {
		i, at.key = s.key(i, at)
		k := &s.keys.all[at.key]
		s.flaws |= s.sets[s.depth].add(k)
		if i = s.skip(i); s.buf[i] != ':' {
			return s.fail(i, "no colon behind a key")
		}
		i = s.skip(i + 1)
		s.last = at.key
		value := span{from: s.offset(i)}
		i = s.value(i)
		value.to = s.offset(i)
		if k.says != noKey && k.says <= endKey && s.found[k.says].to == 0 {
			s.found[k.says] = value
		}
		i = s.skip(i)
		switch s.buf[i] {
		case ',':
			i = s.skip(i + 1)
		case '}':
			return s.close(i)
		default:
			return s.fail(i, "no comma or closing bracket behind a value")
		}
	}
}
