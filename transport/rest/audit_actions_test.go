package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
)

// TestReuseOfATokenIsWrittenDown: whose session it was, once, from where, and no token.
func TestReuseOfATokenIsWrittenDown(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		in := k.login(t, k.Client, c1, "customer")
		var child, grandchild struct{ RefreshToken string }
		k.refresh(in.Tokens.RefreshToken).Want(200).Data(&child)
		k.refresh(child.RefreshToken).Want(200).Data(&grandchild)
		for range 2 { // the second is of a session that is over
			k.refresh(in.Tokens.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
		}
		rows := written(t, k)
		want := []string{"code_sent", "login customer", "refresh_reuse  refresh_reuse"}
		if diff := cmp.Diff(want, lines(rows)); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
		if r, opened := rows[2], rows[1]; r.Action != auditlog.RefreshReuse || r.Actor != auditlog.System || r.Subject != opened.Subject || !strings.Contains(r.Details, in.User.ID) {
			t.Errorf("it is written as %+v", r)
		}
		all := fmt.Sprintf("%+v", rows)
		for _, secret := range []string{in.Tokens.RefreshToken, child.RefreshToken, grandchild.RefreshToken, c1} {
			if strings.Contains(all, secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
}

// TestSessionsThatOperatorsEndAreWrittenDown: who ended which, and why.
func TestSessionsThatOperatorsEndAreWrittenDown(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		ops, opsID := k.logIn(t, ops1, "ops")
		in := k.login(t, k.Client, c1, "customer")
		rows := written(t, k)
		before, session := len(rows), strings.TrimPrefix(rows[len(rows)-1].Subject, "session:")
		ops.Call("DELETE", "/api/v1/admin/sessions/"+session, `{"reason":"lost phone, ticket 4711"}`).Want(200)
		written(t, k) // what operators do is written at once, and what follows from it in its turn
		ops.Call("POST", "/api/v1/admin/users/"+in.User.ID+"/logout-all", `{"reason":"asked for it"}`).Want(200)
		var told []string
		for _, r := range written(t, k)[before:] {
			told = append(told, strings.Join([]string{r.Actor, r.Role, r.Action, r.Subject, r.Reason}, " "))
		}
		want := []string{
			opsID + " ops session_ended session:" + session + " lost phone, ticket 4711",
			"system  session_revoked session:" + session + " ended_by_ops",
			opsID + " ops sessions_ended user:" + in.User.ID + " asked for it",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}
