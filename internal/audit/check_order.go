package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// finder collects the breaches of one aggregate.
type finder struct {
	ref   ledger.Ref
	found []Breach
}

func (f *finder) say(number int, format string, args ...any) {
	f.found = append(f.found, Breach{number, f.ref, fmt.Sprintf(format, args...)})
}

func cutAddress(to string) (ledger.Kind, string, bool) {
	kind, id, ok := strings.Cut(to, "/")
	return ledger.Kind(kind), id, ok
}

// trackTimer is the timer of a trip's last fold: its actor's own, and not in the snapshot.
const trackTimer = "track"

// checkTimers compares the armed timers of a snapshot with their rows, and, at rest, with the clock.
func (f *finder) checkTimers(armed map[string]int64, due map[string]int64, rows []ledger.Timer, o Options) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(t ledger.Timer) bool {
		return f.ref.Kind == ledger.Trip && t.Name == trackTimer
	})
	for _, t := range rows {
		number, ok := armed[t.Name]
		if !ok || number != t.Number || due[t.Name] != t.Due.UnixMilli() {
			f.say(19, "timer row %s (number %d) is not the snapshot's", t.Name, t.Number)
		}
		if late := o.Now.Sub(t.Due); o.Quiet && late > atRest {
			f.say(20, "timer %s is %v overdue", t.Name, late.Round(time.Second))
		}
	}
	if len(armed) != len(rows) {
		f.say(19, "%d timers in the snapshot, %d rows", len(armed), len(rows))
	}
}

// CheckOrder judges one order with what belongs to it.
func CheckOrder(o Order, s order.State, opt Options) []Breach {
	f := &finder{ref: o.Ref}
	told := ""
	for _, l := range o.History {
		told = or(l.Status, told)
	}
	if told != "" && told != string(s.Status) {
		f.say(5, "it is %s, its history ends with %s", s.Status, told)
	}
	if s.Live == s.Status.Terminal() {
		f.say(5, "live is %v in %s", s.Live, s.Status)
	}
	armed, due := map[string]int64{}, map[string]int64{}
	for name, t := range s.Timers {
		armed[name], due[name] = t.Number, t.DueMS
	}
	f.checkTimers(armed, due, o.Timers, opt)
	f.slots(s)
	f.holds(s)
	f.offers(o, s, opt)
	f.tripsOf(o, s)
	f.waiting(o, s)
	return f.found
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// slots: as many as were asked for, whatever happens to them; none waits in an order that has ended.
func (f *finder) slots(s order.State) {
	want := 0
	for _, n := range s.Needs {
		want += n.Quantity
	}
	ids := map[string]bool{}
	for i, slot := range s.Slots {
		if slot.Number != i+1 || slot.ID == "" || ids[slot.ID] {
			f.say(15, "slot %d is number %d with id %q", i+1, slot.Number, slot.ID)
		}
		ids[slot.ID] = true
		if !s.Live && !slot.Status.Settled() {
			f.say(14, "slot %s is %s in an order that is %s", slot.ID, slot.Status, s.Status)
		}
		if s.Status == order.Cancelled && s.EndedBy == "customer" && slot.Status.OnTrip() {
			f.say(14, "slot %s is %s in a cancelled order", slot.ID, slot.Status)
		}
	}
	if t := s.Tally(); want != len(s.Slots) || t.Filled > t.Total {
		f.say(15, "%d slots of %d trucks, %d filled", len(s.Slots), want, t.Filled)
	}
	if s.Searching && (!s.Live || s.Closed || s.WasFull) {
		f.say(18, "it counts as searching and is %s", s.Status)
	}
}

// holds: an active one keeps slots of a live order, has a timer, and was placed by somebody who was
// shown the order; no slot is held by a hold that is over.
func (f *finder) holds(s order.State) {
	for _, h := range s.Holds {
		if s.OfferedTo(h.TransporterID) == nil {
			f.say(12, "hold %s is %s's, who was never offered the order", h.ID, h.TransporterID)
		}
		if h.Status != order.HoldActive {
			continue
		}
		if !s.Live {
			f.say(13, "hold %s is active in an order that is %s", h.ID, s.Status)
		}
		if _, ok := s.Timers[order.HoldTimerPrefix+h.ID]; !ok {
			f.say(13, "hold %s has no timer", h.ID)
		}
		for _, id := range h.SlotIDs {
			if slot := s.Slot(id); slot == nil || slot.Status != order.SlotHeld || slot.HoldID != h.ID {
				f.say(13, "hold %s does not hold slot %s", h.ID, id)
			}
		}
	}
	for _, slot := range s.Slots {
		if slot.Status != order.SlotHeld {
			continue
		}
		if h := s.Hold(slot.HoldID); h == nil || h.Status != order.HoldActive || !slices.Contains(h.SlotIDs, slot.ID) {
			f.say(13, "slot %s is held by no active hold", slot.ID)
		}
	}
}

// inboxKept is how long the inbox surely has what was told.
const inboxKept = 23 * time.Hour

// offers: none is open when the order has ended, and whoever was shown it was told.
func (f *finder) offers(o Order, s order.State, opt Options) {
	rows := map[string]ledger.Offer{}
	for _, row := range o.Offers {
		rows[row.Recipient] = row
		if row.Open && !s.Live {
			f.say(17, "the offer to %s is open and the order %s", row.Recipient, s.Status)
		}
		fresh := !row.Closed.IsZero() && opt.Now.Sub(row.Closed) < inboxKept
		if _, told := slices.BinarySearch(o.Told, row.Recipient); !row.Open && fresh && !told {
			f.say(17, "%s was not told that his offer is closed (%s)", row.Recipient, row.Reason)
		}
	}
	for _, m := range s.Offered {
		row, ok := rows[string(m.TransporterID)]
		kept := s.Live || opt.Now.UnixMilli()-s.EndedMS < inboxKept.Milliseconds()
		if !ok && kept {
			f.say(17, "the order remembers an offer to %s, and there is none", m.TransporterID)
		}
		if ok && row.Open == m.Closed {
			f.say(17, "the offer to %s is open: %v, the order remembers %v", m.TransporterID, row.Open, !m.Closed)
		}
	}
}

// clocks is how far the times of two decisions may be out of their order: each was made before its
// commit.
const clocks = 5000 // ms

// tripsOf: one winner per slot, nobody who was not offered it, none after the end, and slot and trip
// agree when no letter is on its way.
func (f *finder) tripsOf(o Order, s order.State) {
	winners, rows := map[string]string{}, map[string]trip.State{}
	for _, row := range o.Trips {
		t, err := trip.Load(row.State)
		if err != nil {
			f.say(5, "trip %s: %v", row.Ref.ID, err)
			continue
		}
		rows[t.ID] = t
		if s.OfferedTo(t.TransporterID) == nil {
			f.say(12, "trip %s is %s's, who was never offered the order", t.ID, t.TransporterID)
		}
		if t.AssignedMS > s.ExpiresMS+clocks || s.EndedMS != 0 && max(t.AssignedMS, t.AcceptedMS) > s.EndedMS+clocks {
			f.say(11, "trip %s was won after the search or the order had ended", t.ID)
		}
		slot := s.Slot(t.Slot)
		if slot == nil {
			f.say(10, "trip %s is for slot %q, which the order does not have", t.ID, t.Slot)
			continue
		}
		if !t.Live && t.Status != trip.Completed && t.Status != trip.PartialDelivery {
			continue
		}
		if other := winners[t.Slot]; other != "" {
			f.say(10, "slot %s has two winners: trips %s and %s", t.Slot, other, t.ID)
		}
		winners[t.Slot] = t.ID
		if t.Live && (!s.Live && o.Letters == 0 || s.Status == order.Cancelled) {
			f.say(14, "trip %s is %s and the order %s", t.ID, t.Status, s.Status)
		}
		if o.Letters == 0 && slot.TripID != t.ID {
			f.say(22, "trip %s is %s and its slot is %s with trip %q", t.ID, t.Status, slot.Status, slot.TripID)
		}
	}
	if o.Letters > 0 {
		return
	}
	for _, slot := range s.Slots {
		t, ok := rows[slot.TripID]
		if agree, known := wants[slot.Status]; known && (!ok || !agree(t)) {
			f.say(22, "slot %s is %s and its trip %q is %q", slot.ID, slot.Status, slot.TripID, t.Status)
		}
	}
}

// wants is what a slot's status says of its trip.
var wants = map[order.SlotStatus]func(trip.State) bool{
	order.SlotAssigned:   func(t trip.State) bool { return t.Status == trip.Pending },
	order.SlotAccepted:   func(t trip.State) bool { return t.Status.Moving() },
	order.SlotInProgress: func(t trip.State) bool { return t.Status.Moving() },
	order.SlotCompleted:  func(t trip.State) bool { return t.Status == trip.Completed },
	order.SlotPartial:    func(t trip.State) bool { return t.Status == trip.PartialDelivery },
}

// waiting: what waits has a timer that ends it, or a trip that has one.
func (f *finder) waiting(o Order, s order.State) {
	if !s.Live || len(s.Timers) > 0 || o.Letters > 0 {
		return
	}
	for _, slot := range s.Slots {
		if slot.Status.OnTrip() {
			return
		}
	}
	f.say(19, "it is %s and nothing ends its wait", s.Status)
}

// CheckTrip judges one trip by itself.
func CheckTrip(a Aggregate, s trip.State, o Options) []Breach {
	f := &finder{ref: a.Ref}
	told := ""
	for _, l := range a.History {
		told = or(l.Status, told)
	}
	if told != "" && tripStatus(told) != s.Status {
		f.say(5, "it is %s, its history ends with %s", s.Status, told)
	}
	if s.Live == s.Status.Terminal() {
		f.say(5, "live is %v in %s", s.Live, s.Status)
	}
	armed, due := map[string]int64{}, map[string]int64{}
	for name, t := range s.Timers {
		armed[name], due[name] = t.Number, t.DueMS
	}
	f.checkTimers(armed, due, a.Timers, o)
	if s.Live && len(s.Timers) == 0 && s.FlaggedMS == 0 {
		f.say(19, "it is %s and nothing ends its wait", s.Status)
	}
	return f.found
}
