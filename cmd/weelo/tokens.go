package main

import (
	"context"
	"time"

	"weelo/internal/config"
	"weelo/internal/session"
	"weelo/internal/token"
)

// tokenKeys are the keys that tokens are signed with and those that are accepted.
func tokenKeys(keys config.Secrets, life time.Duration) token.Config {
	return token.Config{
		Access:  token.Keys(keys.JWT.Reveal(), keys.JWTPrevious.Reveal()),
		Refresh: token.Keys(keys.JWTRefresh.Reveal(), keys.JWTRefreshPrevious.Reveal()),
		TTL:     life,
	}
}

// credentials are what a socket may be opened with: access tokens and tickets of sessions that this
// task does not know to be revoked, as REST checks them.
type credentials struct {
	mint    *token.Mint
	tickets *session.Tickets
	revoked *session.Watch
}

// Verify reads an access token.
func (c credentials) Verify(access string, now time.Time) (token.Identity, error) {
	return c.living(c.mint.Verify(access, now))
}

// Redeem takes a ticket.
func (c credentials) Redeem(ctx context.Context, ticket string, now time.Time) (token.Identity, error) {
	return c.living(c.tickets.Redeem(ctx, ticket, now))
}

func (c credentials) living(id token.Identity, err error) (token.Identity, error) {
	if err == nil && c.revoked.Revoked(id.SessionID) {
		return token.Identity{}, token.ErrUnauthenticated
	}
	return id, err
}
