package token

import (
	"fmt"
	"log/slog"
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
	Trip          string // of a Viewer: the one trip that he may see
	ExpiresAt     time.Time
}

// Member is the driver whose session it is, as one of the fleet that the session is bound to.
func (id Identity) Member() fleet.Member {
	return fleet.Member{Driver: id.UserID, Fleet: id.TransporterID}
}

// String names user, role and session; the phone stays out of whatever prints an identity.
func (id Identity) String() string {
	return fmt.Sprintf("%s %s in session %s", id.Role, id.UserID, id.SessionID)
}

// LogValue is String, as attributes.
func (id Identity) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user_id", string(id.UserID)), slog.String("role", string(id.Role)), slog.String("session_id", id.SessionID))
}
