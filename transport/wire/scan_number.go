package wire

import (
	"math"
	"strconv"
	"unsafe"
)

// number reads the literal of a number.
func (s *scanner) number() []byte {
	s.space()
	start := s.i
	s.accept('-')
	switch {
	case s.accept('0'):
	case !s.digits():
		s.fail("not a number")
		return nil
	}
	if s.accept('.') && !s.digits() {
		s.fail("not a number")
		return nil
	}
	if s.accept('e') || s.accept('E') {
		if !s.accept('+') {
			s.accept('-')
		}
		if !s.digits() {
			s.fail("not a number")
			return nil
		}
	}
	return s.b[start:s.i]
}

func (s *scanner) accept(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

var powers = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
}

// parseFloat is strconv.ParseFloat for the literal of a JSON number, fast for short decimals: an
// integer below 2^53 divided by an exact power of ten is correctly rounded. false: beyond float64.
func parseFloat(b []byte) (float64, bool) {
	var mantissa uint64
	i, digits, decimals := 0, 0, 0
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		i = 1
	}
	point := false
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case '0' <= c && c <= '9':
			mantissa = mantissa*10 + uint64(c-'0')
			digits++
			if point {
				decimals++
			}
		case c == '.':
			point = true
		default:
			digits = 99
		}
		if digits > 15 {
			return slowFloat(b)
		}
	}
	f := float64(mantissa) / powers[decimals]
	if negative {
		f = -f
	}
	return f, true
}

func slowFloat(b []byte) (float64, bool) {
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// parseInt reads the literal of an integer. false: a fraction, an exponent, or beyond int64.
func parseInt(b []byte) (int64, bool) {
	n, err := strconv.ParseInt(unsafe.String(unsafe.SliceData(b), len(b)), 10, 64)
	return n, err == nil
}
