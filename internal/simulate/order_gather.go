package simulate

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"weelo/internal/client"
	"weelo/internal/track"
	"weelo/internal/world"
)

// gather opens everybody's socket and puts him to work: customers, drivers, then transporters, so that
// nobody is offered an order before his drivers are there.
func (m *market) gather(ctx context.Context) ([]*customerAgent, error) {
	customers := make([]*customerAgent, m.AtOnce)
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(16)
	for i := range customers {
		c := &customerAgent{market: m, person: m.World.Customers[i]}
		customers[i] = c
		work.Go(func() error { return m.connect(working, ctx, c.person, "customer", &m.tally.customers, nil, c.take) })
	}
	number := 0
	for _, t := range m.World.Transporters {
		for _, p := range t.Drivers[:min(len(t.Drivers), len(t.Vehicles))] {
			d := &driverAgent{market: m, number: number, person: p}
			m.drivers[p.ID] = d
			number++
			work.Go(func() error { return d.begin(working, ctx) })
		}
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	carriers := make([]*carrierAgent, len(m.World.Transporters))
	m.carriers = carriers
	for i, t := range m.World.Transporters {
		carriers[i] = &carrierAgent{market: m, number: i, fleet: t, yard: yardOf(m.towns, i, m.outskirts, m.dice(t.ID, 0)), onRoad: map[string]bool{}, inHand: map[string]bool{}}
	}
	work, working = errgroup.WithContext(ctx)
	work.SetLimit(16)
	for i, c := range carriers {
		if other := carriers[(i+1)%len(carriers)]; other != c {
			c.others = other
		}
		work.Go(func() error { return c.begin(working, ctx) })
	}
	return customers, work.Wait()
}

// connect opens a session that lives as long as life, and waits for its welcome.
func (m *market) connect(ctx, life context.Context, p world.FilePerson, role string, now *atomic.Int64, session **client.Session, take func(client.Frame)) error {
	s := client.NewSession(client.Config{
		BaseURL: m.World.BaseURL, HTTP: m.api.rest.HTTP, Queue: 64, Device: fmt.Sprintf("sim-%s-%s", m.run, p.ID),
		Token: func(ctx context.Context, refused bool) (string, error) { return m.purse.of(ctx, p, refused) },
	})
	if session != nil {
		*session = s
	}
	if err := runSession(life, &m.open, s, m.meter, role, now, take); err != nil {
		return fmt.Errorf("%s: %w", role, err)
	}
	return ctx.Err()
}

// begin puts the driver at work: available, and on a socket that keeps him present.
func (d *driverAgent) begin(ctx, life context.Context) error {
	m := d.market
	token, err := m.purse.of(ctx, d.person, false)
	if err != nil {
		return err
	}
	if err := m.api.call(ctx, http.MethodPut, "driver/availability", token, map[string]bool{"isOnline": true}, nil); err != nil {
		return err
	}
	if err := m.connect(ctx, life, d.person, "driver", &m.tally.drivers, &d.session, d.take(life)); err != nil {
		return err
	}
	return d.leftovers(ctx, token)
}

// leftovers ends a trip that an earlier run left behind, from where it was to end.
func (d *driverAgent) leftovers(ctx context.Context, token string) error {
	m := d.market
	person := d.person
	person.Token = token
	c := crew{driver: person}
	t, err := m.api.active(ctx, c)
	if err != nil || t == nil {
		return err
	}
	for range 5 {
		for range acquiring {
			now := time.Now()
			d.session.Fix(ctx, track.Fix{TS: now.UnixMilli(), Lat: t.Drop.Latitude, Lng: t.Drop.Longitude, Accuracy: 8}, t.TripID)
			pause(ctx, 200*time.Millisecond)
		}
		if err = m.api.release(ctx, c); err == nil {
			return nil
		}
	}
	return fmt.Errorf("end the trip that an earlier run left: %w", err)
}

// begin puts the transporter at work.
func (c *carrierAgent) begin(ctx, life context.Context) error {
	m := c.market
	person := world.FilePerson{ID: c.fleet.ID, Phone: c.fleet.Phone, Token: c.fleet.Token}
	token, err := m.purse.of(ctx, person, false)
	if err != nil {
		return err
	}
	if err := m.api.call(ctx, http.MethodPut, "transporter/availability", token, map[string]bool{"isAvailable": true}, nil); err != nil {
		return err
	}
	if err := m.connect(ctx, life, person, "transporter", &m.tally.transporters, nil, c.take(life)); err != nil {
		return err
	}
	m.open.Go(func() { c.beat(life) })
	return nil
}
