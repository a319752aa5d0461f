package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/push"
	"weelo/internal/session"
)

// PhoneStores are what the suite of push.Phones works on, one database.
type PhoneStores struct {
	Phones   push.Phones
	Sessions session.Store
	Users    session.Users
}

// logIn enrols a transporter and opens a session of a day.
func (s PhoneStores) logIn(t *testing.T, n int) (fleet.UserID, string) {
	t.Helper()
	u := person(n, fleet.Transporter)
	_, _, err := s.Users.Enrol(t.Context(), u)
	must(t, err)
	sid := fmt.Sprintf("session-%d", n)
	_, err = s.Sessions.Open(t.Context(), session.Family{
		ID: sid, User: u.ID, Role: u.Role, CreatedAt: noon, UsedAt: noon, EndsAt: noon.Add(24 * time.Hour),
	})
	must(t, err)
	return u.ID, sid
}

func (s PhoneStores) register(t *testing.T, token string, user fleet.UserID, sid string, at time.Time) {
	t.Helper()
	must(t, s.Phones.Register(t.Context(), push.Phone{Token: token, User: user, Session: sid, Device: "pixel", At: at}))
}

func (s PhoneStores) tokens(t *testing.T, user fleet.UserID, at time.Time, want ...string) {
	t.Helper()
	got, err := s.Phones.Tokens(t.Context(), user, at)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("phones of %s: %v, want %v", user, got, want)
	}
}

// Phones is the conformance suite of push.Phones. open gives empty stores.
func Phones(t *testing.T, open func(t *testing.T) PhoneStores) {
	t.Helper()

	t.Run("the newest come first, a repeated token is the newest, ten are kept", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		user, sid := s.logIn(t, 1)
		for i := range 12 {
			s.register(t, fmt.Sprintf("token-%02d", i), user, sid, noon.Add(time.Duration(i)*time.Second))
		}
		s.register(t, "token-05", user, sid, noon.Add(time.Minute))
		got, err := s.Phones.Tokens(t.Context(), user, noon)
		must(t, err)
		want := []string{"token-05", "token-11", "token-10", "token-09", "token-08", "token-07", "token-06", "token-04", "token-03", "token-02"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("a token belongs to who registered it last", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first, sid1 := s.logIn(t, 1)
		second, sid2 := s.logIn(t, 2)
		s.register(t, "shared", first, sid1, noon)
		s.register(t, "shared", second, sid2, noon.Add(time.Second))
		s.tokens(t, first, noon)
		s.tokens(t, second, noon, "shared")
		must(t, s.Phones.Unregister(t.Context(), first, "shared")) // it is not his any more
		s.tokens(t, second, noon, "shared")
		must(t, s.Phones.Unregister(t.Context(), second, "shared"))
		must(t, s.Phones.Unregister(t.Context(), second, "shared"))
		s.tokens(t, second, noon)
	})

	t.Run("a session that is not there registers nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		user, _ := s.logIn(t, 1)
		if err := s.Phones.Register(t.Context(), push.Phone{Token: "x", User: user, Session: "nobody's", At: noon}); err == nil {
			t.Error("registered")
		}
		s.tokens(t, user, noon)
	})

	t.Run("with its session a token is worth nothing, and is swept", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		user, sid := s.logIn(t, 1)
		other, sid2 := s.logIn(t, 2)
		s.register(t, "a", user, sid, noon)
		s.register(t, "b", other, sid2, noon)
		_, err := s.Sessions.Revoke(t.Context(), sid, session.Logout, noon)
		must(t, err)
		s.tokens(t, user, noon)
		s.tokens(t, other, noon, "b")
		s.tokens(t, other, noon.Add(25*time.Hour)) // it has run out
		for _, want := range []int{1, 0} {
			if n, err := s.Phones.Sweep(t.Context(), noon, 10); err != nil || n != want {
				t.Errorf("swept %d, %v; want %d", n, err, want)
			}
		}
		s.tokens(t, other, noon, "b")
		if n, err := s.Phones.Sweep(t.Context(), noon.Add(25*time.Hour), 10); err != nil || n != 1 {
			t.Errorf("after its end swept %d, %v", n, err)
		}
	})

	t.Run("who is forgotten is gone, unless he came back meanwhile", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		user, sid := s.logIn(t, 1)
		s.register(t, "a", user, sid, noon)
		s.register(t, "b", user, sid, noon.Add(time.Minute))
		for _, token := range []string{"a", "b", "unknown"} {
			must(t, s.Phones.Forget(t.Context(), token, noon.Add(time.Second)))
		}
		s.tokens(t, user, noon, "b")
	})
}
