package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"weelo/internal/otp"
)

// Limits is the conformance suite of otp.Limits. open gives an empty one.
func Limits(t *testing.T, open func(t *testing.T) Clocked[otp.Limits]) {
	t.Helper()
	hourDay := []otp.Window{{Max: 2, Per: time.Hour}, {Max: 3, Per: 24 * time.Hour}}
	take := func(t *testing.T, l otp.Limits, key, id string, w []otp.Window) time.Duration {
		t.Helper()
		wait, err := l.Take(t.Context(), key, id, w)
		must(t, err)
		return wait
	}

	t.Run("each window is exact and slides", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		if take(t, c.Store, "k", "1", hourDay) != 0 {
			t.Fatal("the first is free")
		}
		c.Advance(time.Millisecond)
		if take(t, c.Store, "k", "2", hourDay) != 0 || take(t, c.Store, "other", "1", hourDay) != 0 {
			t.Fatal("two an hour, per key")
		}
		if wait := take(t, c.Store, "k", "3", hourDay); wait <= 0 || wait > time.Hour {
			t.Fatalf("the third in an hour waits %v", wait)
		}
		if wait, err := c.Store.Wait(t.Context(), "k", hourDay); err != nil || wait <= 0 || wait > time.Hour {
			t.Fatalf("asking: %v, %v", wait, err)
		}
		if c.Real {
			return
		}
		c.Advance(time.Hour - 2*time.Millisecond)
		if wait := take(t, c.Store, "k", "3", hourDay); wait != time.Millisecond {
			t.Fatalf("a millisecond early: %v", wait)
		}
		c.Advance(time.Millisecond)
		if wait := take(t, c.Store, "k", "3", hourDay); wait != 0 {
			t.Fatalf("the first has left the hour: %v", wait)
		}
		c.Advance(time.Hour)
		if wait := take(t, c.Store, "k", "4", hourDay); wait != 22*time.Hour {
			t.Fatalf("three a day: %v", wait)
		}
		c.Advance(24 * time.Hour)
		if wait := take(t, c.Store, "k", "5", hourDay); wait != 0 {
			t.Fatalf("another day: %v", wait)
		}
	})

	t.Run("asking counts nothing, returning makes room", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		one := []otp.Window{{Max: 1, Per: time.Hour}}
		for range 3 {
			if wait, err := c.Store.Wait(t.Context(), "k", one); err != nil || wait != 0 {
				t.Fatalf("%v, %v", wait, err)
			}
		}
		take(t, c.Store, "k", "1", one)
		must(t, c.Store.Return(t.Context(), "k", "stranger"))
		if take(t, c.Store, "k", "2", one) == 0 {
			t.Fatal("a stranger's return made room")
		}
		must(t, c.Store.Return(t.Context(), "k", "1"))
		if wait := take(t, c.Store, "k", "2", one); wait != 0 {
			t.Fatalf("after the return: %v", wait)
		}
	})

	t.Run("racing events: exactly as many as the window allows", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		taken := 0
		for i := range 30 {
			wg.Go(func() {
				wait, err := c.Store.Take(t.Context(), "k", fmt.Sprint(i), []otp.Window{{Max: 7, Per: time.Hour}})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if wait == 0 {
					taken++
				}
			})
		}
		wg.Wait()
		if taken != 7 {
			t.Errorf("%d of 7", taken)
		}
	})
}
