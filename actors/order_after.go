package actors

import (
	"context"
	"encoding/json"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// The indexes that decide who wins, as the migrations name them.
const (
	liveTripPerDriver  = "one_live_trip_per_driver"
	liveTripPerVehicle = "one_live_trip_per_vehicle"
	searchingOrder     = "one_searching_order_per_customer"
)

// Committed implements Behaviour: everybody is told, after the commit and never before.
func (a *orderActor) Committed(ctx context.Context, d *orders, before order.State, done Committed) {
	s := d.State()
	// Offers first: a socket that knows the newest version cannot be shown an older one after the event that
	// closes it.
	a.cfg.Publisher.Offers(offerFrames(done))
	a.cfg.Publisher.Deliver(deliveries(done))
	for _, w := range done.With {
		tellTrip(ctx, a.self, a.cfg.Publisher, w)
	}
	a.register(s)
	a.keepAnswers(before, s, done.At)
	a.observe(before, s, done)
}

// keepAnswers notes who answered his offer with this step.
func (a *orderActor) keepAnswers(before, s order.State, at time.Time) {
	if a.cfg.Receipts == nil {
		return
	}
	for _, o := range s.Offered {
		if was := before.OfferedTo(o.TransporterID); o.Answer != "" && (was == nil || was.Answer != o.Answer) {
			a.cfg.Receipts.Answered(o.TransporterID, order.OfferID(s.ID, o.TransporterID), o.Answer, at)
		}
	}
}

// offerFrames pairs the offers of a commit with the versions they got. A closed one only names its order.
func offerFrames(done Committed) []protocol.OfferFrame {
	shown := make(map[string]ledger.OfferChange, len(done.Offers))
	for _, c := range done.Offers {
		shown[c.ID] = c
	}
	closed, _ := json.Marshal(map[string]string{"orderId": done.Ref.ID}) // two strings cannot fail
	frames := make([]protocol.OfferFrame, 0, len(done.Versions))
	for _, v := range done.Versions {
		f := protocol.OfferFrame{Transporter: fleet.UserID(v.Recipient), ID: v.ID, Version: v.Version, Open: v.Open, Data: closed}
		if c := shown[v.ID]; v.Open {
			f.Expires, f.Data = c.Expires, c.Data
		}
		frames = append(frames, f)
	}
	return frames
}

// tellTrip makes a trip known that was born or ended together with a step of its order: its owner, who
// is somebody else, reads the row again; its people and its driver's actor are told. A lost hint costs the
// sweeper's two seconds, or is learned by the owner from his next write.
func tellTrip(ctx context.Context, self *Self, to protocol.Publisher, done Committed) {
	version := done.Version + 1
	s, err := trip.Load(done.State)
	if err != nil {
		self.Log().ErrorContext(ctx, "trip of a committed step cannot be read", "trip", done.Ref.ID, "error", err)
		return
	}
	to.Deliver(deliveries(done))
	to.TripChanged(protocol.ViewTrip(s, version, nil))
	if !s.Live {
		to.TripEnded(tripEnded(s))
		_ = self.Router().Tell(ctx, protocol.TransporterAddress(s.TransporterID), protocol.FleetChanged{}) // a truck came free
	}
	_ = self.Router().Tell(ctx, protocol.TripAddress(s.ID), protocol.Hint{Version: version})
	tellDriver(ctx, self.Router(), s, version)
}

// observe counts what a step did.
func (a *orderActor) observe(before, s order.State, done Committed) {
	if s.Status != before.Status {
		a.cfg.Observer.Order(string(s.Status))
	}
	observeOffers(a.cfg.Observer, done.Versions)
	for _, h := range s.Holds {
		if was := before.Hold(h.ID); was == nil || was.Status != h.Status {
			a.cfg.Observer.Hold(string(h.Status))
		}
	}
	if len(done.With) > 0 && s.Cancellation == nil {
		a.cfg.Observer.Confirm("confirmed")
	}
	since := time.Duration(s.StatusMS-s.OpensMS) * time.Millisecond
	switch {
	case before.Tally().Filled == 0 && s.Tally().Filled > 0:
		a.cfg.Observer.Filled(false, since)
	case s.WasFull && !before.WasFull:
		a.cfg.Observer.Filled(true, since)
	}
}

func observeOffers(o OrderObserver, versions []ledger.OfferVersion) {
	shown, changed, closed := 0, 0, 0
	for _, v := range versions {
		switch {
		case !v.Open:
			closed++
		case v.Version == 1:
			shown++
		default:
			changed++
		}
	}
	for what, n := range map[string]int{"shown": shown, "changed": changed, "closed": closed} {
		if n > 0 {
			o.Offers(what, n)
		}
	}
}

// observeRefusal counts a hold or confirmation that was refused, by the contract's word.
func observeRefusal(o OrderObserver, c order.Command, err error) {
	switch reason := fault.From(err).Reason; c.(type) {
	case order.PlaceHold:
		o.Hold(reason)
	case order.Confirm:
		o.Confirm(reason)
	}
}
