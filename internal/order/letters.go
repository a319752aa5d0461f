package order

import (
	"encoding/json"
	"fmt"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/trip"
)

// The letters of a trip.
const (
	LetterAccepted  = "DriverAccepted"
	LetterDeclined  = "DriverDeclined"
	LetterCancelled = "TripCancelled"
	LetterStarted   = "TripStarted"
	LetterEnded     = "TripEnded"
)

// tripNotice takes in what happened to a trip. Letters may come late, twice or out of order: one about
// a trip that no slot carries (any more), or that says what is known, is only recorded.
func (b *builder) tripNotice(c TripNotice) (Decision, error) {
	slot := b.s.SlotOfTrip(c.Notice.TripID)
	if slot == nil || !b.s.Live || !slot.Status.OnTrip() || !b.useLetter(*slot, c) {
		b.add(Event{What: NoticeIgnored, Trip: c.Notice.TripID, Reason: c.Type, By: string(fromTrips)})
	}
	return b.done(string(fromTrips))
}

func (b *builder) useLetter(slot Slot, c TripNotice) bool {
	n := c.Notice
	switch c.Type {
	case LetterAccepted:
		return b.fill(slot)
	case LetterStarted:
		if slot.Status == SlotInProgress {
			return false
		}
		b.fill(slot)
		b.add(Event{What: SlotStarted, Slot: slot.ID, Trip: n.TripID, By: string(fleet.Driver)})
	case LetterEnded:
		b.fill(slot)
		to := SlotCompleted
		if n.Status == trip.PartialDelivery {
			to = SlotPartial
		}
		b.add(Event{What: SlotEnded, Slot: slot.ID, SlotTo: to, Trip: n.TripID, By: string(fleet.Driver)})
	case LetterDeclined:
		if slot.Status != SlotAssigned {
			return false
		}
		b.lose(slot, n)
	case LetterCancelled:
		if n.By == string(fleet.Customer) {
			b.add(Event{What: SlotEnded, Slot: slot.ID, SlotTo: SlotCancelled, Trip: n.TripID, By: n.By, Reason: n.Reason})
			return true
		}
		b.lose(slot, n)
	default:
		return false
	}
	return true
}

// fill notes that a slot's driver accepted, and prolongs the search for the others. A truck prolongs
// it only when more are filled than ever before.
func (b *builder) fill(slot Slot) bool {
	if slot.Status != SlotAssigned {
		return false
	}
	e := Event{What: SlotFilled, Slot: slot.ID, Trip: slot.TripID, By: string(fleet.Driver)}
	if filled := b.s.Tally().Filled; b.open() && filled >= b.s.Extensions {
		e.ExpiresMS = b.s.ExpiresMS + b.p.extension(filled).Milliseconds()
	}
	b.add(e)
	if e.ExpiresMS != 0 && b.s.due() != FullyFilled {
		b.refresh()
	}
	return true
}

// lose gives up a slot's trip: while the search is open the slot is searched for again, by everybody
// who was offered the order, this transporter included. Of a truck that its driver had accepted the
// customer was told: when it is lost later, it gets a search of its own.
func (b *builder) lose(slot Slot, n trip.OrderNotice) {
	e := Event{What: SlotReopened, Slot: slot.ID, Trip: n.TripID, By: n.By, Reason: n.Reason, User: slot.TransporterID}
	if !b.open() && slot.Status.Filled() && b.s.Searches < b.p.SearchesMax {
		b.add(Event{What: SearchOpened, Slot: slot.ID, Reason: ReasonTruckLost, ExpiresMS: b.now.Add(b.p.SearchFor).UnixMilli()})
	}
	if !b.open() {
		e.What, e.SlotTo = SlotEnded, SlotExpired
		b.add(e)
		return
	}
	b.add(e)
	b.reoffer()
}

// ReadLetter reads a durable message of a trip as the command it is.
func ReadLetter(m ledger.Message) (TripNotice, error) {
	n := TripNotice{LetterID: m.ID, Type: m.Type}
	if err := json.Unmarshal(m.Body, &n.Notice); err != nil {
		return TripNotice{}, fmt.Errorf("read letter %s of type %s: %w", m.ID, m.Type, err)
	}
	return n, nil
}
