package hub

import (
	"weelo/internal/fleet"
	"weelo/internal/token"
)

// Witness writes down whom operators watch, once for each watch, before anything is shown. Nothing is
// when it cannot.
type Witness interface {
	// OpsWatch must not wait for I/O. device names the operator's device, "" for none.
	OpsWatch(who token.Identity, device string, what Scope) error
}

// witnessed writes down that an operator is about to see what is in a scope.
func (s *Socket) witnessed(what Scope) error {
	if s.hub.witness == nil || s.who.Role != fleet.Ops {
		return nil
	}
	if err := s.hub.witness.OpsWatch(s.who, s.device, what); err != nil {
		return unavailable(err)
	}
	return nil
}
