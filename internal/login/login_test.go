package login_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/session"
	"weelo/internal/token"
	"weelo/store/memory"
)

var own = otp.Key{Flow: otp.Own, Role: fleet.Customer, Phone: "+919876543210"}

// world is everything around a desk, healthy unless told otherwise.
type world struct {
	now      time.Time
	codes    []string
	fate     notify.Class
	why      error // of a fate that is not accepted; nil: some other
	late     func(notify.Class, error)
	trail    login.Trail
	openErr  error
	opened   []string
	enrolErr error
	fails    int
	noFails  error // why no try can be counted durably
	log      bytes.Buffer
	counted  []string
}

func (w *world) Now() time.Time { return w.now }

func (w *world) Send(_ context.Context, s notify.SMS, late func(notify.Class, error)) (notify.Class, error) {
	w.codes, w.late = append(w.codes, s.Code), late
	if w.why != nil {
		return w.fate, w.why
	}
	if w.fate == notify.Refused {
		return w.fate, errors.New("no credit")
	}
	return w.fate, nil
}

func (w *world) Open(_ context.Context, sid string, u fleet.User, device string, _ time.Time) (session.Pair, error) {
	if w.openErr != nil {
		return session.Pair{}, w.openErr
	}
	w.opened = append(w.opened, sid)
	return session.Pair{Refresh: "of " + sid, Identity: token.Identity{UserID: u.ID, Device: device}}, nil
}

func (w *world) Count(flow, event, reason string) {
	w.counted = append(w.counted, strings.TrimSuffix(flow+" "+event+" "+reason, " "))
}

func (w *world) User(context.Context, fleet.UserID) (fleet.User, error) {
	return fleet.User{}, fleet.ErrNoUser
}

func (w *world) ByPhone(context.Context, string, fleet.Role) (fleet.User, error) {
	return fleet.User{}, fleet.ErrNoUser
}

func (w *world) Enrol(_ context.Context, u fleet.User) (fleet.User, bool, error) {
	return u, true, w.enrolErr
}

func (w *world) CountDrivers(context.Context, fleet.UserID) (int, error) { return 0, nil }

func (w *world) Reserve(_ context.Context, _ string, _, _ time.Time, most int) (int64, error) {
	if w.noFails != nil {
		return 0, w.noFails
	}
	if w.fails >= most {
		return 0, nil
	}
	w.fails++
	return int64(w.fails), nil
}

func (w *world) Release(context.Context, int64) error { w.fails = max(0, w.fails-1); return nil }

func (w *world) CountFails(context.Context, string, time.Time) (int, error) { return w.fails, nil }

func (w *world) ClearFails(context.Context, string) error { w.fails = 0; return nil }

func (w *world) PruneFails(context.Context, time.Time, int) (int, error) { return 0, nil }

func newDesk(t *testing.T, w *world, noLimits bool) *login.Desk {
	t.Helper()
	w.now, w.fate = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), notify.Accepted
	d, err := login.New(login.Config{
		Codes: memory.NewOTP(w.Now), Limits: memory.NewLimits(w.Now), Fails: w, Users: w, Sessions: w, SMS: w,
		Peppers: otp.Peppers{otp.PepperOf([]byte("pepper-for-tests-0123456789abcdefgh"))}, Policy: otp.DefaultPolicy(),
		NoLimits: noLimits, Random: rand.Reader, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Observer: w, Audit: w.trail,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func send(t *testing.T, d *login.Desk) (*login.CodeSent, error) {
	t.Helper()
	p, err := d.Prepare(t.Context(), &login.SendCode{Key: own})
	if err != nil {
		return nil, err
	}
	return d.Deliver(t.Context(), p)
}

func (w *world) submit(t *testing.T, d *login.Desk, code, device string) (*login.LoggedIn, error) {
	t.Helper()
	return d.Submit(t.Context(), &login.SubmitCode{Key: own, Code: code, Device: device, Name: "phone"}, w.now)
}

func reasonOf(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// A durable store that was away when the code had just been used costs a retry and not the code; the retry
// opens the very session that was meant.
func TestAnOutageAfterTheCodeWasUsed(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*world, error){
		"people":   func(w *world, err error) { w.enrolErr = err },
		"sessions": func(w *world, err error) { w.openErr = err },
	} {
		w := &world{}
		d := newDesk(t, w, false)
		if _, err := send(t, d); err != nil {
			t.Fatal(err)
		}
		away(w, login.ErrUnavailable)
		if _, err := w.submit(t, d, w.codes[0], "mine"); reasonOf(err) != "SERVICE_UNAVAILABLE" {
			t.Errorf("%s away: %v", name, err)
		}
		away(w, nil)
		if _, err := w.submit(t, d, w.codes[0], "another's"); reasonOf(err) != "OTP_EXPIRED" {
			t.Errorf("%s: another device: %v", name, err)
		}
		w.now = w.now.Add(29 * time.Second)
		in, err := w.submit(t, d, w.codes[0], "mine")
		if err != nil || len(w.opened) != 1 || in.Pair.Refresh != "of "+w.opened[0] {
			t.Errorf("%s: the retry: %v, opened %v", name, err, w.opened)
		}
		w.now = w.now.Add(time.Second)
		if _, err := w.submit(t, d, w.codes[0], "mine"); reasonOf(err) != "OTP_EXPIRED" {
			t.Errorf("%s: after the window: %v", name, err)
		}
	}
}

// A session that was opened by the first answer and revoked since is not opened again by a repeat.
func TestARepeatDoesNotUndoALogout(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := newDesk(t, w, false)
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	if _, err := w.submit(t, d, w.codes[0], "mine"); err != nil {
		t.Fatal(err)
	}
	w.openErr = token.ErrUnauthenticated
	if _, err := w.submit(t, d, w.codes[0], "mine"); reasonOf(err) != "OTP_EXPIRED" {
		t.Errorf("%v", err)
	}
}

// What the provider refuses, at once or late, takes back the code, its cool-down and its place in the limits.
func TestARefusedMessageCostsNothing(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := newDesk(t, w, false)
	for range 12 {
		w.fate = notify.Refused
		if _, err := send(t, d); reasonOf(err) != "SERVICE_UNAVAILABLE" {
			t.Fatalf("refused: %v", err)
		}
		w.fate = notify.Undecided
		if _, err := send(t, d); err != nil {
			t.Fatalf("undecided: %v", err)
		}
		w.late(notify.Refused, errors.New("late no"))
	}
	if _, err := w.submit(t, d, w.codes[len(w.codes)-1], "mine"); reasonOf(err) != "OTP_EXPIRED" {
		t.Errorf("a code that was not sent works: %v", err)
	}
	w.fate = notify.Undecided
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	w.late(notify.Undecided, errors.New("no report"))
	if _, err := w.submit(t, d, w.codes[len(w.codes)-1], "mine"); err != nil {
		t.Errorf("a code that perhaps arrived must work: %v", err)
	}
}

func TestWithoutLimits(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := newDesk(t, w, true)
	for range 40 {
		if _, err := send(t, d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.submit(t, d, w.codes[39], "mine"); err != nil {
		t.Error(err)
	}
}

// Every code is counted once by what became of it, and its text is nowhere else.
func TestCounting(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := newDesk(t, w, false)
	_, _ = send(t, d)
	_, _ = send(t, d)
	_, _ = w.submit(t, d, "x", "mine")
	_, _ = w.submit(t, d, w.codes[0], "mine")
	_, _ = w.submit(t, d, w.codes[0], "other")
	want := "otp sent accepted|otp refused OTP_COOLDOWN|otp verified|otp refused missing"
	if got := strings.Join(w.counted, "|"); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	if strings.Contains(w.log.String(), w.codes[0]) || strings.Contains(w.log.String(), "98765") {
		t.Errorf("log: %s", w.log.String())
	}
}

// Nothing of a login shows its secrets when it is printed or logged, by whomever.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := newDesk(t, w, false)
	p, err := d.Prepare(t.Context(), &login.SendCode{Key: own})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Deliver(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	code := w.codes[0]
	m := &login.SubmitCode{Key: own, Code: code, Device: "mine"}
	in, err := d.Submit(t.Context(), m, w.now)
	if err != nil {
		t.Fatal(err)
	}
	in.Pair.Access, in.Pair.Identity.Phone = "access-token", own.Phone.E164()
	var out bytes.Buffer
	l := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{p, m, *m, in.Pair, in.Pair.Identity, &login.SendCode{Key: own}} {
		l.Info("printed", "value", v)
		fmt.Fprintf(&out, "%v %+v %s\n", v, v, v)
	}
	for _, secret := range []string{code, "access-token", in.Pair.Refresh, "98765"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is printed: %s", secret, out.String())
		}
	}
}

func TestNewNeedsAPepper(t *testing.T) {
	t.Parallel()
	if _, err := login.New(login.Config{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a desk without pepper")
	}
	w := &world{}
	d := newDesk(t, w, false)
	if d.Life() != 5*time.Minute {
		t.Error(d.Life())
	}
	for _, bad := range []*login.SubmitCode{{Key: own, Code: "12345"}, {Key: otp.Key{Flow: "other"}, Code: "123456"}} {
		if _, err := d.Submit(t.Context(), bad, w.now); reasonOf(err) != "VALIDATION_ERROR" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := d.Prepare(t.Context(), &login.SendCode{Key: otp.Key{Flow: otp.Own, Role: fleet.Driver, Phone: own.Phone}}); reasonOf(err) != "VALIDATION_ERROR" {
		t.Errorf("a driver by the own flow: %v", err)
	}
}
