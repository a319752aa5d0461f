package rest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/push"
	"weelo/internal/token"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// phoneList remembers what was registered.
type phoneList struct {
	registered   []push.Phone
	unregistered []string
	err          error
}

func (l *phoneList) Register(_ context.Context, p push.Phone) error {
	if l.err == nil {
		l.registered = append(l.registered, p)
	}
	return l.err
}

func (l *phoneList) Unregister(_ context.Context, user fleet.UserID, token string) error {
	l.unregistered = append(l.unregistered, string(user)+" "+token)
	return l.err
}

// TestPushTokens: a phone is registered for its caller and session, and for nobody else.
func TestPushTokens(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	mint := testMint(t)
	access, _, err := mint.Access(token.Identity{UserID: "u1", Role: fleet.Transporter, SessionID: "s1"}, now, strings.NewReader(strings.Repeat("r", 64)))
	if err != nil {
		t.Fatal(err)
	}
	phones := &phoneList{}
	a := rest.New(rest.Config{Version: "test", Tokens: mint, Revoked: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	rest.RegisterNotifications(a, phones)
	c := resttest.New(t, a)
	const register, unregister = "/api/v1/notifications/register-token", "/api/v1/notifications/unregister-token"

	type body = map[string]any
	var got struct{ Message, UserID, Role string }
	c.As(access).Call("POST", register, body{"token": "0123456789", "deviceType": "android", "deviceId": "pixel 7"}).Want(200).Data(&got)
	if got.UserID != "u1" || got.Role != "transporter" || got.Message == "" {
		t.Errorf("%+v", got)
	}
	c.As(access).Call("POST", register, body{"token": strings.Repeat("x", 1024)}).Want(200)
	c.As(access).Call("DELETE", unregister, body{"token": "0123456789"}).Want(200)
	for _, bad := range []body{{}, {"token": "short"}, {"token": strings.Repeat("x", 1025)}, {"token": 7}} {
		c.As(access).Call("POST", register, bad).Refused(400, "VALIDATION_ERROR")
	}
	c.Call("POST", register, body{"token": "0123456789"}).Refused(401, "UNAUTHORIZED")
	c.Call("DELETE", unregister, body{"token": "0123456789"}).Refused(401, "UNAUTHORIZED")
	want := []push.Phone{
		{Token: "0123456789", User: "u1", Session: "s1", Device: "pixel 7", At: now},
		{Token: strings.Repeat("x", 1024), User: "u1", Session: "s1", At: now},
	}
	if diff := cmp.Diff(want, phones.registered); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"u1 0123456789"}, phones.unregistered); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	phones.err = errors.New("the database is away")
	c.As(access).Call("POST", register, body{"token": "0123456789"}).Refused(503, "SERVICE_UNAVAILABLE")
	c.As(access).Call("DELETE", unregister, body{"token": "0123456789"}).Refused(503, "SERVICE_UNAVAILABLE")
}
