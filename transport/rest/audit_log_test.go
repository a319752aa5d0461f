package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/login"
)

var auditKeys = auditlog.Keys{Kid: "k1", Secret: []byte("pepper-for-tests-0123456789abcdefgh")}

// written gives the whole log, oldest first, as "action actor's role reason", after checking its chain.
func written(t *testing.T, k task) []auditlog.Row {
	t.Helper()
	if err := k.trail.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.Check(t.Context(), k.pair.log); err != nil {
		t.Fatal(err)
	}
	rows, err := k.pair.log.Chain(t.Context(), 0, auditlog.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func lines(rows []auditlog.Row) []string {
	var list []string
	for _, r := range rows {
		list = append(list, strings.TrimRight(r.Action+" "+r.Role+" "+r.Reason, " "))
	}
	return list
}

// TestLoginsAreWrittenDown: each step of a login leaves its row, and none of them a phone or a code.
func TestLoginsAreWrittenDown(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		boss, driver := people(t, p)
		from := k.With("X-Forwarded-For", "203.0.113.77").With("X-Device-Id", "device-of-asha").With("X-Request-ID", "request-0001")
		from.Call("POST", "/api/v1/auth/send-otp", `{"phone":"`+c1+`"}`).Want(200)
		from.Call("POST", "/api/v1/auth/send-otp", `{"phone":"`+c1+`"}`).Want(429)
		sent := k.sms.all()[0].Code
		from.Call("POST", "/api/v1/auth/verify-otp", fmt.Sprintf(`{"phone":%q,"otp":%q}`, c1, other(sent))).Want(400)
		var in struct {
			User   struct{ ID string }
			Tokens struct{ AccessToken string }
		}
		from.Call("POST", "/api/v1/auth/verify-otp", fmt.Sprintf(`{"phone":%q,"otp":%q}`, c1, sent)).Want(200).Data(&in)
		from.With("Authorization", "Bearer "+in.Tokens.AccessToken).Call("POST", "/api/v1/auth/logout", "").Want(200)
		from.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d1+`"}`).Want(200)
		code := k.sms.all()[1].Code
		from.Call("POST", "/api/v1/driver-auth/verify-otp", fmt.Sprintf(`{"driverPhone":%q,"otp":%q}`, d1, code)).Want(200)

		rows := written(t, k)
		want := []string{
			"code_sent", "code_not_sent  OTP_COOLDOWN", "login_refused  INVALID_OTP", "login customer", "session_revoked customer logout",
			"code_sent", "login driver", "new_device driver",
		}
		if diff := cmp.Diff(want, lines(rows)); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
		if r := rows[3]; r.Actor != in.User.ID || !strings.HasPrefix(r.Subject, "session:") || r.PhoneHMAC != auditKeys.Phone("+91"+c1) ||
			r.Network != "203.0.113.0/24" || r.DeviceHash != auditKeys.Device("device-of-asha") || r.RequestID != "request-0001" {
			t.Errorf("the login is written as %+v", r)
		}
		if r := rows[5]; r.AuthorisedBy != string(boss) || r.Subject != "user:"+string(driver) {
			t.Errorf("the driver's code is written as %+v", r)
		}
		if r := rows[6]; r.AuthorisedBy != string(boss) || r.Actor != string(driver) {
			t.Errorf("the driver's login is written as %+v", r)
		}
		all := fmt.Sprintf("%+v", rows)
		for _, secret := range []string{c1, d1, t1, sent, code, "device-of-asha", "203.0.113.77", in.Tokens.AccessToken} {
			if strings.Contains(all, secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
}

// other is a code that is not this one.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}

// TestANewDeviceIsWrittenDown, the first one not.
func TestANewDeviceIsWrittenDown(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	for i, device := range []string{"one-device-0001", "one-device-0001", "another-device-2"} {
		c.Advance(time.Minute) // the cool-down
		from := k.With("X-Device-Id", device)
		from.Call("POST", "/api/v1/auth/send-otp", `{"phone":"`+c1+`"}`).Want(200)
		from.Call("POST", "/api/v1/auth/verify-otp", fmt.Sprintf(`{"phone":%q,"otp":%q}`, c1, k.sms.all()[i].Code)).Want(200)
	}
	want := []string{"code_sent", "login customer", "code_sent", "login customer", "code_sent", "login customer", "new_device customer"}
	if diff := cmp.Diff(want, lines(written(t, k))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestNobodyLogsInUnseen: with the buffer full, codes are neither sent nor taken.
func TestNobodyLogsInUnseen(t *testing.T) {
	t.Parallel()
	k := start(t, devPair(t, (&clock{}).Now), options{})
	k.Call("POST", "/api/v1/auth/send-otp", `{"phone":"`+c1+`"}`).Want(200)
	for k.trail.Record(auditlog.Event{Action: "filler"}) == nil {
	}
	k.Call("POST", "/api/v1/auth/send-otp", `{"phone":"`+t1+`","role":"transporter"}`).Refused(503, login.ErrUnavailable.Reason)
	verify := fmt.Sprintf(`{"phone":%q,"otp":%q}`, c1, k.sms.all()[0].Code)
	k.Call("POST", "/api/v1/auth/verify-otp", verify).Refused(503, login.ErrUnavailable.Reason)
	if n := len(k.sms.all()); n != 1 {
		t.Errorf("%d messages were sent", n)
	}
	if _, err := k.pair.users.ByPhone(t.Context(), "+91"+c1, fleet.Customer); err == nil {
		t.Error("a customer was enrolled")
	}
	if err := k.trail.Drain(t.Context()); err != nil { // the store is back
		t.Fatal(err)
	}
	k.Call("POST", "/api/v1/auth/verify-otp", verify).Want(200)
}

// TestADriverWhoLeftIsWrittenDown, and that his sessions ended with it.
func TestADriverWhoLeftIsWrittenDown(t *testing.T) {
	t.Parallel()
	k := start(t, devPair(t, (&clock{}).Now), options{})
	boss, driver := people(t, k.pair)
	transporter, _ := k.logIn(t, t1, "transporter")
	k.logInDriver(t)
	transporter.Call("DELETE", "/api/v1/profile/drivers/nobody", nil).Refused(404, "DRIVER_NOT_FOUND")
	transporter.Call("DELETE", "/api/v1/profile/drivers/"+string(driver), nil).Want(200)
	rows := written(t, k)
	want := []string{"code_sent", "login transporter", "code_sent", "login driver", "driver_left transporter", "session_revoked  left_fleet"}
	if diff := cmp.Diff(want, lines(rows)); diff != "" {
		t.Fatalf("rows (-want +got):\n%s", diff)
	}
	if r := rows[4]; r.Actor != string(boss) || r.Subject != "user:"+string(driver) {
		t.Errorf("it is written as %+v", r)
	}
}
