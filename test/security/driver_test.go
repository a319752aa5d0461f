package security

import (
	"strings"
	"testing"
	"time"
)

// TestDriver: a driver's code comes to his transporter.
func TestDriver(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P02_DriverCodeGoesToTheTransporter", driverCodeGoesToTheTransporter},
		{"P03_DriversCannotBeSearched", driversCannotBeSearched},
		{"P11_FlowsDoNotMix", flowsDoNotMix},
	})
}

func driversCannotBeSearched(t *testing.T, h *house) {
	known := h.crew(t)
	fixed := h.stranger(t)
	for name, next := range map[string]func() *caller{
		"one address": func() *caller { return h.stranger(t).from(fixed.ip) },
		"one device":  func() *caller { return h.stranger(t).on(fixed.device + "-only") },
	} {
		for range 10 {
			phone := newPhone()
			next().post("driver-auth/send-otp", object{"driverPhone": phone}).refused(404, "DRIVER_NOT_FOUND")
			if keys := h.redisKeys(t, phone); len(keys) != 0 || len(h.sms.to(phone)) != 0 {
				t.Errorf("an unknown number leaves %v and messages", keys)
			}
		}
		had := len(h.sms.to(known.phone))
		var told []string
		for _, phone := range []string{newPhone(), known.driverPhone} {
			a := next().post("driver-auth/send-otp", object{"driverPhone": phone})
			if a.status != 429 || a.retryAfter() < 1 {
				t.Errorf("the eleventh from %s: %d %s", name, a.status, a.body)
			}
			told = append(told, a.content.Error.Code+": "+a.content.Error.Message)
		}
		if told[0] != told[1] {
			t.Errorf("refusals from %s tell a known number from an unknown one: %q", name, told)
		}
		if n := len(h.sms.to(known.phone)) - had; n != 0 {
			t.Errorf("%d messages for what was refused from %s", n, name)
		}
	}
	h.stranger(t).post("driver-auth/send-otp", object{"driverPhone": known.driverPhone}).ok()
}

func flowsDoNotMix(t *testing.T, h *house) {
	c, asker := h.crew(t), h.stranger(t)
	asker.post("driver-auth/send-otp", object{"driverPhone": c.driverPhone}).ok()
	drivers := h.sms.next(t, c.phone).Code
	for _, phone := range []string{c.phone, c.driverPhone} {
		for _, role := range []string{"customer", "transporter"} {
			asker.post("auth/verify-otp", submitting(phone, role, drivers)).refused(400)
		}
	}
	other := h.crew(t)
	asker.post("auth/send-otp", asking(other.driverPhone, "customer")).ok()
	own := h.sms.next(t, other.driverPhone).Code
	asker.post("driver-auth/verify-otp", object{"driverPhone": other.driverPhone, "otp": own}).refused(400)
	asker.post("driver-auth/verify-otp", object{"driverPhone": c.driverPhone, "otp": drivers}).ok()
	asker.post("auth/verify-otp", submitting(other.driverPhone, "customer", own)).ok()
}

func driverCodeGoesToTheTransporter(t *testing.T, h *house) {
	c := h.crew(t)
	first := h.stranger(t)
	code := c.asksFor(first)
	first.post("driver-auth/verify-otp", object{"driverPhone": c.driverPhone, "otp": code}).ok()
	// The driver's own device is now known, and another driver's is too: it changes nothing.
	other := h.crew(t)
	known := h.stranger(t)
	known.post("driver-auth/verify-otp", object{"driverPhone": other.driverPhone, "otp": other.asksFor(known)}).ok()
	pass(t, 30*time.Second) // the cool-down
	c.asksFor(first)
	other.asksFor(first)
}

// asksFor has somebody ask for a code of the crew's driver, holds everything that comes of it to account,
// and gives the code.
func (c *crew) asksFor(who *caller) string {
	t, sink := who.t, c.house.sms
	t.Helper()
	toDriver, toBoss := len(sink.to(c.driverPhone)), len(sink.to(c.phone))
	sent := who.post("driver-auth/send-otp", object{"driverPhone": c.driverPhone}).ok()
	message := sink.next(t, c.phone)
	if got := len(sink.to(c.phone)) - toBoss; got != 1 {
		t.Errorf("%d messages to the transporter", got)
	}
	if got := len(sink.to(c.driverPhone)) - toDriver; got != 0 {
		t.Errorf("%d messages to the driver", got)
	}
	if !strings.Contains(message.Body, "Ravi") || strings.Contains(message.Body, "Kumar") || !strings.Contains(message.Body, c.driverPhone[6:]) {
		t.Errorf("the transporter is not told who asks: %q", message.Body)
	}
	for _, secret := range []string{message.Code, c.phone, c.driverPhone, "Kumar"} {
		if strings.Contains(sent.body, secret) {
			t.Errorf("a stranger is told %s: %s", secret, sent.body)
		}
	}
	if got := sent.text("transporterPhoneMasked"); !strings.Contains(got, "****") {
		t.Errorf("the transporter's phone is not masked: %s", got)
	}
	return message.Code
}
