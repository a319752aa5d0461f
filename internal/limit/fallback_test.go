package limit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weelo/internal/limit"
)

// asked is a store that counts how often it is asked, and may be away.
type asked struct {
	times int
	err   error
	wait  time.Duration
}

func (a *asked) Take(context.Context, limit.Limit, string) (time.Duration, error) {
	a.times++
	return a.wait, a.err
}

func (a *asked) Wait(ctx context.Context, l limit.Limit, key string) (time.Duration, error) {
	return a.Take(ctx, l, key)
}

func (a *asked) Return(context.Context, limit.Limit, string) error { a.times++; return a.err }

// counts are the numbers of an observer.
type counts map[string]int

func (c counts) LimitLocal(name string)   { c["local "+name]++ }
func (c counts) LimitRefused(name string) { c["refused "+name]++ }

// A shared store that fails is asked once a second, everybody else is counted here meanwhile, and it is
// logged once that it went and once that it came back.
func TestFallback(t *testing.T) {
	t.Parallel()
	var (
		out           bytes.Buffer
		shared, local = &asked{}, &asked{wait: 7}
		now, seen     = start, counts{}
		ctx, l        = t.Context(), limit.Limit{Name: "x", Events: 1, Per: time.Second, Burst: 1}
		f             = limit.NewFallback(limit.FallbackConfig{Shared: shared, Local: local, Now: func() time.Time { return now },
			Observer: seen, Log: slog.New(slog.NewTextHandler(&out, nil))})
	)
	use := func(want time.Duration) {
		t.Helper()
		if got, err := f.Take(ctx, l, "k"); got != want || err != nil {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	}
	use(0)
	if local.times != 0 || shared.times != 1 {
		t.Fatalf("%d shared, %d local", shared.times, local.times)
	}
	shared.err = errors.New("away")
	for range 5 {
		use(7)
	}
	if wait, err := f.Wait(ctx, l, "k"); wait != 7 || err != nil || f.Return(ctx, l, "k") != nil {
		t.Errorf("%v, %v", wait, err)
	}
	if local.times != 7 || shared.times != 2 || seen["local x"] != 7 {
		t.Fatalf("%d shared, %d local, %v", shared.times, local.times, seen)
	}
	for range 30 { // half a minute
		now = now.Add(time.Second)
		use(7)
		use(7)
	}
	if shared.times != 32 {
		t.Errorf("asked %d times", shared.times)
	}
	now, shared.err = now.Add(time.Second), nil
	use(0)
	use(0)
	if n := strings.Count(out.String(), "alone"); n != 1 {
		t.Errorf("%d lines: %s", n, out.String())
	}
	if n := strings.Count(out.String(), "together again"); n != 1 {
		t.Errorf("%d lines: %s", n, out.String())
	}
}

// A caller who gives up says nothing about the store.
func TestFallbackDoesNotBlameTheStore(t *testing.T) {
	t.Parallel()
	shared := &asked{err: context.Canceled}
	seen := counts{}
	f := limit.NewFallback(limit.FallbackConfig{Shared: shared, Local: &asked{wait: 7}, Now: func() time.Time { return start }, Observer: seen, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := limit.Limit{Name: "x", Events: 1, Per: time.Second, Burst: 1}
	if wait, err := f.Take(ctx, l, "k"); wait != 7 || err != nil {
		t.Errorf("%v, %v", wait, err)
	}
	if len(seen) != 0 {
		t.Errorf("counted as if the store were away: %v", seen)
	}
	shared.err = nil
	if wait, err := f.Take(t.Context(), l, "k"); wait != 0 || err != nil || shared.times != 2 {
		t.Errorf("%v, %v, asked %d times", wait, err, shared.times)
	}
}

func TestCounted(t *testing.T) {
	t.Parallel()
	under, seen := &asked{wait: time.Second}, counts{}
	c := limit.Counted{Limiter: under, Observer: seen}
	l := limit.Limit{Name: "x", Events: 1, Per: time.Second, Burst: 1}
	for range 2 {
		if wait, err := c.Take(t.Context(), l, "k"); wait != time.Second || err != nil {
			t.Errorf("%v, %v", wait, err)
		}
	}
	if under.wait = 0; seen["refused x"] != 2 {
		t.Errorf("%v", seen)
	}
	if wait, err := c.Take(t.Context(), l, "k"); wait != 0 || err != nil || seen["refused x"] != 2 {
		t.Errorf("%v, %v, %v", wait, err, seen)
	}
}

func TestSender(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "127.0.0.1": "127.0.0.1", "::1": "::1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := limit.Sender(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if got := limit.Sender(netip.Addr{}); got != "invalid IP" {
		t.Errorf("no address: %s", got)
	}
}
