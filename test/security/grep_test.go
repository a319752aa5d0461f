package security

import (
	"strings"
	"testing"
)

// secret is something that may not be read where people look for faults.
type secret struct {
	what  string
	forms []string // how it may be spelled; any of them is a leak
	alone bool     // a short run of digits: it counts only where it stands alone
}

// aPhone is a ten-digit number in all its spellings.
func aPhone(national string) secret {
	forms := []string{national}
	for _, between := range []string{" ", "-", "+", "%20"} {
		forms = append(forms, national[:5]+between+national[5:])
	}
	return secret{what: "phone", forms: forms}
}

// aCode is a code that was sent.
func aCode(code string) secret { return secret{what: "code", forms: []string{code}, alone: true} }

// aToken is anything that opens something. Of a signed token each part but the first, which is the same in
// all of them, is one too.
func aToken(what, token string) secret {
	forms := []string{token}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		forms = append(forms, parts[1:]...)
	}
	return secret{what: what, forms: forms}
}

// found are the secrets that a text has, each with the line where it stands.
func found(text string, secrets []secret) (leaks []string) {
	for _, s := range secrets {
		for _, form := range s.forms {
			if at := s.index(text, form); at >= 0 {
				begin := strings.LastIndexByte(text[:at], '\n') + 1
				line, _, _ := strings.Cut(text[begin:], "\n")
				leaks = append(leaks, s.what+" "+form+" in "+line)
			}
		}
	}
	return leaks
}

// index is where a form stands; -1: nowhere.
func (s secret) index(text, form string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], form)
		if at < 0 || !s.alone {
			if at >= 0 {
				at += from
			}
			return at
		}
		begin, end := from+at, from+at+len(form)
		if !goesOn(text, begin-1) && !goesOn(text, end) {
			return begin
		}
		from = begin + 1
	}
}

// goesOn tells whether the byte at i makes more than a code of the digits beside it: a longer number, a
// fraction (10:15:04.271828), or an id in hexadecimal digits.
func goesOn(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	c := text[i]
	return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '.' && i+1 < len(text) && digit(text[i+1])
}

// TestTheGrepFinds: what the grep of TestNothingLeaks is made to find, it finds, and nothing else.
func TestTheGrepFinds(t *testing.T) {
	t.Parallel()
	secrets := []secret{aPhone("9876543210"), aCode("271828"), aToken("ticket", "tick-et"), aToken("token", "head.body.sign")}
	for text, want := range map[string]string{
		"":                           "",
		"a\nto +919876543210 now\nb": "phone 9876543210 in to +919876543210 now",
		"to 98765 43210":             "phone 98765 43210 in to 98765 43210",
		"/users/98765%2043210":       "phone 98765%2043210 in /users/98765%2043210",
		`{"otp":"271828"}`:           `code 271828 in {"otp":"271828"}`,
		"1271828 then 271828.":       "code 271828 in 1271828 then 271828.",
		"at 10:15:04.271828, took=2718281, 0.271828": "",
		"id=ab271828 271828cd":                       "",
		"ticket.tick-et":                             "ticket tick-et in ticket.tick-et",
		"head.body.":                                 "token body in head.body.",
		"head. +91******3210 98765 for 4321 s":       "",
	} {
		if got := strings.Join(found(text, secrets), "; "); got != want {
			t.Errorf("in %q: %q, want %q", text, got, want)
		}
	}
}
