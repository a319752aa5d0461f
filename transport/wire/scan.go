package wire

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth  = 16 // nesting of a value that is skipped
	maxFields = 64 // members of one object
)

// Malformed says that a message is not JSON of the protocol.
type Malformed struct {
	What string
	At   int // byte offset
}

// Error names what is wrong and where.
func (m *Malformed) Error() string {
	return fmt.Sprintf("malformed message: %s at byte %d", m.What, m.At)
}

// scanner walks over one message. After the first error it stays where it is.
type scanner struct {
	b   []byte
	i   int
	err error
}

func (s *scanner) fail(what string) {
	if s.err == nil {
		s.err = &Malformed{What: what, At: s.i}
	}
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek gives the next byte after white space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) expect(c byte) bool {
	if s.err == nil && s.peek() == c {
		s.i++
		return true
	}
	s.fail("expected " + strconv.QuoteRune(rune(c)))
	return false
}

// end refuses anything after the value.
func (s *scanner) end() {
	s.space()
	if s.err == nil && s.i != len(s.b) {
		s.fail("data after the message")
	}
}

// fields walks over the members of one object. Use:
//
//	var seen fields
//	for s.next(&seen) { switch string(seen.key) { … read or skip the value … } }
//
// It refuses a key that comes twice, known or not.
type fields struct {
	key   []byte // unescaped
	n     int
	keys  [12][]byte
	extra [][]byte
}

func (s *scanner) next(f *fields) bool {
	if s.err != nil {
		return false
	}
	if f.n == 0 {
		if !s.expect('{') {
			return false
		}
		if s.peek() == '}' {
			s.i++
			return false
		}
	} else {
		if s.peek() == '}' {
			s.i++
			return false
		}
		if !s.expect(',') {
			return false
		}
		s.space()
	}
	f.key = s.text()
	if !s.expect(':') {
		return false
	}
	return s.once(f)
}

// once remembers the key and refuses it when it was there before.
func (s *scanner) once(f *fields) bool {
	for i := range min(f.n, len(f.keys)) {
		if string(f.keys[i]) == string(f.key) {
			s.fail("key twice")
			return false
		}
	}
	for _, k := range f.extra {
		if string(k) == string(f.key) {
			s.fail("key twice")
			return false
		}
	}
	switch {
	case f.n < len(f.keys):
		f.keys[f.n] = f.key
	case f.n < maxFields:
		f.extra = append(f.extra, f.key)
	default:
		s.fail("too many fields")
		return false
	}
	f.n++
	return true
}

// text reads a string and gives its bytes, which belong to the message unless it had escapes.
func (s *scanner) text() []byte {
	if !s.expect('"') {
		return nil
	}
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1]
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			s.fail("control character in a string")
			return nil
		}
		s.i++
	}
	s.fail("string without an end")
	return nil
}

// escaped goes on reading a string from its first escape.
func (s *scanner) escaped(start int) []byte {
	out := append([]byte(nil), s.b[start:s.i]...)
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			return out
		case c < 0x20:
			s.fail("control character in a string")
			return nil
		case c != '\\':
			out = append(out, c)
			s.i++
			continue
		}
		r, n := unescape(s.b[s.i:])
		if n > 0 && r == 0 {
			s.fail("U+0000 in a string")
			return nil
		}
		if n == 0 {
			s.fail("unknown escape")
			return nil
		}
		out = utf8.AppendRune(out, r)
		s.i += n
	}
	s.fail("string without an end")
	return nil
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape reads one escape and tells its length, 0 when it is none. A lone surrogate becomes U+FFFD,
// as encoding/json has it.
func unescape(b []byte) (rune, int) {
	if len(b) < 2 {
		return 0, 0
	}
	if b[1] != 'u' {
		r, ok := escapes[b[1]]
		if !ok {
			return 0, 0
		}
		return r, 2
	}
	r, ok := hex4(b[2:])
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if low, ok := hex4(b[8:]); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return both, 12
			}
		}
	}
	return utf8.RuneError, 6
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *scanner) literal(word string) {
	if s.i+len(word) <= len(s.b) && string(s.b[s.i:s.i+len(word)]) == word {
		s.i += len(word)
		return
	}
	s.fail("unknown word")
}

// skip checks and passes over any value.
func (s *scanner) skip() { s.skipDeep(maxDepth) }

func (s *scanner) skipDeep(depth int) {
	if s.err != nil {
		return
	}
	if depth == 0 {
		s.fail("nested too deeply")
		return
	}
	switch s.peek() {
	case '"':
		s.text()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	case '{':
		s.skipList('}', depth, true)
	case '[':
		s.skipList(']', depth, false)
	default:
		s.number()
	}
}

func (s *scanner) skipList(end byte, depth int, keys bool) {
	s.i++
	if s.peek() == end {
		s.i++
		return
	}
	for s.err == nil {
		if keys {
			s.space()
			s.text()
			s.expect(':')
		}
		s.skipDeep(depth - 1)
		if s.peek() == end {
			s.i++
			return
		}
		s.expect(',')
	}
}
