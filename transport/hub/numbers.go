package hub

import (
	"context"
	"time"

	"weelo/internal/ledger"
)

// numbers keeps the events of one socket in the order of their numbers. Its fields belong to the
// socket's lock. While holding is set, events are only kept; what does not fit is marked lost and is
// read from the inbox later.
type numbers struct {
	next    int64 // the next number to send
	holding bool  // not begun yet, or a replay is running
	held    map[int64]ledger.Event
	lost    bool        // something that came while holding was not kept
	gap     *time.Timer // armed while a number is missing
	filling bool        // a read of the inbox is under way
	tries   int
}

const maxFills = 8 // reads for one gap before the socket is told to come back later

func (n *numbers) stopLocked() {
	if n.gap != nil {
		n.gap.Stop()
	}
	n.held = nil
}

// keep remembers an event that cannot be sent yet.
func (n *numbers) keep(seq int64, e ledger.Event) {
	if len(n.held) >= MaxHeld {
		n.lost = true
		return
	}
	if n.held == nil {
		n.held = make(map[int64]ledger.Event)
	}
	n.held[seq] = e
}

// event is a numbered event as a publisher delivers it, in any order.
func (s *Socket) event(seq int64, e ledger.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.numbers
	switch {
	case s.dead:
	case n.holding:
		n.keep(seq, e)
	case seq < n.next: // sent before, by a replay
	case seq > n.next:
		n.keep(seq, e)
		s.armGapLocked()
	default:
		s.sendEventLocked(seq, e, false)
		s.drainHeldLocked()
	}
	s.startLocked()
}

func (s *Socket) sendEventLocked(seq int64, e ledger.Event, replayed bool) bool {
	s.numbers.next = seq + 1
	return s.pushAllLocked(s.codec.Event(Event{Seq: seq, Replayed: replayed, Event: e}))
}

// drainHeldLocked sends what follows without a gap and arms the gap's wait for the rest.
func (s *Socket) drainHeldLocked() {
	n := &s.numbers
	for len(n.held) > 0 {
		e, ok := n.held[n.next]
		if !ok {
			break
		}
		delete(n.held, n.next)
		n.tries = 0
		s.sendEventLocked(n.next, e, false)
	}
	for seq := range n.held {
		if seq < n.next {
			delete(n.held, seq)
		}
	}
	if len(n.held) > 0 || n.lost {
		s.armGapLocked()
	} else if n.gap != nil {
		n.gap.Stop()
		n.gap = nil
	}
}

func (s *Socket) armGapLocked() {
	n := &s.numbers
	if n.gap == nil && !n.filling && !s.dead {
		n.gap = time.AfterFunc(GapWait<<min(n.tries, 4), s.fill)
	}
}

// fill reads from the inbox what did not arrive. It runs on the gap timer's goroutine.
func (s *Socket) fill() {
	s.mu.Lock()
	n := &s.numbers
	n.gap = nil
	if s.dead || n.holding || n.filling {
		s.mu.Unlock()
		return
	}
	n.filling = true
	from := n.next
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), readWait)
	entries, err := s.hub.inbox.Read(ctx, string(s.who.UserID), from, MaxReplay)
	cancel()

	s.mu.Lock()
	defer s.mu.Unlock()
	n.filling = false
	n.tries++
	if s.dead || n.holding {
		return
	}
	if err != nil {
		s.hub.log.Warn("gap in the events of a socket could not be read", "conn", s.conn, "error", err)
	} else {
		n.lost = len(entries) == MaxReplay
		for _, e := range entries {
			if e.Seq >= n.next {
				n.tries = 0
				s.sendEventLocked(e.Seq, e.Event, false)
			}
		}
	}
	if n.tries >= maxFills {
		if s.killLocked() {
			s.closeTransport(CodeOverloaded, "events are not available, reconnect")
		}
		return
	}
	s.drainHeldLocked()
	s.startLocked()
}
