package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// slot is a breaker in front of a server that does what the test says.
type slot struct {
	*breaker
	clock time.Time
	fate  error
	asked int
}

func newSlot() *slot {
	s := &slot{clock: time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)}
	s.breaker = &breaker{now: func() time.Time { return s.clock }}
	return s
}

func (s *slot) do(ctx context.Context) error {
	cmd := goredis.NewCmd(ctx, "PING")
	return s.ProcessHook(func(context.Context, goredis.Cmder) error { s.asked++; return s.fate })(ctx, cmd)
}

func (s *slot) times(n int, fate error) {
	s.fate = fate
	for range n {
		_ = s.do(context.Background())
		s.clock = s.clock.Add(time.Millisecond)
	}
}

// TestBreaker: it opens at half of twenty within ten seconds and not before, lets one probe at a time through
// after the pause, and closes at the first success.
func TestBreaker(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("read: %w", context.DeadlineExceeded)
	for name, c := range map[string]struct {
		before func(s *slot)
		open   bool
	}{
		"half":                    {func(s *slot) { s.times(10, nil); s.times(10, away) }, true},
		"fewer than half":         {func(s *slot) { s.times(11, nil); s.times(9, away) }, false},
		"fewer than twenty":       {func(s *slot) { s.times(19, away) }, false},
		"not within ten seconds":  {func(s *slot) { s.times(15, away); s.clock = s.clock.Add(10 * time.Second); s.times(19, away) }, false},
		"what a server refuses":   {func(s *slot) { s.times(40, errors.New("WRONGTYPE")) }, false},
		"a key that is not there": {func(s *slot) { s.times(40, goredis.Nil) }, false},
		"callers who leave":       {func(s *slot) { s.times(40, context.Canceled) }, false},
	} {
		s := newSlot()
		c.before(s)
		asked := s.asked
		s.fate = nil
		if err := s.do(t.Context()); errors.Is(err, errAway) != c.open || (s.asked > asked) == c.open {
			t.Errorf("%s: %v, asked %v", name, err, s.asked > asked)
		}
	}

	s := newSlot()
	s.times(20, away)
	s.clock = s.clock.Add(serverRule.Pause)
	asked := s.asked
	if err := s.do(t.Context()); !errors.Is(err, context.DeadlineExceeded) || s.asked != asked+1 {
		t.Errorf("the probe: %v", err)
	}
	if err := s.do(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("after a probe that failed: %v", err)
	}
	s.clock = s.clock.Add(serverRule.Pause)
	probed := s.ProcessPipelineHook(func(context.Context, []goredis.Cmder) error {
		if err := s.do(t.Context()); !errors.Is(err, errAway) {
			t.Errorf("beside a probe: %v", err)
		}
		return nil
	})
	if err := probed(t.Context(), []goredis.Cmder{goredis.NewCmd(t.Context(), "PING")}); err != nil {
		t.Errorf("the probe that succeeds: %v", err)
	}
	s.fate = nil
	for range 30 {
		if err := s.do(t.Context()); err != nil {
			t.Fatalf("closed: %v", err)
		}
	}
	refused := newSlot()
	refused.times(20, away)
	cmds := []goredis.Cmder{goredis.NewCmd(t.Context(), "PING"), goredis.NewCmd(t.Context(), "PING")}
	err := refused.ProcessPipelineHook(func(context.Context, []goredis.Cmder) error { return nil })(t.Context(), cmds)
	if !errors.Is(err, errAway) || !errors.Is(cmds[1].Err(), errAway) {
		t.Errorf("a pipeline while it is open: %v, %v", err, cmds[1].Err())
	}
}
