package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/limit"
)

// Rates is the conformance suite of limit.Limiter. open gives an empty one.
func Rates(t *testing.T, open func(t *testing.T) Clocked[limit.Limiter]) {
	t.Helper()
	five := limit.Limit{Name: "five", Events: 5, Per: 50 * time.Second, Burst: 5}
	take := func(t *testing.T, l limit.Limiter, lim limit.Limit, key string) time.Duration {
		t.Helper()
		wait, err := l.Take(t.Context(), lim, key)
		must(t, err)
		return wait
	}

	t.Run("a burst, then one an interval, per key and limit", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		for i := range 5 {
			if wait := take(t, c.Store, five, "k"); wait != 0 {
				t.Fatalf("event %d waits %v", i, wait)
			}
		}
		for range 3 {
			if wait := take(t, c.Store, five, "k"); wait <= 0 || wait > 10*time.Second {
				t.Fatalf("the sixth waits %v", wait)
			}
		}
		other := five
		other.Name = "other"
		if take(t, c.Store, five, "another") != 0 || take(t, c.Store, other, "k") != 0 {
			t.Fatal("another key or limit is touched")
		}
		if c.Real {
			return
		}
		c.Advance(10*time.Second - time.Millisecond)
		if wait := take(t, c.Store, five, "k"); wait != time.Millisecond {
			t.Fatalf("a millisecond early: %v", wait)
		}
		c.Advance(time.Millisecond)
		if take(t, c.Store, five, "k") != 0 || take(t, c.Store, five, "k") == 0 {
			t.Fatal("one has come back, not two")
		}
		c.Advance(time.Minute)
		for i := range 5 {
			if wait := take(t, c.Store, five, "k"); wait != 0 {
				t.Fatalf("a rested key, event %d: %v", i, wait)
			}
		}
	})

	t.Run("asking counts nothing, returning makes room once", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		for range 20 {
			if wait, err := c.Store.Wait(t.Context(), five, "k"); err != nil || wait != 0 {
				t.Fatalf("%v, %v", wait, err)
			}
		}
		for range 5 {
			take(t, c.Store, five, "k")
		}
		if wait, err := c.Store.Wait(t.Context(), five, "k"); err != nil || wait <= 0 {
			t.Fatalf("asked of a full key: %v, %v", wait, err)
		}
		must(t, c.Store.Return(t.Context(), five, "k"))
		if take(t, c.Store, five, "k") != 0 || take(t, c.Store, five, "k") == 0 {
			t.Fatal("one was returned")
		}
		for range 9 { // more than was ever taken
			must(t, c.Store.Return(t.Context(), five, "k"))
		}
		for range 5 {
			if wait := take(t, c.Store, five, "k"); wait != 0 {
				t.Fatalf("all were returned: %v", wait)
			}
		}
		if take(t, c.Store, five, "k") == 0 {
			t.Fatal("returning too much must not make credit")
		}
	})

	t.Run("a block lasts, and ends with a new key", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		l := limit.Limit{Name: "blocking", Events: 2, Per: time.Minute, Burst: 2, Block: 600 * time.Millisecond}
		for range l.Burst {
			if take(t, c.Store, l, "k") != 0 {
				t.Fatal("two at once")
			}
		}
		if wait := take(t, c.Store, l, "k"); wait != l.Block {
			t.Fatalf("the third is shut out for %v", wait)
		}
		must(t, c.Store.Return(t.Context(), l, "k"))
		if !c.Real {
			c.Advance(300 * time.Millisecond)
			for range 3 {
				if wait := take(t, c.Store, l, "k"); wait != 300*time.Millisecond {
					t.Fatalf("half the block is over: %v", wait)
				}
			}
		}
		c.Advance(l.Block)
		for range l.Burst {
			if take(t, c.Store, l, "k") != 0 {
				t.Fatal("after the block both are free")
			}
		}
	})

	t.Run("racing events: exactly the burst", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		l := limit.Limit{Name: "race", Events: 7, Per: 7 * time.Hour, Burst: 7}
		var wg sync.WaitGroup
		var mu sync.Mutex
		taken := 0
		for range 40 {
			wg.Go(func() {
				wait, err := c.Store.Take(t.Context(), l, "k")
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

// RatesModel compares a limiter with the pure core, step by step, on a clock that is moved.
func RatesModel(t *testing.T, open func(t *testing.T) (Clocked[limit.Limiter], func() time.Time)) {
	t.Helper()
	limits := []limit.Limit{
		{Name: "a", Events: 3, Per: 3 * time.Second, Burst: 3}, {Name: "b", Events: 10, Per: time.Second, Burst: 2},
		{Name: "c", Events: 2, Per: time.Second, Burst: 4, Block: 1500 * time.Millisecond},
	}
	clocked, now := open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++ // the store keeps what earlier runs left: keys of this run are its own
		model := map[string]limit.State{}
		of := func(rt *rapid.T) (limit.Limit, string) {
			return rapid.SampledFrom(limits).Draw(rt, "limit"), fmt.Sprintf("%d-%d", run, rapid.IntRange(0, 1).Draw(rt, "key"))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"take": func(rt *rapid.T) {
				l, key := of(rt)
				next, want := l.Take(model[l.Name+key], now())
				model[l.Name+key] = next
				got, err := clocked.Store.Take(t.Context(), l, key)
				if err != nil || got != want {
					rt.Fatalf("take %s: %v, %v; want %v", l.Name, got, err, want)
				}
			},
			"wait": func(rt *rapid.T) {
				l, key := of(rt)
				got, err := clocked.Store.Wait(t.Context(), l, key)
				if want := l.Wait(model[l.Name+key], now()); err != nil || got != want {
					rt.Fatalf("wait %s: %v, %v; want %v", l.Name, got, err, want)
				}
			},
			"return": func(rt *rapid.T) {
				l, key := of(rt)
				model[l.Name+key] = l.Return(model[l.Name+key], now())
				if err := clocked.Store.Return(t.Context(), l, key); err != nil {
					rt.Fatal(err)
				}
			},
			"time passes": func(rt *rapid.T) {
				clocked.Advance(time.Duration(rapid.IntRange(1, 1200).Draw(rt, "ms")) * time.Millisecond)
			},
		})
	})
}

// Tallies is the conformance suite of limit.Tallies. open gives an empty one.
func Tallies(t *testing.T, open func(t *testing.T) Clocked[limit.Tallies]) {
	t.Helper()
	c := open(t)
	const span = 400 * time.Millisecond
	add := func(all, some int) limit.Tally {
		t.Helper()
		got, err := c.Store.Add(t.Context(), "k", span, all, some)
		must(t, err)
		return got
	}
	if got := add(-1, 0); got != (limit.Tally{}) {
		t.Fatalf("nothing begins with taking away: %+v", got)
	}
	if got, left, err := c.Store.Read(t.Context(), "k"); err != nil || left != 0 || got != (limit.Tally{}) {
		t.Fatalf("unused: %+v %v %v", got, left, err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Store.Add(t.Context(), "race", time.Hour, 2, 1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, left, err := c.Store.Read(t.Context(), "race"); err != nil || left <= 0 || left > time.Hour || !cmp.Equal(got, limit.Tally{All: 40, Some: 20}) {
		t.Fatalf("raced: %+v %v %v", got, left, err)
	}
	must(t, c.Store.Begin(t.Context(), "race", time.Minute))
	if got, left, err := c.Store.Read(t.Context(), "race"); err != nil || left <= 0 || left > time.Minute || got != (limit.Tally{All: 1}) {
		t.Fatalf("begun anew: %+v %v %v", got, left, err)
	}
	if c.Real {
		return
	}
	for range 3 {
		must(t, c.Store.Begin(t.Context(), "again", span))
		c.Advance(span - time.Millisecond)
		if got, left, err := c.Store.Read(t.Context(), "again"); err != nil || left != time.Millisecond || got != (limit.Tally{All: 1}) {
			t.Fatalf("a span begins again: %+v %v %v", got, left, err)
		}
	}
	c.Advance(time.Millisecond)
	if got, _, err := c.Store.Read(t.Context(), "again"); err != nil || got != (limit.Tally{}) {
		t.Fatalf("and ends: %+v %v", got, err)
	}
	if got := add(3, 0); got != (limit.Tally{All: 3}) {
		t.Fatalf("%+v", got)
	}
	c.Advance(span - time.Millisecond)
	if got := add(0, 1); got != (limit.Tally{All: 3, Some: 1}) {
		t.Fatalf("%+v", got)
	}
	if got := add(-9, 0); got != (limit.Tally{Some: 1}) {
		t.Fatalf("below nothing: %+v", got)
	}
	c.Advance(time.Millisecond)
	if got := add(1, 0); got != (limit.Tally{All: 1}) {
		t.Fatalf("the span began with the first: %+v", got)
	}
}
