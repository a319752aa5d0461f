package login_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/store/memory"
)

// forgetful is a store of limits that the test empties, and takes away.
type forgetful struct {
	limit.Tallies
	mu   sync.Mutex
	why  string
	away bool
}

func (f *forgetful) set(why string, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why, f.away = why, away
}

func (f *forgetful) Changed(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	why := f.why
	f.why = ""
	return why, nil
}

func (f *forgetful) Add(ctx context.Context, key string, span time.Duration, all, some int) (limit.Tally, error) {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if away {
		return limit.Tally{}, errors.New("away")
	}
	return f.Tallies.Add(ctx, key, span, all, some)
}

// TestDistrust: a store that forgot halves the soft limits for ten minutes, as soon as it can be told so.
func TestDistrust(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rates := memory.NewRates(time.Now)
		f := &forgetful{Tallies: rates}
		y := &yard{refusals: map[string]int{}}
		y.Gate = login.NewGate(behind{y}, login.GateConfig{
			Limiter: rates, Tallies: f, Limits: limit.DefaultLogin(), Observer: y, Log: slog.New(slog.DiscardHandler),
			Origin: func(context.Context) (netip.Addr, string) { return netip.MustParseAddr("203.0.113.7"), "" },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = y.Distrust(ctx, f) })
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() } // of the bubble
		raised := func() bool {
			p, _, err := rates.Read(t.Context(), "posture")
			return err == nil && p.All > 0
		}
		pass(5 * time.Second)
		if raised() {
			t.Fatal("raised for nothing")
		}
		f.set("emptied", true)
		pass(5 * time.Second)
		f.set("", false)
		pass(5 * time.Second)
		if !raised() || y.refusals["posture-raised"] != 1 {
			t.Fatalf("not raised once: %v", y.refusals)
		}
		for i := range 5 {
			must(t, y.send(t, number(i)))
		}
		refusedBy(t, y, y.send(t, number(5)), "AUTH_RATE_LIMIT_EXCEEDED", "login-address")
		pass(10 * time.Minute)
		if raised() {
			t.Error("raised after ten minutes")
		}
		for i := range 8 {
			must(t, y.send(t, number(20+i)))
		}
		cancel()
		running.Wait()
	})
}
