package order_test

import (
	"slices"

	"pgregory.net/rapid"

	"weelo/internal/order"
	"weelo/internal/trip"
)

// What trips do in a life, and how it runs out.

// win is what most often happens: one truck is held, confirmed and accepted at once.
func (l *life) win(*rapid.T) {
	id := l.place(l.anyone("by"), 1, l.kind())
	if id == "" {
		return
	}
	l.confirmHold(id, l.holds[id])
	for _, tripID := range l.holds[id].done.TripIDs {
		if row := l.trips[tripID]; row.State.Status == trip.Pending {
			l.command(tripID, trip.Accept{By: l.driver(tripID)})
			l.flush()
		}
	}
}

// ride lets one truck go to its end.
func (l *life) ride(rt *rapid.T) {
	for _, slot := range l.s.Slots {
		row := l.trips[slot.TripID]
		if row == nil || !row.State.Status.Moving() {
			continue
		}
		l.command(slot.TripID, trip.ChangeStatus{By: l.driver(slot.TripID), To: trip.InTransit})
		if rapid.Bool().Draw(rt, "to the end") {
			l.command(slot.TripID, trip.ChangeStatus{By: l.driver(slot.TripID), To: trip.Completed})
		}
		l.flush()
		return
	}
}

// flush lets the order read every letter, in order.
func (l *life) flush() {
	for len(l.letters) > 0 {
		n := l.letters[0]
		l.letters = l.letters[1:]
		l.read(n)
	}
}

// command plays a command on a trip; what it refuses is refused.
func (l *life) command(id string, c trip.Command) {
	row := l.trips[id]
	d, err := trip.Decide(row.State, c, l.now, l.p.Trip)
	if err != nil || len(d.Events) == 0 {
		return
	}
	row.State = d.State
	row.Version++
	l.letters = append(l.letters, letters(l.rt, d)...)
}

// trip lets a driver, or his accept timer, do something; his letter is on its way.
func (l *life) trip(rt *rapid.T) {
	var live []string
	for id, row := range l.trips {
		if row.State.Live {
			live = append(live, id)
		}
	}
	if len(live) == 0 {
		return
	}
	slices.Sort(live)
	id := rapid.SampledFrom(live).Draw(rt, "trip")
	row := l.trips[id]
	commands := []trip.Command{
		trip.Accept{By: l.driver(id)}, trip.Accept{By: l.driver(id)},
		trip.Decline{By: l.driver(id)},
		trip.ChangeStatus{By: l.driver(id), To: trip.AtPickup}, trip.ChangeStatus{By: l.driver(id), To: trip.InTransit},
		trip.ChangeStatus{By: l.driver(id), To: trip.Completed},
		trip.ChangeStatus{By: l.driver(id), To: trip.PartialDelivery, Reason: "two crates are wet"},
		trip.Cancel{By: byFleet(row.State.TransporterID), Reason: "no truck"}, trip.BreakDown{By: l.driver(id), Note: "tyre"},
		trip.Cancel{By: byCustomer(), Reason: "one fewer"},
	}
	if armed, ok := row.State.Timers[trip.AcceptTimer]; ok {
		commands = append(commands, trip.TimerFired{Name: trip.AcceptTimer, Number: armed.Number})
	}
	l.command(id, rapid.SampledFrom(commands).Draw(rt, "command"))
}

// deliver lets the order read one letter, which may come again.
func (l *life) deliver(rt *rapid.T) {
	if len(l.letters) == 0 {
		return
	}
	i := rapid.IntRange(0, len(l.letters)-1).Draw(rt, "letter")
	n := l.letters[i]
	if rapid.Bool().Draw(rt, "last copy") {
		l.letters = slices.Delete(l.letters, i, i+1)
	}
	l.read(n)
}

func (l *life) read(n order.TripNotice) {
	open, live := l.open(), l.s.Live
	if _, err := l.try(n); err != nil {
		l.rt.Fatalf("a letter was refused: %v", err)
	}
	if !live {
		return
	}
	for _, slot := range l.slots {
		if slot.trip == n.Notice.TripID {
			l.modelReads(slot, n, open)
		}
	}
}

func (l *life) modelReads(slot *modelSlot, n order.TripNotice, open bool) {
	onTrip := slot.is == "assigned" || slot.is == "accepted" || slot.is == "in_progress"
	if !onTrip {
		return
	}
	lost := n.Type == order.LetterCancelled || (n.Type == order.LetterDeclined && slot.is == "assigned")
	switch {
	case n.Type == order.LetterCancelled && n.Notice.By == "customer":
		slot.become(modelSlot{is: "cancelled"})
		return
	case lost && !open && slot.is != "assigned" && l.searches < l.p.SearchesMax: // a search of its own
		l.searches++
		l.end = l.now.Add(l.p.SearchFor)
		slot.become(modelSlot{is: "searching"})
		return
	case lost && open:
		slot.become(modelSlot{is: "searching"})
		return
	case lost:
		slot.become(modelSlot{is: "expired"})
		return
	case n.Type == order.LetterDeclined:
		return
	}
	if slot.is == "assigned" {
		slot.is = "accepted"
		filled := 0
		for _, other := range l.slots {
			switch other.is {
			case "accepted", "in_progress", "completed", "partial":
				filled++
			}
		}
		if open && filled > l.most {
			extra := l.p.NextExtension
			if filled == 1 {
				extra = l.p.FirstExtension
			}
			l.end = l.end.Add(extra)
		}
		l.most = max(l.most, filled)
	}
	switch n.Type {
	case order.LetterStarted:
		slot.is = "in_progress"
	case order.LetterEnded:
		slot.is = "completed"
		if n.Notice.Status == trip.PartialDelivery {
			slot.is = "partial"
		}
	}
}

// runOut lets timers, drivers and letters run until nothing waits: the order must then have ended.
func (l *life) runOut() {
	for range 400 {
		if len(l.letters) > 0 {
			n := l.letters[0]
			l.letters = l.letters[1:]
			l.read(n)
		} else if id := l.liveTrip(); id != "" {
			l.finish(id)
		} else if name := l.nextTimer(); name != "" {
			l.fireTimer(name)
		} else {
			break
		}
		l.invariants(l.rt)
	}
	l.resolve(l.rt) // an order that has ended still takes it
	l.invariants(l.rt)
	if l.s.Live || len(l.s.Timers) > 0 {
		l.rt.Fatalf("4 no stuck state: everything ran out and the order is %s, %+v", l.s.Status, l.s.Tally())
	}
	for _, h := range l.s.Holds {
		if h.Status == order.HoldActive {
			l.rt.Fatalf("13 no orphan hold: %+v", h)
		}
	}
}

func (l *life) liveTrip() string {
	var ids []string
	for id, row := range l.trips {
		if row.State.Live {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return slices.Min(ids)
}

// finish lets a trip end as it would by itself: its driver completes it, or never answers.
func (l *life) finish(id string) {
	row := l.trips[id]
	var c trip.Command = trip.ChangeStatus{By: l.driver(id), To: trip.Completed}
	if armed, ok := row.State.Timers[trip.AcceptTimer]; ok {
		c = trip.TimerFired{Name: trip.AcceptTimer, Number: armed.Number}
	}
	d, err := trip.Decide(row.State, c, l.now, l.p.Trip)
	if err != nil {
		l.rt.Fatalf("trip %s: %v", id, err)
	}
	row.State = d.State
	l.letters = append(l.letters, letters(l.rt, d)...)
}

func (l *life) nextTimer() string {
	next := ""
	for name, armed := range l.s.Timers {
		if next == "" || armed.DueMS < l.s.Timers[next].DueMS || (armed.DueMS == l.s.Timers[next].DueMS && name < next) {
			next = name
		}
	}
	return next
}
