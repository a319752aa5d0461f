package order

import (
	"sync"
	"time"

	"weelo/internal/fleet"
)

// Look tells what must be looked for before a command can be decided; ok is false when nothing must.
// The answer goes into the command's Found.
func Look(s State, c Command, now time.Time, p Policy) (w fleet.Wanted, ok bool) {
	switch c := c.(type) {
	case TimerFired:
		armed, is := s.Timers[c.Name]
		late := (c.Name == WaveTimer && now.UnixMilli() >= s.ExpiresMS) || (c.Name == OpenTimer && s.tooLate(now, p))
		if !is || armed.Number != c.Number || late || (c.Name != WaveTimer && c.Name != OpenTimer) || s.exhausted(p) {
			return fleet.Wanted{}, false
		}
		return s.wanted(p.step(s.Wave+1).RadiusKM, s.Tally().Searching > 0, now)
	case SearchAgain:
		w, ok = s.wanted(p.Waves[0].RadiusKM, s.Live, now)
		for _, slot := range s.Slots {
			if slot.Status == SlotExpired {
				w.Slots[slot.Key]++
			}
		}
		return w, ok
	default:
		return fleet.Wanted{}, false
	}
}

// LookLate is what to look for when a transporter came online or got a vehicle free during the search
// (for an Offer); ok is false when the order has nothing for him. Without a transporter it is whoever may
// have come unheard, and ok is false too while a further wave will look for him.
func LookLate(s State, transporter fleet.UserID, now time.Time, p Policy) (w fleet.Wanted, ok bool) {
	searching := s.Live && s.Searches > 0 && !s.Closed && s.Tally().Searching > 0 && s.Wave > 0
	if !searching || s.OfferedTo(transporter) != nil || (transporter == "" && s.Wave < len(p.Waves)) {
		return fleet.Wanted{}, false
	}
	w, ok = s.wanted(p.step(s.Wave).RadiusKM, true, now)
	if transporter != "" {
		w.Only, w.Offered = transporter, nil // he was not
	}
	return w, ok
}

func (s State) wanted(radiusKM float64, ok bool, now time.Time) (fleet.Wanted, bool) {
	slots := map[string]int{}
	for _, slot := range s.Slots {
		if slot.Status == SlotSearching {
			slots[slot.Key]++
		}
	}
	// Asked of everybody around, under the grid's lock: a set, made once and only if it is asked.
	offered := sync.OnceValue(func() map[fleet.UserID]bool {
		all := make(map[fleet.UserID]bool, len(s.Offered))
		for _, o := range s.Offered {
			all[o.TransporterID] = true
		}
		return all
	})
	return fleet.Wanted{
		Slots: slots, At: s.Pickup.Point(), RadiusKM: radiusKM, Now: now,
		Offered: func(id fleet.UserID) bool { return offered()[id] },
	}, ok
}

func (b *builder) timerFired(c TimerFired) (Decision, error) {
	armed, ok := b.s.Timers[c.Name]
	if !ok || armed.Number != c.Number {
		return Decision{}, ErrStaleTimer
	}
	switch c.Name {
	case OpenTimer:
		b.opens(c.Found)
	case WaveTimer:
		b.waveDue(c.Found)
	case SearchTimer:
		b.closeSearch(string(fromTimer))
	case DecideTimer:
		b.add(Event{What: DecisionMissed, By: string(fromTimer)})
	case DisputeTimer:
		b.handOver(*b.s.Dispute)
	default:
		if id, is := heldBy(c.Name); is {
			b.giveBack(*b.s.Hold(id), HoldExpired)
		}
	}
	return b.done(string(fromTimer))
}

// Who or what ends something, besides people's roles.
type cause string

const (
	fromTimer cause = "timer"
	fromTrips cause = "trips"
)

// waveDue sends the next wave. Heard after the search's time, by a task that was away, it ends the search
// instead: nobody is shown what he cannot have any more.
func (b *builder) waveDue(found Found) {
	switch {
	case !b.open():
		b.closeSearch(string(fromTimer))
	case b.s.exhausted(b.p):
		b.add(Event{What: Exhausted})
	default:
		b.wave(found)
	}
}

// opens begins the search of a scheduled order. When nobody heard its timer until long after the time it
// was for, the order ends: a truck would come for nothing.
func (b *builder) opens(found Found) {
	if !b.s.tooLate(b.now, b.p) {
		b.openSearch(found)
		return
	}
	for _, slot := range b.s.Slots {
		b.add(Event{What: SlotEnded, Slot: slot.ID, SlotTo: SlotExpired, By: string(fromTimer), Reason: ClosedTimeout})
	}
	b.add(Event{What: SearchClosed, By: string(fromTimer), Reason: ReasonTooLate})
}

// tooLate tells whether the pickup time of an order that has not searched yet is past.
func (s State) tooLate(now time.Time, p Policy) bool {
	return s.ScheduledMS != 0 && now.UnixMilli() > s.ScheduledMS+p.ScheduledLate.Milliseconds()
}

// openSearch begins the search, with its first wave.
func (b *builder) openSearch(found Found) {
	ends := b.now.Add(b.p.SearchFor).UnixMilli()
	if !b.s.Closed && b.s.Searches > 0 { // it still goes on: never shorter than it was
		ends = max(ends, b.s.ExpiresMS)
	}
	b.add(Event{What: SearchOpened, ExpiresMS: ends})
	b.reoffer()
	b.wave(found)
}

// wave records one look around and offers the order to whom it found.
func (b *builder) wave(found Found) {
	n := b.s.Wave + 1
	w := b.p.step(n)
	b.add(Event{
		What: WaveSent, Wave: n, RadiusKM: w.RadiusKM, Table: found.Table,
		Offered: b.fresh(found.Table, n, b.p.Notify), NextMS: b.now.Add(w.Window).UnixMilli(),
	})
}

// fresh gives the offers of a table: to whom it names and who was not offered the order before.
func (b *builder) fresh(table []fleet.Candidate, wave, limit int) []Offered {
	var out []Offered
	for _, c := range table {
		if c.Skipped != "" || b.s.OfferedTo(c.Transporter) != nil {
			continue
		}
		if len(out) >= limit || len(b.s.Offered)+len(out) >= b.p.OfferedMax {
			break
		}
		out = append(out, Offered{
			TransporterID: c.Transporter, Wave: wave, AtMS: b.now.UnixMilli(),
			DistanceM: c.DistanceM, ETASeconds: c.ETASeconds, Stocks: c.Stocks, Version: 1,
		})
	}
	return out
}

// offer shows the order to whoever came online during the search.
func (b *builder) offer(c Offer) (Decision, error) {
	if !b.open() || b.s.Tally().Searching == 0 {
		return b.replay()
	}
	offered := b.fresh(c.Found.Table, LateWave, b.p.Notify)
	if len(offered) == 0 {
		return b.replay()
	}
	b.add(Event{What: LateOffered, RadiusKM: c.Found.RadiusKM, Table: c.Found.Table, Offered: offered})
	return b.done(string(fromTimer))
}

// reoffer shows the order anew to everybody who was offered it and did not decline: trucks are free
// again. Each gets a new version of the same offer. Whoever came online while there were none is looked for.
func (b *builder) reoffer() {
	if b.open() && b.s.Tally().Searching > 0 {
		b.renew(func(o Offered) bool { return o.Answer != AnswerDeclined })
		b.lookAgain()
	}
}

// lookAgain has one more wave sent when none would come by itself: while every truck was held or on a
// trip the order had nothing for those who came. The time between such waves is bounded, however often
// trucks are taken and given back.
func (b *builder) lookAgain() {
	if b.s.Wave < len(b.p.Waves) || b.s.LookAgain {
		return
	}
	next := max(b.now.UnixMilli(), b.s.WaveMS+b.p.LookAgainAfter.Milliseconds())
	b.add(Event{What: LookedAgain, NextMS: next})
}

// exhausted tells whether no further wave is left to send.
func (s State) exhausted(p Policy) bool { return s.Wave >= len(p.Waves) && !s.LookAgain }

// refresh tells those who see the order that it changed.
func (b *builder) refresh() {
	b.renew(func(o Offered) bool { return !o.Closed })
}

func (b *builder) renew(whose func(Offered) bool) {
	var again []Offered
	for _, o := range b.s.Offered {
		if whose(o) {
			o.Version++
			o.Closed, o.Why = false, ""
			again = append(again, o)
		}
	}
	if len(again) > 0 {
		b.add(Event{What: Reoffered, Offered: again})
	}
}

// closeSearch ends the search: what is still open expires; trips go on.
func (b *builder) closeSearch(by string) {
	for _, h := range b.s.Holds {
		if h.Status == HoldActive {
			b.endHold(h, HoldExpired)
		}
	}
	for _, slot := range b.s.Slots {
		if slot.Status == SlotSearching {
			b.add(Event{What: SlotEnded, Slot: slot.ID, SlotTo: SlotExpired, By: by, Reason: ClosedTimeout})
		}
	}
	b.add(Event{What: SearchClosed, By: by, Reason: b.s.closeReason()})
}

// searchAgain starts over for what the order lacks. Who was offered it before sees it anew.
func (b *builder) searchAgain(c SearchAgain) (Decision, error) {
	if !b.s.ownedBy(c.By) {
		return Decision{}, ErrNotFound
	}
	t := b.s.Tally()
	switch {
	case !b.s.Live || b.s.Searches == 0:
		return Decision{}, ErrInactive
	case t.Searching+t.Expired == 0:
		return Decision{}, ErrNothingToSearch
	case b.s.Searches >= b.p.SearchesMax:
		return Decision{}, ErrSearchedOut
	}
	b.openSearch(c.Found)
	return b.done(string(c.By.Role))
}

// continuePartial ends the search for the trucks that are missing and keeps the others.
func (b *builder) continuePartial(c ContinuePartial) (Decision, error) {
	if !b.s.ownedBy(c.By) {
		return Decision{}, ErrNotFound
	}
	t := b.s.Tally()
	switch {
	case !b.s.Live:
		return Decision{}, ErrInactive
	case b.s.Closed || t.Full():
		return b.replay()
	case t.Filled == 0:
		return Decision{}, ErrNothingFilled
	}
	b.closeSearch(string(c.By.Role))
	return b.done(string(c.By.Role))
}

func (s State) ownedBy(by By) bool {
	return by.Role == fleet.Ops || (by.User != "" && by.User == s.CustomerID)
}
