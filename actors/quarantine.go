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
	// strikeMemory is how long a panic counts against a command.
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
}

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
	return ok && r.count >= strikesOut && now.Sub(r.last) < strikeMemory
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
	if now.Sub(r.last) >= strikeMemory {
		r.count = 0
	}
	r.count++
	r.last = now
	s.of[key] = r
	s.forgetLocked(now)
	s.known.Store(int64(len(s.of)))
	return r.count
}

// know raises a command's count to what a store remembers from before this task's start.
func (s *strikes) know(to Address, command string, count int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := suspect{to, command}
	if r, ok := s.of[key]; ok && r.count < count {
		s.of[key] = record{count: count, last: now}
	}
}

// forgetLocked drops what is past its time and, when that is not enough, the oldest.
func (s *strikes) forgetLocked(now time.Time) {
	if len(s.of) <= maxStrikes {
		return
	}
	var oldest suspect
	at := now
	for k, r := range s.of {
		if now.Sub(r.last) >= strikeMemory {
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

// strike counts a panic against the command that caused it: here at once, and in the store for
// fenced aggregates, so that a restart does not forgive.
func (s *System) strike(ctx context.Context, to Address, msg any, reason any) int {
	now := time.Now()
	count, command := s.struck.add(to, msg, now), commandKey(msg)
	kind := ledger.Kind(to.Kind)
	if s.quarantine == nil || (kind != ledger.Order && kind != ledger.Trip) {
		return count
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stored, err := s.quarantine.Strike(ctx, ledger.Ref{Kind: kind, ID: to.ID}, command, fmt.Sprint(reason), now)
		if err != nil {
			s.log.ErrorContext(ctx, "strike not recorded", "kind", to.Kind, "id", to.ID, "command", command, "error", err)
			return
		}
		s.struck.know(to, command, stored, now)
	})
	return count
}
