package socketio

import (
	"time"

	"weelo/internal/fleet"
)

// fields is the payload of one event on its way out: the event's data, then the contract's spelling.
type fields map[string]any

// text reads a field that should be a string.
func (f fields) text(name string) string {
	s, _ := f[name].(string)
	return s
}

// part reads a field that should be an object; without it, an empty one.
func (f fields) part(name string) fields {
	m, _ := f[name].(map[string]any)
	return m
}

// emission is one Socket.IO event that an event of the domain becomes.
type emission struct {
	name string
	to   fleet.Role          // only for this role; empty: for every recipient
	when func(d fields) bool // nil: always
	// build makes the payload where it is not simply the data; it may keep and change d.
	build func(d fields, now time.Time) fields
}

// outward maps every event type (design §7) to the names of the apps' contract (§2.4). One event of
// the domain may be several of the contract's; they then share eventId and _seq.
var outward = map[string][]emission{
	"trip_assigned": {
		{name: "trip_assigned", build: withRemaining},
	},
	"trip_status": {
		{name: "assignment_status_changed"},
		// Of a trip that an order's search made, order_fill says it: only the order counts the hold's trucks.
		{name: "driver_accepted", to: fleet.Transporter, when: both(status("driver_accepted"), not(has("truckRequestId")))},
		{name: "driver_declined", to: fleet.Transporter, when: status("driver_declined")},
		{name: "truck_assigned", to: fleet.Customer, when: status("driver_accepted"), build: truckAssigned},
	},
	"trip_cancelled": {
		{name: "trip_cancelled"},
	},
	"trip_timeout": {
		{name: "driver_timeout"},
		{name: "assignment_timeout"},
	},
	"driver_status": {
		{name: "driver_status_changed"},
	},
	"vehicle_changed": {
		{name: "vehicle_registered", when: action("registered")},
		{name: "vehicle_updated", when: action("updated")},
		{name: "vehicle_deleted", when: action("deleted")},
		{name: "fleet_updated"},
	},
	"driver_changed": {
		{name: "driver_added", when: action("added")},
		{name: "driver_deleted", when: action("deleted")},
		{name: "drivers_updated"},
	},
	"driver_connectivity": {
		{name: "driver_connectivity_issue", to: fleet.Customer},
		{name: "driver_may_be_offline", to: fleet.Transporter, when: not(kind("assignment_stale"))},
		{name: "assignment_stale", to: fleet.Transporter, when: kind("assignment_stale")},
		{name: "driver_connectivity_issue", to: fleet.Driver},
		{name: "driver_connectivity_issue", to: fleet.Ops},
	},
	"driver_approaching": {
		{name: "driver_approaching"},
	},
	"delivery_code": {
		{name: "delivery_code"},
	},
	"order_completed": {
		{name: "booking_completed", to: fleet.Customer},
		{name: "order_completed", to: fleet.Transporter},
		{name: "order_completed", to: fleet.Driver},
		{name: "order_completed", to: fleet.Ops},
	},
	"order_status": {
		{name: "order_expired", when: both(status("expired"), ofTheOrder)},
		{name: "order_cancelled", when: both(status("cancelled"), ofTheOrder)},
		{name: "broadcast_state_changed", when: both(status("created", "broadcasting", "active", "partially_filled", "fully_filled"), ofTheOrder)},
		{name: "order_status_update", when: either(has("dispute"), both(status("in_progress", "completed"), ofTheOrder))},
		{name: "flex_hold_started", to: fleet.Transporter, when: hold("started"), build: holdStarted},
		{name: "flex_hold_extended", to: fleet.Transporter, when: hold("extended"), build: holdExtended},
	},
	"order_fill": {
		{name: "driver_accepted", to: fleet.Transporter, when: has("accepted"), build: driverAccepted},
		{name: "accept_confirmation", to: fleet.Transporter, when: has("accepted"), build: acceptConfirmation},
		{name: "trucks_remaining_update"},
		{name: "booking_updated", build: bookingUpdated},
		{name: "booking_partially_filled", to: fleet.Transporter, when: partlyFilled, build: partial},
		{name: "booking_fully_filled", when: filled},
		{name: "order_timeout_extended", to: fleet.Customer, when: has("addedSeconds"), build: timeoutExtended},
	},
	"hold_expired": {
		{name: "hold_expired"},
		{name: "flex_hold_expired", when: phase("FLEX")},
	},
	"offer_closed": {
		{name: "broadcast_expired", when: reason("timeout"), build: offerClosed},
		{name: "booking_expired", when: reason("timeout"), build: offerClosed},
		{name: "broadcast_dismissed", when: not(reason("timeout")), build: offerClosed},
		{name: "booking_cancelled", when: reason("customer_cancelled"), build: offerClosed},
		{name: "request_no_longer_available", when: reason("fully_filled"), build: offerClosed},
	},
}

// soon is what a driver needs to be able to answer at all; a trip offered for less is not shown.
const soon = 2 * time.Second

func status(wanted ...string) func(fields) bool { return oneOf("status", wanted) }
func phase(wanted ...string) func(fields) bool  { return oneOf("phase", wanted) }
func kind(wanted ...string) func(fields) bool   { return oneOf("kind", wanted) }
func action(wanted ...string) func(fields) bool { return oneOf("action", wanted) }
func reason(wanted ...string) func(fields) bool { return oneOf("reason", wanted) }

func oneOf(field string, wanted []string) func(fields) bool {
	return func(d fields) bool {
		value := d.text(field)
		for _, w := range wanted {
			if value == w {
				return true
			}
		}
		return false
	}
}

func not(f func(fields) bool) func(fields) bool {
	return func(d fields) bool { return !f(d) }
}

func both(f, g func(fields) bool) func(fields) bool {
	return func(d fields) bool { return f(d) && g(d) }
}

func either(f, g func(fields) bool) func(fields) bool {
	return func(d fields) bool { return f(d) || g(d) }
}

// ofTheOrder tells whether the order itself has changed, and not a hold or a dispute in it.
func ofTheOrder(d fields) bool { return d["hold"] == nil && d["dispute"] == nil }

// has tells whether the event has a part that is left out where it does not apply.
func has(field string) func(fields) bool {
	return func(d fields) bool { return d[field] != nil }
}

// hold tells whether the event is about the time of a hold, which has started or was extended.
func hold(change string) func(fields) bool {
	return func(d fields) bool { return d.part("hold").text("change") == change }
}

// filled tells whether no truck of the order is missing any more.
func filled(d fields) bool {
	remaining, ok := number(d["trucksRemaining"])
	return ok && remaining == 0
}

// partlyFilled tells whether some trucks of the order are found and some are not.
func partlyFilled(d fields) bool {
	remaining, ok := number(d["trucksRemaining"])
	found, known := number(d["trucksFilled"])
	return ok && known && remaining > 0 && found > 0
}

// partial is what the transporter's app reads of a partly filled order.
func partial(d fields, _ time.Time) fields {
	return fields{"orderId": d["orderId"], "bookingId": d["bookingId"], "filled": d["trucksFilled"], "total": d["totalTrucks"]}
}

// bookingUpdated is the same fill in the words of a booking.
func bookingUpdated(d fields, _ time.Time) fields {
	return fields{
		"orderId": d["orderId"], "bookingId": d["bookingId"], "status": d["orderStatus"],
		"trucksFilled": d["trucksFilled"], "trucksNeeded": d["trucksNeeded"],
	}
}

// timeoutExtended tells the customer that the search goes on for longer.
func timeoutExtended(d fields, _ time.Time) fields {
	return fields{
		"orderId": d["orderId"], "bookingId": d["bookingId"], "newExpiresAt": d["expiresAt"], "addedSeconds": d["addedSeconds"],
		"trucksFilled": d["trucksFilled"], "trucksRemaining": d["trucksRemaining"],
	}
}

// driverAccepted is what the transporter's app reads of his own truck, and what is left of its hold.
func driverAccepted(d fields, _ time.Time) fields {
	out := fields{"orderId": d["orderId"], "bookingId": d["bookingId"]}
	for name, value := range d.part("accepted") {
		out[name] = value
	}
	return out
}

// acceptConfirmation says of one truck request that it is the transporter's for good.
func acceptConfirmation(d fields, _ time.Time) fields {
	won := d.part("accepted")
	return fields{
		"orderId": d["orderId"], "bookingId": d["bookingId"], "requestId": won["truckRequestId"], "tripId": won["tripId"],
		"success": true, "vehicleNumber": won["vehicleNumber"], "message": won["message"],
	}
}

// holdStarted is a hold's first time span.
func holdStarted(d fields, _ time.Time) fields {
	h := d.part("hold")
	return fields{
		"holdId": h["holdId"], "orderId": d["orderId"], "bookingId": d["bookingId"], "phase": h["phase"], "expiresAt": h["expiresAt"],
		"baseDurationSeconds": h["totalDurationSeconds"], "canExtend": h["canExtend"], "maxExtensions": h["maxExtensions"],
		"vehicleType": h["vehicleType"], "vehicleSubtype": h["vehicleSubtype"], "quantity": h["quantity"],
	}
}

// holdExtended is what an extension made of it.
func holdExtended(d fields, _ time.Time) fields {
	h := d.part("hold")
	return fields{
		"holdId": h["holdId"], "orderId": d["orderId"], "bookingId": d["bookingId"], "phase": h["phase"], "newExpiresAt": h["expiresAt"],
		"addedSeconds": h["addedSeconds"], "totalDurationSeconds": h["totalDurationSeconds"], "canExtend": h["canExtend"],
		"extensionCount": h["extensionCount"], "maxExtensions": h["maxExtensions"],
	}
}

// withRemaining adds how long the driver still has to answer.
func withRemaining(d fields, now time.Time) fields {
	if due, ok := number(d["expiresAt"]); ok {
		d["remainingSeconds"] = max(0, int64(time.UnixMilli(due).Sub(now)/time.Second))
	}
	return d
}

// truckAssigned is the card that the customer's app puts into its list of trucks.
func truckAssigned(d fields, _ time.Time) fields {
	return fields{
		"orderId": d["orderId"], "bookingId": d["bookingId"], "tripId": d["tripId"], "message": d["message"],
		"assignment": fields{
			"id": d["assignmentId"], "tripId": d["tripId"], "vehicleNumber": d["vehicleNumber"],
			"driverName": d["driverName"], "status": d["status"],
		},
	}
}

// offerClosed adds the name by which the transporter's app dismisses a broadcast.
func offerClosed(d fields, _ time.Time) fields {
	if _, ok := d["broadcastId"]; !ok {
		d["broadcastId"] = d["orderId"]
	}
	return d
}
