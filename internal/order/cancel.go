package order

import (
	"slices"
	"strings"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// cancel ends the order and its live trips, all in one transaction. Ops may do it at any stage, for
// nothing.
func (b *builder) cancel(c Cancel) (Decision, error) {
	switch {
	case !b.s.ownedBy(c.By):
		return Decision{}, ErrNotFound
	case b.s.Cancellation != nil:
		return b.replay()
	case !b.s.Live:
		return Decision{}, ErrCancelFailed
	case len([]rune(c.Reason)) > 500:
		return Decision{}, fault.Invalid("reason", "The reason may have at most 500 characters.")
	}
	rows, err := b.s.tripRows(c.Trips)
	if err != nil {
		return Decision{}, err
	}
	quote := QuoteCancel(b.s, rows, b.now, b.p)
	if c.By.Role == fleet.Ops {
		quote = Quote{Stage: quote.Stage, Verdict: Allowed, Settlement: "none"}
	}
	switch {
	case quote.Verdict == BlockedDisputeOnly:
		return Decision{}, ErrCancelBlocked.With("policyStage", quote.Stage)
	case quote.ReasonRequired && strings.TrimSpace(c.Reason) == "":
		return Decision{}, ErrReasonNeeded.With("policyStage", quote.Stage)
	}
	notified := b.s.openOffers()
	told, err := b.cancelTrips(rows, c.Reason, quote.Driver.Final)
	if err != nil {
		return Decision{}, err
	}
	by := string(c.By.Role)
	for _, h := range b.s.Holds {
		if h.Status == HoldActive {
			b.endHold(h, HoldCancelled)
		}
	}
	for _, slot := range b.s.Slots {
		if !slot.Status.Settled() {
			b.add(Event{What: SlotEnded, Slot: slot.ID, SlotTo: SlotCancelled, Trip: slot.TripID, By: by, Reason: c.Reason})
		}
	}
	b.add(Event{What: WasCancelled, By: by, Reason: c.Reason, Cancellation: &Cancellation{
		Quote: quote, Reason: c.Reason, AtMS: b.now.UnixMilli(), By: by,
		TripsEnded: len(b.d.Cancels), Notified: len(notified), DriversTold: told,
	}})
	return b.done(by)
}

// cancelTrips decides the end of every live trip, each with its part of what the drivers get, and takes
// in those whose end the order has not heard of yet.
func (b *builder) cancelTrips(rows []TripRow, reason string, rupees int) (told int, err error) {
	weights := make([]int, len(rows))
	for i, row := range rows {
		weights[i] = QuoteCancel(b.s, rows[i:i+1], b.now, b.p).Driver.Final
		if !row.State.Live {
			weights[i] = 0
		}
	}
	for i, part := range parts(rupees, weights) {
		row := rows[i]
		if !row.State.Live {
			if slot := b.s.SlotOfTrip(row.State.ID); row.State.Status == trip.Completed || row.State.Status == trip.PartialDelivery {
				b.useLetter(*slot, TripNotice{Type: LetterEnded, Notice: trip.OrderNotice{TripID: row.State.ID, Status: row.State.Status}})
			}
			continue
		}
		d, err := trip.Decide(row.State, trip.Cancel{Reason: reason, CompensationRupees: part}, b.now, b.p.Trip)
		if err != nil {
			return 0, err
		}
		b.d.Cancels = append(b.d.Cancels, TripStep{d, row.Version, row.Epoch})
		told++
	}
	return told, nil
}

// parts divides an amount by weights, in whole rupees, with nothing left over: the first get the rest.
func parts(amount int, weights []int) []int {
	out := make([]int, len(weights))
	whole := 0
	for _, w := range weights {
		whole += w
	}
	if whole == 0 {
		return out
	}
	left := amount
	for i, w := range weights {
		out[i] = amount * w / whole
		left -= out[i]
	}
	for i := 0; left > 0; i++ {
		if weights[i%len(weights)] > 0 {
			out[i%len(weights)]++
			left--
		}
	}
	return out
}

// LiveTrips are the ids of the trips that the order believes to be live: whose rows a cancellation, its
// preview or a dispute needs.
func (s State) LiveTrips() []string {
	var ids []string
	for _, slot := range s.Slots {
		if slot.Status.OnTrip() {
			ids = append(ids, slot.TripID)
		}
	}
	return ids
}

// tripRows picks the rows of the live trips, in the order of their slots. ErrTripsNeeded when one lacks.
func (s State) tripRows(rows []TripRow) ([]TripRow, error) {
	var picked []TripRow
	for _, id := range s.LiveTrips() {
		i := slices.IndexFunc(rows, func(r TripRow) bool { return r.State.ID == id })
		if i < 0 {
			return nil, ErrTripsNeeded
		}
		picked = append(picked, rows[i])
	}
	return picked, nil
}

// RebookWait refuses a customer who cancels and books again at once: REBOOK_COOLDOWN with the rest of
// the wait. cancelledMS are the customer's own recent cancellations (Reads.CancelledSince).
func RebookWait(cancelledMS []int64, now time.Time, p Policy) error {
	if len(cancelledMS) == 0 {
		return nil
	}
	recent := 0
	for _, at := range cancelledMS {
		if now.Sub(time.UnixMilli(at)) < p.RepeatedWithin {
			recent++
		}
	}
	wait := p.RebookAfter
	if recent >= p.RepeatedCancels {
		wait = p.RebookAfterRepeated
	}
	if left := time.UnixMilli(slices.Max(cancelledMS)).Add(wait).Sub(now); left > 0 {
		return ErrRebook.After(left)
	}
	return nil
}

// openOffers are the transporters who see the order now.
func (s State) openOffers() []string {
	var ids []string
	for _, o := range s.Offered {
		if !o.Closed {
			ids = append(ids, string(o.TransporterID))
		}
	}
	return ids
}
