package redis_test

import (
	"testing"
	"time"

	"weelo/internal/limit"
	"weelo/store/redis"
	"weelo/store/storetest"
)

func TestRates(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Rates(t, func(t *testing.T) storetest.Clocked[limit.Limiter] {
				return storetest.Clocked[limit.Limiter]{Store: redis.NewRates(open(t)), Advance: waiting, Real: true}
			})
			storetest.Tallies(t, func(t *testing.T) storetest.Clocked[limit.Tallies] {
				return storetest.Clocked[limit.Tallies]{Store: redis.NewRates(open(t)), Advance: waiting, Real: true}
			})
		})
	}
	t.Run("moved clock", func(t *testing.T) {
		t.Parallel()
		storetest.Rates(t, func(t *testing.T) storetest.Clocked[limit.Limiter] {
			client, _, advance := moved(t)
			return storetest.Clocked[limit.Limiter]{Store: redis.NewRates(client), Advance: advance}
		})
		storetest.Tallies(t, func(t *testing.T) storetest.Clocked[limit.Tallies] {
			client, _, advance := moved(t)
			return storetest.Clocked[limit.Tallies]{Store: redis.NewRates(client), Advance: advance}
		})
	})
}

// The script does what the pure core does, step by step.
func TestRatesModel(t *testing.T) {
	t.Parallel()
	storetest.RatesModel(t, func(t *testing.T) (storetest.Clocked[limit.Limiter], func() time.Time) {
		client, now, advance := moved(t)
		return storetest.Clocked[limit.Limiter]{Store: redis.NewRates(client), Advance: advance}, now
	})
}

// A key lives no longer than it matters.
func TestRatesExpire(t *testing.T) {
	t.Parallel()
	client, _, _ := moved(t)
	l := limit.Limit{Name: "x", Events: 10, Per: time.Minute, Burst: 10}
	r := redis.NewRates(client)
	for range 2 {
		if _, err := r.Take(t.Context(), l, "k"); err != nil {
			t.Fatal(err)
		}
	}
	if ttl, err := client.PTTL(t.Context(), "limit:x:k").Result(); err != nil || ttl != 12*time.Second {
		t.Errorf("two of ten a minute live %v, %v", ttl, err)
	}
	for range 2 {
		if err := r.Return(t.Context(), l, "k"); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := client.Exists(t.Context(), "limit:x:k").Result(); n != 0 || err != nil {
		t.Errorf("%d keys are left of a limit that was given back, %v", n, err)
	}
}
