package security

import (
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
	right := h.sms.next(t, phone).Code
	for n := range 4 {
		c.post("auth/verify-otp", submitting(phone, "customer", wrong(right, n))).refused(400, "INVALID_OTP")
	}
	c.post("auth/verify-otp", submitting(phone, "customer", wrong(right, 4))).refused(400, "MAX_ATTEMPTS")
	c.post("auth/verify-otp", submitting(phone, "customer", right)).refused(400, "MAX_ATTEMPTS")
	crew := h.crew(t)
	c = h.stranger(t)
	c.post("driver-auth/send-otp", object{"driverPhone": crew.driverPhone}).ok()
	right = h.sms.next(t, crew.phone).Code
	for n := range 4 {
		c.post("driver-auth/verify-otp", object{"driverPhone": crew.driverPhone, "otp": wrong(right, n)}).refused(400, "OTP_INVALID")
	}
	c.post("driver-auth/verify-otp", object{"driverPhone": crew.driverPhone, "otp": wrong(right, 4)}).refused(400, "OTP_MAX_ATTEMPTS")
	c.post("driver-auth/verify-otp", object{"driverPhone": crew.driverPhone, "otp": right}).refused(400, "OTP_MAX_ATTEMPTS")
}

func oneDeviceWins(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	c.post("auth/send-otp", asking(phone, "customer")).ok()
	body := submitting(phone, "customer", h.sms.next(t, phone).Code)
	first := c.post("auth/verify-otp", body).ok()
	h.stranger(t).post("auth/verify-otp", body).refused(400, "OTP_EXPIRED", "OTP_NOT_FOUND")
	if again := c.post("auth/verify-otp", body).ok(); again.text("tokens", "refreshToken") != first.text("tokens", "refreshToken") {
		t.Error("the same device got another session")
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
	phone, victim, thief := newPhone(), h.stranger(t), h.stranger(t)
	victim.post("auth/send-otp", asking(phone, "customer")).ok()
	right := h.sms.next(t, phone).Code
	foreign := thief.post("auth/send-otp", asking(newPhone(), "customer")).ok().text("challengeId")
	for n := range 6 { // one more than there are tries
		body := submitting(phone, "customer", wrong(right, n))
		body["challengeId"] = foreign
		thief.post("auth/verify-otp", body).refused(400)
	}
	var again answer
	eventually(t, 40*time.Second, "another code may be asked for", func() bool {
		if again.status == 429 {
			pass(t, time.Duration(again.retryAfter())*time.Second)
		}
		again = h.stranger(t).post("auth/send-otp", asking(phone, "customer"))
		return again.status == 200
	})
	victim.post("auth/verify-otp", submitting(phone, "customer", right)).ok()
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
