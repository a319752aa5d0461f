package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

func newOrder() *aggregate {
	a := newTrip()
	a.ref.Kind = ledger.Order
	return a
}

// ownedOrder is an order at version 1, claimed once.
func (l *ledgerTest) ownedOrder(t *testing.T, change ...func(*ledger.Transition)) *aggregate {
	t.Helper()
	a := newOrder()
	l.must(t, a, change...)
	l.claim(t, a)
	return a
}

func (l *ledgerTest) together(t *testing.T, ts ...ledger.Transition) []ledger.Outcome {
	t.Helper()
	outcomes := l.Joint.CommitTogether(t.Context(), ts)
	if len(outcomes) != len(ts) {
		t.Fatalf("%d transitions got %d outcomes", len(ts), len(outcomes))
	}
	return outcomes
}

// wantTogether compares the words of the outcomes.
func (l *ledgerTest) wantTogether(t *testing.T, outcomes []ledger.Outcome, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, statuses(outcomes)); diff != "" {
		t.Fatalf("outcomes differ (errors %v):\n%s", errorsOf(outcomes), diff)
	}
}

func errorsOf(outcomes []ledger.Outcome) []error {
	errs := make([]error, len(outcomes))
	for i, o := range outcomes {
		errs[i] = o.Err
	}
	return errs
}

// gone fails the test when a row is there.
func (l *ledgerTest) gone(t *testing.T, as ...*aggregate) {
	t.Helper()
	for _, a := range as {
		if _, err := l.Claimer.Claim(t.Context(), a.ref, "n"); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("a refused birth left a row of %s (%v)", a.ref.ID, err)
		}
	}
}

// jointConfirm is the life of a confirm and a cancel: an order with the births of its trips, then the
// order with the ends of them, each in one transaction with all that belongs to it.
func jointConfirm(t *testing.T, l *ledgerTest) {
	order, a, b := l.ownedOrder(t), newTrip(), newTrip()
	accept := ledger.TimerChange{Name: "accept", Due: at.Add(45 * time.Second), Number: 1}
	birth := func(trip *aggregate, slot int) ledger.Transition {
		return l.step(trip, withState("driverId", fmt.Sprint("d", slot), "vehicleId", fmt.Sprint("v", slot), "orderId", order.ref.ID, "slot", slot),
			withEvents(l.event("trip_assigned", fmt.Sprint("d", slot), "customer")), withTimers(accept))
	}
	outcomes := l.together(t,
		l.step(order, withState("customerId", "c", "searching", true), withEvents(l.event("order_status", "customer", "owner")),
			withCommand("owner", "k", "h", `{"ok":true}`), withTimers(ledger.TimerChange{Name: "hold"}),
			withMessages(ledger.Message{ID: "m", Channel: "actor", To: "x/1", Type: "x", Body: []byte("{}")})),
		birth(b, 1), birth(a, 0))
	l.wantTogether(t, outcomes, "committed", "committed", "committed")
	for i, want := range [][]string{{"customer", "owner"}, {"customer", "d1"}, {"customer", "d0"}} {
		if got := recipientsOf(outcomes[i]); !cmp.Equal(got, want) {
			t.Errorf("outcome %d numbers the inboxes of %v, want %v", i, got, want)
		}
	}
	if head, err := l.Inbox.Head(t.Context(), "customer"); err != nil || head != 3 {
		t.Errorf("three events made head %d (%v)", head, err)
	}
	used, ok, err := l.Replies.Used(t.Context(), "owner", "k")
	if err != nil || !ok || string(used.Reply) != `{"ok":true}` {
		t.Errorf("record of the command: %v, %v (%v)", used, ok, err)
	}
	for _, trip := range []*aggregate{a, b} {
		c := l.claim(t, trip)
		if c.Version != 1 || c.Epoch != 1 || len(c.Timers) != 1 {
			t.Errorf("a trip was born as %+v", c)
		}
	}
	order.version++
	// The cancel: both trips are owned by somebody else by now. Their epoch is written as it was read.
	end := func(trip *aggregate) ledger.Transition {
		return l.step(trip, withState("live", false, "status", "cancelled"), withEvents(l.event("trip_cancelled", "customer")), withTimers(ledger.TimerChange{Name: "accept"}))
	}
	outcomes = l.together(t, l.step(order, withState("status", "cancelled"), withEvents(l.event("order_status", "customer"))), end(a), end(b))
	l.wantTogether(t, outcomes, "committed", "committed", "committed")
	for _, trip := range []*aggregate{a, b} {
		epoch := trip.epoch
		if c := l.claim(t, trip); c.Version != 2 || c.Epoch != epoch+1 || len(c.Timers) != 0 {
			t.Errorf("a cancelled trip stands at %+v", c)
		}
	}
	// Their drivers and slots are free again.
	order.version++
	l.wantTogether(t, l.together(t, l.step(order), birth(newTrip(), 0), birth(newTrip(), 1)), "committed", "committed", "committed")
}

// recipientsOf lists whose inboxes an outcome numbers, sorted as events name them.
func recipientsOf(o ledger.Outcome) []string {
	var names []string
	for _, n := range o.Numbers {
		names = append(names, n.Recipient)
	}
	if len(names) == 2 && names[0] > names[1] {
		names[0], names[1] = names[1], names[0]
	}
	return names
}

// jointAllOrNone: whoever is at fault is named, everyone else is aborted, and nothing changes.
func jointAllOrNone(t *testing.T, l *ledgerTest) {
	order, trip := l.ownedOrder(t), l.owned(t, withState("driverId", "d0", "vehicleId", "v0"))
	l.must(t, order)
	l.must(t, trip, withState("driverId", "d0", "vehicleId", "v0"))
	l.owned(t, withState("driverId", "busy"))
	l.owned(t, withState("vehicleId", "broken"))
	l.owned(t, withState("orderId", "o", "slot", 3))
	recipients := []string{"u", "v"}
	before := l.trace(t, order.ref, recipients...) + l.trace(t, trip.ref, recipients...)
	l.claim(t, order)
	l.claim(t, trip)
	stale := func(a *aggregate, version, epoch int64) *aggregate {
		return &aggregate{ref: a.ref, version: a.version + version, epoch: a.epoch + epoch}
	}
	one, two := newTrip(), newTrip()
	loud := func(a *aggregate, fields ...any) ledger.Transition {
		return l.step(a, withState(fields...), withEvents(l.event("never", recipients...)), withTimers(ledger.TimerChange{Name: "never", Due: at, Number: 1}))
	}
	for _, c := range []struct {
		name string
		ts   []ledger.Transition
		want []string
		by   string // the constraint of the one that is taken
	}{
		{"order moved", []ledger.Transition{loud(stale(order, -1, 0)), loud(trip), loud(one)}, []string{"moved", "aborted", "aborted"}, ""},
		{"order fenced", []ledger.Transition{loud(stale(order, 0, -1)), loud(trip), loud(one)}, []string{"fenced", "aborted", "aborted"}, ""},
		{"trip moved", []ledger.Transition{loud(order), loud(stale(trip, -1, 0)), loud(one)}, []string{"aborted", "moved", "aborted"}, ""},
		{"trip claimed meanwhile", []ledger.Transition{loud(order), loud(one), loud(stale(trip, 0, -1))}, []string{"aborted", "aborted", "fenced"}, ""},
		{"both", []ledger.Transition{loud(stale(order, -1, 0)), loud(stale(trip, 1, 0)), loud(one)}, []string{"moved", "moved", "aborted"}, ""},
		{"trip missing", []ledger.Transition{loud(order), loud(&aggregate{ref: newTrip().ref, version: 1})}, []string{"aborted", "missing"}, ""},
		{"driver taken", []ledger.Transition{loud(order), loud(trip), loud(one), loud(two, "driverId", "busy")}, []string{"aborted", "aborted", "aborted", "taken"}, "one_live_trip_per_driver"},
		{"vehicle taken", []ledger.Transition{loud(order), loud(two, "vehicleId", "broken"), loud(one)}, []string{"aborted", "taken", "aborted"}, "one_live_trip_per_vehicle"},
		{"slot taken", []ledger.Transition{loud(order), loud(two, "orderId", "o", "slot", 3)}, []string{"aborted", "taken"}, "one_live_trip_per_slot"},
		{"id taken", []ledger.Transition{loud(order), loud(&aggregate{ref: trip.ref})}, []string{"aborted", "taken"}, "one_row_per_trip"},
		{"step taken", []ledger.Transition{loud(order), loud(one), loud(trip, "driverId", "busy")}, []string{"aborted", "aborted", "taken"}, "one_live_trip_per_driver"},
		{"odd value", []ledger.Transition{loud(order), loud(one), loud(two, "live", "perhaps")}, []string{"aborted", "aborted", "failed"}, ""},
		{"malformed", []ledger.Transition{loud(order), {Ref: one.ref, State: []byte(`[]`), At: at}}, []string{"aborted", "failed"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			outcomes := l.together(t, c.ts...)
			l.wantTogether(t, outcomes, c.want...)
			for _, o := range outcomes {
				if o.Status == ledger.Taken && o.Constraint != c.by {
					t.Errorf("taken by %q, want %q", o.Constraint, c.by)
				}
			}
			l.gone(t, one, two)
		})
	}
	if diff := cmp.Diff(before, l.trace(t, order.ref, recipients...)+l.trace(t, trip.ref, recipients...)); diff != "" {
		t.Errorf("a refused transaction changed something:\n%s", diff)
	}
}

// jointBelongings: a part that no row is to blame for (a message id that exists) fails the whole.
func jointBelongings(t *testing.T, l *ledgerTest) {
	message := ledger.Message{ID: "m1", Channel: "actor", To: "order/1", Type: "x", Body: []byte("{}")}
	l.owned(t, withMessages(message))
	order, trip := l.ownedOrder(t), newTrip()
	before := l.trace(t, order.ref, "u")
	l.claim(t, order)
	outcomes := l.together(t, l.step(order, withEvents(l.event("never", "u")), withCommand("s", "k", "h", "1")), l.step(trip, withMessages(message)))
	l.wantTogether(t, outcomes, "failed", "failed")
	l.gone(t, trip)
	if diff := cmp.Diff(before, l.trace(t, order.ref, "u")); diff != "" {
		t.Errorf("a failed transaction changed something:\n%s", diff)
	}
	if _, used, err := l.Replies.Used(t.Context(), "s", "k"); used || err != nil {
		t.Errorf("a failed transaction used its command up (%v)", err)
	}
}

// jointMalformed: what cannot be one transaction is refused before anything is tried.
func jointMalformed(t *testing.T, l *ledgerTest) {
	order, trip := l.ownedOrder(t), newTrip()
	many := []ledger.Transition{l.step(order)}
	for range ledger.MaxJoint {
		many = append(many, l.step(newTrip()))
	}
	for name, ts := range map[string][]ledger.Transition{
		"twice":        {l.step(order), l.step(trip), l.step(order)},
		"two commands": {l.step(order, withCommand("s", "k", "h", "1")), l.step(trip, withCommand("s", "l", "h", "1"))},
		"too many":     many,
	} {
		outcomes := l.Joint.CommitTogether(t.Context(), ts)
		failures := 0
		for _, o := range outcomes {
			if o.Status == ledger.Failed && errors.Is(o.Err, ledger.ErrMalformed) {
				failures++
			} else if o.Status != ledger.Aborted {
				t.Errorf("%s: %v", name, o.Status)
			}
		}
		if len(outcomes) != len(ts) || failures != 1 {
			t.Errorf("%s: %v", name, statuses(outcomes))
		}
	}
	l.gone(t, trip)
	if got := l.Joint.CommitTogether(t.Context(), nil); len(got) != 0 {
		t.Errorf("nothing gets %v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, o := range l.Joint.CommitTogether(ended, []ledger.Transition{l.step(order), l.step(trip)}) {
		if o.Status != ledger.Failed || !errors.Is(o.Err, context.Canceled) {
			t.Errorf("a cancelled call: %v (%v)", o.Status, o.Err)
		}
	}
	l.wantTogether(t, l.together(t, l.step(order), l.step(trip)), "committed", "committed")
}

// jointReplayed: the first transition's command covers the whole, whatever else is stale by then.
func jointReplayed(t *testing.T, l *ledgerTest) {
	order, trip := l.ownedOrder(t), newTrip()
	command := withCommand("s", "k", "h", `{"first":true}`)
	ts := []ledger.Transition{l.step(order, command), l.step(trip, withState("driverId", "d"))}
	l.wantTogether(t, l.together(t, ts...), "committed", "committed")
	order.version++
	for name, again := range map[string][]ledger.Transition{
		"the same":           ts,
		"decided anew":       {l.step(order, command), l.step(newTrip(), withState("driverId", "d"))},
		"births alone":       {l.step(newTrip(), command), l.step(newTrip())},
		"an owner too old":   {{Ref: order.ref, Version: 9, Epoch: 0, State: []byte(`{}`), At: at, Idem: ts[0].Idem}, l.step(newTrip())},
		"a trip that exists": {l.step(order, command), l.step(&aggregate{ref: trip.ref})},
	} {
		outcomes := l.together(t, again...)
		l.wantTogether(t, outcomes, "replayed", "aborted")
		if string(outcomes[0].Reply) != `{"first":true}` {
			t.Errorf("%s: reply %s", name, outcomes[0].Reply)
		}
	}
	other := l.together(t, l.step(order, withCommand("s", "k", "other", "2")), l.step(newTrip()))
	l.wantTogether(t, other, "mismatched", "aborted")
	if c := l.claim(t, order); c.Version != 2 {
		t.Errorf("repeats moved the order to version %d", c.Version)
	}
}

// jointSameCommandAtOnce: of many tries of one command one has its effect, and all others get its reply.
func jointSameCommandAtOnce(t *testing.T, l *ledgerTest) {
	for round := range 5 {
		order, trip := l.ownedOrder(t), newTrip()
		ts := []ledger.Transition{l.step(order, withCommand("s", fmt.Sprint(round), "h", "1")), l.step(trip, withState("driverId", fmt.Sprint("d", round)))}
		outcomes := make([]ledger.Outcome, 6)
		var racers sync.WaitGroup
		for i := range outcomes {
			racers.Go(func() { outcomes[i] = l.Joint.CommitTogether(t.Context(), ts)[0] })
		}
		racers.Wait()
		if won, replayed := count(outcomes, ledger.Committed), count(outcomes, ledger.Replayed); won != 1 || replayed != 5 {
			t.Fatalf("outcomes %v (%v), want one committed and the rest replayed", statuses(outcomes), errorsOf(outcomes))
		}
	}
}

// jointOneWinner: confirms of different orders race for one driver, and for crossed pairs of them.
func jointOneWinner(t *testing.T, l *ledgerTest) {
	for round := range 5 {
		orders := make([]*aggregate, 6)
		for i := range orders {
			orders[i] = l.ownedOrder(t)
		}
		var racers sync.WaitGroup
		outcomes := make([][]ledger.Outcome, len(orders))
		for i, order := range orders {
			racers.Go(func() {
				first, second := fmt.Sprint("a", round), fmt.Sprint("b", round)
				if i%2 == 1 {
					first, second = second, first
				}
				outcomes[i] = l.Joint.CommitTogether(t.Context(), []ledger.Transition{
					l.step(order), l.step(newTrip(), withState("driverId", first, "vehicleId", second)), l.step(newTrip(), withState("driverId", second, "vehicleId", first)),
				})
			})
		}
		racers.Wait()
		won := 0
		for _, os := range outcomes {
			switch {
			case count(os, ledger.Committed) == 3:
				won++
			case count(os, ledger.Taken) == 1 && count(os, ledger.Aborted) == 2:
			default:
				t.Errorf("outcomes %v (%v)", statuses(os), errorsOf(os))
			}
		}
		if won != 1 {
			t.Errorf("%d orders won one pair of drivers", won)
		}
	}
}

// jointLargest is an order with as many slots as there may be.
func jointLargest(t *testing.T, l *ledgerTest) {
	order := l.ownedOrder(t)
	trips := make([]*aggregate, ledger.MaxJoint-1)
	ts := []ledger.Transition{l.step(order, withEvents(l.event("order_status", "customer")))}
	for i := range trips {
		trips[i] = newTrip()
		ts = append(ts, l.step(trips[i], withState("driverId", fmt.Sprint("d", i), "orderId", order.ref.ID, "slot", i), withEvents(l.event("trip_assigned", "customer"))))
	}
	if n := count(l.together(t, ts...), ledger.Committed); n != ledger.MaxJoint {
		t.Fatalf("%d of %d committed", n, ledger.MaxJoint)
	}
	if head, err := l.Inbox.Head(t.Context(), "customer"); err != nil || head != ledger.MaxJoint {
		t.Errorf("head is %d (%v)", head, err)
	}
	order.version++
	ts = []ledger.Transition{l.step(order)}
	for _, a := range trips {
		a.version = 1
		ts = append(ts, l.step(a, withState("live", false)))
	}
	if n := count(l.together(t, ts...), ledger.Committed); n != ledger.MaxJoint {
		t.Errorf("%d of %d ended", n, ledger.MaxJoint)
	}
}
