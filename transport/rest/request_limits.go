package rest

import (
	"context"
	"log/slog"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/token"
)

// allowed is what one user may ask for.
var allowed = limit.DefaultRequests()

var errRate = fault.New(fault.ResourceExhausted, "RATE_LIMIT_EXCEEDED", "That was too often. Please wait a moment.")

// ceiling is how much a role may ask for in all.
func ceiling(role fleet.Role) limit.Limit {
	switch role {
	case fleet.Driver:
		return allowed.Driver
	case fleet.Transporter:
		return allowed.Transporter
	case fleet.Ops:
		return allowed.Ops
	case fleet.Customer:
	}
	return allowed.Customer
}

// underCeiling counts a request of whoever is logged in, by user: thousands share an address of a carrier.
func (a *API) underCeiling(ctx context.Context, who token.Identity) error {
	return count(ctx, a.limits, a.log, ceiling(who.Role), string(who.UserID))
}

func (d Orders) limited(ctx context.Context, l limit.Limit) error {
	return limited(ctx, d.Limits, d.Log, l)
}

// limited counts one request of the caller and refuses the one too many.
func limited(ctx context.Context, limits limit.Limiter, log *slog.Logger, l limit.Limit) error {
	return count(ctx, limits, log, l, string(Caller(ctx).UserID))
}

// count counts one event of key and refuses the one too many. A store that does not count keeps nobody from
// work.
func count(ctx context.Context, limits limit.Limiter, log *slog.Logger, l limit.Limit, key string) error {
	if limits == nil {
		return nil
	}
	switch wait, err := limits.Take(ctx, l, key); {
	case err != nil:
		log.WarnContext(ctx, "limit not counted", "limit", l.Name, "error", err)
	case wait > 0:
		return errRate.After(wait)
	}
	return nil
}
