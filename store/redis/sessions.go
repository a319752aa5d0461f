package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/fleet"
	"weelo/internal/session"
)

// Tickets keeps socket tickets under ticket:<sha256hex>.
type Tickets struct{ client goredis.UniversalClient }

var _ session.TicketStore = (*Tickets)(nil)

// NewTickets makes one over a client (single or cluster).
func NewTickets(client goredis.UniversalClient) *Tickets { return &Tickets{client: client} }

// PutTicket keeps a ticket.
func (s *Tickets) PutTicket(ctx context.Context, digest string, value []byte, life time.Duration) error {
	if err := s.client.Set(ctx, "ticket:"+digest, value, life).Err(); err != nil {
		return fmt.Errorf("keep a ticket: %w", err)
	}
	return nil
}

// TakeTicket gives a ticket once.
func (s *Tickets) TakeTicket(ctx context.Context, digest string) ([]byte, bool, error) {
	value, err := s.client.GetDel(ctx, "ticket:"+digest).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("take a ticket: %w", err)
	}
	return value, true, nil
}

// SessionIndex is what operators look sessions up in: refresh:<sha256hex> → session id, and
// user:tokens:<userId> → the set of a user's session ids. Nothing is decided by it.
type SessionIndex struct{ client goredis.UniversalClient }

var _ session.Index = (*SessionIndex)(nil)

// NewSessionIndex makes one over a client (single or cluster).
func NewSessionIndex(client goredis.UniversalClient) *SessionIndex {
	return &SessionIndex{client: client}
}

// Put adds a refresh token's digest. The keys are in different slots, so they are single commands.
func (s *SessionIndex) Put(ctx context.Context, user fleet.UserID, family, digest string, life time.Duration) error {
	pipe := s.client.Pipeline()
	pipe.Set(ctx, "refresh:"+digest, family, max(life, time.Second))
	pipe.SAdd(ctx, "user:tokens:"+string(user), family)
	pipe.Expire(ctx, "user:tokens:"+string(user), max(life, time.Second))
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("index a session: %w", err)
	}
	return nil
}

// Drop removes a session.
func (s *SessionIndex) Drop(ctx context.Context, user fleet.UserID, family string, digests []string) error {
	pipe := s.client.Pipeline()
	for _, d := range digests {
		pipe.Del(ctx, "refresh:"+d)
	}
	pipe.SRem(ctx, "user:tokens:"+string(user), family)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("forget a session: %w", err)
	}
	return nil
}
