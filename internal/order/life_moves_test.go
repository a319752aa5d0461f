package order_test

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// The moves of life, each with what the model expects.

// overdue ends the model's holds whose time is up.
func (l *life) overdue() {
	for _, h := range l.holds {
		if h.is == "active" && !h.until.After(l.now) {
			l.giveBack(h, "expired")
		}
	}
}

func (l *life) giveBack(h *modelHold, is string) {
	h.is = is
	for _, id := range h.slots {
		l.slots[id].become(modelSlot{is: "searching"})
	}
}

func (l *life) free(key string) []string {
	var ids []string
	for _, slot := range l.s.Slots {
		if l.slots[slot.ID].is == "searching" && slot.Key == key {
			ids = append(ids, slot.ID)
		}
	}
	return ids
}

func (l *life) hold(rt *rapid.T) {
	l.place(l.anyone("by"), rapid.IntRange(1, 3).Draw(rt, "quantity"), l.kind())
}

// place holds trucks; the hold's id, "" when it was refused.
func (l *life) place(by fleet.UserID, quantity int, need order.Need) (holdID string) {
	rt := l.rt
	d, err := l.try(order.PlaceHold{By: byFleet(by), HoldID: l.name("HOLD_"), Type: need.Type, Subtype: need.Subtype, Quantity: quantity})
	if l.s.OfferedTo(by) == nil {
		l.mustBe(err, order.ErrNotFound, "12 only offered can accept")
		return ""
	}
	if !l.open() {
		l.mustBe(err, order.ErrInactive, "11 no accept after close")
		return ""
	}
	if err == nil || errors.Is(err, order.ErrAlreadyHolds) {
		for id, h := range l.holds {
			if h.is == "active" && h.by == by && h.key == need.Key && h.until.After(l.now) {
				if same := len(h.slots) == quantity; same != (err == nil) || (same && d.HoldID != id) {
					rt.Fatalf("%s holds %d already and asks for %d: %v %v", by, len(h.slots), quantity, d.HoldID, err)
				}
				if err == nil {
					l.overdue()
				}
				return d.HoldID
			}
		}
	}
	left := 0
	for _, slot := range l.slots {
		if slot.is == "searching" && slot.key == need.Key {
			left++
		}
	}
	for _, h := range l.holds {
		if h.is == "active" && h.key == need.Key && !h.until.After(l.now) {
			left += len(h.slots)
		}
	}
	if left < quantity {
		l.mustBe(err, order.ErrNotEnough, "10 one winner")
		return ""
	}
	l.mustBe(err, nil, "hold")
	l.overdue()
	h := &modelHold{by: by, key: need.Key, slots: l.free(need.Key)[:quantity], until: l.now.Add(l.p.HoldFor), is: "active"}
	if h.until.After(l.end) {
		h.until = l.end
	}
	l.holds[d.HoldID] = h
	for _, id := range h.slots {
		l.slots[id].become(modelSlot{is: "held", hold: d.HoldID})
	}
	return d.HoldID
}

// kind draws one of the order's lines.
func (l *life) kind() order.Need { return rapid.SampledFrom(l.s.Needs).Draw(l.rt, "kind") }

// pick draws one of the holds; nil when there is none.
func (l *life) pick() (string, *modelHold) {
	ids := make([]string, 0, len(l.holds))
	for id := range l.holds {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return "", nil
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(l.rt, "hold")
	return id, l.holds[id]
}

func (l *life) extend(*rapid.T) {
	id, h := l.pick()
	if h == nil {
		return
	}
	_, err := l.try(order.ExtendHold{By: byFleet(h.by), HoldID: id})
	if err == nil {
		if h.is != "active" || !h.until.After(l.now) || !l.open() {
			l.rt.Fatalf("a hold that is over (%s) was extended", h.is)
		}
		h.until = time.UnixMilli(l.s.Hold(id).ExpiresMS).UTC()
	}
}

func (l *life) release(*rapid.T) {
	id, h := l.pick()
	if h == nil {
		return
	}
	d, err := l.try(order.ReleaseHold{By: byFleet(h.by), HoldID: id})
	switch h.is {
	case "active":
		l.mustBe(err, nil, "release")
		l.giveBack(h, "released")
	case "confirmed":
		l.mustBe(err, order.ErrTrucksChanged, "release")
	default:
		if l.mustBe(err, nil, "release again"); !d.Replayed {
			l.rt.Fatal("a second release did something")
		}
	}
}

func (l *life) confirm(*rapid.T) {
	if id, h := l.pick(); h != nil {
		l.confirmHold(id, h)
	}
}

func (l *life) confirmHold(id string, h *modelHold) {
	c, same := l.crew(id), false
	if h.is == "confirmed" && rapid.Bool().Draw(l.rt, "the same") {
		c, same = h.done, true
		c.TripIDs = nil
	}
	d, err := l.try(c)
	switch {
	case h.is == "confirmed":
		if same {
			l.mustBe(err, nil, "confirm again")
		}
		if len(d.Births) != 0 || (err == nil && !d.Replayed) {
			l.rt.Fatal("a second confirmation did something")
		}
	case h.is == "released" || h.is == "cancelled":
		l.mustBe(err, order.ErrTrucksChanged, "confirm")
	case h.is == "expired" || !h.until.After(l.now):
		l.mustBe(err, order.ErrHoldExpired, "11 no accept after close")
	case !l.open():
		l.mustBe(err, order.ErrInactive, "11 no accept after close")
	default:
		l.mustBe(err, nil, "confirm")
		h.is, h.done = "confirmed", c
		for i, slot := range h.slots {
			l.slots[slot].become(modelSlot{is: "assigned", trip: d.Births[i].State.ID})
		}
	}
}

func (l *life) declineOffer(*rapid.T) {
	by := l.anyone("by")
	_, err := l.try(order.DeclineOffer{By: byFleet(by), Reason: "far"})
	if l.s.OfferedTo(by) == nil {
		l.mustBe(err, order.ErrNotFound, "decline")
	}
}

func (l *life) late(*rapid.T) {
	by := l.anyone("by")
	if by == outsider {
		return
	}
	if _, err := l.try(order.Offer{Found: table(near(by, 3000, 2))}); err != nil {
		l.rt.Fatal(err)
	}
	if l.s.OfferedTo(by) == nil && l.open() && len(l.free(truck17))+len(l.free("container_20ft")) > 0 {
		l.rt.Fatalf("%s came online and was not offered an order that searches", by)
	}
}

// timer fires one of the armed timers: at its time when that is still to come.
func (l *life) timer(rt *rapid.T) {
	if len(l.s.Timers) == 0 {
		return
	}
	names := make([]string, 0, len(l.s.Timers))
	for name := range l.s.Timers {
		names = append(names, name)
	}
	slices.Sort(names)
	l.fireTimer(rapid.SampledFrom(names).Draw(rt, "timer"))
}

func (l *life) fireTimer(name string) {
	armed, closed := l.s.Timers[name], l.s.Closed
	if due := time.UnixMilli(armed.DueMS).UTC(); due.After(l.now) {
		l.now = due
	}
	if _, err := l.try(order.TimerFired{Name: name, Number: armed.Number - 1}); !errors.Is(err, order.ErrStaleTimer) {
		l.rt.Fatalf("a wrong number was not refused: %v", err)
	}
	if _, err := l.try(order.TimerFired{Name: name, Number: armed.Number}); err != nil {
		l.rt.Fatalf("timer %s: %v", name, err)
	}
	switch {
	case name == order.SearchTimer, name == order.WaveTimer && !closed && !l.now.Before(l.end):
		l.modelCloses("expired")
	case len(name) > 5 && name[:5] == order.HoldTimerPrefix:
		l.giveBack(l.holds[name[5:]], "expired")
	}
}

func (l *life) modelCloses(is string) {
	for _, h := range l.holds {
		if h.is == "active" {
			l.giveBack(h, "expired")
		}
	}
	for _, slot := range l.slots {
		if slot.is == "searching" {
			slot.is = is
		}
	}
}

func (l *life) cancel(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "rarely") != 0 {
		return
	}
	live, rows := l.s.Live, l.rows()
	quote := order.QuoteCancel(l.s, rows, l.now, l.p)
	preview, previewErr := order.Preview(l.s, byCustomer(), rows, l.now, l.p)
	d, err := l.try(order.Cancel{By: byCustomer(), Reason: "late", Trips: rows})
	switch {
	case l.s.Cancellation != nil && !live:
		l.mustBe(err, nil, "cancel again")
		if !d.Replayed {
			rt.Fatal("a second cancellation did something")
		}
	case !live:
		l.mustBe(err, order.ErrCancelFailed, "cancel")
	case quote.Verdict == order.BlockedDisputeOnly:
		l.mustBe(err, order.ErrCancelBlocked, "cancel")
	default:
		l.mustBe(err, nil, "cancel")
		if previewErr != nil || l.s.Cancellation.Quote != preview {
			rt.Fatalf("preview said %+v (%v), cancelling cost %+v", preview, previewErr, l.s.Cancellation.Quote)
		}
		for _, h := range l.holds {
			if h.is == "active" {
				h.is = "cancelled"
			}
		}
		for _, slot := range l.s.Slots { // of trips that had ended the order learns now
			m := l.slots[slot.ID]
			row, known := l.trips[m.trip]
			switch {
			case m.is == "completed" || m.is == "partial" || m.is == "expired" || m.is == "cancelled":
			case known && row.State.Status == trip.Completed:
				m.is = "completed"
			case known && row.State.Status == trip.PartialDelivery:
				m.is = "partial"
			default:
				m.is = "cancelled"
			}
		}
	}
}

func (l *life) raise(*rapid.T) {
	live, had := l.s.Live, l.dispute
	lost := l.s.TruckLost()
	stage := order.QuoteCancel(l.s, l.rows(), l.now, l.p).Stage
	id := l.name("dispute")
	d, err := l.try(order.RaiseDispute{By: byCustomer(), DisputeID: id, Trips: l.rows()})
	switch {
	case had.id != "" && had.is == "":
		if l.mustBe(err, nil, "raise again"); !d.Replayed {
			l.rt.Fatal("a second complaint did something")
		}
	case had.id != "":
		l.mustBe(err, order.ErrDisputeOver, "raise after the resolution")
	case err == nil && (!live || (!lost && stage != order.StageTransit && stage != order.StageUnloading)):
		l.rt.Fatalf("a dispute was taken in stage %s", stage)
	case err == nil:
		l.dispute.id = id
	}
}

func (l *life) resolve(rt *rapid.T) {
	to := rapid.SampledFrom(order.Resolutions()).Draw(rt, "resolution")
	id := rapid.SampledFrom([]string{l.dispute.id, l.dispute.id, "another"}).Draw(rt, "dispute")
	before := l.s
	d, err := l.try(order.ResolveDispute{By: byOps(), DisputeID: id, Resolution: to, Reason: "looked at"})
	switch {
	case l.dispute.id == "" || id != l.dispute.id:
		l.mustBe(err, order.ErrNoDispute, "resolve nothing")
	case l.dispute.is == to:
		if l.mustBe(err, nil, "resolve again"); !d.Replayed {
			rt.Fatal("a second resolution did something")
		}
	case l.dispute.is != "":
		l.mustBe(err, order.ErrResolved, "resolve otherwise")
	default:
		l.mustBe(err, nil, "resolve")
		if l.dispute.is = to; l.s.Status != before.Status || l.s.Live != before.Live || l.s.Tally() != before.Tally() {
			rt.Fatalf("a resolution took the order from %s %+v to %s %+v", before.Status, before.Tally(), l.s.Status, l.s.Tally())
		}
		if len(l.heard(customer, order.KindStatus)) != 1 {
			rt.Fatalf("of the resolution the customer heard %+v", l.told)
		}
	}
}

func (l *life) again(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "rarely") != 0 {
		return
	}
	closed := l.s.Closed
	if _, err := l.try(order.SearchAgain{By: byCustomer()}); err != nil {
		return
	}
	l.searches++
	if end := l.now.Add(l.p.SearchFor); closed || end.After(l.end) {
		l.end = end
	}
	for _, slot := range l.slots {
		if slot.is == "expired" {
			slot.become(modelSlot{is: "searching"})
		}
	}
}

func (l *life) partial(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "rarely") != 0 {
		return
	}
	if d, err := l.try(order.ContinuePartial{By: byCustomer()}); err == nil && !d.Replayed {
		l.modelCloses("expired")
	}
}

func (l *life) mustBe(err, want error, what string) {
	if (want == nil) != (err == nil) || (want != nil && !errors.Is(err, want)) {
		l.rt.Fatalf("%s: %v, want %v", what, err, want)
	}
}
