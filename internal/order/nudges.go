package order

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
	"weelo/internal/trip"
)

// nudges are the push and text messages of the decision, one for each person: a transporter is woken for
// an order that he is shown anew and learns when it is gone; the parties learn what became of a dispute; the
// customer gets texts if that is wanted.
// What moves with a trip is the trip's to push.
func (d Decision) nudges() []ledger.Message {
	var out []ledger.Message
	if d.push {
		out = append(d.offerPushes(), d.closingPushes()...)
		out = append(out, d.disputePushes()...)
	}
	if d.texts {
		out = append(out, d.customerTexts()...)
	}
	return out
}

// offerPushes wake those whose offer was not open before. The app asks for the rest.
func (d Decision) offerPushes() []ledger.Message {
	var out []ledger.Message
	s := d.State
	for i, o := range s.Offered { // they keep their places
		if o.Closed || (i < len(d.before.Offered) && !d.before.Offered[i].Closed) {
			continue
		}
		first, t := s.firstNeed(o), s.Tally()
		name := "offer/" + s.ID + "/" + string(o.TransporterID) + "/" + strconv.FormatInt(o.Version, 10)
		p := s.pushOf("new_broadcast", "New order near you", fmt.Sprintf("%s to %s: %s, %d needed, ₹%d each",
			townOf(s.Pickup), townOf(s.Drop), first.Type+" "+first.Subtype, t.Searching, first.PriceRupees))
		p.Data["legacyType"], p.Data["eventId"], p.Data["payloadVersion"] = "new_truck_request", stableID(name), strconv.FormatInt(o.Version, 10)
		p.Data["expiresAt"] = time.UnixMilli(s.ExpiresMS).UTC().Format("2006-01-02T15:04:05.000Z")
		p.Urgent = true
		out = append(out, p.Message(stableID("push/"+name), o.TransporterID, time.UnixMilli(s.ExpiresMS)))
	}
	return out
}

// The kinds under which the Captain app takes an order from the screen (contract §2.7).
var closingKind = map[string]string{
	ClosedTimeout:   "booking_expired",
	ClosedCancelled: "booking_cancelled",
	ClosedFull:      "broadcast_dismissed",
}

// closingPushes tell those whose offer the decision closes. Who has trucks in the order is told of its
// cancellation only, and who declined knows.
func (d Decision) closingPushes() []ledger.Message {
	s := d.State
	winners := s.winners()
	var out []ledger.Message
	tell := func(to fleet.UserID, why string) {
		title := "Order closed"
		if why == ClosedCancelled {
			title = "Order cancelled"
		}
		p := s.pushOf(closingKind[why], title, closedMessage[why])
		p.Data["reason"] = why
		p.Urgent = why == ClosedCancelled && slices.Contains(winners, string(to))
		id := stableID(fmt.Sprintf("push/closed/%s/%s/%d", s.ID, to, s.Count))
		out = append(out, p.Message(id, to, d.at.Add(nudge.ClosingLife)))
	}
	told := map[string]bool{}
	for i, was := range d.before.Offered {
		o := s.Offered[i]
		id := string(o.TransporterID)
		if !o.Closed || was.Closed || closingKind[o.Why] == "" || (o.Why != ClosedCancelled && slices.Contains(winners, id)) {
			continue
		}
		told[id] = true
		tell(o.TransporterID, o.Why)
	}
	if s.Status == Cancelled && d.before.Status != Cancelled {
		for _, id := range winners {
			if !told[id] {
				tell(fleet.UserID(id), ClosedCancelled)
			}
		}
	}
	return out
}

func (s State) pushOf(kind, title, body string) nudge.Push {
	return nudge.Push{Type: kind, Title: title, Body: body, Tag: "order:" + s.ID, Data: map[string]string{
		"orderId": s.ID, "broadcastId": s.ID, "bookingId": s.ID, "dispatchRevision": strconv.FormatInt(s.Revision, 10),
	}}
}

// customerTexts go to the customer, whose app is not woken: a driver has accepted, or nobody was found.
func (d Decision) customerTexts() []ledger.Message {
	var out []ledger.Message
	add := func(s State, text nudge.Text) {
		out = append(out, text.Message(stableID("text/"+eventID(s.ID, s.Count, 0)), s.CustomerID, d.at.Add(nudge.UpdateLife)))
	}
	s := d.before
	for _, e := range d.Events {
		s = Apply(s, e)
		switch {
		case e.What == SlotFilled:
			slot := s.Slot(e.Slot)
			add(s, nudge.Text{Template: nudge.TextAccepted, Vars: map[string]string{"driver": slot.DriverName, "vehicle": slot.VehicleNumber}})
		case e.What == StatusChanged && e.To == Expired && s.ReasonCode != ReasonTruckLost: // one was found, and was lost: the text would be a lie
			add(s, nudge.Text{Template: nudge.TextExpired, Vars: map[string]string{"from": townOf(s.Pickup), "to": townOf(s.Drop)}})
		}
	}
	return out
}

// townOf names a place shortly.
func townOf(p trip.Place) string {
	if p.City != "" {
		return p.City
	}
	return p.Address
}
