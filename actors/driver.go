package actors

import (
	"context"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
	"weelo/internal/trip"
)

const (
	// sampleEvery is how often a driver's trip hears of his position at most.
	sampleEvery = 30 * time.Second
	// refreshEvery is how often the rows are asked again which trip a connected driver is on: what
	// the trip's actor says is a hint and can be lost.
	refreshEvery = 5 * time.Minute
	// alertPause is the shortest time between two alerts about one driver to the same person.
	alertPause = 5 * time.Minute
	// reconnectWithin: coming back after this long is a new start, not a reconnection.
	reconnectWithin = 15 * time.Minute
	// renewEvery is how often a busy driver's presence is handed to the writer.
	renewEvery = 4 * time.Second
	factsLimit = 2 * time.Second
	factsRetry = 5 * time.Second
)

// LiveTrips reads which trip a driver is on.
type LiveTrips interface {
	// Live gives the live trips, newest first, at most limit.
	Live(ctx context.Context, by access.By, limit int) ([]access.Row, error)
}

// PresenceReader reads who is there and where they were.
type PresenceReader interface {
	Read(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]presence.Entry, error)
}

// LastPositions reads where people were last.
type LastPositions interface {
	Last(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error)
}

// BelievedTracks tells where a truck was last from the track of its trip: *access.Reads.
type BelievedTracks interface {
	// Believed gives the newest fix of the trip that may be believed; ok is false when there is none.
	Believed(ctx context.Context, s trip.State) (fix track.Fix, ok bool, err error)
}

// FixObserver counts what became of fixes.
type FixObserver interface {
	Fix(v track.Verdict)
}

// DriverConfig is what the actors of drivers need. Presence, Positions, Tracks and Fixes may be nil.
type DriverConfig struct {
	Publisher protocol.Publisher
	Users     Users
	Trips     LiveTrips
	Presence  PresenceReader
	Positions LastPositions
	Tracks    BelievedTracks // asked when Positions do not know somebody who is on a trip
	Writer    *PresenceWriter
	Rules     track.Rules
	Fixes     FixObserver
	// MaxLive bounds the drivers in memory; 0 is 200,000.
	MaxLive int
}

// DriverActors is the kind of drivers. All their state is soft: an activation reads what the stores
// know, and starts without it when they do not answer.
func DriverActors(c DriverConfig) Kind {
	if c.MaxLive == 0 {
		c.MaxLive = 200_000
	}
	return Kind{
		Name: protocol.KindDriver, Queue: 64, Idle: 5 * time.Minute, MaxLive: c.MaxLive,
		MaxStarts: 512, // an outage of a store costs each start its factsLimit
		New: func(ctx context.Context, self *Self) (Actor, error) {
			d := &driver{cfg: &c, self: self, id: fleet.UserID(self.ID()), seen: time.Now()}
			d.know(readFacts(ctx, d.cfg, d.id, false))
			return d, nil
		},
	}
}

// driver is one driver as this task knows him.
type driver struct {
	cfg  *DriverConfig
	self *Self
	id   fleet.UserID

	name      string
	fleet     fleet.UserID // his transporter, who is told
	crew      fleet.UserID // whom he drives for as the rows say; "": nobody
	crewKnown bool         // and that was read
	available bool         // his intent
	intentAt  time.Time    // when a message set it last
	sockets   int

	online  bool
	since   time.Time // when he came online
	seen    time.Time // the last sign of life, or when the activation began
	expired time.Time // when presence ran out by itself; zero otherwise
	renewed time.Time // when the presence writer heard of him last

	live track.Live
	trip *protocol.LiveTrip
	// moving is when this activation learned that his trip moves: from then on positions are due.
	moving time.Time
	// tripVersion and leftTrip keep late messages of trips from going back in time.
	tripVersion int64
	leftTrip    string
	toldAt      time.Time // when a trip's actor said something last
	sampled     time.Time // when the trip heard of a position last

	alerts  alerts
	refresh time.Time // when the rows were asked last
	asking  bool      // and have not answered yet
	check   *time.Timer
	checkAt time.Time
}

// checkDue is the driver's own look at the clock.
type checkDue struct{}

// Receive implements Actor.
func (d *driver) Receive(ctx context.Context, msg any, reply Reply) {
	switch m := msg.(type) {
	case *link:
		d.onLink(ctx, m)
	case protocol.DriverBeat:
		d.onBeat(time.Now(), false)
	case *protocol.SocketAttached:
		d.onAttached(ctx, m)
	case *protocol.SocketDetached:
		if m.Driver == d.id {
			d.sockets = max(0, d.sockets-1)
		}
	case protocol.DriverAvailable:
		d.onAvailable(m, reply)
	case protocol.GetDriver:
		reply.Answer(d.describe())
	case *protocol.TripTaken:
		d.onTripTaken(m)
	case *protocol.TripLeft:
		d.onTripLeft(m)
	case presenceLost:
		d.onPresenceLost(ctx)
	case *facts:
		d.know(m)
	case checkDue:
		d.onCheck(ctx)
	}
	d.arm(time.Now())
}

// Passivate implements Actor: whoever is there, or is connected, stays, unless the task hands over.
func (d *driver) Passivate(context.Context) bool {
	return d.self.Draining() || (!d.online && d.sockets == 0)
}

// Stopped implements Stopper.
func (d *driver) Stopped() {
	if d.check != nil {
		d.check.Stop()
	}
}

// errNotHis refuses what was sent to the actor of somebody else than the session's.
var errNotHis = fault.New(fault.PermissionDenied, "FORBIDDEN", "This is not yours to do.")

// hears tells whether a session speaks for this driver, as one of the fleet he is in. A session of another
// fleet than the rows named is not heard until they were read again: he may have changed since.
func (d *driver) hears(ctx context.Context, driver, of fleet.UserID) bool {
	switch {
	case driver != d.id:
		return false
	case of == "" || !d.crewKnown || of == d.crew:
		return true
	}
	if !d.asking && time.Since(d.refresh) >= factsRetry {
		d.ask(ctx)
	}
	return false
}

// onLink takes what the socket left in its slot: the hot path.
func (d *driver) onLink(ctx context.Context, l *link) {
	fix, hasFix := l.take()
	if !d.hears(ctx, l.driver, l.fleet) {
		return
	}
	now := time.Now()
	d.onBeat(now, l.socket)
	if !hasFix {
		return
	}
	var v track.Verdict
	d.live, v = d.live.Judge(fix, now, d.cfg.Rules)
	if d.cfg.Fixes != nil {
		d.cfg.Fixes.Fix(v)
	}
	if v == track.Moved {
		d.alerts.heard()
		d.moved(fix, now)
	}
}

// moved shows a believed position to everybody it concerns.
func (d *driver) moved(fix track.Fix, now time.Time) {
	if d.cfg.Writer != nil {
		d.cfg.Writer.Position(d.id, fix)
	}
	if d.trip == nil || !d.trip.Moving || (d.crewKnown && d.crew != d.trip.Transporter) {
		return // of a trip of a fleet that he has left nobody sees him any more
	}
	d.cfg.Publisher.Position(protocol.Position{
		TripID: d.trip.TripID, OrderID: d.trip.OrderID, Driver: d.id,
		Transporter: d.trip.Transporter, Customer: d.trip.Customer, Fix: fix,
	})
	if now.Sub(d.sampled) >= sampleEvery {
		d.sampled = now
		_ = d.self.Router().Tell(context.Background(), protocol.TripAddress(d.trip.TripID), &protocol.DriverMoved{Driver: d.id, Fix: fix})
	}
}

func (d *driver) onTripTaken(m *protocol.TripTaken) {
	same := d.trip != nil && d.trip.TripID == m.Trip.TripID
	if m.Trip.Driver != d.id || m.Trip.TripID == d.leftTrip || (same && m.Version < d.tripVersion) {
		return
	}
	d.toldAt = time.Now()
	d.take(m.Trip, m.Version)
}

func (d *driver) take(t protocol.LiveTrip, version int64) {
	other := d.trip == nil || d.trip.TripID != t.TripID
	if other {
		d.sampled = time.Time{}
		d.alerts = alerts{}
	}
	if t.Moving && (other || !d.trip.Moving) {
		d.moving = time.Now()
	}
	if t.DriverName != "" {
		d.name = t.DriverName
	}
	d.trip, d.tripVersion = &t, version
}

func (d *driver) onTripLeft(m *protocol.TripLeft) {
	d.leftTrip, d.toldAt = m.TripID, time.Now()
	if d.trip != nil && d.trip.TripID == m.TripID {
		d.trip, d.tripVersion, d.alerts = nil, 0, alerts{}
	}
}

func (d *driver) person() presence.Person {
	return presence.Person{User: d.id, Role: fleet.Driver, Fleet: d.fleet}
}

func (d *driver) describe() *protocol.Driver {
	p := &protocol.Driver{
		ID: d.id, Transporter: d.fleet, Available: d.available, Online: d.online, Sockets: d.sockets,
		SeenMS: d.seen.UnixMilli(),
	}
	if d.online {
		p.SinceMS = d.since.UnixMilli()
	}
	if fix, ok := d.live.Position(); ok {
		p.Live = &fix
	}
	if d.trip != nil {
		t := *d.trip
		p.Trip = &t
	}
	return p
}
