package phone

import "strings"

// Mask replaces every Indian mobile number in a text by +91******3210, in all spellings that Parse takes
// and as they stand in URLs (+ as %2B, a space as %20 or +). It is for texts that others made: errors,
// ids of requests, reasons that people wrote.
//
// A run of digits is a number only when it stands alone: what goes on with a letter or a digit, or begins
// in the middle of one, is an id, a time in ms or a fraction, and stays.
func Mask(text string) string {
	if len(text) < nationalDigits {
		return text
	}
	var b strings.Builder
	kept := 0 // text[:kept] is in b
	for i := 0; i < len(text); {
		if c := text[i]; (c != '+' && !isDigit(c)) || !begins(text, i) {
			i++
			continue
		}
		n, last := numberAt(text[i:])
		if n == 0 {
			i++
			continue
		}
		b.WriteString(text[kept:i])
		b.WriteString(country + "******" + last)
		i += n
		kept = i
	}
	if kept == 0 {
		return text
	}
	b.WriteString(text[kept:])
	return b.String()
}

// begins tells whether a number may begin at i: after nothing, after what is neither letter nor digit, or
// after an escape of a URL. A digit after "1." goes on with a fraction.
func begins(text string, i int) bool {
	if i == 0 {
		return true
	}
	switch before := text[i-1]; {
	case i >= 3 && text[i-3] == '%' && isHex(text[i-2]) && isHex(before):
		return true
	case before == '.':
		return i == 1 || !isDigit(text[i-2])
	default:
		return !isDigit(before) && !isLetter(before)
	}
}

// numberAt gives the length of the longest number that the text begins with, and its last four digits. 0:
// none.
func numberAt(text string) (length int, last string) {
	var digits [len("91") + nationalDigits]byte
	n, at := 0, 0
	plus := text[0] == '+'
	if plus {
		at = 1
	}
	for at < len(text) && n < len(digits) && isDigit(text[at]) {
		digits[n] = text[at]
		n, at = n+1, at+1
		if at == len(text) || !isDigit(text[at]) && !isLetter(text[at]) {
			if national := nationalPart(string(digits[:n]), plus); national != "" {
				length, last = at, national[nationalDigits-4:]
			}
		}
		for s := separator(text[at:]); s > 0; s = separator(text[at:]) {
			at += s
		}
	}
	return length, last
}

// nationalPart is the ten digits of a spelling without separators; "" when it is none.
func nationalPart(digits string, plus bool) string {
	switch {
	case len(digits) == nationalDigits+2 && digits[:2] == "91":
		digits = digits[2:]
	case plus:
		return ""
	case len(digits) == nationalDigits+1 && digits[0] == '0':
		digits = digits[1:]
	}
	if len(digits) != nationalDigits || digits[0] < '6' {
		return ""
	}
	return digits
}

// separator is the length of one separator of digits that the text begins with.
func separator(text string) int {
	switch {
	case text == "":
		return 0
	case text[0] == ' ' || text[0] == '-' || text[0] == '+':
		return 1
	case strings.HasPrefix(text, "%20"):
		return 3
	default:
		return 0
	}
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
