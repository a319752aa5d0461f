package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"weelo/internal/client"
	"weelo/internal/geo"
	"weelo/internal/trace"
	"weelo/internal/world"
)

// driverAgent is a driver with his phone: he accepts what he is given, drives, and completes.
type driverAgent struct {
	market  *market
	number  int
	person  world.FilePerson
	session *client.Session
	mu      sync.Mutex // one trip at a time on one phone
	given   int
}

// assignedData is what a driver reads of trip_assigned.
type assignedData struct {
	TripID  string    `json:"tripId"`
	OrderID string    `json:"orderId"`
	Slot    string    `json:"truckRequestId"`
	Pickup  coarsePin `json:"pickup"`
	Drop    coarsePin `json:"drop"`
}

type coarsePin struct {
	Lat       float64 `json:"lat"`
	Lng       float64 `json:"lng"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

func (p coarsePin) point() geo.Point {
	if p.Latitude != 0 || p.Longitude != 0 {
		return geo.Point{Lat: p.Latitude, Lng: p.Longitude}
	}
	return geo.Point{Lat: p.Lat, Lng: p.Lng}
}

// take reads what a driver is told.
func (d *driverAgent) take(ctx context.Context) func(client.Frame) {
	m := d.market
	return func(f client.Frame) {
		if f.Received == nil || f.T != "event" {
			return
		}
		m.tally.events.Add(1)
		switch f.Type {
		case "trip_assigned":
			var data assignedData
			if err := json.Unmarshal(f.Data, &data); err != nil || data.TripID == "" {
				m.meter.fail("trip_assigned", fmt.Errorf("cannot be read: %w", errors.Join(err)))
				return
			}
			order := or(data.OrderID, f.Order)
			if order == "" {
				return // a trip without an order is somebody else's
			}
			if j, known := m.book.assigned(d.person.ID, data.TripID, order, data.Slot); !known {
				d.given++
				n := d.given
				m.open.Go(func() { d.work(ctx, j, data, m.dice(d.person.ID, n)) })
			}
		case "trip_status", "trip_cancelled", "trip_timeout":
			var data struct {
				TripID string `json:"tripId"`
				Status string `json:"status"`
			}
			if json.Unmarshal(f.Data, &data) != nil {
				return
			}
			if f.Type != "trip_status" {
				data.Status = map[string]string{"trip_cancelled": "cancelled", "trip_timeout": "expired"}[f.Type]
			}
			if tripEnds[data.Status] {
				m.book.tripEnded(or(f.Trip, data.TripID), data.Status)
			}
		}
	}
}

// work is one trip from the moment it is on the driver's screen.
func (d *driverAgent) work(ctx context.Context, j *journey, data assignedData, rng *rand.Rand) {
	m := d.market
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.open.Go(func() {
		select {
		case <-j.over:
			cancel()
		case <-ctx.Done():
		}
	})
	token, err := m.purse.of(ctx, d.person, false)
	if err != nil {
		m.meter.fail("token", err)
		return
	}
	switch dice := rng.Float64(); {
	case dice < m.manners.driverSilent:
		m.tally.silent.Add(1)
		<-ctx.Done() // his acceptance times out, or the order ends
		return
	case dice < m.manners.driverSilent+m.manners.driverDeclines:
		m.think(ctx, rng, 15*time.Second)
		d.decline(ctx, token, j)
		return
	}
	if !m.think(ctx, rng, 8*time.Second) || !d.accept(ctx, token, j, rng) {
		return
	}
	if err := d.drive(ctx, token, j, data, rng); err != nil && ctx.Err() == nil && m.book.endOf(j) == "" {
		m.meter.fail("trip", err)
	}
}

func (d *driverAgent) decline(ctx context.Context, token string, j *journey) {
	m := d.market
	answer, err := m.api.settle(ctx, shot{http.MethodPatch, "assignments/" + j.id + "/decline", token, "", map[string]string{"reason": "Not now."}})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.meter.fail("decline", err)
	case answer.Success:
		m.tally.driverDeclined.Add(1)
	}
}

// accept takes the trip; false when it is not his any more.
func (d *driverAgent) accept(ctx context.Context, token string, j *journey, rng *rand.Rand) bool {
	m := d.market
	answer, both, err := m.press(ctx, shot{http.MethodPatch, "assignments/" + j.id + "/accept", token, "", nil}, rng)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		m.meter.fail("accept", err)
		return false
	case !answer.Success:
		m.tally.acceptsLost.Add(1)
		return false
	}
	m.book.tripAccepted(j, both != nil && both[0].Success != both[1].Success)
	m.tally.accepts.Add(1)
	var at struct {
		AcceptedAt time.Time `json:"driverAcceptedAt"`
	}
	if json.Unmarshal(answer.Data, &at) == nil {
		if behind := time.Until(at.AcceptedAt); behind >= 0 {
			return pause(ctx, min(behind+time.Millisecond, maxClockWait))
		}
	}
	return true
}

// longestTrip is how much of a trace a trip plays, in product time.
const longestTrip = 20 * time.Minute

// drive stands at the pickup until the goods are loaded, drives to the drop, and completes, unless the truck
// breaks down.
func (d *driverAgent) drive(ctx context.Context, token string, j *journey, data assignedData, rng *rand.Rand) error {
	m := d.market
	lane := world.Lane{From: world.Stop{At: data.Pickup.point()}, To: world.Stop{At: data.Drop.point()}}
	route := m.stage.route(uint64(rng.IntN(1000)), lane)
	// The shape of the drive is kept, its time is shrunk to what a trip may take.
	takes := min(route.Duration(), time.Duration((0.3+0.7*rng.Float64())*float64(longestTrip)))
	person := d.person
	person.Token = token
	r := &ride{
		crew: crew{number: d.number, driver: person}, tripID: j.id, route: route, api: m.api, meter: m.meter,
		speed: m.Speed * float64(route.Duration()) / float64(takes), phone: trace.NewPhone(trace.Faults{}, m.Seed, uint64(d.number), m.Speed*500/3.6),
		session: d.session, sentAt: make(map[int64]time.Time, remembered),
	}
	r.stands.Store(true)
	arrived := make(chan struct{})
	stop := sync.OnceFunc(func() { close(arrived) })
	var streaming sync.WaitGroup
	defer streaming.Wait()
	defer stop()
	streaming.Go(func() { r.stream(ctx, time.Now(), arrived, m.Interval) })

	fate := m.fateOf(rng)
	for i, step := range []string{"at_pickup", "loading_complete", "in_transit"} {
		if !m.think(ctx, rng, 60*time.Second) {
			return ctx.Err()
		}
		if fate.breaksAfter == i {
			return d.breakDown(ctx, token, j, rng)
		}
		if err := r.stepThere(ctx, step, true); err != nil {
			return err
		}
	}
	r.leave()
	if fate.breaksAfter > 0 {
		takes = time.Duration(rng.Float64() * float64(takes))
	}
	if !pause(ctx, time.Duration(float64(takes)/m.Speed)) {
		return ctx.Err()
	}
	if fate.breaksAfter > 0 {
		return d.breakDown(ctx, token, j, rng)
	}
	stop()
	streaming.Wait()
	if rng.Float64() < 0.5 {
		if err := r.stepThere(ctx, "arrived_at_drop", false); err != nil {
			return err
		}
	}
	if err := r.stepThere(ctx, fate.end, false); err != nil {
		return err
	}
	m.book.reported(j, fate.end)
	if fate.end == "partial_delivery" {
		m.tally.partial.Add(1)
	}
	return nil
}

// active is the trip that the server says he is on; "": none.
func (d *driverAgent) active(ctx context.Context) (string, error) {
	token, err := d.market.purse.of(ctx, d.person, false)
	if err != nil {
		return "", err
	}
	t, err := d.market.api.active(ctx, crew{driver: world.FilePerson{ID: d.person.ID, Token: token}})
	if err != nil || t == nil {
		return "", err
	}
	return t.TripID, nil
}
