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
	strikesOut = 3
	// strikeMemory is how long a panic counts against a message without an id, or one to an actor
	// without a row: it is not the sender's for ever, and what broke may be mended.
	strikeMemory = 10 * time.Minute
	// maxStrikes bounds the commands that are remembered.
	maxStrikes = 4096
)

type suspect struct {
	to      Address
	command string
}

type record struct {
	count int
	last  time.Time
	// stored: the count is in the store under the id of one command, and is never forgiven.
	stored bool
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

// know raises a command's count to what the store remembers, of any task and any time.
func (s *strikes) know(to Address, command string, count int, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[suspect]record)
	}
	key := suspect{to, command}
	r := s.of[key]
	s.of[key] = record{count: max(r.count, count), last: later(r.last, last), stored: true}
	s.forgetLocked(time.Now())
	s.known.Store(int64(len(s.of)))
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
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stored, err := s.quarantine.Strike(ctx, ref, command, fmt.Sprint(reason), now)
		if err != nil {
			s.log.ErrorContext(ctx, "strike not recorded", "kind", to.Kind, "id", to.ID, "command", command, "error", err)
			return
		}
		s.struck.know(to, command, stored, now)
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
		s.struck.know(to, c.CommandID, c.Strikes, c.Last)
	}
}
