package rest_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/presence"
	"weelo/internal/pricing"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// orderStores are the stores of dispatch.
type orderStores struct {
	reads   order.Reads
	offers  ledger.Offers
	supply  fleet.Supply
	history ledger.History
	rows    actors.OrderTrips
}

// yardPolicy is the contract's, with waits that a test cannot run into, but for the rebook cool-down.
func yardPolicy() order.Policy {
	p := order.DefaultPolicy()
	p.SearchFor, p.HoldFor, p.HoldMax = 10*time.Minute, 90*time.Second, 130*time.Second
	p.Trip.AcceptWithin = 10 * time.Minute
	p.RebookAfter, p.RebookAfterRepeated = 0, 0
	return p
}

func (y *yard) matcher() *fleet.Matcher {
	if y.grid == nil {
		y.grid = fleet.NewGrid(presence.TransporterLife)
	}
	return &fleet.Matcher{Locator: y.grid, Supply: y.dispatch.supply, Users: y.shelves.people, ETA: fleet.StraightETA{}, Rules: fleet.DefaultMatchRules()}
}

func (y *yard) orderActors(hub *actortest.Hub) actors.Kind {
	return actors.OrderActors(actors.OrderConfig{
		Ledger: y.ledger, Publisher: hub, Policy: yardPolicy(), Matcher: y.matcher(), Crew: y.dispatch.supply, Trips: y.dispatch.rows,
		Users: y.users, Presence: y.presence, Searching: actors.NewSearching(),
	})
}

func (y *yard) registerOrders(system *actors.System, hub *actortest.Hub, trips *access.Reads) {
	y.facade = actors.NewOrders(actors.OrdersConfig{
		Ledger: y.ledger, Router: system, Publisher: hub, Policy: yardPolicy(), Price: pricing.CheckPrice, Matcher: y.matcher(),
		Reads: y.dispatch.reads, Trips: y.dispatch.rows, Users: y.users, NewID: uuid.NewString, Random: rand.Reader,
	})
	if y.orderClock == nil {
		y.orderClock = time.Now
	}
	rest.RegisterOrders(y.api, rest.Orders{
		Orders: y.facade, Reads: y.dispatch.reads, Offers: y.dispatch.offers, Trips: trips,
		Narrator: rest.Narrator{History: y.dispatch.history, Offers: y.dispatch.offers, People: y.shelves.people}, Limits: y.orderLimits,
		Policy: yardPolicy(), Log: slog.New(slog.DiscardHandler), Now: y.orderClock,
	})
}

// open puts both transporters on the map near the pickup, the owner nearer, and all drivers online.
func (y *yard) open() {
	y.t.Helper()
	now := time.Now()
	pickup := geo.Point{Lat: 12.9716, Lng: 77.5946}
	y.grid.Put(y.owner, geo.Move(pickup, 90, 1000), []string{fleet.Key("open", "17 Feet")}, now.UnixMilli())
	y.grid.Put(y.rival, geo.Move(pickup, 90, 2000), []string{fleet.Key("open", "17 Feet")}, now.UnixMilli())
	for _, transporter := range []fleet.UserID{y.owner, y.rival} {
		if _, err := y.shelves.people.SetAvailable(context.Background(), transporter, true, now); err != nil {
			y.t.Fatal(err)
		}
	}
	for driver, transporter := range map[fleet.UserID]fleet.UserID{y.drivers[0]: y.owner, y.drivers[1]: y.owner, y.rivalDriver: y.rival} {
		if _, err := y.presence.Enter(context.Background(), presence.Person{User: driver, Role: fleet.Driver, Fleet: transporter}, now); err != nil {
			y.t.Fatal(err)
		}
	}
}

// orderJSON asks for so many trucks of the yard's kind.
func orderJSON(trucks int) string {
	return fmt.Sprintf(`{%s,"distanceKm":145,"vehicleRequirements":[{"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":%d,"pricePerTruck":9000}],"goodsType":"General","cargoWeightKg":7000}`,
		routeJSON, trucks)
}

// keyed gives the client with a new idempotency key.
func keyed(c *resttest.Client) *resttest.Client { return c.With("X-Idempotency-Key", uuid.NewString()) }

// order makes the customer ask for trucks.
func (y *yard) order(trucks int) rest.CreatedOrderData {
	y.t.Helper()
	var born rest.CreatedOrderData
	keyed(y.asCustomer()).Call("POST", "/api/v1/bookings/orders", orderJSON(trucks)).Want(201).Data(&born)
	return born
}

func holdJSON(orderID string, trucks int) string {
	return fmt.Sprintf(`{"orderId":%q,"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":%d}`, orderID, trucks)
}

// hold makes the owner reserve trucks.
func (y *yard) hold(orderID string, trucks int) rest.HoldData {
	y.t.Helper()
	var held rest.HoldData
	keyed(y.asOwner()).Call("POST", "/api/v1/truck-hold/hold", holdJSON(orderID, trucks)).Want(200).Data(&held)
	return held
}

type pick struct {
	truck  fleet.VehicleID
	driver fleet.UserID
}

func confirmJSON(holdID string, picks ...pick) string {
	list := make([]string, len(picks))
	for i, p := range picks {
		list[i] = fmt.Sprintf(`{"vehicleId":%q,"driverId":%q}`, p.truck, p.driver)
	}
	return fmt.Sprintf(`{"holdId":%q,"assignments":[%s]}`, holdID, strings.Join(list, ","))
}

// confirm makes the owner send his first trucks.
func (y *yard) confirm(holdID string, trucks int) []string {
	y.t.Helper()
	var picks []pick
	for i := range trucks {
		picks = append(picks, pick{y.trucks[i], y.drivers[i]})
	}
	var born rest.ConfirmedHoldData
	keyed(y.asOwner()).Call("POST", "/api/v1/truck-hold/confirm-with-assignments", confirmJSON(holdID, picks...)).Want(200).Data(&born)
	return born.TripIDs
}

// step makes a driver report a step of his trip.
func (y *yard) step(i int, tripID, status string) {
	y.t.Helper()
	y.asDriver(i).Call("PUT", "/api/v1/tracking/trip/"+tripID+"/status", `{"status":"`+status+`"}`).Want(200)
}

// dispatched counts what dispatch could have changed.
func (y *yard) dispatched() string {
	y.t.Helper()
	var orders, versions, offers, trips, tripVersions int
	if err := y.count(`SELECT (SELECT count(*) FROM customer_order), (SELECT coalesce(sum(version), 0) FROM customer_order),
		(SELECT coalesce(sum(version), 0) FROM offer), (SELECT count(*) FROM trip), (SELECT coalesce(sum(version), 0) FROM trip)`,
		&orders, &versions, &offers, &trips, &tripVersions); err != nil {
		y.t.Fatal(err)
	}
	return fmt.Sprint(orders, " orders, versions ", versions, ", offers ", offers, ", ", trips, " trips, versions ", tripVersions)
}

// eventually waits for what the actors do on their own, asking every few milliseconds.
func (y *yard) eventually(what string, done func() bool) {
	y.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if done() {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			y.t.Fatalf("waited too long: %s", what)
		}
	}
}

// compared gives the difference of two answers.
func compared[T any](a, b T) string {
	return cmp.Diff(a, b, cmp.Comparer(func(x, y rest.Timestamp) bool { return x.String() == y.String() }))
}

// caller makes one call about different ids.
type caller struct {
	client             *resttest.Client
	method, path, body string
}

func (c caller) call(id string) (status int, reason string) {
	var body any
	if c.body != "" {
		body = strings.ReplaceAll(c.body, "{id}", id)
	}
	answer := c.client.Call(c.method, strings.ReplaceAll(c.path, "{id}", id), body)
	var e struct{ Error struct{ Code string } }
	_ = json.Unmarshal(answer.Raw, &e) // a success has no code
	return answer.Status, e.Error.Code
}
