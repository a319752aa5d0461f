package actors

import (
	"context"
	"time"
)

const (
	// shortestSweep and longestSweep bound how often the sweeper looks.
	shortestSweep = 50 * time.Millisecond
	longestSweep  = 15 * time.Second
	// drainStep is how often a drain asks again the actors that were not ready.
	drainStep = 20 * time.Millisecond
	// depthSample: one actor in so many has its queue measured at a sweep; one at least.
	depthSample = 64
)

// Run sweeps until ctx ends: idle actors leave memory, and the observer is told the gauges.
//
// It is one goroutine instead of a timer per actor; the library's receive timeout is neither
// re-armed by itself nor free of races.
func (s *System) Run(ctx context.Context) error {
	tick := time.NewTicker(s.sweepEvery())
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.sweep(now, round)
		}
	}
}

// sweepEvery is a quarter of the shortest idle time.
func (s *System) sweepEvery() time.Duration {
	every := longestSweep
	for _, k := range s.kinds {
		every = min(every, k.Idle/4)
	}
	return max(every, shortestSweep)
}

func (s *System) sweep(now time.Time, round int) {
	all := s.table.snapshot()
	every := max(1, min(depthSample, len(all)))
	for i, a := range all {
		if i%every == round%every {
			s.observer.Depth(a.addr.Kind, a.depth())
		}
		a.askToLeave(now, a.kind.Idle, false)
	}
	for name, k := range s.kinds {
		s.observer.Live(name, int(k.live.Load()))
	}
}

// Drain empties the task: new activations are refused with ErrShuttingDown, every actor handles
// what it has already taken, then leaves as if it were idle. Actors that wait for a commit are asked
// again. It returns when nothing is left or with ctx's error. A second Drain is harmless.
func (s *System) Drain(ctx context.Context) error {
	s.closed.Store(true)
	for {
		left := s.table.snapshot()
		for _, a := range left {
			a.askToLeave(time.Time{}, 0, true)
		}
		if len(left) == 0 {
			break
		}
		if err := pause(ctx, drainStep); err != nil {
			return err
		}
	}
	return s.work.wait(ctx)
}

// pause waits d or until ctx ends, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
