package security

import (
	"strings"
	"testing"
)

// TestDriver: a driver's code comes to his transporter.
func TestDriver(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{
		{"P02_DriverCodeGoesToTheTransporter", driverCodeGoesToTheTransporter},
	})
}

func driverCodeGoesToTheTransporter(t *testing.T, h *house) {
	c := h.crew(t)
	toDriver, toBoss := len(h.sms.to(c.driverPhone)), len(h.sms.to(c.phone))
	// Once the driver has logged in somewhere, a known device changes nothing.
	first := h.stranger(t)
	sent := first.post("driver-auth/send-otp", object{"driverPhone": c.driverPhone}).ok()
	message := h.sms.next(t, c.phone)
	if got := len(h.sms.to(c.phone)) - toBoss; got != 1 {
		t.Errorf("%d messages to the transporter", got)
	}
	if got := len(h.sms.to(c.driverPhone)) - toDriver; got != 0 {
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
	first.post("driver-auth/verify-otp", object{"driverPhone": c.driverPhone, "otp": message.Code}).ok()
}
