package actors

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// Tracks reads fixes from history.
type Tracks interface {
	// Fixes gives the fixes of one driver with after < TS <= to (ms), sorted by TS, at most limit.
	Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error)
}

// TripConfig is what the actors of trips need.
type TripConfig struct {
	Ledger    Ledger
	Publisher protocol.Publisher
	Tracks    Tracks
	Policy    trip.Policy
	Rules     track.Rules
	// MaxLive bounds the trips in memory; 0 is 50,000.
	MaxLive int
}

// Trips is the kind of trips: a fenced row, its accept and silence timers, and the odometer.
//
// A trip that has ended leaves memory one minute after its last message. A live one stays, so that a
// question or the next step costs no claim, unless there are so many that room runs short: its timers
// are rows, and whoever speaks to it next gets the next activation.
func Trips(c TripConfig) Kind {
	if c.MaxLive == 0 {
		c.MaxLive = 50_000
	}
	return Kind{
		Name: protocol.KindTrip, Queue: 256, Idle: time.Minute, MaxLive: c.MaxLive,
		New: func(ctx context.Context, self *Self) (Actor, error) {
			b := &tripActor{cfg: c, self: self, id: self.ID()}
			d, err := NewDurable(ctx, self, ledger.Ref{Kind: ledger.Trip, ID: self.ID()}, c.Ledger, b)
			if errors.Is(err, ErrNotFound) {
				return nil, trip.ErrNotFound
			}
			if err != nil {
				return nil, err
			}
			return d, nil
		},
	}
}

// tripActor is the soft state of one trip and its behaviour in the durable shell. What it says is
// decided by internal/trip.
type tripActor struct {
	cfg     TripConfig
	self    *Self
	id      string
	heardMS int64      // the newest fix heard of, written now and then only
	live    *track.Fix // the same, for people
	odo     odometer
}

var (
	_ Behaviour[trip.State]  = (*tripActor)(nil)
	_ timerTaker[trip.State] = (*tripActor)(nil)
	_ stayer[trip.State]     = (*tripActor)(nil)
	_ preparer[trip.State]   = (*tripActor)(nil)
)

// trips is the shell of a trip.
type trips = Durable[trip.State]

// Load implements Behaviour.
func (*tripActor) Load(snapshot json.RawMessage) (trip.State, error) { return trip.Load(snapshot) }

// Request implements Behaviour.
func (a *tripActor) Request(msg any) (Request, bool) {
	m, ok := msg.(*protocol.TripCommand)
	if !ok {
		return Request{}, false
	}
	do := m.Do
	if step, is := do.(trip.ChangeStatus); is {
		step.Fix, step.NewCode = nil, "" // nobody says where he is but the driver's phone
		do = step
	}
	r := Request{Do: do, Scope: string(byWhom(do).User), Key: m.Key, Hash: m.Hash}
	if r.Key != "" && r.Hash == "" {
		r.Hash = fmt.Sprintf("%s %T %+v", a.id, do, do) // a key is for one command of one trip
	}
	return r, true
}

// byWhom is the principal of a command; the zero By for the server's own.
func byWhom(c trip.Command) trip.By {
	switch c := c.(type) {
	case trip.Accept:
		return c.By
	case trip.Decline:
		return c.By
	case trip.ChangeStatus:
		return c.By
	case trip.BreakDown:
		return c.By
	case trip.Cancel:
		return c.By
	default:
		return trip.By{}
	}
}

// Decide implements Behaviour.
func (a *tripActor) Decide(s trip.State, command any, now time.Time) (Step[trip.State], error) {
	c, ok := command.(trip.Command)
	settle, settling := command.(settleTrack)
	if settling {
		c, ok = trip.AddTrack{Track: settle.track}, true
	}
	if due, fired := command.(protocol.TimerDue); fired {
		c, ok = trip.TimerFired{Name: due.Name, Number: due.Number, HeardMS: a.heardMS}, true
	}
	if !ok {
		return Step[trip.State]{}, fmt.Errorf("actors: a trip has no command %T", command)
	}
	if step, is := c.(trip.ChangeStatus); is {
		step.Fix = newerFix(step.Fix, a.live)
		if a.cfg.Policy.PODCode {
			step.NewCode = fourDigits()
		}
		c = step
	}
	d, err := trip.Decide(s, c, now, a.cfg.Policy)
	if err != nil {
		return Step[trip.State]{}, err
	}
	t, write, err := d.Transition(0, 0) // the shell knows version and epoch
	if settling && err == nil {
		write, err = settle.close(&t, d.State, now)
	}
	if err != nil || !write {
		return Step[trip.State]{State: d.State, Replayed: d.Replayed}, err
	}
	if d.Ended() && d.State.AcceptedMS != 0 && a.cfg.Tracks != nil {
		t.Timers = append(t.Timers, ledger.TimerChange{Name: trackTimer, Due: now.Add(foldSettle), Number: d.State.Count})
	}
	t.Contended = false // no step of a born trip can hit a unique index: live never comes back
	return Step[trip.State]{Transition: &t, State: d.State}, nil
}

// Answer implements Behaviour.
func (a *tripActor) Answer(s trip.State, version int64, replayed bool) any {
	s.Track = a.odo.newest(s.Track)
	return &protocol.TripReply{State: s, Version: version, Replayed: replayed, Live: a.live}
}

// Encode implements Behaviour.
func (*tripActor) Encode(answer any) (json.RawMessage, error) { return json.Marshal(answer) }

// Decode implements Behaviour.
func (*tripActor) Decode(kept json.RawMessage) (any, error) {
	var r protocol.TripReply
	if err := json.Unmarshal(kept, &r); err != nil {
		return nil, fmt.Errorf("read kept answer of a trip: %w", err)
	}
	r.Replayed = true
	return &r, nil
}

// Soft implements Behaviour.
func (a *tripActor) Soft(ctx context.Context, d *trips, msg any, reply Reply) {
	switch m := msg.(type) {
	case *protocol.GetTrip:
		a.onGetTrip(d, m, reply)
	case *protocol.DriverMoved:
		a.onDriverMoved(ctx, d, m)
	case *protocol.FixesRecorded:
		a.odo.late(d, m.OldestMS)
	case foldDue:
		a.odo.armed = nil
		a.odo.fold(ctx, d, a.cfg)
	case *folded:
		a.odo.onFolded(ctx, d, m)
	default:
		reply.Refuse(fmt.Errorf("actors: a trip does not understand %T", msg))
	}
}

// TimerDue takes the timer of the last fold: it reads history first, and is crossed off with what
// that brings.
func (a *tripActor) TimerDue(ctx context.Context, d *trips, m protocol.TimerDue) bool {
	if m.Name != trackTimer {
		return false
	}
	a.odo.ended(ctx, d, a.cfg)
	return true
}

// Stays keeps a live trip in memory.
func (*tripActor) Stays(s trip.State) bool { return s.Live }

// Loaded implements Behaviour.
func (a *tripActor) Loaded(_ context.Context, d *trips) {
	a.odo.loaded(d)
}

func (a *tripActor) onGetTrip(d *trips, m *protocol.GetTrip, reply Reply) {
	s := d.State()
	server := m.By == (trip.By{})
	if !server && !s.Concerns(m.By) {
		reply.Refuse(trip.ErrNotFound)
		return
	}
	reply.Answer(a.Answer(s, d.Version(), false))
}

// onDriverMoved hears from the driver. The domain says whether that is worth a write.
func (a *tripActor) onDriverMoved(ctx context.Context, d *trips, m *protocol.DriverMoved) {
	if m.Driver != d.State().DriverID || m.Fix.TS <= a.heardMS {
		return
	}
	fix := m.Fix
	a.heardMS, a.live = fix.TS, &fix
	a.odo.grew(d)
	d.Submit(ctx, Request{Do: trip.NoteFix{AtMS: fix.TS, Place: &geo.Point{Lat: fix.Lat, Lng: fix.Lng}}}, Reply{})
}

// fourDigits is a delivery code.
func fourDigits() string {
	n, err := rand.Int(rand.Reader, big.NewInt(10_000))
	if err != nil { // crypto/rand does not fail
		panic(err)
	}
	return fmt.Sprintf("%04d", n)
}

// Committed implements Behaviour: everybody is told, after the commit and never before.
func (a *tripActor) Committed(ctx context.Context, d *trips, before trip.State, done Committed) {
	s := d.State()
	a.cfg.Publisher.Deliver(deliveries(done))
	if s.Status == before.Status && s.FlaggedMS == before.FlaggedMS {
		return // heard, or the odometer: nobody is told
	}
	a.cfg.Publisher.TripChanged(protocol.ViewTrip(s, d.Version(), a.live))
	if before.Live && !s.Live {
		a.cfg.Publisher.TripEnded(tripEnded(s))
		_ = d.Self().Router().Tell(ctx, protocol.TransporterAddress(s.TransporterID), protocol.FleetChanged{}) // a truck came free
	}
	tellDriver(ctx, d.Self().Router(), s, d.Version())
}

// tripEnded lets the watchers of a trip go, and tells them whether another truck comes in its place.
func tripEnded(s trip.State) protocol.TripEnded {
	e := protocol.TripEnded{TripID: s.ID, Reason: protocol.WatchEnded}
	if s.GaveBack() {
		e.Reason = protocol.WatchReassigned
	}
	return e
}

// tellDriver keeps the driver's actor current. It is a hint: the actor reads the rows by itself.
func tellDriver(ctx context.Context, r Router, s trip.State, version int64) {
	var msg any = &protocol.TripTaken{Trip: LiveTripOf(s), Version: version}
	if !s.Live {
		msg = &protocol.TripLeft{TripID: s.ID}
	}
	_ = r.Tell(ctx, protocol.DriverAddress(s.DriverID), msg)
}

// LiveTripOf is what a driver's actor needs of a trip.
func LiveTripOf(s trip.State) protocol.LiveTrip {
	return protocol.LiveTrip{
		TripID: s.ID, Driver: s.DriverID, OrderID: s.OrderID, Transporter: s.TransporterID, Customer: s.CustomerID,
		DriverName: s.Names.Driver, VehicleNumber: s.Vehicle.Number, Moving: s.Status.Moving(),
	}
}

// deliveries pairs the events of a commit with the numbers they got.
func deliveries(done Committed) []protocol.Delivery {
	var out []protocol.Delivery
	for i, e := range done.Events {
		numbers := make(map[string]int64)
		for _, n := range done.Numbers {
			if n.Event == i {
				numbers[n.Recipient] = n.Seq
			}
		}
		if len(numbers) > 0 {
			out = append(out, protocol.Delivery{Event: e, Numbers: numbers})
		}
	}
	return out
}
