package dispatch

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/audit"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/presence"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/store/memory"
	"weelo/store/sqlite"
)

// shelf is a store as the actors of orders and trips use it.
type shelf struct {
	ledger actors.Ledger
	timers ledger.Timers
	offers ledger.Offers
	people interface {
		fleet.UserReader
	}
	users interface {
		actors.Users
		Enrol(ctx context.Context, u fleet.User) (fleet.User, bool, error)
	}
	vehicles interface {
		Upsert(ctx context.Context, v fleet.Vehicle) (fleet.Vehicle, bool, error)
	}
	supply fleet.Supply
	trips  actors.OrderTrips
	reads  interface {
		order.Reads
		order.LiveReads
	}
	rows    audit.Rows
	unindex func(ctx context.Context, index string) error
	kill    func() // nil: it cannot be killed alone
}

func onSQLite(t *testing.T) shelf {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir()+"/weelo.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := sqlite.NewWriter(db, sqlite.Options{})
	return shelf{
		ledger: actors.Ledger{Writer: w, Joint: w, Claimer: sqlite.NewClaimer(db), Outbox: sqlite.NewOutbox(db), Replies: sqlite.NewReplies(db)},
		timers: sqlite.NewTimers(db), offers: sqlite.NewOffers(db), people: sqlite.NewPeople(db), users: sqlite.NewUsers(db), vehicles: sqlite.NewVehicles(db),
		supply: sqlite.NewSupply(db), trips: sqlite.NewTripReads(db), reads: sqlite.NewOrderReads(db), rows: sqlite.NewAudit(db),
		unindex: func(ctx context.Context, index string) error {
			_, err := db.Write.ExecContext(ctx, `DROP INDEX `+index)
			return err
		},
	}
}

// vehicle kinds, places and people of the town.
const (
	kind, subtype = "open", "17 Feet"
	transporters  = 4
	perFleet      = 3 // drivers, and vehicles
	customers     = 60
)

var (
	pickup = trip.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "MG Road, Bengaluru"}
	drop   = trip.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"}
)

// hasty is the policy with waits that a client out-thinks.
func hasty() order.Policy {
	const ms = time.Millisecond
	p := order.DefaultPolicy()
	p.SearchFor, p.FirstExtension, p.NextExtension = 2500*ms, 200*ms, 100*ms
	p.Waves = []order.Wave{{RadiusKM: 10, Window: 300 * ms}, {RadiusKM: 20, Window: 300 * ms}, {RadiusKM: 30, Window: 300 * ms}}
	p.HoldFor, p.HoldMax = 250*ms, 500*ms
	p.RebookAfter, p.RebookAfterRepeated = 0, 0
	p.Trip.AcceptWithin, p.Trip.AcceptGrace = 300*ms, 50*ms
	return p
}

// town is a store with people in it, and the tasks that work on it.
type town struct {
	t        *testing.T
	store    shelf
	policy   order.Policy
	presence *memory.Presence
	grid     *fleet.Grid
	hub      *actortest.Hub
	zombies  bool    // a task that another one took over from lives on
	stale    float64 // how often a confirmation is decided by facts of before all trips

	mu    sync.RWMutex
	tasks []*task // the last one is in office
}

// task is one process of the product: its actors, and what finds due timers and unsent letters.
type task struct {
	sys    *actors.System
	orders *actors.Orders
	leave  context.CancelFunc // ends its sweeper and relay; the actors stay, as zombies
}

func newTown(t *testing.T, store shelf, p order.Policy, stale float64) *town {
	t.Helper()
	w := &town{
		t: t, store: store, policy: p, presence: memory.NewPresence(), grid: fleet.NewGrid(time.Hour), hub: &actortest.Hub{}, stale: stale,
	}
	for c := range customers {
		w.enrol(fleet.User{ID: customer(c), Role: fleet.Customer, Name: "Customer", Phone: fmt.Sprintf("+9198000%05d", c)})
	}
	for c := range transporters {
		owner := transporter(c)
		w.enrol(fleet.User{ID: owner, Role: fleet.Transporter, Name: string(owner), Phone: fmt.Sprintf("+9198001%05d", c), Available: true})
		for n := range perFleet {
			d := driver(owner, n)
			w.enrol(fleet.User{ID: d, Role: fleet.Driver, Name: string(d), Phone: fmt.Sprintf("+91980%d2%05d", c, n), TransporterID: owner, Available: true})
			if _, err := w.presence.Enter(t.Context(), presence.Person{User: d, Role: fleet.Driver}, time.Now().Add(24*time.Hour)); err != nil {
				t.Fatal(err)
			}
			v := fleet.Vehicle{ID: vehicle(owner, n), TransporterID: owner, Number: fmt.Sprintf("KA01AB%d%03d", c, n), Type: kind, Subtype: subtype, Status: "available"}
			if _, _, err := store.vehicles.Upsert(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
		at := geo.Point{Lat: pickup.Latitude + float64(c+2)/111.2, Lng: pickup.Longitude}
		if !w.grid.Put(owner, at, []string{fleet.Key(kind, subtype)}, time.Now().UnixMilli()) {
			t.Fatal("not put on the grid")
		}
	}
	w.start()
	return w
}

func customer(n int) fleet.UserID    { return fleet.UserID(fmt.Sprintf("C%d", n)) }
func transporter(n int) fleet.UserID { return fleet.UserID(fmt.Sprintf("T%d", n)) }
func driver(owner fleet.UserID, n int) fleet.UserID {
	return fleet.UserID(fmt.Sprintf("%s-D%d", owner, n))
}
func vehicle(owner fleet.UserID, n int) fleet.VehicleID {
	return fleet.VehicleID(fmt.Sprintf("%s-V%d", owner, n))
}
func byOwner(id fleet.UserID) order.By { return order.By{User: id, Role: fleet.Transporter} }

func (w *town) enrol(u fleet.User) {
	w.t.Helper()
	if _, _, err := w.store.users.Enrol(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
}

// restart drains the task in office, and starts another one.
func (w *town) restart() {
	w.t.Helper()
	w.mu.RLock()
	before := w.tasks[len(w.tasks)-1]
	w.mu.RUnlock()
	if err := before.sys.Drain(w.t.Context()); err != nil {
		w.t.Errorf("drain: %v", err)
	}
	w.start()
}

// start starts a task over the store. If there was one it loses its office, but not its life: it owns what
// it owned until the new one claims that, and does not know when it has lost it.
func (w *town) start() {
	w.t.Helper()
	s, log := w.store, slog.New(slog.DiscardHandler)
	receipts := actors.NewOfferReceipts(s.offers, log)
	matcher := &fleet.Matcher{Locator: w.grid, Supply: s.supply, Users: s.people, Rules: fleet.DefaultMatchRules()}
	sys := actortest.Start(w.t, actors.Config{Node: fmt.Sprintf("node-%d", len(w.tasks)+1)},
		actors.OrderActors(actors.OrderConfig{
			Ledger: s.ledger, Publisher: w.hub, Policy: w.policy, Matcher: matcher, Crew: forgetful{s.supply, w.stale}, Trips: s.trips, Users: s.users,
			Presence: w.presence, Searching: actors.NewSearching(), Receipts: receipts,
		}),
		actors.Trips(actors.TripConfig{Ledger: s.ledger, Publisher: w.hub, Tracks: &actortest.Fixes{}, Policy: w.policy.Trip, Rules: track.DefaultRules()}),
		actortest.NewProbe(protocol.KindDriver).Kind(), actortest.NewProbe(protocol.KindTransporter).Kind())
	ctx, leave := context.WithCancel(context.Background())
	next := &task{sys: sys, leave: leave, orders: actors.NewOrders(actors.OrdersConfig{
		Ledger: s.ledger, Router: sys, Publisher: w.hub, Policy: w.policy, Price: func(string, string, int) error { return nil },
		Matcher: matcher, Reads: s.reads, Trips: s.trips, Users: s.users, NewID: uuid.NewString, Random: rand.Reader,
	})}
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{
		receipts.Run,
		(&actors.Sweeper{Timers: s.timers, Router: sys, Log: log}).Run,
		(&actors.Relay{Outbox: s.ledger.Outbox, Router: sys, Log: log}).Run,
	} {
		parts.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				w.t.Errorf("a part of the task: %v", err)
			}
		})
	}
	w.t.Cleanup(func() { leave(); parts.Wait() })
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.tasks); n > 0 {
		w.tasks[n-1].leave()
	}
	w.tasks = append(w.tasks, next)
}

// task gives the one in office, and sometimes one that was.
func (w *town) task(random *mathrand.Rand) *task {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if n := len(w.tasks); w.zombies && n > 1 && random.IntN(20) == 0 {
		return w.tasks[random.IntN(n-1)]
	}
	return w.tasks[len(w.tasks)-1]
}

// forgetful reads the crew of a confirmation, and often tells it as it was before they were on a trip: so
// the indexes have the last word.
type forgetful struct {
	actors.CrewReader
	stale float64
}

// Crew implements actors.CrewReader.
func (f forgetful) Crew(ctx context.Context, vehicles []fleet.VehicleID, drivers []fleet.UserID) (fleet.Crew, error) {
	crew, err := f.CrewReader.Crew(ctx, vehicles, drivers)
	if err != nil || mathrand.Float64() >= f.stale {
		return crew, err
	}
	for id, v := range crew.Vehicles {
		v.TripID = ""
		crew.Vehicles[id] = v
	}
	for id, d := range crew.Drivers {
		d.TripID = ""
		crew.Drivers[id] = d
	}
	return crew, nil
}
