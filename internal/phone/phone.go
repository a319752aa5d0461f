// Package phone turns what people type into the one canonical form of an Indian mobile number, and
// keeps that number out of logs.
//
// Invariants: a Number that Parse made is "+91" and ten ASCII digits of which the first is 6 to 9,
// so it can stand in a key or a URL as it is; printing or logging a Number shows it masked. One
// person cannot look like two by writing the same number in another way.
package phone

import (
	"log/slog"

	"weelo/internal/fault"
)

// Number is a canonical mobile number in E.164, e.g. +919876543210. Make one with Parse.
type Number string

const (
	country        = "+91"
	nationalDigits = 10
	maxInput       = 32 // longer than any accepted spelling with separators
)

// ErrInvalid is the one refusal for every number we do not serve: malformed, foreign or a landline
// alike, so that the answer tells nothing about the number.
var ErrInvalid = fault.Invalid("phone", "Enter a valid 10-digit Indian mobile number.")

// Parse canonicalises the spellings people use: ten digits, or these after 0, 91 or +91, with single
// ASCII spaces and hyphens anywhere between. Series 6 to 9 are mobile numbers (national numbering
// plan of India). Everything else is ErrInvalid, other scripts' digits included.
func Parse(s string) (Number, error) {
	digits, plus, ok := strip(s)
	if !ok {
		return "", ErrInvalid
	}
	switch {
	case plus && len(digits) == 12 && digits[:2] == "91":
		digits = digits[2:]
	case plus:
		return "", ErrInvalid
	case len(digits) == 12 && digits[:2] == "91":
		digits = digits[2:]
	case len(digits) == 11 && digits[0] == '0':
		digits = digits[1:]
	}
	if len(digits) != nationalDigits || digits[0] < '6' {
		return "", ErrInvalid
	}
	return Number(country + digits), nil
}

// strip removes separators and a leading plus, and refuses every byte that is not a digit.
func strip(s string) (digits string, plus, ok bool) {
	if len(s) > maxInput {
		return "", false, false
	}
	kept := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			kept = append(kept, c)
		case c == ' ' || c == '-':
		case c == '+' && len(kept) == 0 && !plus:
			plus = true
		default:
			return "", false, false
		}
	}
	return string(kept), plus, true
}

// National is the ten digits, as the apps write them and as keys contain them.
func (n Number) National() string {
	if len(n) != len(country)+nationalDigits {
		return ""
	}
	return string(n[len(country):])
}

// E164 is the number in full. Only an SMS provider, a store and the person's own profile need it.
func (n Number) E164() string { return string(n) }

// Masked shows the last four digits: +91******3210.
func (n Number) Masked() string {
	d := n.National()
	if d == "" {
		return "invalid"
	}
	return country + "******" + d[6:]
}

// Hint is what a driver sees of the transporter's number: 98****210, the form of the apps' contract.
func (n Number) Hint() string {
	d := n.National()
	if d == "" {
		return ""
	}
	return d[:2] + "****" + d[7:]
}

// String is masked, so that a number that slips into a format verb does not leak.
func (n Number) String() string { return n.Masked() }

// LogValue is masked.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
