package security

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOTP: the code that comes to one's own phone.
func TestOTP(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P01_SendSaysLittleAndSendsOne", sendSaysLittle},
		{"P04_FiveTries", fiveTries},
		{"P05_OneDeviceWins", oneDeviceWins},
		{"P08_OneCodeInThirtySeconds", oneCodeInThirtySeconds},
		{"P10_ACodeIsForOneRole", aCodeIsForOneRole},
		{"P12_AnothersChallenge", anothersChallenge},
	})
}

// TestHurriedOTP asks what runs out after minutes of a server whose logins live sixty times as fast.
func TestHurriedOTP(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P06_ACodeExpires", aCodeExpires},
		{"P07_AResendResetsNoCeiling", aResendResetsNoCeiling},
		{"P09_OnePhoneHoweverWritten", onePhoneHoweverWritten},
	}, "LOGIN_TIME_SCALE=60")
}

func fiveTries(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	c.post("auth/send-otp", asking(phone, "customer")).ok()
	tries(t, h.sms.next(t, phone).Code, "INVALID_OTP", "MAX_ATTEMPTS", func(code string) answer {
		return c.post("auth/verify-otp", submitting(phone, "customer", code))
	})
	crew := h.crew(t)
	c = h.stranger(t)
	c.post("driver-auth/send-otp", object{"driverPhone": crew.driverPhone}).ok()
	tries(t, h.sms.next(t, crew.phone).Code, "OTP_INVALID", "OTP_MAX_ATTEMPTS", func(code string) answer {
		return c.post("driver-auth/verify-otp", object{"driverPhone": crew.driverPhone, "otp": code})
	})
}

// tries makes five wrong ones, each told how many are left, and a sixth that is right.
func tries(t *testing.T, right, invalid, exhausted string, submit func(code string) answer) {
	t.Helper()
	for n := range 4 {
		a := submit(wrong(right, n)).refused(400, invalid)
		if left := fmt.Sprintf("%d attempt", 4-n); !strings.Contains(a.content.Error.Message, left) {
			t.Errorf("after %d wrong tries one is told %q", n+1, a.content.Error.Message)
		}
	}
	submit(wrong(right, 4)).refused(400, exhausted)
	if a := submit(right).refused(400, exhausted); strings.Contains(a.body, "oken\"") {
		t.Errorf("a token after five wrong tries: %s", a.body)
	}
}

func oneDeviceWins(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	c.post("auth/send-otp", asking(phone, "customer")).ok()
	body := submitting(phone, "customer", h.sms.next(t, phone).Code)
	first := c.post("auth/verify-otp", body).ok()
	h.stranger(t).post("auth/verify-otp", body).refused(400, "OTP_EXPIRED", "OTP_NOT_FOUND")
	for range 6 { // strangers who guess take nothing from him
		h.stranger(t).post("auth/verify-otp", submitting(phone, "customer", wrong(body["otp"].(string), 0))).refused(400, "OTP_EXPIRED", "OTP_NOT_FOUND")
	}
	again := c.post("auth/verify-otp", body).ok()
	for _, path := range [][]string{{"user", "id"}, {"tokens", "refreshToken"}} {
		if again.text(path...) != first.text(path...) {
			t.Errorf("the same device got another session: its %v differ", path)
		}
	}
	crew := h.crew(t)
	c = h.stranger(t)
	c.post("driver-auth/send-otp", object{"driverPhone": crew.driverPhone}).ok()
	body = object{"driverPhone": crew.driverPhone, "otp": h.sms.next(t, crew.phone).Code}
	first = c.post("driver-auth/verify-otp", body).ok()
	h.stranger(t).post("driver-auth/verify-otp", body).refused(400, "OTP_EXPIRED", "OTP_NOT_FOUND")
	if again := c.post("driver-auth/verify-otp", body).ok(); again.text("refreshToken") != first.text("refreshToken") {
		t.Error("the same device of a driver got another session")
	}
}

func oneCodeInThirtySeconds(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	c.post("auth/send-otp", asking(phone, "customer")).ok()
	if wait := c.post("auth/send-otp", asking(phone, "customer")).refused(429, "OTP_COOLDOWN").retryAfter(); wait < 1 || wait > 30 {
		t.Errorf("Retry-After is %d s", wait)
	}
	h.stranger(t).post("auth/send-otp", asking(phone, "customer")).refused(429, "OTP_COOLDOWN")
	h.sms.next(t, phone)
	if n := len(h.sms.to(phone)); n != 1 {
		t.Errorf("%d messages", n)
	}
	crew := h.crew(t)
	had := len(h.sms.to(crew.phone))
	c.post("driver-auth/send-otp", object{"driverPhone": crew.driverPhone}).ok()
	if a := h.stranger(t).post("driver-auth/send-otp", object{"driverPhone": crew.driverPhone}); a.status != 429 || a.retryAfter() < 1 || a.retryAfter() > 30 {
		t.Errorf("a driver's second code: %d, Retry-After %d s", a.status, a.retryAfter())
	}
	h.sms.next(t, crew.phone)
	if n := len(h.sms.to(crew.phone)) - had; n != 1 {
		t.Errorf("%d messages to the transporter", n)
	}
}

func aCodeIsForOneRole(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	c.post("auth/send-otp", asking(phone, "customer")).ok()
	right := h.sms.next(t, phone).Code
	c.post("auth/verify-otp", submitting(phone, "transporter", right)).refused(400)
	for _, role := range []string{"driver", "admin", "ops", "Customer"} {
		c.post("auth/send-otp", asking(phone, role)).refused(400)
	}
	if n := len(h.sms.to(phone)); n != 1 {
		t.Errorf("%d messages", n)
	}
	c.post("auth/verify-otp", submitting(phone, "customer", right)).ok()
}

func anothersChallenge(t *testing.T, h *house) {
	// Two victims: of the two newest codes one comes back with his own, the other with the stranger's.
	type victim struct {
		*caller
		phone, code string
	}
	thief := h.stranger(t)
	foreign := thief.post("auth/send-otp", asking(newPhone(), "customer")).ok().text("challengeId")
	var victims []victim
	for range 2 {
		v := victim{h.stranger(t), newPhone(), ""}
		v.post("auth/send-otp", asking(v.phone, "customer")).ok()
		v.code = h.sms.next(t, v.phone).Code
		for n := range 7 { // two more than there are tries
			body := submitting(v.phone, "customer", wrong(v.code, n))
			if n == 6 {
				body["otp"] = v.code
			}
			body["challengeId"] = foreign
			thief.post("auth/verify-otp", body).refused(400)
		}
		victims = append(victims, v)
	}
	pass(t, 30*time.Second) // the cool-down
	var last string
	for _, v := range victims {
		h.stranger(t).post("auth/send-otp", asking(v.phone, "customer")).ok()
		last = h.sms.next(t, v.phone).Code
	}
	victims[0].post("auth/verify-otp", submitting(victims[0].phone, "customer", victims[0].code)).ok()
	victims[1].post("auth/verify-otp", submitting(victims[1].phone, "customer", last)).ok()
}

// resend asks until the cool-down is over, each time as somebody else.
func (h *house) resend(t *testing.T, phone, role string) (a answer) {
	t.Helper()
	eventually(t, 5*time.Second, "the end of the cool-down", func() bool {
		a = h.stranger(t).post("auth/send-otp", asking(phone, role))
		return a.content.Error.Code != "OTP_COOLDOWN"
	})
	return a
}

func aCodeExpires(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	life := c.post("auth/send-otp", asking(phone, "customer")).ok().number("expiresIn")
	right := h.sms.next(t, phone).Code
	pass(t, time.Duration(life*float64(time.Second)))
	c.post("auth/verify-otp", submitting(phone, "customer", right)).refused(400, "OTP_EXPIRED")
	crew := h.crew(t)
	life = c.post("driver-auth/send-otp", object{"driverPhone": crew.driverPhone}).ok().number("expiresIn")
	right = h.sms.next(t, crew.phone).Code
	pass(t, time.Duration(life*float64(time.Second)))
	c.post("driver-auth/verify-otp", object{"driverPhone": crew.driverPhone, "otp": right}).refused(400, "OTP_EXPIRED", "OTP_NOT_FOUND")
}

func aResendResetsNoCeiling(t *testing.T, h *house) {
	phone := newPhone()
	for range 3 {
		c := h.stranger(t)
		h.resend(t, phone, "customer").ok()
		right := h.sms.next(t, phone).Code
		for n := range 5 {
			c.post("auth/verify-otp", submitting(phone, "customer", wrong(right, n))).refused(400)
		}
	}
	c := h.stranger(t)
	h.resend(t, phone, "customer").ok()
	c.post("auth/verify-otp", submitting(phone, "customer", h.sms.next(t, phone).Code)).refused(429, "TOO_MANY_ATTEMPTS")
}

func onePhoneHoweverWritten(t *testing.T, h *house) {
	p := newPhone()
	for n, written := range []string{p, "+91" + p, "0" + p, "91 " + p[:5] + " " + p[5:], "+91-" + p} {
		h.resend(t, written, []string{"customer", "transporter"}[n%2]).ok()
	}
	if a := h.resend(t, p, "transporter").refused(429, "OTP_RATE_LIMIT_EXCEEDED"); a.retryAfter() < 1 {
		t.Error("no Retry-After")
	}
	if n := len(h.sms.to(p)); n != 5 {
		t.Errorf("%d messages", n)
	}
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
