package rest

import (
	"net/http"
	"strings"

	"weelo/internal/token"
)

// bearer verifies the access token of the Authorization header: genuine, in time, and its session
// not revoked as far as this task knows.
func (a *API) bearer(r *http.Request) (token.Identity, error) {
	header := r.Header.Get("Authorization")
	scheme, access, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return token.Identity{}, token.ErrUnauthenticated
	}
	id, err := a.tokens.Verify(strings.TrimSpace(access), a.now())
	if err != nil {
		return token.Identity{}, err
	}
	if a.revoked(id.SessionID) {
		return token.Identity{}, token.ErrUnauthenticated
	}
	id.Device = RequestOf(r.Context()).Device
	return id, nil
}
