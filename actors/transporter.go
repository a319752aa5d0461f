package actors

import (
	"context"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/presence"
	"weelo/internal/track"
)

// fleetFresh is how long what was read about a fleet is believed: other tasks change it without a word.
const fleetFresh = 60 * time.Second

// maxFleetHeard bounds the drivers one transporter's actor remembers.
const maxFleetHeard = fleet.MaxFleet

// FleetReader reads the vehicles of a transporter.
type FleetReader interface {
	// VehiclesOf gives a transporter's vehicles by number.
	VehiclesOf(ctx context.Context, transporter fleet.UserID) ([]fleet.Vehicle, error)
}

// Grid is where orders look for transporters: *fleet.Grid.
type Grid interface {
	// Put places a transporter; false when a newer position is known, he left since, or has no kinds.
	Put(id fleet.UserID, at geo.Point, keys []string, atMS int64) bool
	// Remove takes him off; positions up to then do not bring him back.
	Remove(id fleet.UserID, atMS int64)
}

// TransporterConfig is what the actors of transporters need. Presence and Writer may be nil.
type TransporterConfig struct {
	Users    Users
	Presence PresenceReader
	Writer   *PresenceWriter
	// Vehicles and Grid make transporters findable for orders; nil: nobody is.
	Vehicles FleetReader
	Grid     Grid
	// Came hears of a transporter who can be offered orders that were open before: he came online, or a
	// vehicle of his did. It is called on his actor's turn and must not block. nil: nobody hears.
	Came func(transporter fleet.UserID, at geo.Point, keys []string)
	// MaxLive bounds the transporters in memory; 0 is 50,000.
	MaxLive int
}

// TransporterActors is the kind of transporters. All their state is soft.
func TransporterActors(c TransporterConfig) Kind {
	if c.MaxLive == 0 {
		c.MaxLive = 50_000
	}
	return Kind{
		Name: protocol.KindTransporter, Queue: 256, Idle: 5 * time.Minute, MaxLive: c.MaxLive,
		New: func(ctx context.Context, self *Self) (Actor, error) {
			t := &transporter{cfg: &c, self: self, id: fleet.UserID(self.ID()), drivers: map[fleet.UserID]heardOf{}}
			t.know(readOwner(ctx, t.cfg, t.id), true)
			return t, nil
		},
	}
}

// transporter is one transporter as this task knows him.
type transporter struct {
	cfg  *TransporterConfig
	self *Self
	id   fleet.UserID

	available bool
	sockets   int
	online    bool
	since     time.Time
	seen      time.Time
	renewed   time.Time
	check     *time.Timer

	intentAt time.Time // when a message set the intent last
	asked    time.Time // when the stores were asked last

	place   track.Fix // where he was last, by a heartbeat; the zero one: not known
	fleet   *protocol.TransporterFleet
	fleetAt time.Time // when the question was asked that fleet answers
	asking  bool      // and one is on its way
	again   bool      // the fleet changed since it was asked
	came    bool      // Came was told of him as he is

	drivers map[fleet.UserID]heardOf
}

// heardOf is the latest word about one driver of the fleet.
type heardOf struct {
	online bool
	atMS   int64
}

// ownerFacts is what the stores know about a transporter.
type ownerFacts struct {
	asked   time.Time
	user    *fleet.User
	present *presence.Entry
	read    bool                       // present was read
	fleet   *protocol.TransporterFleet // nil: not read
}

func readOwner(ctx context.Context, c *TransporterConfig, id fleet.UserID) *ownerFacts {
	ctx, cancel := context.WithTimeout(ctx, factsLimit)
	defer cancel()
	f := &ownerFacts{asked: time.Now()}
	if u, err := c.Users.User(ctx, id); err == nil {
		f.user = &u
	}
	if c.Presence != nil {
		entries, err := c.Presence.Read(ctx, []fleet.UserID{id}, time.Now())
		if f.read = err == nil; f.read {
			if e, ok := entries[id]; ok {
				f.present = &e
			}
		}
	}
	f.fleet = readFleet(ctx, c, id)
	return f
}

// readFleet sums up the vehicles of a transporter; nil when they cannot be read.
func readFleet(ctx context.Context, c *TransporterConfig, id fleet.UserID) *protocol.TransporterFleet {
	if c.Vehicles == nil {
		return nil
	}
	vehicles, err := c.Vehicles.VehiclesOf(ctx, id)
	if err != nil {
		return nil
	}
	f := &protocol.TransporterFleet{Vehicles: len(vehicles)}
	var first *fleet.Vehicle
	if f.Keys, first = fleet.Drivable(vehicles); first != nil {
		f.First, f.FirstKey = first.ID, fleet.Key(first.Type, first.Subtype)
	}
	return f
}

// know takes what the stores said.
func (t *transporter) know(f *ownerFacts, first bool) {
	now := time.Now()
	t.asking = false
	if f.fleet != nil {
		t.fleet, t.fleetAt = f.fleet, f.asked
	}
	defer t.settle(now)
	if f.user != nil && !t.intentAt.After(f.asked) {
		t.available = f.user.Available
	}
	switch {
	case first && f.present != nil && t.available:
		t.online, t.since, t.seen = true, time.UnixMilli(f.present.Since), time.UnixMilli(f.present.Seen)
		t.arm(now)
	case first || f.user == nil:
	case !t.online && t.available && now.Sub(t.seen) < presence.TransporterLife:
		t.enter(now) // he came back
	case !t.online:
	case !t.available:
		t.leave() // he went offline by another task
	case f.read && f.present == nil && t.cfg.Writer != nil:
		t.cfg.Writer.Enter(t.person())
	}
}

// Receive implements Actor.
func (t *transporter) Receive(_ context.Context, msg any, reply Reply) {
	switch m := msg.(type) {
	case protocol.TransporterBeat:
		t.onBeat(time.Now())
	case protocol.TransporterReport:
		t.onReport(m, reply)
	case protocol.FleetChanged:
		t.onFleetChanged(time.Now())
	case protocol.TransporterAttached:
		t.onAttached(time.Now())
	case protocol.TransporterDetached:
		t.sockets = max(0, t.sockets-1)
	case protocol.TransporterAvailable:
		t.onAvailable(m, reply)
	case protocol.GetTransporter:
		reply.Answer(t.describe())
	case *protocol.FleetDriver:
		t.onFleetDriver(m)
	case presenceLost:
		t.onPresenceLost()
	case *ownerFacts:
		t.know(m, false)
	case checkDue:
		t.onCheck(time.Now())
	}
}

// Passivate implements Actor.
func (t *transporter) Passivate(context.Context) bool {
	return t.self.Draining() || (!t.online && t.sockets == 0)
}

// Stopped implements Stopper.
func (t *transporter) Stopped() {
	if t.check != nil {
		t.check.Stop()
	}
}

// onReport is a beat that says where he is.
func (t *transporter) onReport(m protocol.TransporterReport, reply Reply) {
	if m.By != t.id {
		reply.Refuse(errNotHis)
		return
	}
	now := time.Now()
	if m.Fix.TS >= t.place.TS {
		t.place = m.Fix
		if t.cfg.Writer != nil {
			t.cfg.Writer.Position(t.id, m.Fix)
		}
	}
	t.onBeat(now)
	t.settle(now)
	if !t.asking && now.Sub(t.fleetAt) >= fleetFresh {
		t.ask(now)
	}
	reply.Answer(t.describe())
}

// onFleetChanged reads the vehicles again. Whoever is told of him then looks at all his vehicles, so
// one that came free is offered what is open.
func (t *transporter) onFleetChanged(now time.Time) {
	t.came = false
	if t.asking {
		t.again = true
		return
	}
	t.ask(now)
}

// settle places him where orders look, if he is online and it is known where and with what.
func (t *transporter) settle(now time.Time) {
	if t.again && !t.asking {
		t.again = false
		t.ask(now)
		return
	}
	if !t.online || t.fleet == nil || t.cfg.Grid == nil || now.UnixMilli()-t.place.ReceivedMS >= presence.TransporterLife.Milliseconds() {
		return
	}
	at := geo.Point{Lat: t.place.Lat, Lng: t.place.Lng}
	if !t.cfg.Grid.Put(t.id, at, t.fleet.Keys, t.place.ReceivedMS) {
		return
	}
	if !t.came && t.cfg.Came != nil {
		t.came = true
		t.cfg.Came(t.id, at, t.fleet.Keys)
	}
}

// ask reads the facts again, off the actor's turn.
func (t *transporter) ask(now time.Time) {
	t.asked, t.asking = now, true
	c, id := t.cfg, t.id
	t.self.Go(context.Background(), factsLimit+time.Second, func(ctx context.Context) any { return readOwner(ctx, c, id) })
}

func (t *transporter) onFleetDriver(m *protocol.FleetDriver) {
	known, ok := t.drivers[m.Driver]
	if (ok && m.AtMS < known.atMS) || (!ok && len(t.drivers) >= maxFleetHeard) {
		return
	}
	t.drivers[m.Driver] = heardOf{online: m.Online, atMS: m.AtMS}
}

func (t *transporter) describe() *protocol.Transporter {
	d := &protocol.Transporter{ID: t.id, Available: t.available, Online: t.online, Sockets: t.sockets}
	if !t.seen.IsZero() {
		d.SeenMS = t.seen.UnixMilli()
	}
	if t.online {
		d.SinceMS = t.since.UnixMilli()
	}
	if t.fleet != nil {
		d.Fleet, d.FleetKnown = *t.fleet, true
	}
	for _, known := range t.drivers {
		if known.online {
			d.DriversOnline++
		}
	}
	return d
}
