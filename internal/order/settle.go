package order

import (
	"maps"
	"slices"
	"time"
)

// builder collects the events of one decision and folds them as it goes.
type builder struct {
	s   State
	d   Decision
	now time.Time
	p   Policy
}

func begin(s State, now time.Time, p Policy) *builder {
	return &builder{s: s, d: Decision{before: s, at: now, push: p.Push, texts: p.Texts}, now: now, p: p}
}

func (b *builder) add(e Event) {
	e.AtMS = b.now.UnixMilli()
	b.s = Apply(b.s, e)
	b.d.Events = append(b.d.Events, e)
}

// replay ends a decision that has nothing to do.
func (b *builder) replay() (Decision, error) {
	b.d.State, b.d.Replayed = b.s, true
	return b.d, nil
}

// done ends a decision: the order's status and its timers follow from the slots. by is who or what
// caused it, in case the order ends.
func (b *builder) done(by string) (Decision, error) {
	if len(b.d.Events) == 0 {
		return b.replay()
	}
	b.closeWhenDecided(by)
	b.askForDecision(by)
	if next := b.s.due(); next != b.s.Status {
		b.add(Event{What: StatusChanged, To: next, By: by})
	}
	if !b.s.Live && b.s.Dispute.waits() {
		b.handOver(*b.s.Dispute)
	}
	if sets := b.s.rearm(b.s.waits()); len(sets) > 0 {
		last := &b.d.Events[len(b.d.Events)-1]
		last.Timers = sets
		b.s.applyTimers(sets) // b.s is this builder's own clone
	}
	b.d.Contended = b.d.Contended || (b.s.Searching && !b.d.before.Searching)
	b.d.State = b.s
	return b.d, nil
}

// closeWhenDecided tells everybody when nothing is left to find: because every truck is there, though
// some may be on their way already, or because the last open slots were lost after the search's time,
// before its timer was heard.
func (b *builder) closeWhenDecided(by string) {
	s, t := b.s, b.s.Tally()
	switch {
	case !s.Live || s.Searches == 0 || s.Cancellation != nil || t.Undecided() > 0:
	case t.Full():
		if !s.WasFull || s.Searching || len(s.openOffers()) > 0 {
			b.add(Event{What: FilledUp, By: by})
		}
	case !s.Closed && !s.due().Terminal():
		b.add(Event{What: SearchClosed, By: by, Reason: s.closeReason()})
	}
}

// askForDecision keeps an order live that would end because a truck was lost and no other was found: its
// goods may stand on the road. The customer searches again, cancels or complains; a timer ends the wait.
func (b *builder) askForDecision(by string) {
	s := b.s
	if !s.Live || s.GaveUp || s.DecideByMS != 0 || !s.TruckLost() || s.due() != Expired {
		return
	}
	b.add(Event{What: DecisionAsked, By: by, Reason: ReasonTruckLost, ExpiresMS: b.now.Add(b.p.DecideWithin).UnixMilli()})
}

// due is the status that follows from the slots.
func (s State) due() Status {
	t := s.Tally()
	started := s.Status == InProgress
	settled := true
	for _, slot := range s.Slots {
		settled = settled && slot.Status.Settled()
		started = started || slot.Status == SlotInProgress || slot.Status == SlotCompleted || slot.Status == SlotPartial
	}
	switch {
	case !s.Live:
		return s.Status
	case s.Cancellation != nil:
		return Cancelled
	case settled && t.Completed > 0:
		return Completed
	case settled && s.DecideByMS == 0 && t.Expired > 0:
		return Expired
	case settled && s.DecideByMS == 0:
		return Cancelled
	case s.Searches == 0:
		return Created
	case started:
		return InProgress
	case t.Full():
		return FullyFilled
	case t.Filled > 0:
		return PartiallyFilled
	case s.Notified > 0:
		return Active
	default:
		return Broadcasting
	}
}

// waits is what the order waits for by itself, by the timer that ends each wait. Trips have timers of
// their own.
func (s State) waits() map[string]int64 {
	due := map[string]int64{}
	if !s.Live {
		return due
	}
	if s.Searches == 0 {
		due[OpenTimer] = s.OpensMS
		return due
	}
	t := s.Tally()
	if !s.Closed && t.Undecided() > 0 {
		due[SearchTimer] = s.ExpiresMS
	}
	if !s.Closed && t.Searching > 0 && s.NextWaveMS != 0 {
		due[WaveTimer] = s.NextWaveMS
	}
	for _, h := range s.Holds {
		if h.Status == HoldActive {
			due[holdTimer(h.ID)] = h.ExpiresMS
		}
	}
	if s.DecideByMS != 0 {
		due[DecideTimer] = s.DecideByMS
	}
	if s.Dispute.waits() {
		due[DisputeTimer] = s.Dispute.DueMS
	}
	return due
}

// rearm gives the changes that make the armed timers those of due, sorted by name. A number is one
// that no earlier event used.
func (s State) rearm(due map[string]int64) []TimerSet {
	var sets []TimerSet
	for _, name := range slices.Sorted(maps.Keys(s.Timers)) {
		if _, wanted := due[name]; !wanted {
			sets = append(sets, TimerSet{Name: name, Number: s.Timers[name].Number})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(due)) {
		if armed, ok := s.Timers[name]; !ok || armed.DueMS != due[name] {
			sets = append(sets, TimerSet{Name: name, Number: s.Count, DueMS: due[name]})
		}
	}
	return sets
}

// open tells whether the search still goes on: trucks may be held and confirmed.
func (b *builder) open() bool {
	return b.s.Live && b.s.Searches > 0 && !b.s.Closed && b.now.UnixMilli() < b.s.ExpiresMS
}
