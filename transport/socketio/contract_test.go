package socketio

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
	"weelo/transport/hub"
)

// The fields that an app reads of each event (contract §2.4, §2.5). Optional ones that an app shows are
// among them; `a.b` is b within a, and a list stands for its first item.
var required = map[string]string{
	"new_broadcast": `broadcastId orderId bookingId customerId customerName vehicleType vehicleSubtype trucksNeeded trucksFilled farePerTruck
		pickupLocation.address pickupLocation.city pickupLocation.latitude pickupLocation.longitude pickup.lat pickup.lng pickup.latitude pickupAddress pickupCity
		dropLocation.address dropLocation.city dropLocation.latitude dropLocation.longitude drop.lat drop.lng dropAddress dropCity distance distanceKm goodsType isUrgent expiresAt
		requestedVehicles.vehicleType requestedVehicles.vehicleSubtype requestedVehicles.count requestedVehicles.filledCount requestedVehicles.farePerTruck requestedVehicles.capacityTons
		trucksYouCanProvide maxTrucksYouCanProvide yourAvailableTrucks yourTotalTrucks trucksStillNeeded isPersonalized pickupDistanceKm pickupEtaMinutes
		eventId dispatchRevision orderLifecycleVersion eventVersion serverTimeMs payloadVersion`,
	"trucks_remaining_update":     "orderId vehicleType trucksNeeded totalTrucks trucksFilled trucksRemaining orderStatus",
	"booking_fully_filled":        "orderId bookingId trucksFilled trucksNeeded",
	"booking_partially_filled":    "bookingId filled total",
	"booking_updated":             "bookingId status trucksFilled trucksNeeded",
	"truck_assigned":              "bookingId assignment.id assignment.vehicleNumber assignment.driverName assignment.status",
	"accept_confirmation":         "requestId tripId success vehicleNumber message",
	"request_no_longer_available": "orderId",
	"broadcast_expired":           "broadcastId orderId reason message customerName dispatchRevision orderLifecycleVersion",
	"broadcast_dismissed":         "broadcastId orderId reason message customerName dispatchRevision orderLifecycleVersion",
	"booking_expired":             "broadcastId orderId reason message customerName dispatchRevision orderLifecycleVersion",
	"booking_cancelled":           "broadcastId orderId reason message customerName dispatchRevision orderLifecycleVersion",
	"order_expired":               "orderId status expiredAt totalTrucks trucksFilled reasonCode onlineCandidates notifiedTransporters",
	"order_cancelled":             "orderId reason message cancelledAt assignmentsCancelled customerName customerPhone pickupAddress dropAddress",
	"broadcast_state_changed":     "orderId status dispatchState reasonCode stateChangedAt",
	"order_timeout_extended":      "orderId newExpiresAt addedSeconds",
	"order_status_update":         "orderId status totalAssignments message",
	"trip_assigned": `assignmentId tripId orderId truckRequestId pickup.address pickup.city pickup.lat pickup.lng drop.address drop.city drop.lat drop.lng
		routePoints.type routePoints.latitude routePoints.longitude routePoints.address routePoints.city vehicleNumber farePerTruck distanceKm
		customerName customerPhone assignedAt expiresAt message driverAcceptTimeoutSeconds`,
	"assignment_status_changed": "assignmentId tripId status vehicleNumber message driverName timestamp orderId bookingId",
	"driver_timeout":            "assignmentId tripId driverId driverName vehicleNumber reason message",
	"assignment_timeout":        "assignmentId tripId driverId driverName vehicleNumber reason message",
	"driver_accepted":           "holdId assignmentId driverId driverName vehicleNumber tripId bookingId trucksAccepted trucksPending",
	"driver_declined":           "orderId assignmentId driverId driverName vehicleNumber reason",
	"trip_cancelled":            "orderId tripId reason message cancelledAt customerName customerPhone pickupAddress dropAddress compensationAmount settlementState",
	"flex_hold_started":         "holdId orderId phase expiresAt baseDurationSeconds canExtend maxExtensions",
	"flex_hold_extended":        "holdId orderId newExpiresAt addedSeconds totalDurationSeconds",
	"hold_expired":              "holdId orderId transporterId phase status reason vehicleType vehicleSubtype quantity expiredAt message",
	"flex_hold_expired":         "holdId orderId transporterId phase status reason vehicleType vehicleSubtype quantity expiredAt message",
	"driver_approaching":        "tripId driverId vehicleNumber driverName distanceKm durationMinutes durationText",
	"booking_completed":         "bookingId orderId",
}

// who has to have seen an event, at least; C, T, D.
var meant = map[string][]fleet.Role{
	"new_broadcast": {fleet.Transporter}, "trucks_remaining_update": {fleet.Customer, fleet.Transporter}, "booking_fully_filled": {fleet.Customer, fleet.Transporter},
	"booking_partially_filled": {fleet.Transporter}, "booking_updated": {fleet.Customer, fleet.Transporter}, "truck_assigned": {fleet.Customer},
	"accept_confirmation": {fleet.Transporter}, "request_no_longer_available": {fleet.Transporter}, "broadcast_expired": {fleet.Transporter},
	"broadcast_dismissed": {fleet.Transporter}, "booking_expired": {fleet.Transporter}, "booking_cancelled": {fleet.Transporter},
	"order_expired": {fleet.Customer}, "order_cancelled": {fleet.Customer, fleet.Transporter, fleet.Driver}, "broadcast_state_changed": {fleet.Customer},
	"order_timeout_extended": {fleet.Customer}, "order_status_update": {fleet.Transporter}, "trip_assigned": {fleet.Driver},
	"assignment_status_changed": {fleet.Customer, fleet.Transporter, fleet.Driver}, "driver_timeout": {fleet.Transporter}, "assignment_timeout": {fleet.Transporter},
	"driver_accepted": {fleet.Transporter}, "driver_declined": {fleet.Transporter}, "trip_cancelled": {fleet.Driver},
	"flex_hold_started": {fleet.Transporter}, "flex_hold_extended": {fleet.Transporter}, "hold_expired": {fleet.Transporter}, "flex_hold_expired": {fleet.Transporter},
	"driver_approaching": {fleet.Customer}, "booking_completed": {fleet.Customer},
}

// TestEveryEventHasWhatTheAppsRead plays orders and trips as they are decided, and looks at what the
// codec makes of what people are told.
func TestEveryEventHasWhatTheAppsRead(t *testing.T) {
	t.Parallel()
	p := &play{t: t, p: order.DefaultPolicy(), seen: map[string][]map[string]any{}}
	p.whole()
	p.lost()
	p.cancelled()
	for name, list := range required {
		for _, role := range meant[name] {
			payloads := p.seen[string(role)+" "+name]
			if len(payloads) == 0 {
				t.Errorf("no %s was told of %s", role, name)
			}
			for _, payload := range payloads {
				for _, field := range strings.Fields(list + " eventId eventVersion serverTimeMs payloadVersion") {
					if find(payload, strings.Split(field, ".")) == nil {
						t.Errorf("%s for a %s lacks %s: %v", name, role, field, payload)
					}
				}
			}
		}
	}
	full := p.seen["customer booking_fully_filled"]
	if len(full) == 0 || len(full[0]["assignments"].([]any)) != 2 {
		t.Errorf("the customer of a full order got %v", full)
	}
	counts := []string{}
	for _, a := range p.seen["transporter driver_accepted"][:2] {
		counts = append(counts, fmt.Sprintf("%v accepted, %v pending", a["trucksAccepted"], a["trucksPending"]))
	}
	if got := strings.Join(counts, "; "); got != "1 accepted, 1 pending; 2 accepted, 0 pending" {
		t.Errorf("of the hold: %s", got)
	}
	if driver := p.seen["driver order_cancelled"]; len(driver) != 1 || driver[0]["tripId"] == nil {
		t.Errorf("the driver of a cancelled order got %v", driver)
	}
	if hold := p.seen["transporter flex_hold_started"][0]; hold["baseDurationSeconds"] != 90.0 || hold["maxExtensions"] != 2.0 || hold["canExtend"] != true {
		t.Errorf("a hold: %v", hold)
	}
	if hold := p.seen["transporter flex_hold_extended"][0]; hold["addedSeconds"] != 29.0 || hold["totalDurationSeconds"] != 119.0 { // up to the end of the search
		t.Errorf("an extended hold: %v", hold)
	}
	if more := p.seen["customer order_timeout_extended"][0]; more["addedSeconds"] != 60.0 {
		t.Errorf("an extended search: %v", more)
	}
}

func find(value any, path []string) any {
	if list, ok := value.([]any); ok && len(list) > 0 {
		value = list[0]
	}
	m, ok := value.(map[string]any)
	if len(path) == 0 || !ok {
		return value
	}
	if _, there := m[path[0]]; !there {
		return nil
	}
	return find(m[path[0]], path[1:])
}

// play is one order at a time, with its trips; seen are the payloads by role and event.
type play struct {
	t     *testing.T
	p     order.Policy
	now   time.Time
	n     int
	s     order.State
	trips map[string]order.TripRow
	seen  map[string][]map[string]any
}

func (p *play) role(user string) fleet.Role {
	switch {
	case user == "ravi":
		return fleet.Customer
	case strings.HasPrefix(user, "d"):
		return fleet.Driver
	}
	return fleet.Transporter
}

// told looks at what a transition tells people, as the apps get it.
func (p *play) told(tr ledger.Transition) {
	for _, e := range tr.Events {
		for i, user := range e.Recipients {
			p.look(p.role(user), func(c *codec) [][]byte { return c.Event(hub.Event{Seq: int64(i + 1), Event: e}) })
		}
	}
	for _, o := range tr.Offers {
		p.look(fleet.Transporter, func(c *codec) [][]byte {
			return c.Offer(hub.Offer{ID: o.ID, Version: 1, Open: o.Open, Expires: o.Expires, Data: o.Data})
		})
	}
}

func (p *play) look(role fleet.Role, write func(*codec) [][]byte) {
	c := newCodec(role)
	c.now = func() time.Time { return p.now }
	for _, m := range write(c) {
		name, body := payload(p.t, m)
		p.seen[string(role)+" "+name] = append(p.seen[string(role)+" "+name], body)
	}
}

func (p *play) take(d order.Decision, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	tr, _, err := d.Transition(1, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	p.told(tr)
	with, err := d.With()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, tr := range with {
		p.told(tr)
	}
	p.s = d.State
	for _, born := range d.Births {
		p.trips[born.State.ID] = order.TripRow{State: born.State, Version: 1}
	}
}

func (p *play) do(c order.Command) {
	p.t.Helper()
	p.now = p.now.Add(time.Second)
	p.take(order.Decide(p.s, c, p.now, p.p))
}

func (p *play) fire(name string) {
	p.t.Helper()
	armed := p.s.Timers[name]
	p.now = time.UnixMilli(armed.DueMS)
	p.do(order.TimerFired{Name: name, Number: armed.Number})
}

// drive plays a command on a trip; the order reads its letters.
func (p *play) drive(id string, c trip.Command) {
	p.t.Helper()
	p.now = p.now.Add(time.Second)
	row := p.trips[id]
	d, err := trip.Decide(row.State, c, p.now, p.p.Trip)
	if err != nil {
		p.t.Fatalf("trip %s: %v", id, err)
	}
	tr, _, err := d.Transition(row.Version, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	p.told(tr)
	p.trips[id] = order.TripRow{State: d.State, Version: row.Version + 1}
	for _, m := range tr.Outbox {
		letter, err := order.ReadLetter(m)
		if err != nil {
			p.t.Fatal(err)
		}
		p.do(letter)
	}
}

func (p *play) driver(id string) trip.By {
	s := p.trips[id].State
	return trip.By{User: s.DriverID, Role: fleet.Driver, Fleet: s.TransporterID}
}

// begin orders trucks, offered to asha and kiran.
func (p *play) begin(trucks int) {
	p.t.Helper()
	p.n++
	p.now = testNow.Add(time.Duration(p.n) * time.Hour)
	p.trips = map[string]order.TripRow{}
	n, err := order.NewOrder{
		ID: fmt.Sprintf("0d000000-0000-4000-8000-%012d", p.n), CustomerID: "ravi", Customer: order.Customer{Name: "Ravi", Phone: "+919876543210"},
		Pickup: trip.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Majestic", City: "Bengaluru"},
		Drop:   trip.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Koyambedu", City: "Chennai"},
		Needs:  []order.Need{{Type: "open", Subtype: "17 Feet", Quantity: trucks, PriceRupees: 9000}}, Goods: "General",
	}.Checked(func(string, string, int) error { return nil }, p.now, p.p)
	if err != nil {
		p.t.Fatal(err)
	}
	var found order.Found
	for _, id := range []fleet.UserID{"asha", "kiran"} {
		found.Table = append(found.Table, fleet.Candidate{
			Transporter: id, DistanceM: 1200, ETASeconds: 200, Free: 3, Total: 4,
			Stocks: map[string]fleet.Stock{n.Needs[0].Key: {Free: 3, Total: 4}},
		})
	}
	slots := make([]string, trucks)
	for i := range slots {
		slots[i] = fmt.Sprintf("slot%d", i+1)
	}
	p.take(order.Birth(n, slots, found, p.now, p.p))
}

func (p *play) hold(trucks int) string {
	p.t.Helper()
	id := fmt.Sprintf("HOLD_%08d", p.s.Count)
	p.do(order.PlaceHold{By: order.By{User: "asha", Role: fleet.Transporter}, HoldID: id, Type: "open", Subtype: "17 Feet", Quantity: trucks})
	return id
}

// confirm gives the trips of a hold on so many trucks.
func (p *play) confirm(trucks int) []string {
	p.t.Helper()
	c := order.Confirm{
		By: order.By{User: "asha", Role: fleet.Transporter}, Name: "Asha", HoldID: p.hold(trucks), Online: map[fleet.UserID]bool{},
		Crew: fleet.Crew{Vehicles: map[fleet.VehicleID]fleet.VehicleFact{}, Drivers: map[fleet.UserID]fleet.DriverFact{}},
	}
	for i := range trucks {
		v, d := fleet.VehicleID(fmt.Sprintf("v%d", i)), fleet.UserID(fmt.Sprintf("d%d", i))
		c.Picks = append(c.Picks, order.Pick{VehicleID: v, DriverID: d})
		c.TripIDs = append(c.TripIDs, fmt.Sprintf("t%d-%d-%d", p.n, p.s.Count, i))
		c.Crew.Vehicles[v] = fleet.VehicleFact{Vehicle: fleet.Vehicle{
			ID: v, TransporterID: "asha", Number: "KA01AB1234", Type: "open", Subtype: "17 Feet", Status: fleet.VehicleAvailable,
		}}
		c.Crew.Drivers[d] = fleet.DriverFact{User: fleet.User{ID: d, TransporterID: "asha", Role: fleet.Driver, Name: "Mohan", Phone: "+919123456789"}}
		c.Online[d] = true
	}
	p.do(c)
	return c.TripIDs
}

// whole is an order that is held, extended, filled and driven to its end.
func (p *play) whole() {
	p.t.Helper()
	p.begin(2)
	kept := p.hold(1)
	p.do(order.ExtendHold{By: order.By{User: "asha", Role: fleet.Transporter}, HoldID: kept})
	p.do(order.ReleaseHold{By: order.By{User: "asha", Role: fleet.Transporter}, HoldID: kept})
	trips := p.confirm(2)
	for _, id := range trips {
		p.drive(id, trip.Accept{By: p.driver(id)})
	}
	near := p.trips[trips[0]].State.Pickup.Point()
	p.drive(trips[0], trip.NoteFix{Place: &near, AtMS: p.now.UnixMilli()})
	for _, id := range trips {
		for _, to := range []trip.Status{trip.AtPickup, trip.InTransit, trip.Completed} {
			p.drive(id, trip.ChangeStatus{By: p.driver(id), To: to})
		}
	}
	if p.s.Status != order.Completed {
		p.t.Errorf("the whole order is %s", p.s.Status)
	}
}

// lost is an order whose hold runs out, whose driver declines, another does not answer, and that expires.
func (p *play) lost() {
	p.t.Helper()
	p.begin(1)
	p.fire(order.HoldTimerPrefix + p.hold(1))
	p.begin(2)
	trips := p.confirm(2)
	p.drive(trips[0], trip.Decline{By: p.driver(trips[0]), Reason: "far away"})
	answer := p.trips[trips[1]].State.Timers[trip.AcceptTimer]
	p.now = time.UnixMilli(answer.DueMS)
	p.drive(trips[1], trip.TimerFired{Name: trip.AcceptTimer, Number: answer.Number})
	p.fire(order.SearchTimer)
	if p.s.Status != order.Expired {
		p.t.Errorf("the lost order is %s", p.s.Status)
	}
}

// cancelled is an order that its customer gives up when a driver has accepted.
func (p *play) cancelled() {
	p.t.Helper()
	p.begin(2)
	trips := p.confirm(1)
	p.drive(trips[0], trip.Accept{By: p.driver(trips[0])})
	p.do(order.Cancel{
		By: order.By{User: "ravi", Role: fleet.Customer}, Reason: "plans changed", Trips: []order.TripRow{p.trips[trips[0]]},
	})
}
