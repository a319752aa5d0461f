package memory_test

import (
	"sync/atomic"
	"testing"
	"time"

	"weelo/internal/otp"
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

func TestLimits(t *testing.T) {
	t.Parallel()
	storetest.Limits(t, func(*testing.T) storetest.Clocked[otp.Limits] {
		c := newClock()
		return storetest.Clocked[otp.Limits]{Store: memory.NewLimits(c.Now), Advance: c.Advance}
	})
}
