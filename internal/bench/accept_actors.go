package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/presence"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// AcceptStore is a store to race on: the ports of the actors, and its database for the other side.
type AcceptStore struct {
	Name    string
	Writer  ledger.Writer
	Joint   ledger.JointWriter
	Claimer ledger.Claimer
	Outbox  ledger.Outbox
	Replies ledger.Replies
	Timers  ledger.Timers
	Orders  order.Reads
	Trips   actors.OrderTrips
	Plain   Database
}

// market is the product's side: orders and trips as actors of one task, in this process.
type market struct {
	orders *actors.Orders
	system *actors.System
	reads  order.Reads
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	names     map[string][]string // who may win an order, by the place of its pickup
	holds     map[string]string   // order and transporter → hold
	customers map[string]fleet.UserID
}

// kindOf is the one kind of truck that is raced for.
const kindOf, subtypeOf = "open", "17 Feet"

func newMarket(ctx context.Context, st AcceptStore, o AcceptOptions) (*market, error) {
	m := &market{reads: st.Orders, names: map[string][]string{}, holds: map[string]string{}, customers: map[string]fleet.UserID{}}
	policy := order.DefaultPolicy()
	policy.RebookAfter, policy.RebookAfterRepeated = 0, 0
	policy.HoldFor, policy.HoldMax, policy.SearchFor = time.Hour, time.Hour, time.Hour
	policy.Trip.AcceptWithin = time.Hour
	policy.Notify, policy.OfferedMax = 600, 600 // everybody races
	led := actors.Ledger{Writer: st.Writer, Joint: st.Joint, Claimer: st.Claimer, Outbox: st.Outbox, Replies: st.Replies}
	log := slog.New(slog.DiscardHandler)
	system, err := actors.NewSystem(actors.Config{Node: "bench", Log: log},
		actors.Trips(actors.TripConfig{Ledger: led, Publisher: nobody{}, Tracks: nobody{}, Policy: policy.Trip, Rules: track.DefaultRules()}),
		actors.OrderActors(actors.OrderConfig{
			Ledger: led, Publisher: nobody{}, Policy: policy, Matcher: m, Crew: m, Trips: st.Trips, Users: nobody{}, Presence: nobody{},
			Searching: actors.NewSearching(),
		}),
	)
	if err != nil {
		return nil, err
	}
	m.system = system
	m.orders = actors.NewOrders(actors.OrdersConfig{
		Ledger: led, Router: system, Publisher: nobody{}, Policy: policy, Matcher: m, Reads: st.Orders, Trips: st.Trips, Users: nobody{},
		Price: func(string, string, int) error { return nil }, NewID: uuid.NewString, Random: rand.Reader,
	})
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = stop
	for _, run := range []func(context.Context) error{
		system.Run,
		(&actors.Sweeper{Timers: st.Timers, Router: system, Now: time.Now, Log: log}).Run,
		(&actors.Relay{Outbox: st.Outbox, Router: system, Now: time.Now, Log: log}).Run,
	} {
		m.work.Go(func() { _ = run(running) })
	}
	return m, nil
}

func (m *market) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := m.system.Drain(ctx)
	m.stop()
	m.work.Wait()
	return err
}

// open implements contest. The place of the pickup names who is around.
func (m *market) open(ctx context.Context, slots int, names []string) (string, error) {
	place := uuid.NewString()
	customer := fleet.UserID(uuid.NewString())
	m.mu.Lock()
	at := trip.Place{Latitude: 12 + float64(len(m.names))*1e-6, Longitude: 77, Address: place, City: "x"}
	m.names[fmt.Sprint(at.Latitude)] = names
	m.mu.Unlock()
	drop := trip.Place{Latitude: 13, Longitude: 78, Address: "y", City: "y"}
	by := order.By{User: customer, Role: fleet.Customer}
	r, err := m.orders.Create(ctx, protocol.NewOrder{By: by, Order: order.NewOrder{
		Pickup: at, Drop: drop, DistanceKm: 150, Goods: "General",
		Needs: []order.Need{{Type: kindOf, Subtype: subtypeOf, Quantity: slots, PriceRupees: 9000}},
	}})
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.customers[r.State.ID] = customer
	return r.State.ID, nil
}

// Candidates implements actors.OrderMatcher: everybody is around and has a truck.
func (m *market) Candidates(_ context.Context, w fleet.Wanted) ([]fleet.Candidate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var table []fleet.Candidate
	key := fleet.Key(kindOf, subtypeOf)
	for i, name := range m.names[fmt.Sprint(w.At.Lat)] {
		if id := fleet.UserID(name); w.Offered == nil || !w.Offered(id) {
			table = append(table, fleet.Candidate{Transporter: id, DistanceM: i, ETASeconds: i, Free: 1, Total: 1, Stocks: map[string]fleet.Stock{key: {Free: 1, Total: 1}}})
		}
	}
	return table, nil
}

// win implements contest.
func (m *market) win(ctx context.Context, orderID, name string) (string, error) {
	by := order.By{User: fleet.UserID(name), Role: fleet.Transporter}
	r, err := m.orders.Hold(ctx, protocol.HoldRequest{OrderID: orderID, By: by, Type: kindOf, Subtype: subtypeOf, Quantity: 1})
	var refused *fault.Error
	switch {
	case errors.As(err, &refused) && refused.Reason == order.ErrNotEnough.Reason:
		return "", nil
	case err != nil:
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds[orderID+name] = r.Hold.ID
	return r.Hold.SlotIDs[0], nil
}

// settle implements contest: the confirmation, and the driver's acceptance.
func (m *market) settle(ctx context.Context, orderID, name string) error {
	m.mu.Lock()
	hold := m.holds[orderID+name]
	delete(m.holds, orderID+name)
	m.mu.Unlock()
	by := order.By{User: fleet.UserID(name), Role: fleet.Transporter}
	pick := order.Pick{VehicleID: fleet.VehicleID("v" + name), DriverID: fleet.UserID("d" + name)}
	var tripID string
	err := untilDefinite(ctx, func() error {
		r, err := m.orders.Confirm(ctx, protocol.ConfirmRequest{HoldID: hold, By: by, Picks: []order.Pick{pick}})
		if err == nil {
			tripID = r.Hold.TripIDs[0]
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	driver := trip.By{User: pick.DriverID, Role: fleet.Driver, Fleet: by.User}
	err = untilDefinite(ctx, func() error {
		_, err := m.system.Ask(ctx, protocol.TripAddress(tripID), &protocol.TripCommand{Do: trip.Accept{By: driver}})
		return err
	})
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	return nil
}

// untilDefinite asks again while the answer is not definite.
func untilDefinite(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if !busy(err) {
			return err
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lettersWithin is how long the letters of the last acceptances may take: one that met a full mailbox
// comes again after 2 s, and then at most every 30 s.
const lettersWithin = 2 * time.Minute

// winners implements contest. Acceptances reach the order by letter.
func (m *market) winners(ctx context.Context, orderID string, wait int) (map[string]string, error) {
	for deadline := time.Now().Add(lettersWithin); ; {
		s, _, err := m.reads.Order(ctx, orderID)
		if err != nil {
			return nil, err
		}
		won := map[string]string{}
		for _, slot := range s.Slots {
			if slot.Status.Filled() {
				won[slot.ID] = string(slot.TransporterID)
			}
		}
		if len(won) >= wait || time.Now().After(deadline) {
			return won, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// end implements contest: the customer cancels, and drivers and trucks are free.
func (m *market) end(ctx context.Context, orderID string) error {
	m.mu.Lock()
	customer := m.customers[orderID]
	delete(m.customers, orderID)
	m.mu.Unlock()
	by := order.By{User: customer, Role: fleet.Customer}
	return untilDefinite(ctx, func() error {
		_, err := m.orders.Cancel(ctx, protocol.OrderRequest{OrderID: orderID, By: by, Reason: "The race is over."})
		return err
	})
}

// Crew implements actors.CrewReader: every truck and driver is his transporter's, and free as far as one
// knows. The indexes have the last word.
func (m *market) Crew(_ context.Context, vehicles []fleet.VehicleID, drivers []fleet.UserID) (fleet.Crew, error) {
	c := fleet.Crew{Vehicles: map[fleet.VehicleID]fleet.VehicleFact{}, Drivers: map[fleet.UserID]fleet.DriverFact{}}
	for _, v := range vehicles {
		c.Vehicles[v] = fleet.VehicleFact{Vehicle: fleet.Vehicle{
			ID: v, TransporterID: fleet.UserID(v[1:]), Number: "KA01AB1234", Type: kindOf, Subtype: subtypeOf, Status: fleet.VehicleAvailable,
		}}
	}
	for _, d := range drivers {
		c.Drivers[d] = fleet.DriverFact{User: fleet.User{ID: d, Role: fleet.Driver, TransporterID: fleet.UserID(d[1:]), Name: "D", Available: true}}
	}
	return c, nil
}

// nobody hears, and everybody is there.
type nobody struct{}

func (nobody) Position(protocol.Position)                   {}
func (nobody) Deliver([]protocol.Delivery)                  {}
func (nobody) Offers([]protocol.OfferFrame)                 {}
func (nobody) TripChanged(protocol.TripView)                {}
func (nobody) TripEnded(protocol.TripEnded)                 {}
func (nobody) Notify(fleet.UserID, string, any)             {}
func (nobody) Disconnect(fleet.UserID, string, int, string) {}

// User implements actors.Users.
func (nobody) User(_ context.Context, id fleet.UserID) (fleet.User, error) {
	return fleet.User{ID: id, Name: "N", Phone: "+919876543210", Available: true}, nil
}

// Read implements actors.PresenceReader.
func (nobody) Read(_ context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]presence.Entry, error) {
	there := make(map[fleet.UserID]presence.Entry, len(users))
	for _, id := range users {
		there[id] = presence.Entry{User: id, Role: fleet.Driver, Seen: now.UnixMilli(), Expires: now.Add(time.Hour).UnixMilli()}
	}
	return there, nil
}

// Fixes implements actors.Tracks.
func (nobody) Fixes(context.Context, fleet.UserID, int64, int64, int) ([]track.Fix, error) {
	return nil, nil
}
