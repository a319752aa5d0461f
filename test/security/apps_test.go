package security

import (
	"testing"
	"time"
)

// TestApps: what the apps in people's hands do still works behind all of it.
func TestApps(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"TheFirstRefreshTokenIsKept", theFirstRefreshTokenIsKept},
		{"FiveMinutesEarly", fiveMinutesEarly},
		{"TheSameBodyAgain", theSameBodyAgain},
	})
}

// The apps ignore every refresh token but the first, and send no challengeId: login does not either.
func theFirstRefreshTokenIsKept(t *testing.T, h *house) {
	who := h.customer(t)
	for range 12 {
		access := who.renew(who.refresh).ok().text("accessToken")
		who.with(access).me().ok()
	}
	drives := h.crew(t).driver(t)
	for range 3 {
		drives.with(drives.renew(drives.refresh).ok().text("accessToken")).me().ok()
	}
}

// The customer app takes a token for expired 300 s before it is.
func fiveMinutesEarly(t *testing.T, h *house) {
	who := h.customer(t)
	life := time.Duration(who.renew(who.refresh).ok().number("expiresIn")) * time.Second
	if life-5*time.Minute < 30*time.Minute {
		t.Errorf("a token of %v is hardly ever good to that app", life)
	}
}

// Phones whose answer was lost send the same body again.
func theSameBodyAgain(t *testing.T, h *house) {
	phone, c := newPhone(), h.stranger(t)
	c.post("auth/send-otp", asking(phone, "customer")).ok()
	body := submitting(phone, "customer", h.sms.next(t, phone).Code)
	first := c.post("auth/verify-otp", body).ok()
	for range 3 {
		again := c.post("auth/verify-otp", body).ok()
		if again.text("user", "id") != first.text("user", "id") || again.text("tokens", "refreshToken") != first.text("tokens", "refreshToken") {
			t.Error("the same body gave another session")
		}
	}
}
