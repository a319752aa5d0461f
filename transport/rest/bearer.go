package rest

import (
	"net/http"
	"strings"
	"time"

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
		if a.viewing(r, strings.TrimSpace(access)) {
			return token.Identity{}, errForbidden
		}
		return token.Identity{}, err
	}
	if a.revoked(id.SessionID) {
		return token.Identity{}, token.ErrUnauthenticated
	}
	id.Device = RequestOf(r.Context()).Device
	return id, nil
}

// viewing tells whether a viewer of a share link tries to change something: that is told apart from
// having no token, because logging in would not help.
func (a *API) viewing(r *http.Request, access string) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return false
	}
	shares, ok := a.tokens.(interface {
		VerifyShare(access string, now time.Time) (token.Identity, error)
	})
	if !ok {
		return false
	}
	_, err := shares.VerifyShare(access, a.now())
	return err == nil
}
