package login_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/store/memory"
)

// crowd is a store of failed tries at which everybody asks how many there are before anybody goes on.
type crowd struct {
	otp.Fails
	mu      sync.Mutex
	fails   map[int64]bool
	next    int64
	waiting sync.WaitGroup
}

func (c *crowd) CountFails(context.Context, string, time.Time) (int, error) {
	c.mu.Lock()
	n := len(c.fails)
	c.mu.Unlock()
	c.waiting.Done()
	c.waiting.Wait()
	return n, nil
}

func (c *crowd) Reserve(_ context.Context, _ string, _, _ time.Time, most int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fails) >= most {
		return 0, nil
	}
	c.next++
	c.fails[c.next] = true
	return c.next, nil
}

func (c *crowd) Release(_ context.Context, try int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fails, try)
	return nil
}

func (c *crowd) ClearFails(context.Context, string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.fails)
	return nil
}

// TestTriesInFlightDoNotPassTheCeiling: a new code is sent while guesses are in flight, so that each of five
// tasks has seen fourteen failed tries; the fifteenth is compared and no other.
func TestTriesInFlightDoNotPassTheCeiling(t *testing.T) {
	t.Parallel()
	w := &world{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), fate: notify.Accepted}
	fails := &crowd{fails: map[int64]bool{}}
	codes := memory.NewOTP(w.Now)
	desks := make([]*login.Desk, 5) // one a task
	for i := range desks {
		var err error
		desks[i], err = login.New(login.Config{
			Codes: codes, Limits: memory.NewLimits(w.Now), Fails: fails, Users: w, Sessions: w, SMS: w,
			Peppers: otp.Peppers{otp.PepperOf([]byte("pepper-for-tests-0123456789abcdefgh"))}, Policy: otp.DefaultPolicy(),
			Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 14 {
		if _, err := fails.Reserve(t.Context(), "", w.now, w.now, 15); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := send(t, desks[0]); err != nil {
		t.Fatal(err)
	}
	guess := func(code string, at ...*login.Desk) map[string]int {
		var (
			mu      sync.Mutex
			answers = map[string]int{}
			all     sync.WaitGroup
		)
		fails.waiting.Add(len(at))
		for _, d := range at {
			all.Go(func() {
				_, err := w.submit(t, d, code, "a stranger's")
				mu.Lock()
				defer mu.Unlock()
				answers[reasonOf(err)]++
			})
		}
		all.Wait()
		return answers
	}
	if got := guess(otherCode(w.codes[0]), desks...); got["TOO_MANY_ATTEMPTS"] != 4 || len(got) != 2 || len(fails.fails) != 15 {
		t.Errorf("%v, and %d failed tries", got, len(fails.fails))
	}
	if got := guess(w.codes[0], desks[0]); got["TOO_MANY_ATTEMPTS"] != 1 {
		t.Errorf("the right code after that: %v", got)
	}
}

// TestARightTryIsNoFailure: what was counted before it was compared is taken back when it was right,
// whatever became of the session.
func TestARightTryIsNoFailure(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := newDesk(t, w, false)
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := w.submit(t, d, otherCode(w.codes[0]), "mine"); reasonOf(err) != "INVALID_OTP" || w.fails != i+1 {
			t.Fatalf("%v, %d failed tries", err, w.fails)
		}
	}
	w.openErr = login.ErrUnavailable
	if _, err := w.submit(t, d, w.codes[0], "mine"); reasonOf(err) != "SERVICE_UNAVAILABLE" || w.fails != 2 {
		t.Errorf("%v, %d failed tries", err, w.fails)
	}
	w.openErr = nil
	if _, err := w.submit(t, d, w.codes[0], "mine"); err != nil || w.fails != 0 {
		t.Errorf("%v, %d failed tries", err, w.fails)
	}
}

// otherCode is a code that is not this one.
func otherCode(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}
