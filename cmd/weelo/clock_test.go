package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// store is one with a clock of its own.
type store struct {
	ahead, takes time.Duration
	away         error
}

// asked is a store that changes while others ask it.
type asked struct {
	mu sync.Mutex
	is store
}

func (a *asked) becomes(s store) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.is = s
}

func (a *asked) now(ctx context.Context) (time.Time, error) {
	a.mu.Lock()
	s := a.is
	a.mu.Unlock()
	return s.now(ctx)
}

func (s store) now(ctx context.Context) (time.Time, error) {
	if s.away != nil {
		return time.Time{}, s.away
	}
	select {
	case <-time.After(s.takes): // half of it is the way back
		return time.Now().Add(s.ahead - s.takes/2), nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// TestClocksAreHeldAgainstBothStores: more than a second apart from either is said at the start, more than five is not
// ready; the database's alone moves this machine's time.
func TestClocksAreHeldAgainstBothStores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		database, redis time.Duration
		said            []string
		unready         string
	}{
		{0, 0, nil, ""},
		{time.Second, -time.Second, nil, ""},
		{time.Second + time.Millisecond, 0, []string{"the database"}, ""},
		{0, -1500 * time.Millisecond, []string{"Redis"}, ""},
		{0, 5 * time.Second, []string{"Redis"}, ""},
		{0, 5*time.Second + time.Millisecond, []string{"Redis"}, "Redis"},
		{-6 * time.Second, 0, []string{"the database"}, "the database"},
		{-6 * time.Second, 7 * time.Second, []string{"the database", "Redis"}, "Redis"},
	} {
		synctest.Test(t, func(t *testing.T) {
			database, redis := &store{ahead: c.database}, &store{ahead: c.redis, takes: 40 * time.Millisecond}
			both := clocks{{whose: "the database", ask: database.now}, {whose: "Redis", ask: redis.now, rebuildable: true}}
			var log bytes.Buffer
			for _, one := range both {
				if err := one.begin(t.Context(), slog.New(slog.NewTextHandler(&log, nil))); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Count(log.String(), "this machine's clock is not that of"); got != len(c.said) {
				t.Errorf("%v: said %d times: %s", c, got, &log)
			}
			for _, name := range c.said {
				if !strings.Contains(log.String(), name) {
					t.Errorf("%v: %s is not named: %s", c, name, &log)
				}
			}
			if err := both.check(t.Context()); (err != nil) != (c.unready != "") || err != nil && !strings.Contains(err.Error(), c.unready) {
				t.Errorf("%v: %v", c, err)
			}
			if moved := time.Until(both[0].Now()); moved != c.database {
				t.Errorf("%v: deadlines are moved by %v", c, moved)
			}
		})
	}
}

// TestAStoreThatIsAwayHasNoClock: without the database there is no start, and later its last offset stays in force;
// a Redis that is away is no reason to be out of service, whatever its clock was.
func TestAStoreThatIsAwayHasNoClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wrong, away := store{ahead: 6 * time.Second}, store{away: errors.New("away")}
		database, redis := &asked{is: wrong}, &asked{is: wrong}
		both := clocks{{whose: "the database", ask: database.now}, {whose: "Redis", ask: redis.now, rebuildable: true}}
		quiet := slog.New(slog.DiscardHandler)
		for _, one := range both {
			if err := one.begin(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for _, one := range both {
			go func() { _ = one.Run(ctx) }()
		}
		after := func(d time.Duration, of clocks, ready bool) {
			t.Helper()
			<-time.After(d)
			synctest.Wait()
			if err := of.check(t.Context()); (err == nil) != ready {
				t.Errorf("ready %v: %v", ready, err)
			}
		}
		database.becomes(away)
		redis.becomes(away)
		after(offsetEvery, both[1:], true)
		after(0, both[:1], false)
		database.becomes(store{})
		redis.becomes(wrong)
		after(offsetEvery, both[1:], false)
		after(0, both[:1], true)
		redis.becomes(store{takes: 1100 * time.Millisecond}) // too slow to mean anything
		after(offsetEvery+2*time.Second, both, false)
		redis.becomes(store{})
		after(offsetEvery, both, true)

		database.becomes(away)
		redis.becomes(away)
		if err := both[0].begin(t.Context(), quiet); !errors.Is(err, away.away) || !strings.Contains(err.Error(), "the database") {
			t.Errorf("a start without the database's clock: %v", err)
		}
		if err := both[1].begin(t.Context(), quiet); err != nil {
			t.Errorf("a start without Redis's clock: %v", err)
		}
	})
}
