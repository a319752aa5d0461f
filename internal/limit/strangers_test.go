package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weelo/internal/limit"
	"weelo/store/memory"
)

// refusals counts what was refused by name.
type refusals map[string]int

func (r refusals) LimitRefused(name string) { r[name]++ }

// crowd is strangers of a world where one device has logged in.
func crowd(limiter limit.Limiter) (limit.Strangers, refusals, func(from, device string) time.Duration) {
	seen := refusals{}
	s := limit.Strangers{
		Limit: limit.Limit{Name: "x", Events: 10, Per: time.Minute, Burst: 10}, Limiter: limiter, Observer: seen,
		Known: func(_ context.Context, device string) bool { return device == "known" || device == "known too" },
	}
	return s, seen, func(from, device string) time.Duration {
		return s.Take(context.Background(), netip.MustParseAddr(from), device)
	}
}

func TestStrangersOfOneAddress(t *testing.T) {
	t.Parallel()
	now := start
	_, seen, ask := crowd(memory.NewRates(func() time.Time { return now }))
	for i := range 10 {
		if ask("203.0.113.7", fmt.Sprint(i)) != 0 {
			t.Fatal("refused too early")
		}
	}
	for _, from := range []string{"203.0.113.7", "::ffff:203.0.113.7"} {
		if wait := ask(from, "unknown"); wait != 6*time.Second {
			t.Errorf("from %s: wait %v", from, wait)
		}
	}
	if ask("203.0.113.7", "") == 0 {
		t.Error("who names no device is let through")
	}
	if ask("203.0.113.8", "") != 0 {
		t.Error("a neighbour is refused")
	}
	for _, device := range []string{"known", "known too"} { // each for itself, and no more than anybody
		for range 10 {
			if ask("203.0.113.7", device) != 0 {
				t.Fatalf("%s shares the lot of strangers", device)
			}
		}
		if ask("203.0.113.7", device) == 0 {
			t.Errorf("%s has no limit", device)
		}
	}
	if seen["x"] != 5 || len(seen) != 1 {
		t.Errorf("counted %v", seen)
	}
	now = now.Add(6 * time.Second)
	if ask("203.0.113.7", "unknown") != 0 || ask("203.0.113.7", "unknown") == 0 {
		t.Error("one comes back each six seconds")
	}
}

func TestStrangersOfOneNetwork(t *testing.T) {
	t.Parallel()
	_, seen, ask := crowd(memory.NewRates(func() time.Time { return start }))
	let := 0
	for range 11 {
		if ask(fmt.Sprintf("2001:db8:1:2::%x", let+1), "") == 0 { // all of one /64
			let++
		}
	}
	if let != 10 || seen["x"] != 1 {
		t.Errorf("%d of a /64, counted %v", let, seen)
	}
	for net := range 12 {
		for range 10 {
			if ask(fmt.Sprintf("2001:db8:1:a%x::1", net), "") == 0 {
				let++
			}
		}
	}
	if let != 100 || seen["x-48"] != 30 {
		t.Errorf("%d of a /48, counted %v", let, seen)
	}
	if ask("2001:db8:1:ff::1", "known") != 0 {
		t.Error("a known device shares the lot of its /48")
	}
	if ask("2001:db8:2::1", "") != 0 {
		t.Error("another /48 is refused")
	}
}

// broken is a limiter that fails.
type broken struct{ limit.Limiter }

func (broken) Take(context.Context, limit.Limit, string) (time.Duration, error) {
	return time.Hour, errors.New("away")
}

// TestStrangersNobodyBounds: this machine itself, who has no address, and everybody when nothing is counted.
func TestStrangersNobodyBounds(t *testing.T) {
	t.Parallel()
	s, seen, ask := crowd(memory.NewRates(func() time.Time { return start }))
	_, _, uncounted := crowd(broken{})
	for range 30 {
		if ask("127.0.0.1", "")+ask("::1", "")+uncounted("203.0.113.7", "")+s.Take(t.Context(), netip.Addr{}, "") != 0 {
			t.Fatal("refused")
		}
	}
	if len(seen) != 0 {
		t.Errorf("counted %v", seen)
	}
}
