package actors

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
)

const (
	// strikesOut is after how many panics a command is kept from its actor.
	strikesOut = ledger.StrikesOut
	// strikeMemory is how long a panic counts against a message without an id, or one to an actor
	// without a row: it is not the sender's for ever, and what broke may be mended.
	strikeMemory = 10 * time.Minute
	// maxStrikes bounds the commands that are remembered.
	maxStrikes = 4096
	// releasesEvery is how often a task that remembers strikes asks whether operators released any, and
	// so how long it takes a release to reach it. Less than ledger.ReleaseLag.
	releasesEvery = 2 * time.Second
	// releasesOverlap is read twice: tasks' clocks differ, and a release is seen after its transaction.
	releasesOverlap = time.Minute
	quarantineLimit = 5 * time.Second
)

type suspect struct {
	to      Address
	command string
}

type record struct {
	count int
	last  time.Time
	// stored: the count is in the store under the id of one command, and time does not forgive it.
	stored bool
	// releases is the store's count of releases that the strikes come after.
	releases int
}

// over says that the strikes no longer count.
func (r record) over(now time.Time) bool { return !r.stored && now.Sub(r.last) >= strikeMemory }

// strikes remembers which commands broke their actors. It costs one atomic load per message while
// nothing ever panicked.
type strikes struct {
	known atomic.Int64
	mu    sync.Mutex
	of    map[suspect]record
}

// out says whether the command is quarantined.
func (s *strikes) out(to Address, msg any, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.of[suspect{to, commandKey(msg)}]
	return ok && r.count >= strikesOut && !r.over(now)
}

// any says whether out needs to be asked at all.
func (s *strikes) any() bool { return s.known.Load() > 0 }

// add counts a panic and returns how many there were.
func (s *strikes) add(to Address, msg any, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[suspect]record)
	}
	key := suspect{to, commandKey(msg)}
	r := s.of[key]
	if r.over(now) {
		r.count = 0
	}
	r.count++
	r.last = now
	s.of[key] = r
	s.forgetLocked(now)
	s.known.Store(int64(len(s.of)))
	return r.count
}

// know raises a command's count to what the store remembers, of any task and any time. What was told
// before a release that is known here is no news.
func (s *strikes) know(to Address, told ledger.Struck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[suspect]record)
	}
	key := suspect{to, told.CommandID}
	r := s.of[key]
	switch {
	case told.Releases < r.releases:
		return
	case told.Releases > r.releases:
		r = record{releases: told.Releases}
	}
	r.count, r.last, r.stored = max(r.count, told.Strikes), later(r.last, told.Last), true
	s.of[key] = r
	s.forgetLocked(time.Now())
	s.known.Store(int64(len(s.of)))
}

// release forgets the strikes from before it. The record stays: what was told before the release may
// still be on its way.
func (s *strikes) release(to Address, command string, releases int) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := suspect{to, command}
	r, ok := s.of[key]
	if !ok || releases <= r.releases {
		return false
	}
	s.of[key] = record{last: r.last, stored: true, releases: releases}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// forgetLocked drops what is past its time and, when that is not enough, the oldest.
func (s *strikes) forgetLocked(now time.Time) {
	if len(s.of) <= maxStrikes {
		return
	}
	var oldest suspect
	at := now
	for k, r := range s.of {
		if r.over(now) {
			delete(s.of, k)
		} else if !r.last.After(at) {
			oldest, at = k, r.last
		}
	}
	if len(s.of) > maxStrikes {
		delete(s.of, oldest)
	}
}

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
	ref, ok := fenced(to)
	if s.quarantine == nil || !ok || !named(msg) {
		return count
	}
	name := messageName(msg)
	if letter, ok := msg.(*protocol.Letter); ok {
		name = letter.Type
	}
	harm := ledger.Harm{Ref: ref, CommandID: command, Message: name, Reason: fmt.Sprint(reason), At: now}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quarantineLimit)
		defer cancel()
		stored, err := s.quarantine.Strike(ctx, harm)
		if err != nil {
			s.log.ErrorContext(ctx, "strike not recorded", "kind", to.Kind, "id", to.ID, "command", command, "error", err)
			return
		}
		s.struck.know(to, stored)
	})
	return count
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
			s.log.InfoContext(ctx, "command released from quarantine", "kind", to.Kind, "id", to.ID, "command", r.CommandID)
		}
		heard = r.At
	}
	if len(list) < ledger.MaxReleases {
		heard = time.Time{}
	}
	return heard, nil
}
