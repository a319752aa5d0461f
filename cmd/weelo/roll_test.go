package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// list is a roll of tasks that counts what it is told, and may be away.
type list struct {
	mu           sync.Mutex
	tasks        int
	away         bool
	beats, leave int
}

func (l *list) is(tasks int, away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks, l.away = tasks, away
}

func (l *list) Beat(ctx context.Context) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beats++
	if l.away || ctx.Err() != nil {
		return 0, errors.New("away")
	}
	return l.tasks, nil
}

func (l *list) Leave(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave++
	return ctx.Err()
}

// TestTheRollOfTasks: a task says at once and then each five seconds that it runs, goes by the last count while it
// cannot, and takes itself off at its end.
func TestTheRollOfTasks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		with := &list{tasks: 2}
		all := &roll{list: with, log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- all.Run(ctx) }()
		after := func(d time.Duration, count int) {
			t.Helper()
			<-time.After(d)
			synctest.Wait()
			if n := all.tasks.Count(); n != count {
				t.Errorf("%d tasks, want %d", n, count)
			}
		}
		after(0, 2)
		with.is(5, false)
		after(rollEvery, 5)
		with.is(0, true)
		after(time.Hour, 5)
		with.is(1, false) // one that comes back empty counts one task after the other
		after(2*rollEvery, 5)
		after(rollEvery, 1)
		stop()
		if err := <-ended; err != nil || with.leave != 1 {
			t.Errorf("%v, left %d times", err, with.leave)
		}
		if want := 1 + 1 + 720 + 3; with.beats != want {
			t.Errorf("%d beats, want %d", with.beats, want)
		}
	})
}
