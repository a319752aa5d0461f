package security

import (
	"regexp"
	"strings"
	"testing"
)

// TestOTP: the code that comes to one's own phone.
func TestOTP(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P01_SendSaysLittleAndSendsOne", sendSaysLittle},
	})
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

func sendSaysLittle(t *testing.T, h *house) {
	phone := newPhone()
	sent := h.stranger(t).post("auth/send-otp", asking(phone, "customer")).ok()
	message := h.sms.next(t, phone)
	if n := len(h.sms.to(phone)); n != 1 {
		t.Errorf("%d messages", n)
	}
	if got := sixDigits.FindAllString(message.Body, -1); len(got) != 1 || got[0] != message.Code {
		t.Errorf("the message has %v, its code is %s", got, message.Code)
	}
	if sent.number("expiresIn") != 300 || len(sent.text("challengeId")) < 22 || sent.text("message") == "" {
		t.Errorf("the answer: %s", sent.body)
	}
	for _, secret := range []string{message.Code, phone} {
		if strings.Contains(sent.body, secret) || strings.Contains(strings.Join(sent.header["X-Request-Id"], ""), secret) {
			t.Errorf("the answer tells %s: %s", secret, sent.body)
		}
	}
}
