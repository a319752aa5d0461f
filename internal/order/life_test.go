package order_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// life is an order and its trips under random commands, beside a model that knows only slots, holds and
// the end of the search. Letters of trips arrive late, twice and out of order.
type life struct {
	*world
	rt      *rapid.T
	writes  int64
	events  []order.Event
	ids     map[string]bool // of all ledger events
	shown   map[fleet.UserID]bool
	letters []order.TripNotice // on their way
	names   int

	slots    map[string]*modelSlot // the model
	holds    map[string]*modelHold
	end      time.Time
	most     int // trucks that were filled at once
	searches int
	dispute  modelDispute
}

type modelDispute struct {
	id string // empty: none was raised
	is order.Resolution
}

type modelSlot struct{ key, is, hold, trip string }

type modelHold struct {
	by    fleet.UserID
	key   string
	slots []string
	until time.Time
	is    string
	done  order.Confirm // what it was confirmed with
}

// TestLife plays random commands in random order and checks, after each, the numbered invariants of
// dispatch; at the end it lets everything run out and checks that nothing is left waiting.
func TestLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := bornLife(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":          l.invariants,
			"wait":      func(rt *rapid.T) { l.wait(time.Duration(rapid.IntRange(0, 60_000).Draw(rt, "ms")) * time.Millisecond) },
			"hold":      l.hold,
			"hold more": l.hold,
			"extend":    l.extend,
			"release":   l.release,
			"confirm":   l.confirm,
			"confirm 2": l.confirm,
			"decline":   l.declineOffer,
			"late":      l.late,
			"timer":     l.timer,
			"timer 2":   l.timer,
			"trip":      l.trip,
			"trip 2":    l.trip,
			"letter":    l.deliver,
			"letter 2":  l.deliver,
			"cancel":    l.cancel,
			"dispute":   l.raise,
			"resolve":   l.resolve,
			"again":     l.again,
			"partial":   l.partial,
			"win":       l.win,
			"win 2":     l.win,
			"ride":      l.ride,
		})
		l.runOut()
	})
}

func bornLife(rt *rapid.T) *life {
	l := &life{
		rt: rt, ids: map[string]bool{}, shown: map[fleet.UserID]bool{},
		slots: map[string]*modelSlot{}, holds: map[string]*modelHold{},
	}
	n := wish(rapid.IntRange(1, 3).Draw(rt, "trucks"))
	if more := rapid.IntRange(0, 2).Draw(rt, "containers"); more > 0 {
		n.Needs = append(n.Needs, order.Need{Type: "container", Subtype: "20 Feet", Quantity: more, PriceRupees: 20000})
	}
	var found []fleet.Candidate
	for _, id := range []fleet.UserID{asha, ravi, meena}[:rapid.IntRange(0, 3).Draw(rt, "found")] {
		found = append(found, near(id, 1000, 3))
	}
	l.world = bornOf(rt, n, table(found...))
	l.end, l.searches = start.Add(l.p.SearchFor), 1
	for _, slot := range l.s.Slots {
		l.slots[slot.ID] = &modelSlot{key: slot.Key, is: "searching"}
	}
	l.s = order.State{} // taken below like every other decision
	l.record(l.last)
	return l
}

// try decides a command, checks that it is pure, and takes it.
func (l *life) try(c order.Command) (order.Decision, error) {
	snapshot, _ := l.s.Snapshot()
	d, err := order.Decide(l.s, c, l.now, l.p)
	if after, _ := l.s.Snapshot(); string(after) != string(snapshot) {
		l.rt.Fatalf("%s wrote to the state it was given", order.CommandName(c))
	}
	again, _ := order.Decide(l.s, c, l.now, l.p)
	if diff := cmp.Diff(d.Events, again.Events); diff != "" {
		l.rt.Fatalf("%s decided differently the second time: %s", order.CommandName(c), diff)
	}
	if err != nil {
		var refusal *fault.Error
		if !errors.As(err, &refusal) && !errors.Is(err, order.ErrStaleTimer) {
			l.rt.Fatalf("%s: not a refusal: %v", order.CommandName(c), err)
		}
		return d, err
	}
	l.record(d)
	return d, nil
}

// record takes a decision and checks each of its events.
func (l *life) record(d order.Decision) {
	tr, ok, err := d.Transition(l.writes, 1)
	if err != nil || ok != (len(d.Events) > 0) {
		l.rt.Fatalf("transition: %v %v", ok, err)
	}
	if ok {
		l.commit(tr)
	}
	with, err := d.With()
	if err != nil || len(with) != len(d.Births)+len(d.Cancels) {
		l.rt.Fatalf("with: %d transitions, %v", len(with), err)
	}
	for i, e := range d.Events {
		l.legal(e)
		last := i == len(d.Events)-1
		if !last && e.Timers != nil {
			l.rt.Fatal("an event that is not the last arms timers")
		}
		l.s = order.Apply(l.s, e)
	}
	if diff := cmp.Diff(d.State, l.s); len(d.Events) > 0 && diff != "" {
		l.rt.Fatalf("5 fold = snapshot: %s", diff)
	}
	l.events = append(l.events, d.Events...)
	l.take(d, nil)
}

// commit checks what the writer would be given.
func (l *life) commit(tr ledger.Transition) {
	if err := tr.Check(); err != nil {
		l.rt.Fatalf("the ledger would not take it: %v", err)
	}
	if len(tr.Events) == 0 {
		l.rt.Fatal("a transition without a line of history leaves a gap")
	}
	told := map[fleet.UserID]bool{}
	for _, e := range tr.Events {
		if l.ids[e.ID] {
			l.rt.Fatalf("event id %s stands twice", e.ID)
		}
		l.ids[e.ID] = true
		for _, id := range e.Recipients {
			if e.Type == order.KindClosed {
				told[fleet.UserID(id)] = true
			}
		}
	}
	for _, o := range tr.Offers {
		id := fleet.UserID(o.Recipient)
		if !o.Open && l.shown[id] && !told[id] {
			l.rt.Fatalf("ghost request: the offer to %s was closed and he was not told", id)
		}
		if o.Open && !o.Expires.After(tr.At) {
			l.rt.Fatalf("an offer to %s was made at %s that ended at %s", id, tr.At, o.Expires)
		}
		l.shown[id] = o.Open
	}
	l.writes++
}

// legal checks that an event takes the order and each slot along an edge of the tables.
func (l *life) legal(e order.Event) {
	next := order.Apply(l.s, e)
	if e.What == order.WasCreated {
		return
	}
	if l.s.Status != next.Status && !l.s.Status.CanBecome(next.Status) {
		l.rt.Fatalf("7 legal path: %s → %s is not in the table", l.s.Status, next.Status)
	}
	for i, slot := range l.s.Slots {
		if to := next.Slots[i].Status; to != slot.Status && !slot.Status.CanBecome(to) {
			l.rt.Fatalf("7 legal path: slot %s → %s is not in the table (%s)", slot.Status, to, e.What)
		}
	}
	if !l.s.Live && e.What != order.NoticeIgnored && e.What != order.DisputeHanded && e.What != order.DisputeDecided {
		l.rt.Fatalf("7 legal path: %s after the end", e.What)
	}
}

// invariants of the state, and that it is what the model thinks.
func (l *life) invariants(rt *rapid.T) {
	l.rt = rt
	l.t = rt
	s := l.s
	var fold order.State
	for _, e := range l.events {
		fold = order.Apply(fold, e)
	}
	a, _ := fold.Snapshot()
	b, _ := s.Snapshot()
	if string(a) != string(b) {
		rt.Fatalf("5 fold = snapshot: %s", cmp.Diff(fold, s))
	}
	loaded, err := order.Load(b)
	if c, _ := loaded.Snapshot(); err != nil || string(c) != string(b) {
		rt.Fatalf("a snapshot does not survive being stored: %v\n%s\n%s", err, b, c)
	}
	l.oneWinner(rt)
	l.waits(rt)
	l.sameAsModel(rt)
	if (!s.Live || s.Status == order.FullyFilled) && slices.Contains(slices.Collect(maps.Values(l.shown)), true) {
		rt.Fatalf("1 no ghost request: %s, and still shown to %v", s.Status, l.shown)
	}
	if left := s.Tally().Undecided(); left == 0 && s.Searches > 0 {
		if s.Searching || slices.Contains(slices.Collect(maps.Values(l.shown)), true) {
			rt.Fatalf("nothing is left to find, and yet searching %v, shown to %v", s.Searching, l.shown)
		}
	}
	if s.Status == order.Cancelled && s.Cancellation != nil {
		for id, row := range l.trips {
			if row.State.Live {
				rt.Fatalf("14 cancel/accept exclusion: trip %s of a cancelled order is %s", id, row.State.Status)
			}
		}
	}
}

func (l *life) oneWinner(rt *rapid.T) {
	holder, trips := map[string]string{}, map[string]string{}
	for _, h := range l.s.Holds {
		for _, id := range h.SlotIDs {
			if h.Status != order.HoldActive {
				continue
			}
			if holder[id] != "" {
				rt.Fatalf("10 one winner: slot %s is in holds %s and %s", id, holder[id], h.ID)
			}
			holder[id] = h.ID
		}
	}
	for _, slot := range l.s.Slots {
		if (slot.Status == order.SlotHeld) != (holder[slot.ID] != "") {
			rt.Fatalf("13 no orphan hold: slot %s is %s, its hold %q", slot.ID, slot.Status, holder[slot.ID])
		}
		if slot.Status.OnTrip() != (slot.TripID != "" && !slot.Status.Settled()) {
			rt.Fatalf("slot %s is %s with trip %q", slot.ID, slot.Status, slot.TripID)
		}
		if slot.TripID != "" && trips[slot.TripID] != "" {
			rt.Fatalf("10 one winner: trip %s is on slots %s and %s", slot.TripID, trips[slot.TripID], slot.ID)
		}
		trips[slot.TripID] = slot.ID
	}
	onTrip := map[string]bool{}
	for _, slot := range l.s.Slots {
		onTrip[slot.TripID] = true
	}
	for id, row := range l.trips { // a live trip whose slot is not there any more would run for nobody
		if row.State.Live && !onTrip[id] {
			rt.Fatalf("trip %s is %s and no slot knows it", id, row.State.Status)
		}
	}
}

// waits checks that every wait has a timer, and nothing else has.
func (l *life) waits(rt *rapid.T) {
	s, t := l.s, l.s.Tally()
	has := func(name string) bool { _, ok := s.Timers[name]; return ok }
	switch {
	case !s.Live && len(s.Timers) != 0:
		rt.Fatalf("25 timers: %v in %s", s.Timers, s.Status)
	case s.Live && t.Searching+t.Held > 0 && !has(order.SearchTimer):
		rt.Fatalf("25 timers: %+v waits without a timer: %v", t, s.Timers)
	}
	if undecided := s.Dispute.Open() && s.Dispute.HandedOverMS == 0; undecided != has(order.DisputeTimer) {
		rt.Fatalf("25 timers: dispute %+v, timers %v", s.Dispute, s.Timers)
	}
	for _, h := range s.Holds {
		if (h.Status == order.HoldActive) != has(order.HoldTimerPrefix+h.ID) {
			rt.Fatalf("25 timers: hold %+v, timers %v", h, s.Timers)
		}
		if h.ExpiresMS > h.CreatedMS+l.p.HoldMax.Milliseconds() {
			rt.Fatalf("hold %+v is longer than 130 s", h)
		}
	}
}

func (l *life) sameAsModel(rt *rapid.T) {
	filled := 0
	for _, slot := range l.s.Slots {
		m := l.slots[slot.ID]
		if string(slot.Status) != m.is {
			rt.Fatalf("15 conservation: slot %s is %s, the model says %s", slot.ID, slot.Status, m.is)
		}
		if slot.Status.Filled() {
			filled++
		}
	}
	if got := l.s.Tally(); got.Filled != filled || got.Total != len(l.slots) {
		rt.Fatalf("15 conservation: %+v, the model has %d filled of %d", got, filled, len(l.slots))
	}
	if d := l.s.Dispute; (d == nil) != (l.dispute.id == "") || d != nil && (d.ID != l.dispute.id || d.Resolution != l.dispute.is) {
		rt.Fatalf("dispute %+v, the model says %+v", d, l.dispute)
	}
	if !l.closed() && l.s.ExpiresMS != l.end.UnixMilli() {
		rt.Fatalf("the search ends at %d, the model says %d", l.s.ExpiresMS, l.end.UnixMilli())
	}
}

func (l *life) closed() bool { return l.s.Closed }

func (l *life) open() bool { return l.s.Live && !l.s.Closed && l.now.Before(l.end) }

// become gives a slot of the model another status; what it was for stays.
func (m *modelSlot) become(now modelSlot) {
	now.key = m.key
	*m = now
}

func (l *life) anyone(label string) fleet.UserID {
	return rapid.SampledFrom([]fleet.UserID{asha, ravi, meena, outsider}).Draw(l.rt, label)
}

func (l *life) name(kind string) string {
	l.names++
	return fmt.Sprintf("%s%d", kind, l.names)
}
