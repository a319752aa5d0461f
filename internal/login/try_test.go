package login_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"time"

	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/store/memory"
)

// meddled is a store of codes that somebody else is at too: before runs just ahead of each counting.
type meddled struct {
	otp.Store
	before func() error
	tries  int // counted
}

func (m *meddled) Try(ctx context.Context, k otp.Key, by otp.Sender, limit int) (otp.Attempt, error) {
	if m.before != nil {
		if err := m.before(); err != nil {
			return otp.Attempt{}, err
		}
	}
	a, err := m.Store.Try(ctx, k, by, limit)
	if a.Standing == otp.Counted {
		m.tries++
	}
	return a, err
}

func meddledDesk(t *testing.T, w *world) (*login.Desk, *meddled) {
	t.Helper()
	w.now, w.fate = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), notify.Accepted
	codes := &meddled{Store: memory.NewOTP(w.Now)}
	d, err := login.New(login.Config{
		Codes: codes, Limits: memory.NewLimits(w.Now), Fails: w, Users: w, Sessions: w, SMS: w,
		Peppers: otp.Peppers{otp.PepperOf([]byte("pepper-for-tests-0123456789abcdefgh"))}, Policy: otp.DefaultPolicy(),
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler), Observer: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, codes
}

// TestATryThatIsNotKeptUsesUpNoCode: however many tries a durable store does not take, each is 503, none is
// compared, and the code has all of its own afterwards.
func TestATryThatIsNotKeptUsesUpNoCode(t *testing.T) {
	t.Parallel()
	w := &world{}
	d, codes := meddledDesk(t, w)
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	w.noFails = errors.New("the server is away")
	for range 7 { // also right ones: they are not compared
		for _, code := range []string{otherCode(w.codes[0]), w.codes[0]} {
			if _, err := w.submit(t, d, code, "mine"); reasonOf(err) != "SERVICE_UNAVAILABLE" {
				t.Fatalf("answered %v", err)
			}
		}
	}
	w.noFails = nil
	if codes.tries != 0 || w.fails != 0 || len(w.opened) != 0 {
		t.Fatalf("%d tries are counted, %d as failed, and %d sessions are open", codes.tries, w.fails, len(w.opened))
	}
	for left := 4; left > 0; left-- {
		if _, err := w.submit(t, d, otherCode(w.codes[0]), "mine"); reasonOf(err) != "INVALID_OTP" {
			t.Fatalf("with %d tries left: %v", left, err)
		}
	}
	if _, err := w.submit(t, d, w.codes[0], "mine"); err != nil {
		t.Errorf("the code with its fifth try: %v", err)
	}
}

// TestATryThatIsNotComparedIsNoFailure: whatever keeps a try from being compared after it was counted durably, it
// is taken back there.
func TestATryThatIsNotComparedIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(*testing.T, *world, otp.Store) error
		answer string
	}{
		"the codes are away": {func(*testing.T, *world, otp.Store) error { return errors.New("away") }, "SERVICE_UNAVAILABLE"},
		"others took the last tries": {func(t *testing.T, _ *world, s otp.Store) error {
			for range 5 {
				mustTry(t, s)
			}
			return nil
		}, "MAX_ATTEMPTS"},
		"another device won": {func(t *testing.T, _ *world, s otp.Store) error {
			id := mustTry(t, s).Codes[0].ID
			_, won, err := s.Consume(t.Context(), own, otp.Claim{Code: otp.Code{ID: id}, Device: "another's", Session: "s"}, otp.DefaultPolicy().ClaimWindow)
			if !won {
				t.Errorf("not won: %v", err)
			}
			return err
		}, "OTP_EXPIRED"},
		"the code expired": {func(_ *testing.T, w *world, _ otp.Store) error {
			w.now = w.now.Add(otp.DefaultPolicy().Life)
			return nil
		}, "OTP_EXPIRED"},
	} {
		w := &world{}
		d, codes := meddledDesk(t, w)
		if _, err := send(t, d); err != nil {
			t.Fatal(err)
		}
		reserved := -1
		codes.before = func() error {
			reserved = w.fails
			return c.before(t, w, codes.Store)
		}
		if _, err := w.submit(t, d, w.codes[0], "mine"); reasonOf(err) != c.answer {
			t.Errorf("%s: %v, not %s", name, err, c.answer)
		}
		if reserved != 1 || w.fails != 0 || len(w.opened) != 0 {
			t.Errorf("%s: %d failed tries before it was counted and %d after, %d sessions", name, reserved, w.fails, len(w.opened))
		}
	}
}

// TestACodeThatCameMeanwhileIsNotCompared: a try that was counted durably for nothing, because only a consumed
// code was left, is compared with nothing else either.
func TestACodeThatCameMeanwhileIsNotCompared(t *testing.T) {
	t.Parallel()
	w := &world{}
	d, codes := meddledDesk(t, w)
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
	if _, err := w.submit(t, d, w.codes[0], "mine"); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(otp.DefaultPolicy().Cooldown - time.Second/2) // the winner may repeat it for half a second more
	m := &login.SubmitCode{Key: own, Code: "000000", Device: "mine"}
	codes.before = func() error {
		_, err := send(t, d)
		m.Code = w.codes[len(w.codes)-1]
		return err
	}
	if _, err := d.Submit(t.Context(), m, w.now); reasonOf(err) != "OTP_EXPIRED" || w.fails != 0 || len(w.opened) != 1 {
		t.Errorf("%v, %d failed tries, %d sessions", err, w.fails, len(w.opened))
	}
	codes.before = nil
	if _, err := d.Submit(t.Context(), m, w.now); err != nil || w.fails != 0 {
		t.Errorf("the same is compared once it counts durably: %v, %d failed tries", err, w.fails)
	}
}

// TestWhatIsHopelessIsWrittenNowhere: whoever tries without a code makes no durable work.
func TestWhatIsHopelessIsWrittenNowhere(t *testing.T) {
	t.Parallel()
	w := &world{}
	d, _ := meddledDesk(t, w)
	w.noFails = errors.New("asked to keep a try")
	if _, err := w.submit(t, d, "000000", "mine"); reasonOf(err) != "OTP_EXPIRED" {
		t.Errorf("nothing was sent: %v", err)
	}
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	m := &login.SubmitCode{Key: own, Code: w.codes[0], Challenge: "another's", Device: "mine"}
	if _, err := d.Submit(t.Context(), m, w.now); reasonOf(err) != "INVALID_OTP" {
		t.Errorf("another's challenge: %v", err)
	}
	w.noFails = nil
	for range 5 {
		_, _ = w.submit(t, d, otherCode(w.codes[0]), "mine")
	}
	w.noFails = errors.New("asked to keep a try")
	if _, err := w.submit(t, d, w.codes[0], "mine"); reasonOf(err) != "MAX_ATTEMPTS" {
		t.Errorf("after the last try: %v", err)
	}
}

func mustTry(t *testing.T, s otp.Store) otp.Attempt {
	t.Helper()
	a, err := s.Try(t.Context(), own, otp.Sender{}, 5)
	if err != nil {
		t.Error(err)
	}
	return a
}
