package rest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// logIn logs a phone in and gives its client and user id.
func (k task) logIn(t *testing.T, phone, role string) (*resttest.Client, string) {
	t.Helper()
	k.Call("POST", "/api/v1/auth/send-otp", fmt.Sprintf(`{"phone":%q,"role":%q}`, phone, role)).Want(200)
	sent := k.sms.all()
	var in struct {
		User   struct{ ID string }
		Tokens struct{ AccessToken string }
	}
	k.Call("POST", "/api/v1/auth/verify-otp", fmt.Sprintf(`{"phone":%q,"role":%q,"otp":%q}`, phone, role, sent[len(sent)-1].Code)).Want(200).Data(&in)
	return k.As(in.Tokens.AccessToken), in.User.ID
}

func (k task) logInDriver(t *testing.T) *resttest.Client {
	t.Helper()
	k.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d1+`"}`).Want(200)
	sent := k.sms.all()
	var in struct{ AccessToken string }
	k.Call("POST", "/api/v1/driver-auth/verify-otp", fmt.Sprintf(`{"driverPhone":%q,"otp":%q}`, d1, sent[len(sent)-1].Code)).Want(200).Data(&in)
	return k.As(in.AccessToken)
}

const why = `{"reason":"unpaid dues, ticket 4711"}`

// TestASuspensionEndsEverything: of a transporter and of his drivers, at once, and nobody of them comes
// back until it is taken back.
func TestASuspensionEndsEverything(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		boss, driver := people(t, p)
		ops, opsID := k.logIn(t, ops1, "ops")
		ops = ops.With("X-Reason", "ticket 4711")
		transporter, _ := k.logIn(t, t1, "transporter")
		his := k.logInDriver(t)
		user := "/api/v1/admin/users/" + string(boss)

		var done rest.AdminChanged
		ops.Call("POST", user+"/suspend", why).Want(200).Data(&done)
		if !done.User.Suspended || done.SessionsEnded != 2 {
			t.Errorf("suspended: %+v", done)
		}
		if n := len(k.closed()); n != 2 {
			t.Errorf("sockets of %d sessions were told to close, want 2", n)
		}
		transporter.Call("GET", "/api/v1/auth/me", nil).Refused(401, "UNAUTHORIZED")
		his.Call("GET", "/api/v1/auth/me", nil).Refused(401, "UNAUTHORIZED")
		k.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d1+`"}`).Refused(404, "TRANSPORTER_NOT_FOUND")
		if u, err := p.users.User(t.Context(), boss); err != nil || !u.Suspended {
			t.Errorf("stored %+v, %v", u, err)
		}
		if u, err := p.users.User(t.Context(), driver); err != nil || u.Suspended {
			t.Errorf("the driver is stored as %+v, %v", u, err)
		}
		ops.Call("POST", user+"/suspend", why).Want(200).Data(&done) // again
		if done.SessionsEnded != 0 {
			t.Errorf("again: %+v", done)
		}
		ops.Call("POST", user+"/unsuspend", `{"reason":"paid"}`).Want(200).Data(&done)
		if done.User.Suspended {
			t.Errorf("unsuspended: %+v", done)
		}

		ops.Call("POST", "/api/v1/admin/users/"+opsID+"/suspend", why).Refused(409, "OWN_ACCOUNT")
		if err := k.trail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var page rest.AuditData
		ops.With("X-Reason", "ticket 4711").Call("GET", "/api/v1/admin/audit?subject=user:"+string(boss), nil).Want(200).Data(&page)
		var told []string
		for _, r := range page.Rows {
			told = append(told, r.Action+" "+r.Reason)
			if r.Actor != opsID || r.Role != "ops" {
				t.Errorf("row %+v is not of %s", r, opsID)
			}
		}
		want := []string{"user_unsuspended paid", "user_suspended unpaid dues, ticket 4711", "user_suspended unpaid dues, ticket 4711"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		rows := written(t, k)
		if last := rows[len(rows)-1]; last.Action != auditlog.OpsRead || last.Reason != "ticket 4711" || last.Subject != "path:/api/v1/admin/audit" {
			t.Errorf("that the log was read is written as %+v", last)
		}
	})
}

// TestAdminReadsAndSessions: find, look at, and end sessions one by one or all.
func TestAdminReadsAndSessions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		boss, _ := people(t, p)
		ops, _ := k.logIn(t, ops1, "ops")
		ops = ops.With("X-Reason", "ticket 4711")
		transporter, id := k.logIn(t, t1, "transporter")
		if id != string(boss) {
			t.Fatalf("logged in as %s", id)
		}
		var found rest.AdminUsersData
		ops.Call("GET", "/api/v1/admin/users?phone="+t1, nil).Want(200).Data(&found)
		if len(found.Users) != 1 || found.Users[0].ID != boss || found.Users[0].KYCStatus != "NOT_STARTED" {
			t.Errorf("found %+v", found)
		}
		ops.Call("GET", "/api/v1/admin/users?role=driver", nil).Want(200).Data(&found)
		if len(found.Users) != 1 || found.Users[0].TransporterID != boss {
			t.Errorf("drivers %+v", found)
		}
		ops.Call("GET", "/api/v1/admin/users", nil).Refused(400, "VALIDATION_ERROR")

		var changed rest.AdminChanged
		kyc := "/api/v1/admin/transporters/" + id + "/kyc"
		for _, state := range fleet.KYCStates() {
			ops.Call("PUT", kyc, fmt.Sprintf(`{"status":%q,"reason":"papers seen"}`, state)).Want(200).Data(&changed)
			if changed.User.KYCStatus != string(state) {
				t.Errorf("KYC is %s, want %s", changed.User.KYCStatus, state)
			}
		}
		ops.Call("PUT", kyc, `{"status":"MAYBE","reason":"papers seen"}`).Refused(400, "VALIDATION_ERROR")

		var list rest.AdminSessionsData
		ops.Call("GET", "/api/v1/admin/users/"+id+"/sessions", nil).Want(200).Data(&list)
		if len(list.Sessions) != 1 || list.Sessions[0].RevokedAt != nil {
			t.Fatalf("sessions %+v", list)
		}
		ops.Call("DELETE", "/api/v1/admin/sessions/"+list.Sessions[0].ID, why).Want(200)
		transporter.Call("GET", "/api/v1/auth/me", nil).Refused(401, "UNAUTHORIZED")
		ops.Call("GET", "/api/v1/admin/users/"+id+"/sessions", nil).Want(200).Data(&list)
		if list.Sessions[0].RevokedAt == nil || list.Sessions[0].Why != "ended_by_ops" {
			t.Errorf("sessions %+v", list)
		}
		ops.Call("POST", "/api/v1/admin/users/"+id+"/logout-all", why).Want(200).Data(&changed)

		var first, second rest.AuditData
		ops.Call("GET", "/api/v1/admin/audit?action=kyc_set&limit=3", nil).Want(200).Data(&first)
		ops.Call("GET", "/api/v1/admin/audit?action=kyc_set&limit=3&cursor="+first.Cursor, nil).Want(200).Data(&second)
		if len(first.Rows) != 3 || !first.HasMore || len(second.Rows) != 2 || second.HasMore || second.Rows[0].Seq >= first.Rows[2].Seq {
			t.Errorf("pages %+v, %+v", first, second)
		}
		if got := string(first.Rows[0].Details); got != `{"from":"REJECTED","to":"EXPIRED"}` {
			t.Errorf("details %s", got)
		}
		// A search is written down with whom it was for, and not with his number.
		rows := written(t, k)
		if !slices.ContainsFunc(rows, func(r auditlog.Row) bool {
			return r.Action == auditlog.OpsRead && r.Subject == "path:/api/v1/admin/users" && r.PhoneHMAC == auditKeys.Phone("+91"+t1)
		}) {
			t.Error("the search is not in the log")
		}
	})
}

// TestAdminRefusals: nobody else, nothing without a reason, nothing that is not there, and nothing that
// cannot be written down.
func TestAdminRefusals(t *testing.T) {
	t.Parallel()
	p := devPair(t, (&clock{}).Now)
	shelf := &lameLog{Store: p.log}
	p.log = shelf
	k := start(t, p, options{})
	boss, _ := people(t, p)
	ops, _ := k.logIn(t, ops1, "ops")
	ops = ops.With("X-Reason", "ticket 4711")
	customer, _ := k.logIn(t, c1, "customer")
	calls := []struct{ method, path, body, missing string }{
		{"GET", "/users/%s", "", "USER_NOT_FOUND"},
		{"GET", "/users/%s/sessions", "", "USER_NOT_FOUND"},
		{"POST", "/users/%s/suspend", why, "USER_NOT_FOUND"},
		{"POST", "/users/%s/unsuspend", why, "USER_NOT_FOUND"},
		{"POST", "/users/%s/logout-all", why, "USER_NOT_FOUND"},
		{"PUT", "/transporters/%s/kyc", `{"status":"VERIFIED","reason":"papers"}`, "USER_NOT_FOUND"},
		{"DELETE", "/sessions/%s", why, "SESSION_NOT_FOUND"},
	}
	for _, c := range calls {
		at := func(id string) string { return "/api/v1/admin" + fmt.Sprintf(c.path, id) }
		customer.Call(c.method, at(string(boss)), c.body).Refused(403, "FORBIDDEN")
		k.Call(c.method, at(string(boss)), c.body).Refused(401, "UNAUTHORIZED")
		ops.Call(c.method, at("nobody"), c.body).Refused(404, c.missing)
		if c.method == "GET" {
			for _, reason := range []string{"", "no", " - ", strings.Repeat("x", 501)} {
				ops.With("X-Reason", reason).Call(c.method, at(string(boss)), nil).Refused(400, "REASON_REQUIRED")
			}
			continue
		}
		for _, reason := range []string{`{}`, `{"reason":"no"}`, `{"reason":"     "}`, `{"reason":"\u200b\u200b\u200b"}`} {
			ops.Call(c.method, at(string(boss)), reason).Refused(400, "VALIDATION_ERROR")
		}
	}
	before, err := p.users.User(t.Context(), boss)
	if err != nil {
		t.Fatal(err)
	}
	shelf.away = true
	for _, c := range calls[2:] {
		ops.Call(c.method, "/api/v1/admin"+fmt.Sprintf(c.path, boss), c.body).Refused(503, "SERVICE_UNAVAILABLE")
	}
	after, err := p.users.User(t.Context(), boss)
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("something was done without its row: %v\n%s", err, diff)
	}
}

// lameLog is a log that can be away.
type lameLog struct {
	auditlog.Store
	away bool
}

func (l *lameLog) Append(ctx context.Context, entries []auditlog.Entry) error {
	if l.away {
		return errors.New("away")
	}
	return l.Store.Append(ctx, entries)
}
