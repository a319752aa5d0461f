package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/audit"
	"weelo/internal/fault"
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

// market is a task with orders and trips on the store of weelo dev, in memory, with the people of
// SmallWorld in it: T1 stands 3 km from the pickup, T2 12 km.
type market struct {
	t         *testing.T
	ledger    *actortest.Ledger
	db        *sqlite.DB
	hub       *actortest.Hub
	grid      *fleet.Grid
	presence  *memory.Presence
	searching *actors.Searching
	drivers   *actortest.Probe
	owners    *actortest.Probe
	counts    *orderCounts
	receipts  *actors.OfferReceipts
	sys       *actors.System
	end       func() // of the parts beside it
	orders    *actors.Orders
	ids       atomic.Int64
	policy    order.Policy
	crew      actors.CrewReader // nil: the store's
	deaf      bool              // hints of births are lost
}

// staleCrew is what was read before something changed.
type staleCrew struct{ facts fleet.Crew }

// Crew implements actors.CrewReader.
func (c staleCrew) Crew(context.Context, []fleet.VehicleID, []fleet.UserID) (fleet.Crew, error) {
	return c.facts, nil
}

var (
	asha   = order.By{User: "C1", Role: fleet.Customer}
	first  = order.By{User: "T1", Role: fleet.Transporter}
	second = order.By{User: "T2", Role: fleet.Transporter}
	imran  = trip.By{User: "D3", Role: fleet.Driver, Fleet: "T2"}
)

// open17 is what the vehicles of SmallWorld are.
const open17 = "open_17ft"

func newMarket(t *testing.T) *market {
	t.Helper()
	l, db := sqliteStore(t)
	m := &market{
		t: t, ledger: l, db: db, hub: &actortest.Hub{}, presence: memory.NewPresence(), policy: order.DefaultPolicy(),
		grid: fleet.NewGrid(time.Hour), drivers: actortest.NewProbe(protocol.KindDriver), owners: actortest.NewProbe(protocol.KindTransporter),
	}
	people := actortest.SmallWorld()
	users, vehicles := sqlite.NewUsers(db), sqlite.NewVehicles(db)
	for _, id := range []fleet.UserID{"C1", "T1", "T2", "D1", "D2", "D3"} { // a fleet before its drivers
		u := people.Users[id]
		u.Available = true
		if _, _, err := users.Enrol(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range people.Trucks {
		if _, _, err := vehicles.Upsert(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []fleet.UserID{"D1", "D2", "D3"} {
		m.online(id)
	}
	m.stands("T1", 3)
	m.stands("T2", 12)
	m.restart()
	t.Cleanup(m.audit)
	return m
}

// audit holds what is stored against the invariants of dispatch (docs/invariants.md).
func (m *market) audit() {
	m.t.Helper()
	report, err := audit.Run(context.Background(), sqlite.NewAudit(m.db), audit.Options{Now: time.Now()})
	if err != nil {
		m.t.Errorf("audit: %v", err)
	}
	for _, b := range report.Breaches {
		m.t.Errorf("audit: %v", b)
	}
}

// online makes a driver present, for as long as a test lasts.
func (m *market) online(id fleet.UserID) {
	m.t.Helper()
	if _, err := m.presence.Enter(m.t.Context(), presence.Person{User: id, Role: fleet.Driver}, time.Now().Add(time.Hour)); err != nil {
		m.t.Fatal(err)
	}
}

// stands puts a transporter so many kilometres north of the pickup.
func (m *market) stands(id fleet.UserID, km float64) {
	m.t.Helper()
	at := geo.Point{Lat: bengaluru.Latitude + km/111.2, Lng: bengaluru.Longitude}
	if !m.grid.Put(id, at, []string{open17}, time.Now().UnixMilli()) {
		m.t.Fatal("not put on the grid")
	}
}

// restart starts another task over the same store; the one before is drained.
func (m *market) restart() {
	m.t.Helper()
	if m.sys != nil {
		if err := m.sys.Drain(m.t.Context()); err != nil {
			m.t.Fatal(err)
		}
		m.end()
	}
	m.searching, m.counts = actors.NewSearching(), &orderCounts{}
	led := ports(m.ledger)
	m.receipts = actors.NewOfferReceipts(sqlite.NewOffers(m.db), slog.New(slog.DiscardHandler))
	users, supply, trips := sqlite.NewUsers(m.db), sqlite.NewSupply(m.db), sqlite.NewTripReads(m.db)
	crew := m.crew
	if crew == nil {
		crew = supply
	}
	matcher := &fleet.Matcher{Locator: m.grid, Supply: supply, Users: sqlite.NewPeople(m.db), Rules: fleet.DefaultMatchRules()}
	m.sys = actortest.Start(m.t, actors.Config{},
		actors.OrderActors(actors.OrderConfig{
			Ledger: led, Publisher: m.hub, Policy: m.policy, Matcher: matcher, Crew: crew, Trips: trips, Users: users,
			Presence: m.presence, Searching: m.searching, Receipts: m.receipts, Observer: m.counts,
		}),
		actors.Trips(actors.TripConfig{Ledger: led, Publisher: m.hub, Tracks: &actortest.Fixes{}, Policy: m.policy.Trip, Rules: track.DefaultRules()}),
		m.drivers.Kind(), m.owners.Kind())
	m.orders = actors.NewOrders(actors.OrdersConfig{
		Ledger: led, Router: m.router(), Publisher: m.hub, Policy: m.policy, Price: func(string, string, int) error { return nil },
		Matcher: matcher, Reads: sqlite.NewOrderReads(m.db), Trips: trips, Users: users, Observer: m.counts,
		NewID: func() string { return fmt.Sprintf("id-%03d", m.ids.Add(1)) }, Random: &lockedReader{from: rand.NewChaCha8([32]byte{byte(m.ids.Load())})},
	})
	ctx, cancel := context.WithCancel(context.Background())
	m.end = cancel
	m.part(ctx, m.receipts.Run)
	m.part(ctx, (&actors.Sweeper{Timers: m.ledger, Router: m.sys, Log: slog.New(slog.DiscardHandler)}).Run)
	m.part(ctx, (&actors.Relay{Outbox: m.ledger, Router: m.sys, Log: slog.New(slog.DiscardHandler)}).Run)
}

// part runs something until its task or the test ends.
func (m *market) part(task context.Context, f func(context.Context) error) {
	run(m.t, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(task, cancel)()
		return f(ctx)
	})
}

// router is how births are made known; deaf, it loses every message that nobody waits for.
func (m *market) router() actors.Router {
	if m.deaf {
		return deaf{m.sys}
	}
	return m.sys
}

type deaf struct{ actors.Router }

// Tell implements actors.Router.
func (deaf) Tell(context.Context, actors.Address, any) error { return nil }

// asks is an order for so many trucks, with a key.
func asks(trucks int, key string) protocol.NewOrder {
	return protocol.NewOrder{By: asha, Repeat: protocol.Repeat{Key: key, Hash: fmt.Sprint(trucks)}, Order: order.NewOrder{
		Pickup: bengaluru, Drop: chennai, Goods: "General", Needs: []order.Need{{Type: "open", Subtype: "17 Feet", Quantity: trucks, PriceRupees: 9000}},
	}}
}

func (m *market) create(trucks int) string {
	m.t.Helper()
	r, err := m.orders.Create(m.t.Context(), asks(trucks, ""))
	if err != nil {
		m.t.Fatalf("create: %v", err)
	}
	synctest.Wait()
	return r.State.ID
}

func (m *market) hold(id string, by order.By, quantity int) string {
	m.t.Helper()
	r, err := m.orders.Hold(m.t.Context(), protocol.HoldRequest{OrderID: id, By: by, Type: "open", Subtype: "17 feet", Quantity: quantity})
	if err != nil {
		m.t.Fatalf("hold: %v", err)
	}
	return r.Hold.ID
}

func pick(pairs ...string) []order.Pick {
	var picks []order.Pick
	for i := 0; i < len(pairs); i += 2 {
		picks = append(picks, order.Pick{VehicleID: fleet.VehicleID(pairs[i]), DriverID: fleet.UserID(pairs[i+1])})
	}
	return picks
}

// confirm makes trips of a hold and gives their ids.
func (m *market) confirm(hold string, by order.By, pairs ...string) []string {
	m.t.Helper()
	r, err := m.orders.Confirm(m.t.Context(), protocol.ConfirmRequest{HoldID: hold, By: by, Picks: pick(pairs...)})
	if err != nil {
		m.t.Fatalf("confirm: %v %v", err, order.FailedPicks(err))
	}
	return r.Hold.TripIDs
}

// drive sends a trip a command of its driver.
func (m *market) drive(id string, c trip.Command) error {
	m.t.Helper()
	_, err := ask(m.t, m.sys, protocol.TripAddress(id), &protocol.TripCommand{Do: c})
	synctest.Wait()
	return err
}

// must fails the test on an error.
func (m *market) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// stored is the order as its row says.
func (m *market) stored(id string) order.State {
	m.t.Helper()
	s, _, err := sqlite.NewOrderReads(m.db).Order(m.t.Context(), id)
	m.must(err)
	return s
}

// trip is a trip as its row says.
func (m *market) trip(id string) trip.State {
	m.t.Helper()
	row, ok := m.ledger.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
	if !ok {
		m.t.Fatalf("no trip %s", id)
	}
	s, err := trip.Load(row.State)
	m.must(err)
	return s
}

// wants checks where the order and its slots stand.
func (m *market) wants(id string, status order.Status, slots ...order.SlotStatus) order.State {
	m.t.Helper()
	s := m.stored(id)
	var got []order.SlotStatus
	for _, slot := range s.Slots {
		got = append(got, slot.Status)
	}
	if s.Status != status || !cmp.Equal(got, slots) {
		m.t.Fatalf("the order is %s %v, want %s %v", s.Status, got, status, slots)
	}
	return s
}

// inbox gives what somebody was told, each with its word: status, reason, trucks.
func (m *market) inbox(who string) []string {
	m.t.Helper()
	entries, err := m.ledger.Read(m.t.Context(), who, 1, 1000)
	m.must(err)
	var all []string
	for _, e := range entries {
		var data struct {
			Status, Reason string
			TrucksFilled   int
		}
		m.must(json.Unmarshal(e.Event.Data, &data))
		switch e.Event.Type {
		case order.KindFill:
			all = append(all, fmt.Sprint(e.Event.Type, ":", data.TrucksFilled))
		case order.KindClosed:
			all = append(all, e.Event.Type+":"+data.Reason)
		default:
			all = append(all, strings.TrimSuffix(e.Event.Type+":"+data.Status, ":"))
		}
	}
	return all
}

// shown gives the offers that were published since the last call: who, version, open.
func (m *market) shown() []string {
	m.t.Helper()
	var all []string
	for _, f := range m.hub.Shown() {
		state := "closed"
		if f.Open {
			state = "open"
		}
		all = append(all, fmt.Sprintf("%s v%d %s", f.Transporter, f.Version, state))
	}
	return all
}

func (m *market) refuses(err error, reason string) {
	m.t.Helper()
	if err == nil || fault.From(err).Reason != reason {
		m.t.Fatalf("refused with %v, want %s", err, reason)
	}
}

// lockedReader lets many ask for chance at once, as the one of the product does.
type lockedReader struct {
	mu   sync.Mutex
	from io.Reader
}

func (r *lockedReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return io.ReadFull(r.from, p)
}

// orderCounts counts what actors tell.
type orderCounts struct {
	actors.SilentOrders
	waves atomic.Int64
}

// Wave implements actors.OrderObserver.
func (c *orderCounts) Wave(int, int) { c.waves.Add(1) }
