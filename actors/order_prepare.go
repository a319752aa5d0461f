package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/order"
)

// Prepare implements preparer: what a decision needs from outside is read off the turn.
func (a *orderActor) Prepare(_ context.Context, s order.State, command any, now time.Time) func(context.Context) (any, error) {
	switch c := command.(type) {
	case protocol.TimerDue:
		return a.lookForTimer(s, order.TimerFired{Name: c.Name, Number: c.Number}, now)
	case order.SearchAgain:
		return a.lookAgain(s, c, now)
	case offerTo:
		return a.lookLate(s, c.transporter, now)
	case order.Confirm:
		return func(ctx context.Context) (any, error) { return a.crew(ctx, c, now) }
	case order.Cancel:
		return readTrips(s, a.cfg.Trips, func(rows []order.TripRow) any { c.Trips = rows; return c })
	case order.RaiseDispute:
		return readTrips(s, a.cfg.Trips, func(rows []order.TripRow) any { c.Trips = rows; return c })
	default:
		return nil
	}
}

// look asks the matcher. That it cannot be asked is no answer: a timer is tried again by the sweeper.
func (a *orderActor) look(ctx context.Context, w fleet.Wanted) (order.Found, error) {
	table, err := a.cfg.Matcher.Candidates(ctx, w)
	if err != nil {
		return order.Found{}, ErrInterrupted.Because(fmt.Errorf("order %s: look for transporters: %w", a.id, err))
	}
	return order.Found{RadiusKM: w.RadiusKM, Table: table}, nil
}

func (a *orderActor) lookForTimer(s order.State, c order.TimerFired, now time.Time) func(context.Context) (any, error) {
	w, ok := order.Look(s, c, now, a.cfg.Policy)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (any, error) {
		found, err := a.look(ctx, w)
		if err != nil {
			a.self.Log().WarnContext(ctx, "wave not sent; the sweeper tries again", "timer", c.Name, "error", err)
			return nil, err
		}
		observeWave(a.cfg.Observer, found.Table)
		c.Found = found
		return c, nil
	}
}

// observeWave counts a look that a wave is made of.
func observeWave(o OrderObserver, table []fleet.Candidate) {
	notified := 0
	for _, c := range table {
		if c.Skipped == "" {
			notified++
		}
	}
	o.Wave(len(table), notified)
}

func (a *orderActor) lookAgain(s order.State, c order.SearchAgain, now time.Time) func(context.Context) (any, error) {
	w, ok := order.Look(s, c, now, a.cfg.Policy)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (any, error) {
		found, err := a.look(ctx, w)
		c.Found = found
		return c, err
	}
}

// readTrips is the work of reading the rows of the order's live trips; nil: it has none.
func readTrips(s order.State, from OrderTrips, command func(rows []order.TripRow) any) func(context.Context) (any, error) {
	ids := s.LiveTrips()
	if len(ids) == 0 {
		return nil
	}
	return func(ctx context.Context) (any, error) {
		rows, err := from.TripRows(ctx, ids)
		if err != nil {
			return nil, ErrInterrupted.Because(fmt.Errorf("order %s: read trips: %w", s.ID, err))
		}
		return command(rows), nil
	}
}

// crew reads the facts that a confirmation is decided by.
func (a *orderActor) crew(ctx context.Context, c order.Confirm, now time.Time) (order.Confirm, error) {
	var vehicles []fleet.VehicleID
	var drivers []fleet.UserID
	for _, pick := range c.Picks[:min(len(c.Picks), fleet.MaxCrew)] {
		vehicles, drivers = append(vehicles, pick.VehicleID), append(drivers, pick.DriverID)
	}
	slices.Sort(vehicles)
	slices.Sort(drivers)
	vehicles, drivers = slices.Compact(vehicles), slices.Compact(drivers)
	crew, err := a.cfg.Crew.Crew(ctx, vehicles, drivers)
	if err != nil {
		return c, ErrInterrupted.Because(fmt.Errorf("order %s: read vehicles and drivers: %w", a.id, err))
	}
	owner, err := a.cfg.Users.User(ctx, c.By.User)
	if err != nil {
		return c, ErrInterrupted.Because(fmt.Errorf("order %s: read transporter: %w", a.id, err))
	}
	c.Crew, c.Name, c.Online = crew, owner.Name, a.online(ctx, drivers, now)
	return c, nil
}

// onlineLimit bounds the questions to the actors of drivers whom the presence store does not know.
const onlineLimit = 2 * time.Second

// online tells which drivers are there. Whom the presence store does not know, because it was emptied or
// cannot be asked, his own actor does.
func (a *orderActor) online(ctx context.Context, drivers []fleet.UserID, now time.Time) map[fleet.UserID]bool {
	online := make(map[fleet.UserID]bool, len(drivers))
	known, err := a.cfg.Presence.Read(ctx, drivers, now)
	if err == nil {
		for id := range known {
			online[id] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, onlineLimit)
	defer cancel()
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	for _, id := range drivers { // at most fleet.MaxCrew
		if online[id] {
			continue
		}
		all.Go(func() {
			v, err := a.self.Router().Ask(ctx, protocol.DriverAddress(id), protocol.GetDriver{})
			if d, ok := v.(*protocol.Driver); err == nil && ok && d.Online {
				mu.Lock()
				online[id] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return online
}
