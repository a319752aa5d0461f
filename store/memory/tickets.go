package memory

import (
	"context"
	"sync"
	"time"

	"weelo/internal/session"
)

// Tickets keeps socket tickets, on the time it is given.
type Tickets struct {
	now func() time.Time

	mu        sync.Mutex
	tickets   map[string]ticket
	nextSweep int
}

type ticket struct {
	value []byte
	until time.Time
}

var _ session.TicketStore = (*Tickets)(nil)

// NewTickets makes an empty one.
func NewTickets(now func() time.Time) *Tickets {
	return &Tickets{now: now, tickets: map[string]ticket{}, nextSweep: sweepAbove}
}

// PutTicket keeps a ticket.
func (s *Tickets) PutTicket(_ context.Context, digest string, value []byte, life time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.tickets) >= s.nextSweep {
		for k, t := range s.tickets {
			if !now.Before(t.until) {
				delete(s.tickets, k)
			}
		}
		s.nextSweep = max(sweepAbove, 2*len(s.tickets))
	}
	s.tickets[digest] = ticket{value, now.Add(life)}
	return nil
}

// TakeTicket gives a ticket once.
func (s *Tickets) TakeTicket(_ context.Context, digest string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[digest]
	delete(s.tickets, digest)
	if !ok || !s.now().Before(t.until) {
		return nil, false, nil
	}
	return t.value, true, nil
}

// Len is how many entries are kept, for metrics.
func (s *Tickets) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tickets)
}
