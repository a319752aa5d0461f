package rest_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/limit"
	"weelo/internal/presence"
	"weelo/internal/pricing"
	"weelo/internal/servertest"
	"weelo/internal/share"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/store/memory"
	"weelo/store/postgres"
	"weelo/store/redis"
	"weelo/store/sqlite"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// shelves are the stores of an engine.
type shelves struct {
	people fleet.People
	users  interface {
		actors.Users
		actors.Customers
		Enrol(ctx context.Context, u fleet.User) (fleet.User, bool, error)
	}
	vehicles fleet.Vehicles
	trips    interface {
		access.Trips
		history.Windows
	}
	dispatch  orderStores
	fixes     history.Store
	ledger    actors.Ledger
	presence  presence.Store
	positions presence.Positions
	limits    limit.Limiter
	auditLog  auditlog.Store
	shares    share.Store
	// count reads five numbers in one row.
	count func(query string, to ...any) error
}

// dev is SQLite and memory.
func dev(t *testing.T) shelves {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "weelo.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	writer := sqlite.NewWriter(db, sqlite.Options{})
	t.Cleanup(func() { _ = writer.Close(context.Background()) })
	return shelves{
		people: sqlite.NewPeople(db), users: sqlite.NewUsers(db), vehicles: sqlite.NewVehicles(db), trips: sqlite.NewTripReads(db),
		fixes:    sqlite.NewFixes(db),
		ledger:   actors.Ledger{Writer: writer, Joint: writer, Claimer: sqlite.NewClaimer(db), Outbox: sqlite.NewOutbox(db), Replies: sqlite.NewReplies(db)},
		dispatch: orderStores{sqlite.NewOrderReads(db), sqlite.NewOffers(db), sqlite.NewSupply(db), sqlite.NewHistory(db), sqlite.NewTripReads(db)},
		presence: memory.NewPresence(), positions: memory.NewPositions(), limits: memory.NewRates(time.Now),
		auditLog: sqlite.NewAuditLog(db), shares: sqlite.NewShares(db),
		count: func(query string, to ...any) error { return db.Read.QueryRowContext(t.Context(), query).Scan(to...) },
	}
}

// serve is Postgres and Redis.
func serve(t *testing.T) shelves {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: servertest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	options, err := goredis.ParseURL(servertest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	writer := postgres.NewWriter(db, postgres.Options{})
	t.Cleanup(func() { _ = writer.Close(context.Background()) })
	return shelves{
		people: postgres.NewPeople(db), users: postgres.NewUsers(db), vehicles: postgres.NewVehicles(db), trips: postgres.NewTripReads(db),
		fixes:    postgres.NewFixes(db),
		ledger:   actors.Ledger{Writer: writer, Joint: writer, Claimer: postgres.NewClaimer(db), Outbox: postgres.NewOutbox(db), Replies: postgres.NewReplies(db)},
		dispatch: orderStores{postgres.NewOrderReads(db), postgres.NewOffers(db), postgres.NewSupply(db), postgres.NewHistory(db), postgres.NewTripReads(db)},
		presence: redis.NewPresence(client), positions: redis.NewPositions(client), limits: redis.NewRates(client),
		auditLog: postgres.NewAuditLog(db), shares: postgres.NewShares(db),
		count: func(query string, to ...any) error { return db.General.QueryRow(t.Context(), query).Scan(to...) },
	}
}

// onBothStores runs a test on both pairs of stores.
func onBothStores(t *testing.T, test func(y *yard)) {
	t.Helper()
	for name, stores := range map[string]func(*testing.T) shelves{"dev": dev, "serve": serve} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(openYard(t, stores(t)))
		})
	}
}

// yard is a whole engine behind the API, on one task: one transporter with two drivers and two
// trucks, a rival with one of each, and a customer.
type yard struct {
	*resttest.Client
	t    *testing.T
	mint *token.Mint
	shelves
	people      *onlinePeople
	api         *rest.API
	grid        *fleet.Grid
	orderLimits limit.Limiter    // nil: nothing is limited
	podCode     bool             // a delivery needs the customer's code
	orderClock  func() time.Time // of the routes of orders; nil: time.Now
	more        func(y *yard)    // registers further routes; nil: none
	facade      *actors.Orders

	owner, rival, customer fleet.UserID
	drivers                [2]fleet.UserID
	trucks                 [2]fleet.VehicleID
	rivalDriver            fleet.UserID
	rivalTruck             fleet.VehicleID
}

// onlinePeople plays the actors of drivers and transporters: it remembers what it was told.
type onlinePeople struct {
	mu        sync.Mutex
	reports   []track.Fix
	beats     int
	available map[fleet.UserID]bool
	silent    map[fleet.UserID]bool // their presence ran out, whatever they want
	changed   []fleet.UserID        // whose vehicles are not what they were
	notes     []string              // what devices were told, as "user event data"
}

// Notify implements rest.Notifier.
func (p *onlinePeople) Notify(user fleet.UserID, event string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, fmt.Sprint(user, " ", event, " ", string(text)))
}

// noted is what devices were told since it was asked last.
func (p *onlinePeople) noted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	notes := p.notes
	p.notes = nil
	return notes
}

func (p *onlinePeople) Report(_ fleet.UserID, fix track.Fix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = append(p.reports, fix)
}

func (p *onlinePeople) Beat(fleet.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beats++
}

func (p *onlinePeople) SetAvailable(_ context.Context, user fleet.UserID, available bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.available[user] = available
	return nil
}

func (p *onlinePeople) told() []track.Fix {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]track.Fix{}, p.reports...)
}

type onlineDrivers struct{ *onlinePeople }

func (onlineDrivers) Attach(context.Context, fleet.UserID, fleet.UserID) (protocol.DriverLink, error) {
	return nil, fmt.Errorf("REST holds no sockets")
}

func (d onlineDrivers) Get(_ context.Context, user fleet.UserID) (*protocol.Driver, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &protocol.Driver{ID: user, Available: d.available[user]}, nil
}

type onlineTransporters struct {
	*onlinePeople
	vehicles fleet.Vehicles
}

func (onlineTransporters) Attach(context.Context, fleet.UserID) (func(), error) {
	return nil, fmt.Errorf("REST holds no sockets")
}

func (o onlineTransporters) Report(ctx context.Context, user fleet.UserID, fix track.Fix) (*protocol.Transporter, error) {
	o.onlinePeople.Report(user, fix)
	return o.Get(ctx, user)
}

func (o onlineTransporters) FleetChanged(user fleet.UserID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed = append(o.changed, user)
}

func (o onlineTransporters) Get(ctx context.Context, user fleet.UserID) (*protocol.Transporter, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data := &protocol.Transporter{ID: user, Available: o.available[user], Online: o.available[user] && !o.silent[user]}
	vehicles, err := o.vehicles.VehiclesOf(ctx, user)
	if err != nil {
		return data, nil // as the actor does
	}
	data.FleetKnown, data.Fleet.Vehicles = true, len(vehicles)
	var first *fleet.Vehicle
	if data.Fleet.Keys, first = fleet.Drivable(vehicles); first != nil {
		data.Fleet.First, data.Fleet.FirstKey = first.ID, fleet.Key(first.Type, first.Subtype)
	}
	return data, nil
}

// newYard is a yard on the stores of dev.
func newYard(t *testing.T) *yard {
	t.Helper()
	return openYard(t, dev(t))
}

func openYard(t *testing.T, stores shelves, with ...func(*yard)) *yard {
	t.Helper()
	y := &yard{t: t, shelves: stores, mint: testMint(t), people: &onlinePeople{available: map[fleet.UserID]bool{}, silent: map[fleet.UserID]bool{}}}
	for _, change := range with {
		change(y)
	}
	y.populate()
	y.serve()
	return y
}

func (y *yard) populate() {
	y.t.Helper()
	y.owner = y.enrol(fleet.Transporter, "+919876543210", "Asha Fleet", "")
	y.rival = y.enrol(fleet.Transporter, "+919876543211", "Rival Roadways", "")
	y.customer = y.enrol(fleet.Customer, "+919000000001", "Meera", "")
	y.drivers[0] = y.enrol(fleet.Driver, "+919123456781", "Anil", y.owner)
	y.drivers[1] = y.enrol(fleet.Driver, "+919123456782", "Bala", y.owner)
	y.rivalDriver = y.enrol(fleet.Driver, "+919123456783", "Chetan", y.rival)
	y.trucks[0] = y.truck(y.owner, "KA01AB0001", fleet.VehicleAvailable)
	y.trucks[1] = y.truck(y.owner, "KA01AB0002", fleet.VehicleAvailable)
	y.rivalTruck = y.truck(y.rival, "KA01AB0003", fleet.VehicleAvailable)
}

func (y *yard) enrol(role fleet.Role, phone, name string, transporter fleet.UserID) fleet.UserID {
	y.t.Helper()
	now := time.Now()
	u, _, err := y.users.Enrol(y.t.Context(), fleet.User{ID: fleet.UserID(uuid.NewString()), Phone: phone, Role: role,
		Name: name, TransporterID: transporter, MembershipVersion: 1, CreatedAt: now, UpdatedAt: now.Add(-time.Hour)})
	if err != nil {
		y.t.Fatal(err)
	}
	return u.ID
}

func (y *yard) truck(owner fleet.UserID, number, status string) fleet.VehicleID {
	y.t.Helper()
	now := time.Now()
	v, _, err := y.vehicles.Upsert(y.t.Context(), fleet.Vehicle{ID: fleet.VehicleID(uuid.NewString()), TransporterID: owner,
		Number: number, Type: "open", Subtype: "17 Feet", Capacity: "7 t", Status: status, CreatedAt: now, UpdatedAt: now})
	if err != nil {
		y.t.Fatal(err)
	}
	return v.ID
}

// serve starts recorder, actors and API over the database.
func (y *yard) serve() {
	y.t.Helper()
	log := slog.New(slog.DiscardHandler)
	recorder, err := history.NewRecorder(y.fixes, y.trips, time.Now, log, history.Config{Linger: time.Millisecond})
	if err != nil {
		y.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- recorder.Run(ctx) }()
	y.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			y.t.Error(err)
		}
	})
	hub := &actortest.Hub{}
	policy := trip.DefaultPolicy()
	policy.PODCode = y.podCode
	system := actortest.Start(y.t, actors.Config{}, actors.Trips(actors.TripConfig{
		Ledger: y.ledger, Publisher: hub, Tracks: y.fixes, Policy: policy, Rules: track.DefaultRules(),
	}), y.orderActors(hub), actortest.NewProbe(protocol.KindDriver).Kind())
	births := &actors.Assignments{Ledger: y.ledger, Router: system, Publisher: hub, Users: y.users, Trucks: y.vehicles,
		Customers: y.users, Policy: trip.DefaultPolicy(), NewID: uuid.NewString}

	y.api = rest.New(rest.Config{Version: "test", Tokens: y.mint, Revoked: func(string) bool { return false }, Limits: y.orderLimits, Log: log, Now: time.Now})
	trips := access.New(y.trips, y.positions, y.fixes, track.DefaultRules(), time.Now)
	rest.RegisterAssignments(y.api, rest.Assignments{Assigner: births, Actors: system, Trips: trips, Limits: y.orderLimits, Log: log})
	rest.RegisterTracking(y.api, rest.Tracking{Actors: system, Trips: trips, Recorder: recorder, Drivers: onlineDrivers{y.people}, Now: time.Now})
	rest.RegisterFleet(y.api, rest.Fleet{
		People: y.shelves.people, Vehicles: y.vehicles, Trips: trips, Presence: y.presence, Positions: y.positions,
		Drivers: onlineDrivers{y.people}, Transporters: onlineTransporters{y.people, y.vehicles}, Limits: y.limits, Prices: pricing.Default(),
		Notifier: y.people, Log: log, Now: time.Now, NewID: uuid.NewString,
	})
	y.registerOrders(system, hub, trips)
	if y.more != nil {
		y.more(y)
	}
	y.Client = resttest.New(y.t, y.api)
}

// as gives a client with a token of the user.
func (y *yard) as(user fleet.UserID, role fleet.Role) *resttest.Client {
	y.t.Helper()
	s, _, err := y.mint.Access(token.Identity{UserID: user, Role: role, SessionID: "s-" + string(user), TransporterID: y.owner}, time.Now(), rand.Reader)
	if err != nil {
		y.t.Fatal(err)
	}
	return y.As(s)
}

func (y *yard) asOwner() *resttest.Client       { return y.as(y.owner, fleet.Transporter) }
func (y *yard) asRival() *resttest.Client       { return y.as(y.rival, fleet.Transporter) }
func (y *yard) asCustomer() *resttest.Client    { return y.as(y.customer, fleet.Customer) }
func (y *yard) asDriver(i int) *resttest.Client { return y.as(y.drivers[i], fleet.Driver) }

const routeJSON = `"pickup":{"latitude":12.9716,"longitude":77.5946,"address":"Yard A","city":"Bengaluru"},"drop":{"latitude":12.2958,"longitude":76.6394,"address":"Dock B","city":"Mysuru"}`

func assignJSON(truck fleet.VehicleID, driver fleet.UserID) string {
	return fmt.Sprintf(`{"vehicleId":%q,"driverId":%q,%s,"customerPhone":"9000000001"}`, truck, driver, routeJSON)
}

// assign puts driver i and truck i on a trip.
func (y *yard) assign(i int) string {
	y.t.Helper()
	var trip struct{ ID string }
	y.asOwner().Call("POST", "/api/v1/assignments", assignJSON(y.trucks[i], y.drivers[i])).Want(201).Data(&trip)
	return trip.ID
}

// accepted is assign, and the driver takes it.
func (y *yard) accepted(i int) string {
	y.t.Helper()
	id := y.assign(i)
	y.asDriver(i).Call("PATCH", "/api/v1/assignments/"+id+"/accept", nil).Want(200)
	return id
}

// rows counts what could have changed: trips by version, and fixes.
func (y *yard) rows() string {
	y.t.Helper()
	var trips, versions, fixes, vehicles, available int
	if err := y.count(`SELECT (SELECT count(*) FROM trip), (SELECT coalesce(sum(version), 0) FROM trip),
		(SELECT count(*) FROM fix), (SELECT count(*) FROM vehicle), (SELECT count(*) FROM app_user WHERE available)`,
		&trips, &versions, &fixes, &vehicles, &available); err != nil {
		y.t.Fatal(err)
	}
	return fmt.Sprint(trips, " trips, versions ", versions, ", ", fixes, " fixes, ", vehicles, " vehicles, ", available, " available")
}
