package session

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"weelo/internal/token"
)

// TicketLife is how long a browser has to open its socket with a ticket.
const TicketLife = 30 * time.Second

// TicketStore keeps tickets by their digest until they are taken or over.
type TicketStore interface {
	PutTicket(ctx context.Context, digest string, value []byte, life time.Duration) error
	// TakeTicket gives a ticket's value and removes it, in one step: of many at once one gets it.
	TakeTicket(ctx context.Context, digest string) (value []byte, ok bool, err error)
}

// Tickets lets a browser, which cannot send a header with a socket's upgrade, prove who it is: a
// 128-bit ticket, good once, bound to the session it was asked for in.
type Tickets struct {
	store  TicketStore
	random io.Reader
}

// NewTickets makes one. random is crypto/rand.Reader.
func NewTickets(store TicketStore, random io.Reader) *Tickets {
	return &Tickets{store: store, random: random}
}

// Issue makes a ticket for the caller.
func (t *Tickets) Issue(ctx context.Context, id token.Identity) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(t.random, b[:]); err != nil {
		return "", fmt.Errorf("session: ticket: %w", err)
	}
	ticket := hex.EncodeToString(b[:])
	value, err := json.Marshal(id)
	if err != nil {
		return "", fmt.Errorf("session: ticket: %w", err)
	}
	if err := t.store.PutTicket(ctx, token.Digest(ticket), value, TicketLife); err != nil {
		return "", errUnavailable.Because(err)
	}
	return ticket, nil
}

// Redeem gives whose ticket it is, once. token.ErrUnauthenticated for any other ticket. Whether the
// session was revoked since is the caller's check, as for an access token.
func (t *Tickets) Redeem(ctx context.Context, ticket string, now time.Time) (token.Identity, error) {
	if len(ticket) != 32 {
		return token.Identity{}, token.ErrUnauthenticated
	}
	value, ok, err := t.store.TakeTicket(ctx, token.Digest(ticket))
	if err != nil {
		return token.Identity{}, errUnavailable.Because(err)
	}
	var id token.Identity
	if !ok || json.Unmarshal(value, &id) != nil {
		return token.Identity{}, token.ErrUnauthenticated
	}
	if !now.Before(id.ExpiresAt) {
		return token.Identity{}, token.ErrExpired
	}
	return id, nil
}
