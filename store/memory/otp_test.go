package memory_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"weelo/internal/otp"
	"weelo/internal/phone"
	"weelo/internal/session"
	"weelo/store/memory"
	"weelo/store/storetest"
)

// clock is a time that tests move.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_795_521_600_000)
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func TestOTP(t *testing.T) {
	t.Parallel()
	storetest.OTP(t, func(*testing.T) storetest.Clocked[otp.Store] {
		c := newClock()
		return storetest.Clocked[otp.Store]{Store: memory.NewOTP(c.Now), Advance: c.Advance}
	})
}

func TestOTPModel(t *testing.T) {
	t.Parallel()
	storetest.OTPModel(t, func(*testing.T) (storetest.Clocked[otp.Store], func() time.Time) {
		c := newClock()
		return storetest.Clocked[otp.Store]{Store: memory.NewOTP(c.Now), Advance: c.Advance}, c.Now
	})
}

func TestOTPHistory(t *testing.T) {
	t.Parallel()
	storetest.OTPHistory(t, func(*testing.T) otp.Store { return memory.NewOTP(time.Now) })
}

// The history's control: a store that counts a try after the comparison, or lets two win, is found out.
func TestOTPHistoryFindsAStoreThatIsNotAtomic(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(s otp.Store) otp.Store{
		"forgets a count": func(s otp.Store) otp.Store { return &forgetful{Store: s} },
		"two winners":     func(s otp.Store) otp.Store { return &generous{Store: s} },
	} {
		found := false
		for round := 0; round < 8 && !found; round++ {
			_, ok := storetest.OTPHistoryHolds(t, broken(memory.NewOTP(time.Now)), round)
			found = !ok
		}
		if !found {
			t.Errorf("%s: not found out", name)
		}
	}
}

type forgetful struct {
	otp.Store
	tries atomic.Int64
}

func (f *forgetful) Try(ctx context.Context, k otp.Key, by otp.Sender, limit int) (otp.Attempt, error) {
	a, err := f.Store.Try(ctx, k, by, limit)
	if f.tries.Add(1)%3 == 0 && a.Standing == otp.Counted {
		a.Tries--
	}
	return a, err
}

type generous struct{ otp.Store }

func (g *generous) Consume(ctx context.Context, k otp.Key, c otp.Claim, window time.Duration) (otp.Claim, bool, error) {
	standing, won, err := g.Store.Consume(ctx, k, c, window)
	if !won && standing.ID != "" {
		return c, true, err
	}
	return standing, won, err
}

func TestLimits(t *testing.T) {
	t.Parallel()
	storetest.Limits(t, func(*testing.T) storetest.Clocked[otp.Limits] {
		c := newClock()
		return storetest.Clocked[otp.Limits]{Store: memory.NewLimits(c.Now), Advance: c.Advance}
	})
}

func TestTickets(t *testing.T) {
	t.Parallel()
	storetest.Tickets(t, func(*testing.T) storetest.Clocked[session.TicketStore] {
		c := newClock()
		return storetest.Clocked[session.TicketStore]{Store: memory.NewTickets(c.Now), Advance: c.Advance}
	})
}

// What is over is forgotten as new things come, so the maps stay as small as what lives.
func TestMapsAreSwept(t *testing.T) {
	t.Parallel()
	c := newClock()
	codes, limits, tickets := memory.NewOTP(c.Now), memory.NewLimits(c.Now), memory.NewTickets(c.Now)
	for i := range 5000 {
		k := otp.Key{Flow: otp.Own, Role: "customer", Phone: phone.Number(fmt.Sprintf("+91900000%04d", i))}
		if _, err := codes.Issue(t.Context(), k, otp.Code{ID: "x"}, time.Second, time.Second); err != nil {
			t.Fatal(err)
		}
		if _, err := limits.Take(t.Context(), k.Literal(), "x", []otp.Window{{Max: 1, Per: time.Second}}); err != nil {
			t.Fatal(err)
		}
		if err := tickets.PutTicket(t.Context(), k.Literal(), nil, time.Second); err != nil {
			t.Fatal(err)
		}
		c.Advance(10 * time.Millisecond)
	}
	for name, n := range map[string]int{"challenges": codes.Len(), "limits": limits.Len(), "tickets": tickets.Len()} {
		if n > 1200 {
			t.Errorf("%d %s are kept of 100 that live", n, name)
		}
	}
}
