package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"weelo/internal/fault"
	"weelo/internal/ledger"
	"weelo/internal/panics"
)

const (
	// strikeMemory is how long a panic counts against a message without an id, or one to an actor
	// without a row, and how long such an actor is out: it is not the sender's for ever, and what broke may
	// be mended.
	strikeMemory = 10 * time.Minute
	// maxStrikes bounds the commands and actors that are remembered, and the actors whose panics are.
	maxStrikes = 4096
)

// suspect is a command, or its whole actor (ledger.WholeActor).
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

// strikes remembers which commands broke their actors, and which actors broke too often. It costs one
// atomic load per message while nothing ever was struck.
type strikes struct {
	known  atomic.Int64
	mu     sync.Mutex
	of     map[suspect]record
	recent panics.Memory[Address] // panics of actors that are not out
}

// refusal is ErrQuarantined when the actor is out, ErrPoisoned when the command is quarantined, and nil
// otherwise.
func (s *strikes) refusal(to Address, msg any, now time.Time) *fault.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.outLocked(suspect{to, ledger.WholeActor}, now):
		return ErrQuarantined
	case s.outLocked(suspect{to, commandKey(msg)}, now):
		return ErrPoisoned
	default:
		return nil
	}
}

// actorOut says whether the whole actor is out.
func (s *strikes) actorOut(to Address, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outLocked(suspect{to, ledger.WholeActor}, now)
}

func (s *strikes) outLocked(who suspect, now time.Time) bool {
	r, ok := s.of[who]
	return ok && r.count >= ledger.OutAfter(who.command) && !r.over(now)
}

// any says whether refusal needs to be asked at all.
func (s *strikes) any() bool { return s.known.Load() > 0 }

// add counts a panic and returns how many there were.
func (s *strikes) add(to Address, msg any, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addLocked(suspect{to, commandKey(msg)}, now)
}

// broke counts a panic of an actor, and takes it out when there were too many.
func (s *strikes) broke(to Address, now time.Time) (out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out = s.recent.Add(to, now)
	if out {
		s.addLocked(suspect{to, ledger.WholeActor}, now)
	}
	return out
}

func (s *strikes) addLocked(key suspect, now time.Time) int {
	if s.of == nil {
		s.of = make(map[suspect]record)
	}
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
