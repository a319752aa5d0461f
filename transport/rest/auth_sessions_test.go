package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/session"
	"weelo/internal/token"
)

// P18: the parent stays good until its child was presented, and presented after that kills the family.
func TestRefreshRotation(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		in := k.login(t, k.Client, c1, "customer")
		var child, again, grandchild struct {
			AccessToken, RefreshToken string
			ExpiresIn                 int
		}
		k.refresh(in.Tokens.RefreshToken).Want(200).Data(&child)
		for range 10 { // as the existing apps do
			k.refresh(in.Tokens.RefreshToken).Want(200).Data(&again)
			if again.RefreshToken != child.RefreshToken {
				t.Fatal("a parent yields two children")
			}
		}
		if child.RefreshToken == in.Tokens.RefreshToken || child.ExpiresIn != 3600 {
			t.Fatalf("%+v", child)
		}
		k.me(again.AccessToken).Want(200)
		k.refresh(child.RefreshToken).Want(200).Data(&grandchild)
		k.refresh(in.Tokens.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
		for _, dead := range []string{in.Tokens.RefreshToken, child.RefreshToken, grandchild.RefreshToken} {
			k.refresh(dead).Refused(401, "INVALID_REFRESH_TOKEN")
		}
		for _, dead := range []string{in.Tokens.AccessToken, grandchild.AccessToken} {
			k.me(dead).Refused(401, "UNAUTHORIZED")
		}
		id, err := k.mint.Verify(grandchild.AccessToken, time.Now())
		if err != nil || !slices.Contains(k.closed(), id.SessionID) {
			t.Errorf("its sockets were not closed: %v, %v", k.closed(), err)
		}
	})
}

// P19: many refreshes at once, on two tasks, are one step with one child.
func TestParallelRefreshes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		sms := &sink{}
		tasks := []task{start(t, p, options{sms: sms}), start(t, p, options{sms: sms})}
		in := tasks[0].login(t, tasks[0].Client, c1, "customer")
		var wg sync.WaitGroup
		var mu sync.Mutex
		children := map[string]int{}
		for i := range 50 {
			wg.Go(func() {
				var got struct{ RefreshToken string }
				a := tasks[i%2].refresh(in.Tokens.RefreshToken)
				if a.Status == 200 {
					a.Data(&got)
				}
				mu.Lock()
				defer mu.Unlock()
				children[strconv.Itoa(a.Status)+got.RefreshToken]++
			})
		}
		wg.Wait()
		if len(children) != 1 {
			t.Fatalf("%d different answers", len(children))
		}
		id, err := tasks[0].mint.Verify(in.Tokens.AccessToken, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		f, err := p.sessions.Family(t.Context(), id.SessionID)
		if err != nil || f.Presented != 1 {
			t.Errorf("presented %d, %v", f.Presented, err)
		}
	})
}

// A token that we did not sign, or that is over, must not be able to end anybody's session.
func TestForgedTokensRevokeNothing(t *testing.T) {
	t.Parallel()
	k := start(t, devPair(t, time.Now), options{})
	in := k.login(t, k.Client, c1, "customer")
	genuine := in.Tokens.RefreshToken
	forger, err := token.New(token.Config{
		Access:  []token.Key{token.KeyOf([]byte("another-access-secret-0123456789abcdef"))},
		Refresh: []token.Key{{ID: testRefreshKid(t, genuine), Secret: []byte("another-refresh-secret-0123456789abcde")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := k.mint.VerifyRefresh(genuine, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := forger.Refresh(claim)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{forged, genuine + "x", in.Tokens.AccessToken, "x", strings.Repeat(".", 2000)} {
		k.refresh(bad).Refused(401, "INVALID_REFRESH_TOKEN")
		k.As(bad).Call(http.MethodGet, api+"/auth/me", nil).Want(map[bool]int{true: 200, false: 401}[bad == in.Tokens.AccessToken])
	}
	k.refresh(genuine).Want(200)
	k.me(genuine).Refused(401, "UNAUTHORIZED")
}

// testRefreshKid reads the kid out of a token, as anybody can.
func testRefreshKid(t *testing.T, s string) string {
	t.Helper()
	head, _, _ := strings.Cut(s, ".")
	var h struct{ Kid string }
	raw, err := decodeSegment(head)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}

// P20, P21: logout ends this session on every task; logout-all ends every one of the user's.
func TestLogout(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		sms := &sink{}
		here, there := start(t, p, options{sms: sms, policy: noCooldown()}), start(t, p, options{sms: sms, policy: noCooldown()})
		one := here.login(t, here.With("X-Device-Id", "one"), c1, "customer")
		two := there.login(t, there.With("X-Device-Id", "two"), c1, "customer")
		if two.User.ID != one.User.ID || two.IsNewUser {
			t.Fatalf("two users for one phone: %+v %+v", one.User, two.User)
		}
		there.me(one.Tokens.AccessToken).Want(200)
		here.As(one.Tokens.AccessToken).Call(http.MethodPost, api+"/auth/logout", nil).Want(200)
		here.refresh(one.Tokens.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
		here.me(one.Tokens.AccessToken).Refused(401, "UNAUTHORIZED")
		eventually(t, "the other task refuses the access token and closes the socket", func() bool {
			return there.me(one.Tokens.AccessToken).Status == 401 && len(there.closed()) == 1
		})
		here.me(two.Tokens.AccessToken).Want(200)

		three := here.login(t, here.With("X-Device-Id", "three"), c1, "customer")
		here.As(three.Tokens.AccessToken).Call(http.MethodPost, api+"/auth/logout-all", nil).Want(200)
		for _, in := range []loggedIn{two, three} {
			here.me(in.Tokens.AccessToken).Refused(401, "UNAUTHORIZED")
			there.refresh(in.Tokens.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
		}
		eventually(t, "the other task closes all three sockets", func() bool { return len(there.closed()) == 3 })
		// A task that starts later knows as well.
		late := start(t, p, options{sms: sms})
		late.me(two.Tokens.AccessToken).Refused(401, "UNAUTHORIZED")
	})
}

func noCooldown() otp.Policy {
	p := otp.DefaultPolicy()
	p.Cooldown = time.Millisecond
	return p
}

// eventually waits for a condition that another task brings about; revocations take a second.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// D10: a driver's session is bound to his membership, and dies with it or with the transporter's account.
func TestDriverSessionsAreBoundToTheFleet(t *testing.T) {
	t.Parallel()
	p := devPair(t, time.Now)
	_, driver := people(t, p)
	users := &changing{Users: p.users}
	p.users = users
	k := start(t, p, options{policy: noCooldown()})
	enter := func() driverIn {
		k.driverSend(k.Client, d1).Want(200)
		var in driverIn
		k.driverVerify(k.Client, d1, k.lastCode(t)).Want(200).Data(&in)
		return in
	}
	in := enter()
	k.refresh(in.RefreshToken).Want(200)

	// Between the code and its use the driver leaves.
	k.driverSend(k.Client, d1).Want(200)
	users.change(func(u *fleet.User) {
		if u.ID == driver {
			u.MembershipVersion = 2
		}
	})
	k.driverVerify(k.Client, d1, k.lastCode(t)).Refused(400, "OTP_NOT_FOUND")
	k.refresh(in.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
	k.me(in.AccessToken).Refused(401, "UNAUTHORIZED")

	in = enter()
	users.change(func(u *fleet.User) {
		if u.Role == fleet.Transporter {
			u.Suspended = true
		} else {
			u.MembershipVersion = 2
		}
	})
	k.refresh(in.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
	k.driverSend(k.Client, d1).Refused(404, "TRANSPORTER_NOT_FOUND")
	users.change(func(u *fleet.User) { u.TransporterID = "" })
	k.driverSend(k.Client, d1).Refused(400, "NO_TRANSPORTER")
	users.change(func(u *fleet.User) { u.Suspended = true })
	k.send(k.Client, c1, "customer").Want(200)
	k.verify(k.Client, c1, "customer", k.lastCode(t)).Refused(403, "ACCOUNT_SUSPENDED")
}

// changing shows users as others have changed them meanwhile.
type changing struct {
	session.Users
	mu sync.Mutex
	f  func(*fleet.User)
}

func (c *changing) change(f func(*fleet.User)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.f = f
}

func (c *changing) seen(u fleet.User, err error) (fleet.User, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.f != nil && err == nil {
		c.f(&u)
	}
	return u, err
}

func (c *changing) User(ctx context.Context, id fleet.UserID) (fleet.User, error) {
	return c.seen(c.Users.User(ctx, id))
}

func (c *changing) ByPhone(ctx context.Context, number string, role fleet.Role) (fleet.User, error) {
	return c.seen(c.Users.ByPhone(ctx, number, role))
}

func (c *changing) Enrol(ctx context.Context, u fleet.User) (fleet.User, bool, error) {
	stored, isNew, err := c.Users.Enrol(ctx, u)
	stored, err = c.seen(stored, err)
	return stored, isNew, err
}

// Socket tickets are good once, for half a minute, and for nothing else.
func TestTickets(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		in := k.login(t, k.Client, c1, "customer")
		k.Call(http.MethodPost, api+"/ws-tickets", nil).Refused(401, "UNAUTHORIZED")
		var got struct {
			Ticket    string
			ExpiresIn int
		}
		k.As(in.Tokens.AccessToken).With("X-Device-Id", "browser").Call(http.MethodPost, api+"/ws-tickets", nil).Want(200).Data(&got)
		if got.ExpiresIn != 30 {
			t.Errorf("expires in %d", got.ExpiresIn)
		}
		k.As(got.Ticket).Call(http.MethodGet, api+"/auth/me", nil).Refused(401, "UNAUTHORIZED")
		id, err := k.ticket.Redeem(t.Context(), got.Ticket, time.Now())
		if err != nil || string(id.UserID) != in.User.ID || id.Role != fleet.Customer || id.Device != "browser" {
			t.Errorf("%+v, %v", id, err)
		}
		for _, bad := range []string{got.Ticket, "", strings.Repeat("0", 32), in.Tokens.AccessToken} {
			if _, err := k.ticket.Redeem(t.Context(), bad, time.Now()); !errors.Is(err, token.ErrUnauthenticated) {
				t.Errorf("redeemed %q: %v", bad, err)
			}
		}
	})
}
