package token

import (
	"time"

	"weelo/internal/fleet"
)

// Identity is who a verified access token speaks for. Authorisation uses it alone, never a payload.
type Identity struct {
	UserID        fleet.UserID
	Role          fleet.Role
	SessionID     string // sid: the refresh family; revoking it closes its sockets
	TransporterID fleet.UserID
	Phone         string
	TokenID       string // jti
	Device        string // X-Device-Id or hello.device; "" falls back to SessionID
	ExpiresAt     time.Time
}
