package security

import (
	"encoding/json"
	"testing"
	"time"
)

// TestOperators: what they do reaches whom it is about, and is written down.
func TestOperators(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"ASuspensionEndsEverything", aSuspensionEndsEverything}}, "LOGIN_TIME_SCALE=10")
}

// coolDown is that of codes at this scale.
const coolDown = 30 * time.Second / 10

// auditRow is what these tests read of the audit log.
type auditRow struct {
	Action, Actor, Role, Subject, Reason string
}

// audit is the log, the newest first, as an operator reads it.
func (c *caller) audit(query string) (rows []auditRow) {
	c.t.Helper()
	var page struct{ Rows []auditRow }
	if err := json.Unmarshal(c.get("admin/audit?limit=500"+query, "X-Reason", "the checks").ok().content.Data, &page); err != nil {
		c.t.Fatal(err)
	}
	return page.Rows
}

// aSuspensionEndsEverything: a live socket within 2 s, the session and the way back in; all of it until it
// is taken back, and all of it in the audit log with its reason.
func aSuspensionEndsEverything(t *testing.T, h *house) {
	ops, who := h.login(t, h.opsUser, "ops"), h.customer(t)
	map1, s := ops.connect(), who.connect()
	map1.send(object{"t": "watch", "id": "w1", "all": true})
	map1.alive()
	s.alive()
	user := "admin/users/" + who.id
	ops.post(user+"/suspend", object{"reason": "unpaid dues, ticket 4711"}).ok()
	s.closed(4401, 2*time.Second)
	who.renew(who.refresh).refused(401, "INVALID_REFRESH_TOKEN")
	who.me().refused(401)
	pass(t, coolDown)
	who.post("auth/send-otp", asking(who.phone, "customer")).ok() // which tells nobody who is suspended
	who.post("auth/verify-otp", submitting(who.phone, "customer", h.sms.next(t, who.phone).Code)).refused(403, "ACCOUNT_SUSPENDED")
	ops.post(user+"/unsuspend", object{"reason": "has paid"}).ok()
	pass(t, coolDown)
	back := who.login(who.phone, "customer")
	if back.id != who.id {
		t.Errorf("he comes back as %s, and was %s", back.id, who.id)
	}
	back.me().ok()
	back.connect().alive()
	back.renew(back.refresh).ok()
	who.renew(who.refresh).refused(401) // the old session stays over

	eventually(t, 10*time.Second, "everything is in the audit log", func() bool {
		left := map[auditRow]bool{
			{"user_suspended", ops.id, "ops", "user:" + who.id, "unpaid dues, ticket 4711"}: true,
			{"user_unsuspended", ops.id, "ops", "user:" + who.id, "has paid"}:               true,
			{"login_refused", "", "", "", "ACCOUNT_SUSPENDED"}:                              true,
			{"ops_watch", ops.id, "ops", "all", ""}:                                         true,
		}
		revoked := false
		for _, r := range ops.audit("") {
			delete(left, r)
			revoked = revoked || r.Action == "session_revoked" && r.Reason == "suspended"
		}
		return len(left) == 0 && revoked
	})
}
