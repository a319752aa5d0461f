package actors

import (
	"context"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

const (
	// releasesEvery is how often a task that remembers strikes asks whether operators released any, and
	// so how long it takes a release to reach it. Less than ledger.ReleaseLag.
	releasesEvery = 2 * time.Second
	// releasesOverlap is read twice: tasks' clocks differ, and a release is seen after its transaction.
	releasesOverlap = time.Minute
	quarantineLimit = 5 * time.Second
)

// commandKey names the command: its id, or its type for a message without one.
func commandKey(msg any) string {
	if c, ok := msg.(protocol.Command); ok && c.CommandID() != "" {
		return c.CommandID()
	}
	return messageName(msg)
}

// named says whether a message carries the id of a command.
func named(msg any) bool {
	c, ok := msg.(protocol.Command)
	return ok && c.CommandID() != ""
}

// fenced gives the aggregate behind an actor, if it has one.
func fenced(to Address) (ref ledger.Ref, ok bool) {
	kind := ledger.Kind(to.Kind)
	return ledger.Ref{Kind: kind, ID: to.ID}, kind == ledger.Order || kind == ledger.Trip
}

// strike counts a panic against the command that caused it: here at once, and in the store for
// commands of fenced aggregates, so that a restart does not forgive.
func (s *System) strike(ctx context.Context, to Address, msg any, reason any) int {
	now := time.Now()
	count, command := s.struck.add(to, msg, now), commandKey(msg)
	if !named(msg) {
		return count
	}
	name := messageName(msg)
	if letter, ok := msg.(*protocol.Letter); ok {
		name = letter.Type
	}
	s.keep(ctx, to, ledger.Harm{CommandID: command, Message: name, Reason: fmt.Sprint(reason), At: now})
	return count
}

// broke counts a panic of an actor, whatever caused it, and tells whether it was one too many: then the
// actor is out, here at once, and in the store if it has a row, so that a restart does not forgive and
// operators know.
func (s *System) broke(ctx context.Context, to Address, reason any) (out bool) {
	now := time.Now()
	if !s.struck.broke(to, now) {
		return false
	}
	s.observer.TakenOut(to.Kind)
	s.log.ErrorContext(ctx, "actor taken out: it broke too often", "kind", to.Kind, "id", to.ID,
		"panics", s.struck.recent.Most, "within", ledger.PanicWindow, "panic", reason)
	s.keep(ctx, to, ledger.Harm{CommandID: ledger.WholeActor, Message: "actor", Reason: fmt.Sprint(reason), At: now})
	return true
}

// keep counts a harm to a fenced aggregate's actor in the store.
func (s *System) keep(ctx context.Context, to Address, harm ledger.Harm) {
	ref, ok := fenced(to)
	if s.quarantine == nil || !ok {
		return
	}
	harm.Ref = ref
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quarantineLimit)
		defer cancel()
		stored, err := s.quarantine.Strike(ctx, harm)
		if err != nil {
			s.log.ErrorContext(ctx, "strike not recorded", "kind", to.Kind, "id", to.ID, "command", harm.CommandID, "error", err)
			return
		}
		s.struck.know(to, stored)
	})
}

// remember reads the strikes of a fenced aggregate before its actor starts: what broke it under
// another task does not get to it here. An actor starts without them when they cannot be read.
func (s *System) remember(ctx context.Context, to Address) {
	ref, ok := fenced(to)
	if s.quarantine == nil || !ok {
		return
	}
	struck, err := s.quarantine.Strikes(ctx, ref)
	if err != nil {
		s.log.WarnContext(ctx, "strikes not read", "kind", to.Kind, "id", to.ID, "error", err)
		return
	}
	for _, c := range struck {
		s.struck.know(to, c)
	}
}

// WatchQuarantine learns from the store which commands operators released, on whatever task, until ctx
// ends. What was released is tried here again within 2 s. It asks only while strikes are remembered.
func (s *System) WatchQuarantine(ctx context.Context) error {
	if s.quarantine == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(releasesEvery)
	defer tick.Stop()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if !s.struck.any() {
				since = now // what is not remembered will be read as it is then
				continue
			}
			heard, err := s.released(ctx, since.Add(-releasesOverlap))
			switch {
			case err == nil && heard.IsZero():
				since = now
			case err == nil: // there is more
				since = heard.Add(releasesOverlap)
			case ctx.Err() == nil:
				s.log.WarnContext(ctx, "releases from quarantine not read", "error", err)
			}
		}
	}
}

// released forgets the strikes of what was released since. heard is the time of the last release of a
// full page, zero when there is no more.
func (s *System) released(ctx context.Context, since time.Time) (heard time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, quarantineLimit)
	defer cancel()
	list, err := s.quarantine.Released(ctx, since)
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range list {
		to := Address{Kind: string(r.Ref.Kind), ID: r.Ref.ID}
		if s.struck.release(to, r.CommandID, r.Releases) {
			s.log.InfoContext(ctx, "released from quarantine", "kind", to.Kind, "id", to.ID, "command", r.CommandID, "actor", r.CommandID == ledger.WholeActor)
		}
		heard = r.At
	}
	if len(list) < ledger.MaxReleases {
		heard = time.Time{}
	}
	return heard, nil
}
