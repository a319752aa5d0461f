package actors_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// Drivers, transporters, timers, crashes and a store that loses answers, all at once, on trips of two
// drivers. Then: what was acknowledged has happened, statuses moved along the table only, nobody is
// on two live trips, and no trip waits without a timer.
func TestTripsUnderChance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, tripsUnderChance) })
}

// chance is a task with trips, restarted now and then.
type chance struct {
	t      *rapid.T
	ledger *actortest.Ledger
	sys    *actors.System
	old    []*actors.System
	births *actors.Assignments
	cancel []context.CancelFunc
	runs   sync.WaitGroup
	trips  []string
	acked  map[string][]trip.Status // by trip, what a driver was told is done
}

func tripsUnderChance(t *rapid.T) {
	c := &chance{t: t, ledger: actortest.TripLedger(), acked: map[string][]trip.Status{}}
	defer c.stop()
	c.restart()
	faults := rapid.SliceOfN(rapid.SampledFrom([]actortest.Fault{
		actortest.NoFault, actortest.NoFault, actortest.NoFault, actortest.LostReply, actortest.LostWrite, actortest.Refused,
	}), 1, 60).Draw(t, "faults")
	n := 0
	c.ledger.Break(func(ledger.Transition) actortest.Fault {
		if n++; n < len(faults) {
			return faults[n]
		}
		return actortest.NoFault
	})
	steps := rapid.SliceOfN(rapid.SampledFrom([]string{
		"assign D1", "assign D2", "accept", "accept", "decline", "at_pickup", "in_transit", "completed", "cancel", "restart", "wait", "wait long",
	}), 5, 40).Draw(t, "steps")
	for _, step := range steps {
		c.step(step)
	}
	<-time.After(2 * time.Minute) // every accept timer has run out, the sweeper has been round
	c.check()
}

func (c *chance) restart() {
	if c.sys != nil {
		c.old = append(c.old, c.sys) // it lives on as a zombie
	}
	l := ports(c.ledger)
	people := actortest.SmallWorld()
	hub := &actortest.Hub{}
	s, err := actors.NewSystem(actors.Config{Node: "node"}, actortest.NewProbe(protocol.KindDriver).Kind(), actors.Trips(actors.TripConfig{
		Ledger: l, Publisher: hub, Tracks: &actortest.Fixes{}, Policy: trip.DefaultPolicy(), Rules: track.DefaultRules(),
	}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.sys = s
	c.births = &actors.Assignments{
		Ledger: l, Router: s, Publisher: hub, Users: people, Trucks: people, Customers: people, Policy: trip.DefaultPolicy(),
		NewID: func() string { id := time.Now().Format(time.RFC3339Nano); c.trips = append(c.trips, id); return id },
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = append(c.cancel, cancel)
	sweeper := &actors.Sweeper{Timers: c.ledger, Router: s, Log: slog.New(slog.DiscardHandler)}
	c.runs.Go(func() { _ = s.Run(ctx) })
	c.runs.Go(func() { _ = sweeper.Run(ctx) })
}

func (c *chance) stop() {
	for _, cancel := range c.cancel {
		cancel()
	}
	c.runs.Wait()
	for _, s := range append(c.old, c.sys) {
		actortest.Stop(c.t, s)
	}
}

func (c *chance) step(step string) {
	<-time.After(time.Second)
	switch step {
	case "restart":
		c.restart()
	case "wait":
		<-time.After(5 * time.Second)
	case "wait long":
		<-time.After(50 * time.Second)
	case "assign D1", "assign D2":
		n := wanted()
		n.Driver = fleet.UserID(step[len(step)-2:])
		n.Vehicle = fleet.VehicleID("V" + step[len(step)-1:])
		_, _ = c.births.Assign(context.Background(), n)
	default:
		c.command(step)
	}
}

// command is sent to the newest trip by whoever may send it.
func (c *chance) command(step string) {
	if len(c.trips) == 0 {
		return
	}
	id := c.trips[len(c.trips)-1]
	row, ok := c.ledger.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
	if !ok {
		return
	}
	s, err := trip.Load(row.State)
	if err != nil {
		c.t.Fatal(err)
	}
	driver := trip.By{User: s.DriverID, Role: fleet.Driver, Fleet: s.TransporterID}
	commands := map[string]trip.Command{
		"accept": trip.Accept{By: driver}, "decline": trip.Decline{By: driver},
		"cancel":    trip.Cancel{By: trip.By{User: s.TransporterID, Role: fleet.Transporter}},
		"at_pickup": trip.ChangeStatus{By: driver, To: trip.AtPickup}, "in_transit": trip.ChangeStatus{By: driver, To: trip.InTransit},
		"completed": trip.ChangeStatus{By: driver, To: trip.Completed},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	v, err := c.sys.Ask(ctx, protocol.TripAddress(id), &protocol.TripCommand{Do: commands[step]})
	if err == nil {
		c.acked[id] = append(c.acked[id], v.(*protocol.TripReply).State.Status)
	}
}

func (c *chance) check() {
	live := map[fleet.UserID]int{}
	for _, id := range c.trips {
		row, ok := c.ledger.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
		if !ok {
			continue // never born
		}
		s, err := trip.Load(row.State)
		if err != nil {
			c.t.Fatal(err)
		}
		if s.Live {
			live[s.DriverID]++
			if len(s.Timers) == 0 {
				c.t.Errorf("trip in %s waits without a timer", s.Status)
			}
		}
		if s.Status == trip.Pending {
			c.t.Errorf("trip still pending, minutes after its accept timer")
		}
		for _, status := range c.acked[id] {
			if s.Reached[status] == 0 {
				c.t.Errorf("%s was acknowledged and never reached; trip is %s", status, s.Status)
			}
		}
	}
	for driver, n := range live {
		if n > 1 {
			c.t.Errorf("%s is on %d live trips", driver, n)
		}
	}
	c.histories()
}

// histories: the customer's inbox tells each trip's statuses along the table, each once.
func (c *chance) histories() {
	entries, err := c.ledger.Read(context.Background(), "C1", 1, 10_000)
	if err != nil {
		c.t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, e := range entries {
		if e.Seq != int64(i+1) {
			c.t.Errorf("number %d at place %d of the inbox", e.Seq, i+1)
		}
		if seen[e.Event.ID] {
			c.t.Errorf("event %s twice", e.Event.ID)
		}
		seen[e.Event.ID] = true
	}
}
