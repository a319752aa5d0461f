package outage

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// The keys before and after a rotation; those of environ are the ones before.
var (
	oldKeys = map[string]string{
		"JWT_SECRET": "kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi", "JWT_REFRESH_SECRET": "Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI",
		"OTP_PEPPER": strings.Repeat("b3V0YWdl", 6),
	}
	newKeys = map[string]string{
		"JWT_SECRET": "nEw3Hx8Lq1Vz6Rb0Tm5Ky9Pd4Ws7Gc2JfUaQ", "JWT_REFRESH_SECRET": "Qw9Er2Ty7Ui4Op1As6Df3Gh8Jk5Lz0XcVbN",
		"OTP_PEPPER": strings.Repeat("bmV3c2FsdA", 5),
	}
)

// signing gives the environment of a deploy: keys that sign, and others that are accepted too.
func signing(sign, accept map[string]string) []string {
	var environ []string
	for name, key := range sign {
		environ = append(environ, name+"="+key)
	}
	for name, key := range accept {
		environ = append(environ, name+"_PREVIOUS="+key)
	}
	return environ
}

// TestKeysRotateUnderALogin deploys as docs/rotation.md says, with the pepper of codes and both signing keys at
// once: whatever was sent, won or signed before a deploy is good after it, and side by side.
func TestKeysRotateUnderALogin(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p, inside, retries := w.phone("7050000001", "customer"), w.phone("7050001002", "customer"), w.phone("7050002003", "customer")
	both := w.phone("7050003004", "customer")

	before := w.serve(t)
	tokens := inside.login(t, before)
	first := w.serve(t, signing(oldKeys, newKeys)...) // deploy 1: the new keys are accepted
	code, another := p.code(t, first), retries.code(t, first)
	exit(t, before)

	second := w.serve(t, signing(newKeys, oldKeys)...) // deploy 2: the new keys sign; one task of deploy 1 still runs
	accepted(t, "a code from the deploy before", p.verify(t, second, code))
	late := both.code(t, second)
	young := tokensOf(t, both.verify(t, first, late)) // a code of the newer task at the older one
	accepted(t, "a refresh token of the older task", both.refresh(t, second, young.RefreshToken))
	one := tokensOf(t, retries.verify(t, first, another))
	same := tokensOf(t, retries.verify(t, second, another)) // the answer was lost, and the next task has another pepper
	if sid(t, one) != sid(t, same) || retries.sessions(t) != 1 {
		t.Error("a retry across the rotation opened another session")
	}
	stays := inside.socket(t, first, tokens.AccessToken)
	_ = closed(t, stays)
	child := refreshed(t, inside.refresh(t, second, tokens.RefreshToken))
	for name, s := range map[string]*servertest.Weelo{"older": first, "newer": second} {
		for age, access := range map[string]string{"old": tokens.AccessToken, "new": child.AccessToken} {
			me, err := inside.api(s).As(access).Do(t.Context(), http.MethodGet, "auth/me", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			accepted(t, "the "+age+" access token at the "+name+" task", me)
		}
	}
	alive(t, stays)
	anew := inside.socket(t, second, tokens.AccessToken)
	_ = closed(t, anew)
	alive(t, anew)
	accepted(t, "the child at the older task", inside.refresh(t, first, child.RefreshToken))
	exit(t, first)
	accepted(t, "the child at the newer task", inside.refresh(t, second, child.RefreshToken))

	third := w.serve(t, signing(newKeys, nil)...) // deploy 3: the old keys are forgotten
	accepted(t, "a child under the new key", inside.refresh(t, third, child.RefreshToken))
	refused(t, "a token under the old key", inside.refresh(t, third, tokens.RefreshToken), http.StatusUnauthorized)
}

// exit ends a server as a deploy does.
func exit(t testing.TB, s *servertest.Weelo) {
	t.Helper()
	if code := s.Stop(t, 60*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// refreshed reads the answer of a refresh.
func refreshed(t testing.TB, a client.Answer) client.Tokens {
	t.Helper()
	accepted(t, "refresh", a)
	return decode[client.Tokens](t, a.Data)
}

// sid is whose session an access token is of.
func sid(t testing.TB, tokens client.Tokens) string {
	t.Helper()
	parts := strings.Split(tokens.AccessToken, ".")
	if len(parts) != 3 {
		t.Fatalf("an access token of %d parts", len(parts))
	}
	id := decode[struct{ SID string }](t, unbase64(t, parts[1])).SID
	if id == "" {
		t.Fatal("an access token of no session")
	}
	return id
}

// TestAnOperatorIsTakenOffTheList deploys with a shorter OPS_PHONES: whoever is not on it any more has no session left,
// on any task, and the others keep theirs.
func TestAnOperatorIsTakenOffTheList(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	stays, goes := w.phone("7055000001", "ops"), w.phone("7055001002", "ops")
	before := w.serve(t, "OPS_PHONES="+stays.number+","+goes.number)
	kept, lost := stays.login(t, before), goes.login(t, before)
	end := closed(t, goes.socket(t, before, lost.AccessToken))
	after := w.serve(t, "OPS_PHONES="+stays.number)
	select {
	case code := <-end:
		if code != 4401 {
			t.Errorf("his socket is closed with %d, not 4401", code)
		}
	case <-time.After(30 * time.Second):
		t.Error("his socket at the task before stays open")
	}
	for name, s := range map[string]*servertest.Weelo{"before": before, "after": after} {
		for who, c := range map[*phone]struct {
			tokens client.Tokens
			status int
		}{&stays: {kept, http.StatusOK}, &goes: {lost, http.StatusUnauthorized}} {
			me, err := who.api(s).As(c.tokens.AccessToken).Do(t.Context(), http.MethodGet, "auth/me", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if a := who.refresh(t, s, c.tokens.RefreshToken); me.Status != c.status || a.Status != c.status {
				t.Errorf("%s at the task %s: who am I %d, refresh %d, want %d", who.number, name, me.Status, a.Status, c.status)
			}
		}
	}
	refused(t, "a code for him", goes.send(t, after), http.StatusBadRequest, "VALIDATION_ERROR")
}
