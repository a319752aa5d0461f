package simulate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"weelo/internal/world"
)

// OrderOptions says what Orders does.
type OrderOptions struct {
	World    world.File
	Orders   int           // how many are booked; 0: 100
	AtOnce   int           // how many live at a time; 0: one for each customer, at most 100
	Races    bool          // races on purpose, double taps, impatience, silent phones, cancellations, foul play
	Speed    float64       // the server's TIME_SCALE; 0: 1
	Seed     uint64        // of everybody's choices
	Interval time.Duration // between a driver's fixes; 0: 2 s
	Pace     time.Duration // between two bookings, in real time; 0: 350 ms, less when the limit asks for it
	Limit    time.Duration // of the whole; 0: 10 min. What was not booked by then is not, and is counted as an error
	Settle   time.Duration // for the last events to arrive; 0: 15 s
}

func (o *OrderOptions) complete() error {
	setDefault(&o.Orders, 100)
	setDefault(&o.AtOnce, min(len(o.World.Customers), 100))
	setDefault(&o.Speed, 1)
	setDefault(&o.Interval, 2*time.Second)
	setDefault(&o.Limit, 10*time.Minute)
	setDefault(&o.Settle, 15*time.Second)
	setDefault(&o.Pace, min(350*time.Millisecond, o.Limit*6/10/time.Duration(max(1, o.Orders))))
	drivers := 0
	for _, t := range o.World.Transporters {
		drivers += min(len(t.Drivers), len(t.Vehicles))
	}
	switch {
	case len(o.World.Customers) == 0:
		return errors.New("the world has no customers to book")
	case drivers == 0:
		return errors.New("the world has no driver with a vehicle")
	case o.Orders < 0 || o.AtOnce < 1 || o.AtOnce > len(o.World.Customers):
		return fmt.Errorf("between 1 and %d orders can live at a time, one for each customer", len(o.World.Customers))
	case o.Speed < 0 || o.Interval < 10*time.Millisecond || o.Limit < 0 || o.Settle < 0:
		return errors.New("speed, interval, limit and settle must be positive; the interval at least 10 ms")
	}
	return nil
}

// manners are how people behave: shares of what they do.
type manners struct {
	thumb manner

	// Of transporters, when they are shown an order.
	ignore, decline float64
	// Of transporters, when they hold trucks.
	abandon, release, extend float64
	// Of transporters, when they confirm: somebody else's driver, or a truck that is on the road.
	foul float64
	// Of drivers, when they are given a trip.
	driverSilent, driverDeclines float64
	// Of customers: at any time of the search, and in the moment in which a driver accepts.
	cancel, cancelInAccept float64
	// Of customers: for later; and when the goods are on their way.
	schedule, dispute float64
	// Of trips that have begun: the truck breaks down; not all goods are taken.
	breakdown, partial float64
}

// rushHour is a bad day, on purpose.
func rushHour() manners {
	return manners{
		thumb: manner{doubleTap: 0.15, impatient: 0.1}, ignore: 0.08, decline: 0.06, abandon: 0.06, release: 0.06, extend: 0.1, foul: 0.04,
		driverSilent: 0.05, driverDeclines: 0.07, cancel: 0.06, cancelInAccept: 0.06,
		schedule: 0.16, dispute: 0.15, breakdown: 0.08, partial: 0.06,
	}
}

// quietDay is a day on which a demo is given.
func quietDay() manners {
	return manners{ignore: 0.05, decline: 0.03, release: 0.02, driverDeclines: 0.04, driverSilent: 0.02}
}

// market is everybody who books, holds, confirms and drives.
type market struct {
	OrderOptions
	manners manners
	api     *api
	meter   *meter
	tally   *tally
	book    *book
	stage   *stage
	towns   []*town
	purse   *purse
	begin   time.Time
	run     string // makes the run's devices its own
	// outskirts leaves the nearest yards out, so that every search widens.
	outskirts int
	free      func(kind) int // trucks of a kind that are free; nil: customers do not know

	open     sync.WaitGroup // sessions and what they set off
	drivers  map[string]*driverAgent
	carriers []*carrierAgent
}

func newMarket(o OrderOptions, m manners, tokens tokenSource) (*market, error) {
	stage, err := newStage(nil)
	if err != nil {
		return nil, err
	}
	meter := &meter{}
	k := &market{
		OrderOptions: o, manners: m, api: newAPI(o.World.BaseURL), meter: meter, tally: &tally{}, book: newBook(meter), stage: stage,
		purse: newPurse(tokens), begin: time.Now(), run: fmt.Sprintf("%x", rand.Uint32()), drivers: map[string]*driverAgent{},
	}
	k.towns, err = foundTowns(o.World, o.Seed)
	return k, err
}

// Orders books orders against a running server and plays everybody in them: customers who book, cancel
// and wait; transporters who hold, confirm, decline and forget; drivers who accept, drive and complete, or break down.
// At the end it judges what they saw and what the server says, and writes a summary to out. An error
// means that it could not begin or was interrupted; violations are in the summary.
func Orders(ctx context.Context, o OrderOptions, out io.Writer) (OrderSummary, error) {
	if err := o.complete(); err != nil {
		return OrderSummary{}, err
	}
	manners := manners{}
	if o.Races {
		manners = rushHour()
	}
	m, err := newMarket(o, manners, fileTokens)
	if err != nil {
		return OrderSummary{}, err
	}
	fmt.Fprintf(out, "%d orders, %d at a time, seed %d, speed %g\n", o.Orders, o.AtOnce, o.Seed, o.Speed)
	ctx, cancel := context.WithTimeoutCause(ctx, o.Limit, errLimit)
	defer cancel()
	sockets, hangUp := context.WithCancel(ctx)
	defer func() { hangUp(); m.open.Wait() }()
	customers, err := m.gather(sockets)
	if err != nil {
		return m.summary(), err
	}
	reporting, stopReports := context.WithCancel(ctx)
	var reports sync.WaitGroup
	reports.Go(func() { m.report(reporting, out) })
	m.trade(sockets, customers)
	stopReports()
	reports.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errLimit) {
		return m.summary(), fmt.Errorf("interrupted: %w", err)
	}
	judging, cancelJudge := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancelJudge()
	m.judge(judging)
	s := m.summary()
	s.Write(out)
	return s, nil
}

var errLimit = errors.New("the time for the simulation is over")

// trade books all orders, at most AtOnce living at a time, and waits for their ends.
func (m *market) trade(ctx context.Context, customers []*customerAgent) {
	free := make(chan *customerAgent, len(customers))
	for _, c := range customers {
		free <- c
	}
	var shopping sync.WaitGroup
	defer shopping.Wait()
	for n := range m.Orders {
		select {
		case c := <-free:
			shopping.Go(func() {
				defer func() { free <- c }()
				if err := c.shop(ctx, n); err != nil && ctx.Err() == nil {
					m.meter.fail("booking", err)
				}
			})
			pause(ctx, m.Pace)
		case <-ctx.Done():
			m.meter.fail("out of time", fmt.Errorf("%d of %d orders were booked", n, m.Orders))
			return
		}
	}
	done := make(chan struct{})
	go func() { shopping.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		m.meter.fail("out of time", errors.New("not all orders had ended"))
	}
}

// product is a wait of the product as it is on this server.
func (m *market) product(d time.Duration) time.Duration {
	return time.Duration(float64(d) / m.Speed)
}

// dice are one agent's for one of his decisions: the same in every run with the seed, whatever the
// order in which things happen.
func (m *market) dice(who string, n int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", m.Seed, who, n)
	return rand.New(rand.NewPCG(m.Seed, h.Sum64()))
}

// think is how long somebody takes: anything up to the longest, in product time.
func (m *market) think(ctx context.Context, rng *rand.Rand, longest time.Duration) bool {
	return pause(ctx, m.product(time.Duration(rng.Float64()*float64(longest))))
}

// purse keeps everybody's token for as long as it is surely good.
type purse struct {
	source tokenSource
	mu     sync.Mutex
	tokens map[string]minted
}

type minted struct {
	token string
	at    time.Time
}

// tokenLife is how long a token is used: half of what the shortest-lived lives by default.
const tokenLife = 25 * time.Minute

func newPurse(source tokenSource) *purse { return &purse{source: source, tokens: map[string]minted{}} }

func (p *purse) of(ctx context.Context, who world.FilePerson, refused bool) (string, error) {
	p.mu.Lock()
	have, ok := p.tokens[who.ID]
	p.mu.Unlock()
	if ok && !refused && time.Since(have.at) < tokenLife {
		return have.token, nil
	}
	token, err := p.source(ctx, who, refused)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[who.ID] = minted{token, time.Now()}
	return token, nil
}
