package wire

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"weelo/internal/track"
)

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			dst = append(append(dst, s[from:i]...), `\ufffd`...)
			i++
			from = i
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// appendTextOrNull appends null for the empty string.
func appendTextOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendText(dst, s)
}

// appendIntOrNull appends null for 0.
func appendIntOrNull(dst []byte, n int64) []byte {
	if n == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, n, 10)
}

// appendMSOrNull appends a time in Unix ms, null for the zero time.
func appendMSOrNull(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, t.UnixMilli(), 10)
}

// appendDegrees appends an angle with exactly six decimals, about 0.1 m.
func appendDegrees(dst []byte, degrees float64) []byte {
	return appendFixed(dst, degrees, 6, false)
}

// appendFixed appends a number with at most the given decimals; trim leaves out zeros at the end.
// What is not finite becomes 0: it cannot be said in JSON.
func appendFixed(dst []byte, x float64, decimals int, trim bool) []byte {
	scaled := math.Round(x * powers[decimals])
	if !(math.Abs(scaled) < 1<<53) {
		scaled = 0
	}
	n := int64(scaled)
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	unit := int64(powers[decimals])
	dst = strconv.AppendInt(dst, n/unit, 10)
	rest := n % unit
	if trim {
		if rest == 0 {
			return dst
		}
		for rest%10 == 0 {
			rest /= 10
			decimals--
		}
	}
	dst = append(dst, '.')
	start := len(dst)
	for range decimals {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + rest%10)
		rest /= 10
	}
	return dst
}

// appendMotion appends speed, bearing and accuracy of a fix, as they stand in fix and pos.
func appendMotion(dst []byte, f track.Fix) []byte {
	dst = append(dst, `,"speed":`...)
	if f.HasSpeed {
		dst = appendFixed(dst, f.Speed, 2, true)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"bearing":`...)
	if f.HasBearing {
		dst = appendFixed(dst, f.Bearing, 1, true)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"acc":`...)
	return appendFixed(dst, f.Accuracy, 1, true)
}
