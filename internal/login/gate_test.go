package login_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/internal/otp"
	"weelo/internal/phone"
	"weelo/store/memory"
)

// yard is a gate with nothing but a counter behind it.
type yard struct {
	*login.Gate
	now      time.Time
	addr     string
	device   string
	fate     error // of what is behind the gate
	sent     int
	tried    int
	mu       sync.Mutex
	refusals map[string]int
	book     *book                // what is written down
	durable  map[string]time.Time // last login of a phone and a device
	asked    int
}

func (y *yard) KnowsDevice(_ context.Context, k otp.Key, device string, since time.Time) (bool, error) {
	y.asked++
	if device == "of nobody" {
		return false, errors.New("away")
	}
	last, ok := y.durable[k.Phone.E164()+device]
	return ok && !last.Before(since), nil
}

func (y *yard) LimitRefused(name string) { y.mu.Lock(); y.refusals[name]++; y.mu.Unlock() }

type behind struct{ *yard }

func (b behind) SendCode(context.Context, *login.SendCode) (*login.CodeSent, error) {
	b.sent++
	return &login.CodeSent{}, b.fate
}

func (b behind) SubmitCode(context.Context, *login.SubmitCode) (*login.LoggedIn, error) {
	b.tried++
	return &login.LoggedIn{}, b.fate
}

// down is a store that does not answer.
type down struct{ limit.Limiter }

func (down) Take(context.Context, limit.Limit, string) (time.Duration, error) {
	return 0, errors.New("away")
}

func open(change func(*limit.Login)) *yard {
	y := &yard{book: &book{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), addr: "203.0.113.7", refusals: map[string]int{}}
	rates := memory.NewRates(func() time.Time { return y.now })
	table := limit.DefaultLogin()
	if change != nil {
		change(&table)
	}
	y.Gate = login.NewGate(behind{y}, login.GateConfig{
		Limiter: rates, Tallies: rates, Limits: table, Devices: y, Now: func() time.Time { return y.now },
		Observer: y, Audit: y.book, Log: slog.New(slog.DiscardHandler),
		Origin: func(context.Context) (netip.Addr, string) { return netip.MustParseAddr(y.addr), y.device },
	})
	return y
}

func number(i int) otp.Key {
	return otp.Key{Flow: otp.Own, Role: fleet.Customer, Phone: phone.Number(fmt.Sprintf("+919%05d%04d", i, i))}
}

func (y *yard) send(t *testing.T, k otp.Key) error {
	t.Helper()
	_, err := y.SendCode(t.Context(), &login.SendCode{Key: k})
	return err
}

func (y *yard) try(t *testing.T, k otp.Key) error {
	t.Helper()
	_, err := y.SubmitCode(t.Context(), &login.SubmitCode{Key: k})
	return err
}

func refusedBy(t *testing.T, y *yard, err error, reason, name string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Reason != reason || f.RetryAfter <= 0 || y.refusals[name] == 0 {
		t.Fatalf("got %v (%v), want %s by %s", err, y.refusals, reason, name)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Behind one address live thousands: the soft limit stops new devices, and lets those pass that have
// logged in.
func TestASoftLimitStopsUnknownDevicesOnly(t *testing.T) {
	t.Parallel()
	y := open(nil)
	y.device = "mine"
	must(t, y.try(t, number(0)))
	y.device = ""
	for i := range 10 {
		must(t, y.send(t, number(i)))
	}
	refusedBy(t, y, y.send(t, number(10)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address")
	y.device = "stranger"
	refusedBy(t, y, y.send(t, number(10)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address")
	if y.sent != 10 {
		t.Fatalf("%d requests reached what is behind", y.sent)
	}
	y.device = "mine"
	must(t, y.send(t, number(0)))
	y.now = y.now.Add(29 * 24 * time.Hour)
	must(t, y.try(t, number(0))) // a device is known for 30 days from its last login
	y.now = y.now.Add(29 * 24 * time.Hour)
	for i := range 10 {
		y.device = ""
		must(t, y.send(t, number(40+i)))
	}
	y.device = "mine"
	must(t, y.send(t, number(0)))
	y.now = y.now.Add(24 * time.Hour)
	for i := range 10 {
		y.device = ""
		must(t, y.send(t, number(20+i)))
	}
	y.device = "mine"
	refusedBy(t, y, y.send(t, number(0)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address")
}

// When the store of limits was flushed, the durable one still knows who has logged in where: he is not refused.
// It is asked for refusals only, by no flood, and a device that it does not know either stays unknown.
func TestADeviceIsRememberedAfterAFlush(t *testing.T) {
	t.Parallel()
	y := open(nil)
	for i := range 10 {
		must(t, y.send(t, number(i)))
	}
	y.durable = map[string]time.Time{
		number(0).Phone.E164() + "mine":  y.now.Add(-30 * 24 * time.Hour),
		number(1).Phone.E164() + "older": y.now.Add(-30*24*time.Hour - 1),
	}
	y.device = "mine"
	refusedBy(t, y, y.send(t, number(1)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address") // another's phone
	must(t, y.send(t, number(0)))
	asked := y.asked
	must(t, y.send(t, number(0))) // kept for an hour
	if y.asked != asked {
		t.Error("what was remembered is asked again")
	}
	for _, device := range []string{"older", "stranger", "of nobody"} {
		y.device = device
		refusedBy(t, y, y.send(t, number(1)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address")
	}
	y.asked = 0
	for i := range 300 {
		y.device = fmt.Sprint("flood ", i)
		_ = y.send(t, number(2))
	}
	if y.asked == 0 || y.asked > 100 {
		t.Errorf("a flood of 300 refusals asked the durable store %d times", y.asked)
	}
}

// An IPv6 client owns its /64; the /48 around it has ten times as much.
func TestNetworksOfIPv6(t *testing.T) {
	t.Parallel()
	y := open(nil)
	sent := 0
	for net := range 12 {
		for host := range 10 {
			y.addr = fmt.Sprintf("2001:db8:7:%x::%x", net, host+1)
			if y.send(t, number(sent)) == nil {
				sent++
			}
		}
		y.addr = fmt.Sprintf("2001:db8:7:%x::ffff", net)
		if y.send(t, number(500+net)) == nil {
			t.Fatal("the eleventh of a /64 passes")
		}
		y.now = y.now.Add(time.Second) // the global limit is not what is tested
	}
	if sent < 100 || sent > 102 || y.refusals["login-address-48"] == 0 {
		t.Errorf("%d of a /48 pass, %v", sent, y.refusals)
	}
}

// Codes count for a device, and distinct phones: what sent nothing does not.
func TestDevices(t *testing.T) {
	t.Parallel()
	y := open(nil)
	y.device = "d"
	y.fate = login.ErrNoDriver
	for i := range 8 {
		if err := y.send(t, number(i)); !errors.Is(err, login.ErrNoDriver) {
			t.Fatal(err)
		}
	}
	y.fate = nil
	y.addr = "203.0.113.8"
	for i := range 3 {
		must(t, y.send(t, number(i)))
	}
	refusedBy(t, y, y.send(t, number(3)), "AUTH_RATE_LIMIT_EXCEEDED", "login-device-phones")
	must(t, y.send(t, number(0)))
	must(t, y.send(t, number(1)))
	refusedBy(t, y, y.send(t, number(2)), "AUTH_RATE_LIMIT_EXCEEDED", "login-device")
}

// A block of numbers whose codes nobody uses is shut for an hour; one whose codes are used is not.
func TestUnusedPrefixesAreShut(t *testing.T) {
	t.Parallel()
	for used, want := range map[bool]string{false: "login-prefix-unused", true: ""} {
		y := open(nil)
		neighbour := func(i int) otp.Key {
			return otp.Key{Flow: otp.Own, Role: fleet.Customer, Phone: phone.Number(fmt.Sprintf("+91987654%04d", i))}
		}
		for i := range 20 {
			y.addr = fmt.Sprintf("203.0.113.%d", i)
			must(t, y.send(t, neighbour(i)))
			if used && i%4 == 0 {
				must(t, y.try(t, neighbour(i)))
			}
		}
		y.addr = "203.0.113.99"
		err := y.send(t, neighbour(21))
		if want == "" {
			must(t, err)
			continue
		}
		refusedBy(t, y, err, "AUTH_RATE_LIMIT_EXCEEDED", want)
		must(t, y.send(t, number(5))) // another prefix
		y.now = y.now.Add(time.Hour)
		must(t, y.send(t, neighbour(22)))
	}
}

// One who is refused again and again, here by the cool-down of his phone, takes no codes from all others.
func TestRefusedCodesAreNobodysElse(t *testing.T) {
	t.Parallel()
	y := open(nil)
	y.device = "mine"
	must(t, y.try(t, number(0)))
	global := limit.DefaultLogin().Global
	y.fate = login.ErrCooldown
	for range 4 * global.Burst {
		if err := y.send(t, number(0)); err == nil {
			t.Fatal("sent")
		}
	}
	if y.sent != 4*global.Burst || y.refusals["login-global"] != 0 {
		t.Fatalf("%d of his requests were looked at, %v", y.sent, y.refusals)
	}
	y.device, y.fate = "", nil
	for i := range global.Burst { // and codes that are sent are counted
		y.addr = fmt.Sprintf("203.0.%d.%d", i/200, i%200)
		must(t, y.send(t, number(i)))
	}
	y.addr = "203.0.114.1"
	refusedBy(t, y, y.send(t, number(global.Burst)), "AUTH_RATE_LIMIT_EXCEEDED", "login-global")
}

// The day's messages: an alarm at four fifths, at the end only known devices; what was not sent is not paid.
func TestTheBudget(t *testing.T) {
	t.Parallel()
	y := open(func(l *limit.Login) { l.SMS = 10 })
	y.device = "mine"
	must(t, y.try(t, number(0)))
	y.device = ""
	y.fate = login.ErrNotSent
	for i := range 5 {
		y.addr = fmt.Sprintf("203.0.112.%d", i)
		_ = y.send(t, number(i))
	}
	y.fate = nil
	for i := range 10 {
		y.addr = fmt.Sprintf("203.0.113.%d", i)
		must(t, y.send(t, number(i)))
	}
	y.addr = "203.0.113.50"
	refusedBy(t, y, y.send(t, number(11)), "AUTH_RATE_LIMIT_EXCEEDED", "sms-budget")
	if y.refusals["sms-budget-alarm"] != 1 {
		t.Errorf("%v", y.refusals)
	}
	y.device = "mine"
	must(t, y.send(t, number(0)))
	y.device, y.now = "", y.now.Add(24*time.Hour)
	must(t, y.send(t, number(12)))
}

// Failed tries count for the address; right ones do not.
func TestFailedTries(t *testing.T) {
	t.Parallel()
	y := open(nil)
	for range 50 {
		must(t, y.try(t, number(1)))
	}
	y.fate = fault.New(fault.FailedPrecondition, "INVALID_OTP", "no")
	for range 30 {
		if err := y.try(t, number(1)); !errors.Is(err, y.fate) {
			t.Fatal(err)
		}
	}
	tried := y.tried
	refusedBy(t, y, y.try(t, number(2)), "TOO_MANY_ATTEMPTS", "login-fails-address")
	if y.tried != tried {
		t.Error("a refused try was made")
	}
}

// Too many failures everywhere raise the posture: the soft limits are halved for an hour.
func TestPosture(t *testing.T) {
	t.Parallel()
	y := open(nil)
	y.fate = fault.New(fault.FailedPrecondition, "INVALID_OTP", "no")
	for i := range 301 {
		y.addr = fmt.Sprintf("203.0.%d.%d", i/200, i%200)
		_ = y.try(t, number(i))
	}
	if y.refusals["posture-raised"] != 1 {
		t.Fatalf("%v", y.refusals)
	}
	y.fate, y.addr = nil, "198.51.100.1"
	for i := range 5 {
		must(t, y.send(t, number(i)))
	}
	refusedBy(t, y, y.send(t, number(5)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address")
}

// A limit that cannot be counted refuses.
func TestTheGateFailsClosed(t *testing.T) {
	t.Parallel()
	y := open(nil)
	rates := memory.NewRates(time.Now)
	g := login.NewGate(behind{y}, login.GateConfig{
		Limiter: down{rates}, Tallies: rates, Limits: limit.DefaultLogin(), Log: slog.New(slog.DiscardHandler),
		Origin: func(context.Context) (netip.Addr, string) { return netip.MustParseAddr("203.0.113.7"), "" },
	})
	_, err := g.SendCode(t.Context(), &login.SendCode{Key: number(1)})
	_, err2 := g.SubmitCode(t.Context(), &login.SubmitCode{Key: number(1)})
	for _, err := range []error{err, err2} {
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Unavailable || f.RetryAfter != 5*time.Second || y.sent+y.tried != 0 {
			t.Errorf("%v", err)
		}
	}
}
