package actors

import (
	"context"
	"sync"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Transporters is how transports reach transporters.
type Transporters struct{ router Router }

var _ protocol.Owners = (*Transporters)(nil)

// NewTransporters makes the façade over a router that knows the kind of transporters.
func NewTransporters(r Router) *Transporters { return &Transporters{router: r} }

// Attach implements protocol.Transporters.
func (t *Transporters) Attach(ctx context.Context, transporter fleet.UserID) (func(), error) {
	to := protocol.TransporterAddress(transporter)
	if err := t.router.Tell(ctx, to, protocol.TransporterAttached{}); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { _ = t.router.Tell(context.Background(), to, protocol.TransporterDetached{}) }), nil
}

// Beat implements protocol.Transporters.
func (t *Transporters) Beat(transporter fleet.UserID) {
	_ = t.router.Tell(context.Background(), protocol.TransporterAddress(transporter), protocol.TransporterBeat{})
}

// Report implements protocol.Owners.
func (t *Transporters) Report(ctx context.Context, transporter fleet.UserID, fix track.Fix) (*protocol.Transporter, error) {
	v, err := t.router.Ask(ctx, protocol.TransporterAddress(transporter), protocol.TransporterReport{By: transporter, Fix: fix})
	if err != nil {
		return nil, err
	}
	return v.(*protocol.Transporter), nil
}

// FleetChanged implements protocol.Owners.
func (t *Transporters) FleetChanged(transporter fleet.UserID) {
	_ = t.router.Tell(context.Background(), protocol.TransporterAddress(transporter), protocol.FleetChanged{})
}

// SetAvailable implements protocol.Transporters.
func (t *Transporters) SetAvailable(ctx context.Context, transporter fleet.UserID, available bool) error {
	_, err := t.router.Ask(ctx, protocol.TransporterAddress(transporter), protocol.TransporterAvailable{By: transporter, Available: available})
	return err
}

// Get implements protocol.Transporters.
func (t *Transporters) Get(ctx context.Context, transporter fleet.UserID) (*protocol.Transporter, error) {
	v, err := t.router.Ask(ctx, protocol.TransporterAddress(transporter), protocol.GetTransporter{})
	if err != nil {
		return nil, err
	}
	return v.(*protocol.Transporter), nil
}
