package trip

import (
	"fmt"
	"strconv"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
)

// pushes are the push messages of the decision: to the driver his trips and their loss, to the
// transporter that a driver did not answer, to the customer what moves his goods.
func (d Decision) pushes() []ledger.Message {
	if !d.push {
		return nil
	}
	var out []ledger.Message
	s := d.before
	for _, e := range d.Events {
		s = Apply(s, e)
		for i, n := range notices(s, e) {
			if p, to, until, ok := s.push(e, n); ok {
				p.Data["eventId"] = eventID(s.ID, s.Count, i) // the same as in his inbox
				out = append(out, p.Message(eventID(s.ID, s.Count, pushPart-i), to, until))
			}
		}
	}
	return out
}

// pushPart is where the parts that name pushes begin, downwards: below those of events and letters.
const pushPart = -2

// push says whether one of an event's notices also wakes a phone, whose, and until when that is worth
// something.
func (s State) push(e Event, n notice) (p nudge.Push, to fleet.UserID, until time.Time, ok bool) {
	until = time.UnixMilli(e.AtMS).Add(nudge.UpdateLife)
	switch n.kind {
	case "trip_assigned":
		return s.assignedPush(), s.DriverID, n.expires, true
	case "trip_cancelled":
		p = s.pushOf("trip_cancelled", "Trip cancelled", "Your trip from "+s.Pickup.Address+" was cancelled.")
		p.Urgent = true
		p.Data["legacyType"], p.Data["status"], p.Data["reason"] = "trip_update", "cancelled", e.Reason
		return p, s.DriverID, until, e.By != string(fleet.Driver)
	case "trip_timeout":
		p = s.pushOf("driver_timeout", "Driver did not answer", s.Names.Driver+" did not answer for "+s.Vehicle.Number+" in time.")
		p.Urgent = true
		p.Data["driverId"], p.Data["driverName"], p.Data["reason"] = string(s.DriverID), s.Names.Driver, e.Reason
		return p, s.TransporterID, until, true
	case "trip_status":
		p, ok = s.customerPush(e)
		return p, s.CustomerID, until, ok && s.CustomerID != ""
	default:
		return p, "", until, false
	}
}

func (s State) customerPush(e Event) (p nudge.Push, ok bool) {
	who := s.Names.Driver + " (" + s.Vehicle.Number + ")"
	switch {
	case e.What == Accepted:
		p = s.pushOf("driver_assigned", "Driver assigned", who+" has accepted your order.")
	case e.What == StepReached && e.To == InTransit:
		p = s.pushOf("trip_started", "Your goods are on their way", who+" has started.")
	case e.What == StepReached && e.To.Terminal():
		p = s.pushOf("trip_completed", "Trip completed", stepMessage[e.To])
	default:
		return p, false
	}
	p.Data["status"], p.Data["driverName"] = s.Status.App(), s.Names.Driver
	return p, true
}

func (s State) pushOf(kind, title, body string) nudge.Push {
	return nudge.Push{Type: kind, Title: title, Body: body, Tag: "trip:" + s.ID, Data: map[string]string{
		"tripId": s.ID, "assignmentId": s.ID, "orderId": s.OrderID, "bookingId": s.OrderID, "vehicleNumber": s.Vehicle.Number,
	}}
}

// assignedPush has what the driver's screen shows before it has asked the server (contract §2.7).
func (s State) assignedPush() nudge.Push {
	p := s.pushOf("trip_assigned", "New trip", fmt.Sprintf("%s to %s, ₹%d", s.Pickup.Address, s.Drop.Address, s.Cargo.FareRupees))
	p.Urgent = true
	due := s.Timers[AcceptTimer].DueMS
	degrees := func(x float64) string { return strconv.FormatFloat(x, 'f', 6, 64) }
	for key, v := range map[string]string{
		"truckRequestId": s.Slot,
		"pickupAddress":  s.Pickup.Address, "pickupCity": s.Pickup.City, "pickupLat": degrees(s.Pickup.Latitude), "pickupLng": degrees(s.Pickup.Longitude),
		"dropAddress": s.Drop.Address, "dropCity": s.Drop.City, "dropLat": degrees(s.Drop.Latitude), "dropLng": degrees(s.Drop.Longitude),
		"fare": strconv.Itoa(s.Cargo.FareRupees), "farePerTruck": strconv.Itoa(s.Cargo.FareRupees), "distanceKm": strconv.Itoa(s.Cargo.DistanceKm),
		"customerName": s.Names.Customer, "assignedAt": moment(s.AssignedMS), "expiresAt": moment(due),
		"driverAcceptTimeoutSeconds": strconv.FormatInt((due-s.AssignedMS+999)/1000, 10),
	} {
		p.Data[key] = v
	}
	return p
}

// moment writes a time as the apps read it.
func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
