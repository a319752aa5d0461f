package simulate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/world"
)

// MarketOptions says how orders are kept coming in a demo world.
type MarketOptions struct {
	World world.File // who books, holds and drives; nobody else may use them
	// Token mints a fresh access token for a user of the world.
	Token func(ctx context.Context, user fleet.UserID) (string, error)
	Speed float64       // the server's TIME_SCALE; 0: 1
	Every time.Duration // between two bookings at most, in product time; 0: 45 s
	Seed  uint64
	Log   *slog.Logger
}

// Market keeps customers booking and everybody else doing his part until ctx ends: orders appear, are
// shown in widening circles, held, confirmed, driven and completed. It returns nil when ctx has ended.
func Market(ctx context.Context, o MarketOptions) error {
	setDefault(&o.Every, 45*time.Second)
	options := OrderOptions{World: o.World, Speed: o.Speed, Seed: o.Seed}
	if err := options.complete(); err != nil {
		return err
	}
	log := o.Log.With("component", "simulated market")
	tokens := func(ctx context.Context, p world.FilePerson, _ bool) (string, error) {
		return o.Token(ctx, fleet.UserID(p.ID))
	}
	for failures := 1; ctx.Err() == nil; failures++ {
		m, err := newMarket(options, quietDay(), tokens)
		if err != nil {
			return err
		}
		m.outskirts = 2
		m.free = m.freeTrucks
		if err := m.keepTrading(ctx, o.Every, log); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the simulated market could not open", "err", err)
			pause(ctx, min(time.Minute, time.Duration(failures)*2*time.Second))
		}
	}
	return nil
}

// keepTrading lets free customers book, one every so often, until ctx ends.
func (m *market) keepTrading(ctx context.Context, every time.Duration, log *slog.Logger) error {
	sockets, hangUp := context.WithCancel(ctx)
	var shopping sync.WaitGroup
	defer func() { hangUp(); shopping.Wait(); m.open.Wait() }()
	customers, err := m.gather(sockets)
	if err != nil {
		return err
	}
	free := make(chan *customerAgent, len(customers))
	for _, c := range customers {
		free <- c
	}
	for n := 0; ; n++ {
		select {
		case c := <-free:
			shopping.Go(func() {
				defer func() { free <- c }()
				if err := c.shop(sockets, n); err != nil && sockets.Err() == nil {
					log.WarnContext(ctx, "a simulated booking failed", "customer_id", c.person.ID, "err", err)
					m.think(sockets, m.dice(c.person.ID, -n), 4*every)
				}
			})
		case <-ctx.Done():
			return nil
		}
		if !pause(ctx, m.product(every)) {
			return nil
		}
	}
}

// freeTrucks counts what could be held now.
func (m *market) freeTrucks(k kind) (n int) {
	for _, c := range m.carriers {
		n += c.available(k)
	}
	return n
}
