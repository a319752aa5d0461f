package security

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestShape: what a request may look like.
func TestShape(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P13_NumbersThatAreNone", numbersThatAreNone},
		{"P14_BodiesWithTwoReadings", bodiesWithTwoReadings},
		{"P14_NoAddressBreaksTheServer", noAddressBreaksTheServer},
	})
}

func numbersThatAreNone(t *testing.T, h *house) {
	foreign, own := "+1"+newPhone(), newPhone()
	devanagari := strings.Map(func(r rune) rune { return r - '0' + '०' }, own)
	for _, number := range []string{
		foreign, "12345", devanagari, own[:5] + ":" + own[5:], "{" + own + "}", own + "\x00", own + "x1", own + "#", "5" + own[1:], own + own, "",
		"\u200b" + own, own + "\n", "*",
	} {
		c := h.stranger(t)
		c.post("auth/send-otp", asking(number, "customer")).refused(400, "VALIDATION_ERROR")
		c.post("auth/verify-otp", submitting(number, "customer", "123456")).refused(400, "VALIDATION_ERROR")
		c.post("driver-auth/send-otp", object{"driverPhone": number}).refused(400, "VALIDATION_ERROR")
	}
	for _, digits := range []string{own, foreign[2:], devanagari} {
		if n := len(h.sms.to(digits)); n != 0 {
			t.Errorf("%d messages to %s", n, digits)
		}
		if keys := h.redisKeys(t, digits); len(keys) != 0 {
			t.Errorf("keys of a number that is none: %v", keys)
		}
	}
	h.stranger(t).post("auth/send-otp", asking(own, "customer")).ok()
	h.sms.next(t, own)
}

func bodiesWithTwoReadings(t *testing.T, h *house) {
	one, two := newPhone(), newPhone()
	good := fmt.Sprintf(`{"phone":%q,"role":"customer"}`, one)
	for name, test := range map[string]struct {
		body   string
		kind   string
		status int

		encoding string
	}{
		"another case":     {body: fmt.Sprintf(`{"phone":%q,"PHONE":%q,"role":"customer"}`, one, two), status: 400},
		"only another":     {body: fmt.Sprintf(`{"PHONE":%q,"role":"customer"}`, one), status: 400},
		"twice":            {body: fmt.Sprintf(`{"phone":%q,"phone":%q,"role":"customer"}`, one, two), status: 400},
		"escaped twice":    {body: fmt.Sprintf(`{"phone":%q,"\u0070hone":%q,"role":"customer"}`, one, two), status: 400},
		"something behind": {body: good + `{"phone":"` + two + `"}`, status: 400},
		"garbage behind":   {body: good + "x", status: 400},
		"unknown field":    {body: fmt.Sprintf(`{"phone":%q,"role":"customer","admin":true}`, one), status: 400},
		"an array":         {body: "[" + good + "]", status: 400},
		"null":             {body: "null", status: 400},
		"a number":         {body: fmt.Sprintf(`{"phone":%s,"role":"customer"}`, one), status: 400},
		"nothing":          {body: "", status: 400},
		"deep":             {body: strings.Repeat("[", 2000), status: 400},
		"5 KiB":            {body: good[:len(good)-1] + `,"x":"` + strings.Repeat("x", 5<<10) + `"}`, status: 413},
		"1 MiB":            {body: good[:len(good)-1] + `,"x":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413},
		"text/plain":       {body: good, kind: "text/plain", status: 415},
		"a form":           {body: "phone=" + one, kind: "application/x-www-form-urlencoded", status: 415},
		"no type":          {body: good, kind: " ", status: 415},
		"UTF-16":           {body: good, kind: "application/json; charset=utf-16", status: 415},
		"U+0000":           {body: fmt.Sprintf(`{"phone":%q,"role":"customer","x":"\u0000"}`, one), status: 400},
		"U+0000 in a name": {body: fmt.Sprintf(`{"phone":%q,"role":"customer","x\u0000":1}`, one), status: 400},
		"broken UTF-8":     {body: fmt.Sprintf("{\"phone\":%q,\"role\":\"customer\",\"x\":\"\xff\"}", one), status: 400},
		"gzip by its name": {body: good, encoding: "gzip", status: 415},
	} {
		t.Run(name, func(t *testing.T) {
			header := []string{"Expect", "100-continue"} // or the answer could be lost while the body is still sent
			if test.kind != "" {
				header = append(header, "Content-Type", strings.TrimSpace(test.kind))
			}
			if test.encoding != "" {
				header = append(header, "Content-Encoding", test.encoding)
			}
			h.stranger(t).post("auth/send-otp", test.body, header...).refused(test.status)
		})
	}
	c := h.stranger(t)
	for name, code := range map[string]string{"a number": "012345", "an array": `["123456"]`, "null": "null", "five": `"12345"`, "letters": `"12345a"`, "other digits": `"१२३४५६"`} {
		a := c.post("auth/verify-otp", fmt.Sprintf(`{"phone":%q,"role":"customer","otp":%s}`, one, code))
		if a.status != 400 || a.content.Error.Code != "VALIDATION_ERROR" {
			t.Errorf("a code that is %s: %d %s", name, a.status, a.body)
		}
	}
	for _, phone := range []string{one, two} {
		if n := len(h.sms.to(phone)); n != 0 {
			t.Errorf("%d messages to %s", n, phone)
		}
	}
	h.stranger(t).post("auth/send-otp", good).ok()
}

// odd are ids that no database should be asked about: U+0000, bytes that are no UTF-8, and what means something to
// others.
var odd = []string{"%00", "a%00b", "%ff", "%F0%28%8C%28", "%7B%7D", "%25", "%20", "' OR 1=1--", strings.Repeat("x", 300)}

var inBraces = regexp.MustCompile(`\{[^}]*\}`)

// noAddressBreaksTheServer asks every call with an id in its path about odd ones, as everybody.
func noAddressBreaksTheServer(t *testing.T, h *house) {
	crew := h.crew(t)
	everybody := []*caller{h.stranger(t), h.customer(t).caller, crew.caller, crew.driver(t).caller, h.login(t, h.opsUser, "ops").caller}
	asked := 0
	for _, c := range h.calls(t) {
		if !strings.Contains(c.path, "{") {
			continue
		}
		for i, id := range odd {
			who := everybody[(asked+i)%len(everybody)]
			path := inBraces.ReplaceAllString(c.path, strings.ReplaceAll(id, " ", "%20"))
			var body any
			if c.method != http.MethodGet {
				body = object{"reason": "a check", "status": "completed"}
			}
			if a := who.ask(c.method, path, body, "X-Reason", "a check"); a.status >= 500 || a.status < 400 {
				t.Errorf("%s %s: %d %.200s", c.method, path, a.status, a.body)
			}
		}
		asked++
	}
	if asked < 20 {
		t.Errorf("only %d calls have an id in their path", asked)
	}
}
