// Package actortest is what tests of actors share: a running System, and the suite that every
// Router must pass.
//
// Its helpers work inside a testing/synctest bubble and outside of one: they wait on channels and
// on the (then virtual) clock, and leave no goroutine behind.
package actortest

import (
	"context"
	"testing"
	"time"

	"weelo/actors"
)

// Node is the name of the task that Start plays.
const Node = "node-1"

// Start runs a System with these kinds until the test ends.
func Start(t testing.TB, c actors.Config, kinds ...actors.Kind) *actors.System {
	t.Helper()
	if c.Node == "" {
		c.Node = Node
	}
	s, err := actors.NewSystem(c, kinds...)
	if err != nil {
		t.Fatalf("start actors: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("sweeper: %v", err)
		}
		Stop(t, s)
	})
	return s
}

// Stop closes a System and lets the library's last goroutine run out: it throttles its log of dead
// letters with a ticker of one second, which a synctest bubble would report as a deadlock.
func Stop(t failer, s *actors.System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("close actors: %v", err)
	}
	<-time.After(1100 * time.Millisecond)
}

// failer is testing.TB or a rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}
