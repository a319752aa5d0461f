package memory_test

import (
	"strconv"
	"testing"
	"time"

	"weelo/internal/limit"
	"weelo/store/memory"
	"weelo/store/storetest"
)

func TestRates(t *testing.T) {
	t.Parallel()
	storetest.Rates(t, func(*testing.T) storetest.Clocked[limit.Limiter] {
		c := newClock()
		return storetest.Clocked[limit.Limiter]{Store: memory.NewRates(c.Now), Advance: c.Advance}
	})
	storetest.Tallies(t, func(*testing.T) storetest.Clocked[limit.Tallies] {
		c := newClock()
		return storetest.Clocked[limit.Tallies]{Store: memory.NewRates(c.Now), Advance: c.Advance}
	})
}

func TestRatesModel(t *testing.T) {
	t.Parallel()
	storetest.RatesModel(t, func(*testing.T) (storetest.Clocked[limit.Limiter], func() time.Time) {
		c := newClock()
		return storetest.Clocked[limit.Limiter]{Store: memory.NewRates(c.Now), Advance: c.Advance}, c.Now
	})
}

// A flood of new keys, none of which is over, does not grow the table beyond its bound.
func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := memory.NewRates(c.Now)
	l := limit.Limit{Name: "x", Events: 1, Per: time.Hour, Burst: 1}
	for i := range 120_000 {
		if _, err := r.Take(t.Context(), l, strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.Len(); n > 100_000 || n < 50_000 {
		t.Errorf("%d keys are kept", n)
	}
	c.Advance(2 * time.Hour)
	for i := range 10 { // new ones: what is over goes when room is made, and a key that is still kept needs none
		if _, err := r.Take(t.Context(), l, "new "+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.Len(); n != 10 {
		t.Errorf("%d keys are kept of 10 that live", n)
	}
}
