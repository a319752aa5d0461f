package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// stranger counts a request of who has not said who he is, by his address, before anything is done for him.
func (a *API) stranger(ctx context.Context) error {
	if a.strangers == nil {
		return nil
	}
	if wait := a.strangers(ctx); wait > 0 {
		return errRate.After(wait)
	}
	return nil
}

// anybody counts a request that needs no token: of a user if it shows a good one, otherwise of a stranger.
func (a *API) anybody(r *http.Request) error {
	if who, err := a.bearer(r); err == nil {
		return a.underCeiling(r.Context(), who)
	}
	return a.stranger(r.Context())
}

// counted stands in front of routes that need no token.
func (a *API) counted(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if err := a.anybody(r); err != nil {
		a.refuse(w, r, err)
		return
	}
	next(ctx)
}

// unauthenticated refuses a request without a good token.
func (a *API) unauthenticated(w http.ResponseWriter, r *http.Request, why error) {
	if err := a.stranger(r.Context()); err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	a.refuse(w, r, why)
}
