package actors

import (
	"context"
	"sync"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Drivers is how transports reach drivers. A position never waits: it is put into a slot, where a
// newer one takes its place, and a single wake-up per slot is on its way at any time. So a slow
// actor has at most one message per socket in its queue, however fast the phone talks.
type Drivers struct{ router Router }

var _ protocol.Drivers = (*Drivers)(nil)

// NewDrivers makes the façade over a router that knows the kind of drivers.
func NewDrivers(r Router) *Drivers { return &Drivers{router: r} }

// Attach implements protocol.Drivers.
func (d *Drivers) Attach(ctx context.Context, driver, transporter fleet.UserID) (protocol.DriverLink, error) {
	to := protocol.DriverAddress(driver)
	if err := d.router.Tell(ctx, to, &protocol.SocketAttached{Driver: driver, Transporter: transporter}); err != nil {
		return nil, err
	}
	return &link{router: d.router, to: to, driver: driver, fleet: transporter, socket: true}, nil
}

// Report implements protocol.Drivers.
func (d *Drivers) Report(driver fleet.UserID, fix track.Fix) {
	l := link{router: d.router, to: protocol.DriverAddress(driver), driver: driver}
	l.Report(fix)
}

// Beat implements protocol.Drivers.
func (d *Drivers) Beat(driver fleet.UserID) {
	_ = d.router.Tell(context.Background(), protocol.DriverAddress(driver), protocol.DriverBeat{})
}

// SetAvailable implements protocol.Drivers.
func (d *Drivers) SetAvailable(ctx context.Context, driver fleet.UserID, available bool) error {
	_, err := d.router.Ask(ctx, protocol.DriverAddress(driver), protocol.DriverAvailable{Driver: driver, Available: available})
	return err
}

// Get implements protocol.Drivers.
func (d *Drivers) Get(ctx context.Context, driver fleet.UserID) (*protocol.Driver, error) {
	v, err := d.router.Ask(ctx, protocol.DriverAddress(driver), protocol.GetDriver{})
	if err != nil {
		return nil, err
	}
	return v.(*protocol.Driver), nil
}

// link is one socket's hold on a driver, and at once the message that wakes his actor.
type link struct {
	router Router
	to     Address
	driver fleet.UserID // whose session it is
	fleet  fleet.UserID // and of which fleet; "" when the session was asked about elsewhere
	socket bool         // it stands for an open socket

	mu     sync.Mutex
	fix    track.Fix
	hasFix bool
	beat   bool
	awake  bool // a wake-up is on its way
}

// Report implements protocol.DriverLink.
func (l *link) Report(fix track.Fix) {
	if fix.ReceivedMS == 0 {
		fix.ReceivedMS = time.Now().UnixMilli()
	}
	l.mu.Lock()
	if !l.hasFix || fix.TS > l.fix.TS {
		l.fix, l.hasFix = fix, true
	}
	l.wakeLocked()
}

// Beat implements protocol.DriverLink.
func (l *link) Beat() {
	l.mu.Lock()
	l.beat = true
	l.wakeLocked()
}

// wakeLocked unlocks, and sends the wake-up unless one is on its way. A full queue loses this fix:
// positions are lossy by contract, and the next one tries again.
func (l *link) wakeLocked() {
	if l.awake {
		l.mu.Unlock()
		return
	}
	l.awake = true
	l.mu.Unlock()
	if l.router.Tell(context.Background(), l.to, l) != nil {
		l.mu.Lock()
		l.awake = false
		l.mu.Unlock()
	}
}

// take empties the slot. It is called by the actor.
func (l *link) take() (fix track.Fix, hasFix bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fix, hasFix = l.fix, l.hasFix
	l.hasFix, l.beat, l.awake = false, false, false
	return fix, hasFix
}

// Detach implements protocol.DriverLink.
func (l *link) Detach() {
	_ = l.router.Tell(context.Background(), l.to, &protocol.SocketDetached{Driver: l.driver})
}
