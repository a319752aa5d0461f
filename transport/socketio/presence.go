package socketio

import (
	"context"
	"fmt"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/internal/track"
)

// presence is a socket's hold on the actor of its person. The zero value holds nothing: customers and
// ops have no presence.
type presence struct {
	driver      protocol.DriverLink
	transporter func() // says that the socket closed
	renew       func() // a transporter's sign of life
}

// attach connects a new socket to the actor of its person.
func (s *Server) attach(ctx context.Context, who token.Identity) (presence, error) {
	switch who.Role {
	case fleet.Driver:
		link, err := s.cfg.Drivers.Attach(ctx, who.UserID, who.TransporterID)
		if err != nil {
			return presence{}, fmt.Errorf("attach driver: %w", err)
		}
		return presence{driver: link}, nil
	case fleet.Transporter:
		detach, err := s.cfg.Transporters.Attach(ctx, who.UserID)
		if err != nil {
			return presence{}, fmt.Errorf("attach transporter: %w", err)
		}
		return presence{transporter: detach, renew: func() { s.cfg.Transporters.Beat(who.UserID) }}, nil
	case fleet.Customer, fleet.Ops:
	}
	return presence{}, nil
}

// beat is a sign of life, with a position when there was one. A transporter's position comes by REST.
func (p presence) beat(fix *track.Fix) {
	switch {
	case p.driver != nil:
		p.driver.Beat()
		if fix != nil {
			p.driver.Report(*fix)
		}
	case p.renew != nil:
		p.renew()
	}
}

// detach gives the hold back.
func (p presence) detach() {
	if p.driver != nil {
		p.driver.Detach()
	}
	if p.transporter != nil {
		p.transporter()
	}
}
