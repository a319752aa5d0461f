package hub

import (
	"context"
	"fmt"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
)

// Mode says how a socket begins.
type Mode string

// The modes of a begin (design §7).
const (
	Live   Mode = "live"   // nothing was asked for
	Replay Mode = "replay" // what was missed follows
	Resync Mode = "resync" // too much was missed: a snapshot follows
)

// Resume is what a client says it has seen. An empty stream means that the format does not name it.
type Resume struct {
	Stream string
	Seq    int64
}

// Plan is how a socket will begin: what its welcome has to say, and what Begin then sends.
type Plan struct {
	Stream string
	Head   int64 // the recipient's highest number when the plan was made
	Mode   Mode

	missed []ledger.InboxEntry
	offers []Offer // open ones, of a transporter
}

// Plan looks up how the socket can begin. It is to be called once, after Attach and before Begin, so
// that nothing can fall between what it reads and what is live. A failure to read is answered as
// UNAVAILABLE.
func (s *Socket) Plan(ctx context.Context, r *Resume, now time.Time) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	p, err := s.planEvents(ctx, r, now)
	if err != nil || s.who.Role != fleet.Transporter {
		return p, err
	}
	if p.offers, err = s.hub.access.Offers(ctx, s.who); err != nil {
		return Plan{}, unavailable(fmt.Errorf("read open offers: %w", err))
	}
	for i := range p.offers {
		p.offers[i].Replayed = true
	}
	return p, nil
}

func (s *Socket) planEvents(ctx context.Context, r *Resume, now time.Time) (Plan, error) {
	inbox, user := s.hub.inbox, string(s.who.UserID)
	stream, err := inbox.Stream(ctx)
	if err != nil {
		return Plan{}, unavailable(fmt.Errorf("read stream: %w", err))
	}
	head, err := inbox.Head(ctx, user)
	if err != nil {
		return Plan{}, unavailable(fmt.Errorf("read head: %w", err))
	}
	p := Plan{Stream: stream, Head: head, Mode: Live}
	if r == nil {
		return p, nil
	}
	p.Mode = Resync
	if r.Stream != "" && r.Stream != stream || r.Seq < 0 || r.Seq > head || head-r.Seq > MaxReplay {
		return p, nil
	}
	if r.Seq < head {
		p.missed, err = inbox.Read(ctx, user, r.Seq+1, int(head-r.Seq))
		if err != nil {
			return Plan{}, unavailable(fmt.Errorf("read missed events: %w", err))
		}
	}
	if replayable(p.missed, r.Seq, head, now) {
		p.Mode = Replay
	} else {
		p.missed = nil
	}
	return p, nil
}

// replayable tells whether the entries are all of seq+1 … head and young enough.
func replayable(entries []ledger.InboxEntry, seq, head int64, now time.Time) bool {
	if int64(len(entries)) != head-seq {
		return false
	}
	return len(entries) == 0 || entries[0].Seq == seq+1 && now.Sub(entries[0].Event.At) <= ReplayAge
}

// Begin sends what the plan promised, then synced, then lets the live events go, and shows a
// transporter what is offered to him. It waits where the queue is full, and gives up when ctx ends or
// the socket does.
//
// A resync shows the offers before synced, as a part of the state. Otherwise they come after the events,
// because one of those may be the closing of an offer that has been opened again.
func (s *Socket) Begin(ctx context.Context, p Plan) error {
	switch p.Mode {
	case Replay:
		if err := s.replay(ctx, p.missed); err != nil {
			return err
		}
	case Resync:
		if err := s.snapshot(ctx, p.offers); err != nil {
			return err
		}
	case Live:
	}
	s.mu.Lock()
	s.numbers.next = p.Head + 1
	if p.Mode != Live {
		s.pushAllLocked(s.codec.Synced(p.Head))
	}
	s.releaseLocked()
	s.mu.Unlock()
	return s.showAll(ctx, p.offers)
}

// releaseLocked ends a hold: everything numbered that came meanwhile goes out in order.
func (s *Socket) releaseLocked() {
	s.numbers.holding = false
	s.drainHeldLocked()
	s.pushAllLocked(s.soft)
	s.soft = nil
	s.showEarlyLocked()
	s.startLocked()
}

// Replay sends the events from a number up to the last one sent once more, for a client that has seen
// a gap. Live events wait until it is done; synced ends it.
func (s *Socket) Replay(ctx context.Context, from int64) error {
	s.mu.Lock()
	n := &s.numbers
	if s.dead || n.holding {
		s.mu.Unlock()
		return fault.New(fault.FailedPrecondition, "NOT_SYNCED", "A replay is already running.")
	}
	next := n.next
	if from < 1 || from > next || next-from > MaxReplay {
		s.mu.Unlock()
		return fault.New(fault.FailedPrecondition, "REPLAY_UNAVAILABLE", "Too much was missed. Please reconnect.")
	}
	n.holding = true
	s.mu.Unlock()

	err := s.replayRange(ctx, from, next)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.pushAllLocked(s.codec.Synced(next - 1))
	}
	s.releaseLocked()
	return err
}

func (s *Socket) replayRange(ctx context.Context, from, next int64) error {
	if from == next {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	entries, err := s.hub.inbox.Read(ctx, string(s.who.UserID), from, int(next-from))
	if err != nil {
		return unavailable(fmt.Errorf("read events to replay: %w", err))
	}
	if len(entries) == 0 || entries[0].Seq != from {
		return fault.New(fault.FailedPrecondition, "REPLAY_UNAVAILABLE", "Too much was missed. Please reconnect.")
	}
	return s.replay(ctx, entries)
}

func (s *Socket) replay(ctx context.Context, entries []ledger.InboxEntry) error {
	for _, e := range entries {
		if err := s.sendWaiting(ctx, s.codec.Event(Event{Seq: e.Seq, Replayed: true, Event: e.Event})); err != nil {
			return err
		}
	}
	return nil
}

// snapshot sends the state that takes the place of too many events.
func (s *Socket) snapshot(ctx context.Context, offers []Offer) error {
	read, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	trips, err := s.hub.access.Live(read, s.who)
	if err != nil {
		return unavailable(fmt.Errorf("read live trips: %w", err))
	}
	if err := s.witnessed(Scope{Kind: All}); err != nil {
		return err
	}
	for i := range trips {
		if err := s.sendWaiting(ctx, s.codec.Trip(&trips[i], "")); err != nil {
			return err
		}
	}
	return s.showAll(ctx, offers)
}

// sendWaiting is Send for the socket's own goroutine: it waits for room, at most WriteWait in all.
func (s *Socket) sendWaiting(ctx context.Context, messages [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, WriteWait)
	defer cancel()
	for _, m := range messages {
		if err := s.waitForRoom(ctx, len(m), func() bool { return s.pushLocked(m) }); err != nil {
			return err
		}
	}
	return nil
}

// waitForRoom calls put, under the lock, when there is room for so many bytes; put says whether the socket lives.
func (s *Socket) waitForRoom(ctx context.Context, size int, put func() bool) error {
	for {
		s.mu.Lock()
		if s.dead || len(s.queue) < MaxQueued/2 && s.bytes+size <= MaxQueuedBytes {
			ok := put()
			s.startLocked()
			s.mu.Unlock()
			if !ok {
				return errClosed
			}
			return nil
		}
		room := s.roomLocked()
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("send: %w", ctx.Err())
		}
	}
}

var errClosed = fault.New(fault.Unavailable, "SOCKET_CLOSED", "The connection is closed.")

func unavailable(err error) error {
	return fault.New(fault.Unavailable, "UNAVAILABLE", "Please try again in a moment.").Because(err)
}
