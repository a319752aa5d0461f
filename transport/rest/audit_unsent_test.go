package rest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"weelo/internal/auditlog"
	"weelo/internal/notify"
)

// TestCodesNotSentAreWrittenDown: a row each, with why, under the phone's HMAC, and without phone or code.
func TestCodesNotSentAreWrittenDown(t *testing.T) {
	t.Parallel()
	k := start(t, devPair(t, (&clock{}).Now), options{})
	people(t, k.pair)
	k.sms.fate = func(context.Context) (notify.Class, error) {
		return notify.Refused, fmt.Errorf("msg91: %w: status 401", notify.ErrAccount)
	}
	k.send(k.Client, c1, "customer").Refused(503, "SERVICE_UNAVAILABLE")
	k.driverSend(k.Client, d1).Refused(503, "SMS_SEND_FAILED")
	rows := written(t, k)
	if len(rows) != 2 {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	for i, want := range []struct{ reason, phone string }{{"SERVICE_UNAVAILABLE", c1}, {"SMS_SEND_FAILED", d1}} {
		r := rows[i]
		if r.Action != auditlog.CodeNotSent || r.Reason != want.reason || r.PhoneHMAC != auditKeys.Phone("+91"+want.phone) || !strings.Contains(r.Details, `"why":"account"`) {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	all := fmt.Sprintf("%+v", rows)
	for _, secret := range []string{c1, d1, t1} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}
