package actors

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

const (
	// OverdueAfter is how late a timer row must be before the sweeper routes it: its own activation
	// comes first.
	OverdueAfter = 2 * time.Second
	sweepTimers  = time.Second
	sweepPage    = 512
	sweepQuery   = 5 * time.Second
	// sweepPages bounds one tick: 20,480 rows.
	sweepPages = 40
	// sweepAgain is how long a firing has to take effect before it is sent once more: its actor may
	// have to be claimed and its step committed, behind thousands of others after a restart.
	sweepAgain = 3 * time.Second
	// sweepInFlight bounds the firings that are remembered for sweepAgain, and with them how fast
	// overdue timers are sent.
	sweepInFlight = 20_000
)

// Sweeper routes timers that are overdue, because their actor was never activated, has left memory
// or died with its task. One per task; several do the same work twice, which is harmless.
//
// It looks through everything that is overdue, page after page, and goes on where it stopped when a
// tick was not enough. What it has sent it leaves alone for a while. So rows that nobody can serve
// cost a firing every few seconds and hold up none behind them.
type Sweeper struct {
	Timers ledger.Timers
	Router Router
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger

	sent map[firing]time.Time // when, by this task's clock; at most sweepInFlight
	from ledger.Timer         // where the next tick begins; zero: with the oldest
}

// firing is one arming of one timer.
type firing struct {
	ref    ledger.Ref
	name   string
	number int64
}

// Run sweeps every second until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	s.sent = make(map[firing]time.Time)
	tick := time.NewTicker(sweepTimers)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sweep(ctx)
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	for f, at := range s.sent {
		if time.Since(at) >= sweepAgain {
			delete(s.sent, f)
		}
	}
	before := now().Add(-OverdueAfter)
	failed := 0
	var last error
	for range sweepPages {
		page, err := s.page(ctx, before)
		if err != nil {
			if ctx.Err() == nil {
				s.Log.WarnContext(ctx, "overdue timers not read", "error", err)
			}
			break
		}
		for _, t := range page {
			if len(s.sent) >= sweepInFlight {
				break // the next tick begins here
			}
			s.from = t
			if err := s.fire(ctx, t); err != nil && !errors.Is(err, ErrPoisoned) && !errors.Is(err, ErrQuarantined) {
				failed, last = failed+1, err // what is quarantined waits for operators, who know
			}
		}
		if len(s.sent) >= sweepInFlight || errors.Is(last, ErrShuttingDown) {
			break
		}
		if len(page) < sweepPage {
			s.from = ledger.Timer{}
			break
		}
	}
	if failed > 0 {
		s.Log.WarnContext(ctx, "overdue timers not delivered", "timers", failed, "error", last)
	}
}

func (s *Sweeper) page(ctx context.Context, before time.Time) ([]ledger.Timer, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepQuery)
	defer cancel()
	return s.Timers.Overdue(ctx, before, s.from, sweepPage)
}

// fire sends one firing unless it was sent a moment ago. One that could not be handed over is
// remembered as well: whoever has no room now is not asked again at once.
func (s *Sweeper) fire(ctx context.Context, t ledger.Timer) error {
	f := firing{t.Ref, t.Name, t.Number}
	if _, ok := s.sent[f]; ok {
		return nil
	}
	s.sent[f] = time.Now()
	return s.Router.Tell(ctx, Address{Kind: string(t.Ref.Kind), ID: t.Ref.ID}, protocol.TimerDue{Name: t.Name, Number: t.Number})
}
