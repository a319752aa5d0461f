package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

func ledgerBirth(t *testing.T, l *ledgerTest) {
	for _, kind := range []ledger.Kind{ledger.Order, ledger.Trip} {
		a := newTrip()
		a.ref.Kind = kind
		first := l.step(a, withState("status", "new", "customerId", "c1"), withEvents(l.event("born", "c1")))
		l.want(t, l.commit(t, first), ledger.Committed)
		c := l.claim(t, a)
		if c.Version != 1 || c.Epoch != 1 {
			t.Errorf("%s born at version %d, first claim at epoch %d, want 1 and 1", kind, c.Version, c.Epoch)
		}
		sameState(t, c.State, first.State)
		again := l.commit(t, first)
		l.want(t, again, ledger.Taken)
		if want := "one_row_per_" + string(kind); again.Constraint != want {
			t.Errorf("a second birth is refused by %q, want %q", again.Constraint, want)
		}
	}
}

func ledgerTransition(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	for n := range 3 {
		l.must(t, a, withState("status", fmt.Sprint("s", n)), withEvents(l.event("moved"), l.event("moved")))
	}
	c := l.claim(t, a)
	if c.Version != 4 {
		t.Errorf("version is %d after birth and three steps, want 4", c.Version)
	}
	sameState(t, c.State, tripState("status", "s2"))
	events, err := l.History.Events(t.Context(), a.ref, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, e := range events {
		places = append(places, fmt.Sprintf("%d.%d", e.Version, e.Ordinal))
	}
	if diff := cmp.Diff([]string{"2.0", "2.1", "3.0", "3.1", "4.0", "4.1"}, places); diff != "" {
		t.Errorf("places of events differ:\n%s", diff)
	}
}

func ledgerStaleVersion(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	l.must(t, a)
	before := l.trace(t, a.ref, "u")
	l.claim(t, a)
	for _, stale := range []int64{a.version - 1, a.version + 1} {
		tr := l.step(a, withEvents(l.event("never", "u")), withState("status", "never"))
		tr.Version = stale
		l.want(t, l.commit(t, tr), ledger.Moved)
	}
	if diff := cmp.Diff(before, l.trace(t, a.ref, "u")); diff != "" {
		t.Errorf("a refused step changed something:\n%s", diff)
	}
}

func ledgerStaleEpoch(t *testing.T, l *ledgerTest) {
	old := l.owned(t)
	current := &aggregate{ref: old.ref}
	l.claim(t, current)
	if current.epoch <= old.epoch {
		t.Fatalf("a claim went from epoch %d to %d", old.epoch, current.epoch)
	}
	l.want(t, l.commit(t, l.step(old, withEvents(l.event("never", "u")), withTimers(ledger.TimerChange{Name: "x", Due: at, Number: 1}))), ledger.Fenced)
	l.must(t, current)
	l.want(t, l.commit(t, l.step(old)), ledger.Fenced) // stale in version as well: the fence is the reason
	if head, err := l.Inbox.Head(t.Context(), "u"); err != nil || head != 0 {
		t.Errorf("a fenced step raised an inbox to %d (%v)", head, err)
	}
	c := l.claim(t, current)
	if c.Version != 2 || len(c.Timers) != 0 {
		t.Errorf("after one step by the owner: version %d, timers %v", c.Version, c.Timers)
	}
}

func ledgerUnclaimed(t *testing.T, l *ledgerTest) {
	a := l.born(t)
	ahead := l.step(a)
	ahead.Epoch = 7
	l.want(t, l.commit(t, ahead), ledger.Fenced)
}

func ledgerClaim(t *testing.T, l *ledgerTest) {
	later := ledger.TimerChange{Name: "late", Due: at.Add(time.Hour), Number: 9}
	a := l.born(t, withTimers(later, ledger.TimerChange{Name: "accept", Due: at.Add(45 * time.Second), Number: 1}))
	for want := int64(1); want <= 3; want++ {
		c := l.claim(t, a)
		if c.Epoch != want || c.Version != 1 {
			t.Errorf("claim %d gives epoch %d and version %d", want, c.Epoch, c.Version)
		}
		wantTimers := []ledger.Timer{
			{Ref: a.ref, Name: "accept", Due: at.Add(45 * time.Second), Number: 1},
			{Ref: a.ref, Name: "late", Due: later.Due, Number: 9},
		}
		if diff := cmp.Diff(wantTimers, c.Timers); diff != "" {
			t.Errorf("timers differ:\n%s", diff)
		}
	}
	// Claims of one row at once give each an epoch of its own.
	var claims sync.WaitGroup
	var mu sync.Mutex
	epochs := make(map[int64]bool)
	for range 8 {
		claims.Go(func() {
			c, err := l.Claimer.Claim(t.Context(), a.ref, "n")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if epochs[c.Epoch] {
				t.Errorf("epoch %d was given twice", c.Epoch)
			}
			epochs[c.Epoch] = true
		})
	}
	claims.Wait()
}

func ledgerMissing(t *testing.T, l *ledgerTest) {
	for _, id := range []string{newTrip().ref.ID, "not-a-uuid", "'; DROP TABLE trip; --"} {
		a := &aggregate{ref: ledger.Ref{Kind: ledger.Trip, ID: id}, version: 3, epoch: 1}
		l.want(t, l.commit(t, l.step(a)), ledger.Missing)
		if _, err := l.Claimer.Claim(t.Context(), a.ref, "n"); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("claim of %q: %v, want ErrMissing", id, err)
		}
	}
	// The same id of another kind is another aggregate.
	a := l.owned(t)
	a.ref.Kind = ledger.Order
	l.want(t, l.commit(t, l.step(a)), ledger.Missing)
}

func ledgerMalformed(t *testing.T, l *ledgerTest) {
	good := l.owned(t)
	bad := []func(*ledger.Transition){
		func(tr *ledger.Transition) { tr.State = []byte(`{"status":`) },
		func(tr *ledger.Transition) { tr.State = []byte(`[1]`) },
		func(tr *ledger.Transition) { tr.State = nil },
		func(tr *ledger.Transition) { tr.Ref.Kind = "driver" },
		func(tr *ledger.Transition) { tr.Ref.ID = "" },
		func(tr *ledger.Transition) { tr.At = time.Time{} },
		func(tr *ledger.Transition) { tr.Version = -1 },
		withEvents(ledger.Event{Type: "x", At: at, Data: []byte("{}")}),
		withEvents(ledger.Event{ID: "1", Type: "x", At: at, Data: []byte("{")}),
		withCommand("", "k", "h", "{}"),
		withCommand("s", "k", "h", "{"),
		withTimers(ledger.TimerChange{Name: "a", Due: at}, ledger.TimerChange{Name: "a"}),
		withMessages(ledger.Message{ID: "m", Channel: "sms", Body: []byte("x")}),
	}
	before := l.trace(t, good.ref)
	l.claim(t, good)
	for i, change := range bad {
		o := l.commit(t, l.step(good, change))
		l.want(t, o, ledger.Failed)
		if !errors.Is(o.Err, ledger.ErrMalformed) {
			t.Errorf("malformed %d fails with %v, want ErrMalformed", i, o.Err)
		}
	}
	// What only the database can see: a live flag that is no boolean.
	odd := l.step(good)
	odd.State = []byte(`{"live":"perhaps"}`)
	l.want(t, l.commit(t, odd), ledger.Failed)
	if diff := cmp.Diff(before, l.trace(t, good.ref)); diff != "" {
		t.Errorf("a malformed step changed something:\n%s", diff)
	}
	twice := l.Writer.Commit(t.Context(), []ledger.Transition{l.step(newTrip()), l.step(good), l.step(good)})
	if twice[2].Status != ledger.Failed || !errors.Is(twice[2].Err, ledger.ErrMalformed) {
		t.Errorf("two steps of one aggregate in one call: %v", statuses(twice))
	}
}

func ledgerTaken(t *testing.T, l *ledgerTest) {
	holder := l.owned(t, withState("driverId", "d1", "vehicleId", "v1", "orderId", "o1", "slot", 0))
	for _, test := range []struct {
		constraint string
		fields     []any
	}{
		{"one_live_trip_per_driver", []any{"driverId", "d1", "vehicleId", "v2"}},
		{"one_live_trip_per_vehicle", []any{"driverId", "d2", "vehicleId", "v1"}},
		{"one_live_trip_per_slot", []any{"driverId", "d2", "vehicleId", "v2", "orderId", "o1", "slot", 0}},
	} {
		rival := newTrip()
		o := l.commit(t, l.step(rival, withState(test.fields...), withEvents(l.event("never", "u"))))
		l.want(t, o, ledger.Taken)
		if o.Constraint != test.constraint {
			t.Errorf("refused by %q, want %q", o.Constraint, test.constraint)
		}
		if _, err := l.Claimer.Claim(t.Context(), rival.ref, "n"); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("%s: a refused birth left a row (%v)", test.constraint, err)
		}
	}
	// Other slots, and trips without driver or order, do not collide.
	l.born(t, withState("driverId", "d3", "vehicleId", "v3", "orderId", "o1", "slot", 1))
	l.born(t, withState("driverId", "", "vehicleId", "", "orderId", ""))
	l.born(t, withState("driverId", "", "vehicleId", "", "orderId", ""))
	// The end of a trip frees all three.
	l.must(t, holder, withState("live", false, "status", "completed", "driverId", "d1", "vehicleId", "v1", "orderId", "o1", "slot", 0))
	l.born(t, withState("driverId", "d1", "vehicleId", "v1", "orderId", "o1", "slot", 0))
	// A step, not only a birth, is refused.
	revived := l.step(holder, withState("live", true, "driverId", "d1", "vehicleId", "v9"))
	revived.Contended = true
	l.want(t, l.commit(t, revived), ledger.Taken)

	order := newTrip()
	order.ref.Kind = ledger.Order
	l.must(t, order, withState("customerId", "c1", "searching", true))
	second := newTrip()
	second.ref.Kind = ledger.Order
	o := l.commit(t, l.step(second, withState("customerId", "c1", "searching", true)))
	l.want(t, o, ledger.Taken)
	if o.Constraint != "one_searching_order_per_customer" {
		t.Errorf("refused by %q", o.Constraint)
	}
	l.must(t, second, withState("customerId", "c1", "searching", false))
}

func ledgerTakenNeighbours(t *testing.T, l *ledgerTest) {
	l.owned(t, withState("driverId", "d1"))
	one, two, three := l.owned(t), l.owned(t), l.owned(t)
	ts := []ledger.Transition{l.step(one), l.step(two, withState("driverId", "d1")), l.step(three)}
	// Not declared contended, so it flies with the others; they must not fall with it.
	got := statuses(l.Writer.Commit(t.Context(), ts))
	if diff := cmp.Diff([]string{"committed", "taken", "committed"}, got); diff != "" {
		t.Errorf("outcomes differ:\n%s", diff)
	}
}

func ledgerAllOrNothing(t *testing.T, l *ledgerTest) {
	message := ledger.Message{ID: "m1", Channel: "actor", To: "order/1", Type: "x", Body: []byte("{}")}
	l.owned(t, withMessages(message))
	a, neighbour := l.owned(t, withTimers(ledger.TimerChange{Name: "t", Due: at, Number: 1})), l.owned(t)
	before := l.trace(t, a.ref, "u", "v")
	l.claim(t, a)
	// Its last part is refused (the message id exists), so none of it may stay.
	ts := []ledger.Transition{
		l.step(a, withState("status", "never"), withEvents(l.event("never", "u", "v")), withCommand("s", "k", "h", "1"),
			withTimers(ledger.TimerChange{Name: "t"}, ledger.TimerChange{Name: "n", Due: at, Number: 2}),
			withMessages(ledger.Message{ID: "m2", Channel: "actor", To: "x", Type: "x", Body: []byte("{}")}, message)),
		l.step(neighbour, withEvents(l.event("moved", "w"))),
	}
	got := statuses(l.Writer.Commit(t.Context(), ts))
	if diff := cmp.Diff([]string{"failed", "committed"}, got); diff != "" {
		t.Errorf("outcomes differ:\n%s", diff)
	}
	if diff := cmp.Diff(before, l.trace(t, a.ref, "u", "v")); diff != "" {
		t.Errorf("a refused step changed something:\n%s", diff)
	}
	pending, err := l.Outbox.Take(t.Context(), []string{"actor"}, at, time.Minute, 10)
	if err != nil || len(pending) != 1 || pending[0].ID != "m1" {
		t.Errorf("outbox holds %v (%v), want m1 alone", pending, err)
	}
	// The command was not used up.
	l.claim(t, a)
	l.must(t, a, withCommand("s", "k", "other", "2"))
	if head, err := l.Inbox.Head(t.Context(), "w"); err != nil || head != 1 {
		t.Errorf("the neighbour's event is numbered %d (%v), want 1", head, err)
	}
}

func ledgerMixedBatch(t *testing.T, l *ledgerTest) {
	good, moved, fenced := l.owned(t), l.owned(t), l.owned(t)
	replayed, mismatched := l.owned(t), l.owned(t)
	stale := *moved
	l.must(t, moved)
	loser := *fenced
	l.claim(t, fenced)
	l.must(t, replayed, withCommand("s", "r", "h", `{"first":true}`))
	l.must(t, mismatched, withCommand("s", "m", "h", "1"))
	order := newTrip()
	order.ref.Kind = ledger.Order
	l.must(t, order, withState("customerId", "c9"))
	l.claim(t, order)
	ts := []ledger.Transition{
		l.step(&stale, withEvents(l.event("never", "u"))),
		l.step(good, withEvents(l.event("moved", "u"))),
		l.step(&loser, withEvents(l.event("never", "u"))),
		l.step(replayed, withCommand("s", "r", "h", "2"), withEvents(l.event("never", "u"))),
		l.step(mismatched, withCommand("s", "m", "other", "2")),
		l.step(&aggregate{ref: newTrip().ref, version: 1}),
		l.step(order, withEvents(l.event("moved", "u"))),
		l.step(newTrip(), withEvents(l.event("born", "u"))),
	}
	outcomes := l.Writer.Commit(t.Context(), ts)
	want := []string{"moved", "committed", "fenced", "replayed", "mismatched", "missing", "committed", "committed"}
	if diff := cmp.Diff(want, statuses(outcomes)); diff != "" {
		t.Errorf("outcomes differ:\n%s", diff)
	}
	if head, err := l.Inbox.Head(t.Context(), "u"); err != nil || head != 3 {
		t.Errorf("three committed events made head %d (%v)", head, err)
	}
}

func ledgerFullBatch(t *testing.T, l *ledgerTest) {
	const size = 256
	trips := make([]*aggregate, size)
	births := make([]ledger.Transition, size)
	for i := range trips {
		trips[i] = newTrip()
		births[i] = l.step(trips[i])
	}
	if n := count(l.Writer.Commit(t.Context(), births), ledger.Committed); n != size {
		t.Fatalf("%d of %d births committed", n, size)
	}
	const rounds = 2
	for round := int64(1); round <= rounds; round++ {
		ts := make([]ledger.Transition, size)
		for i, a := range trips {
			a.version = round
			ts[i] = l.step(a, withEvents(l.event("moved", "everybody", fmt.Sprint("own", i))),
				withCommand("s", fmt.Sprintf("%d-%d", round, i), "h", `{"ok":true}`),
				withTimers(ledger.TimerChange{Name: "t", Due: at.Add(time.Duration(round) * time.Second), Number: round}),
				withMessages(ledger.Message{ID: fmt.Sprintf("m%d-%d", round, i), Channel: "push", To: "x", Type: "x", Body: []byte(`{}`)}))
		}
		outcomes := l.Writer.Commit(t.Context(), ts)
		if n := count(outcomes, ledger.Committed); n != size {
			t.Fatalf("round %d: %d of %d committed: %v", round, n, size, statuses(outcomes)[:5])
		}
	}
	if head, err := l.Inbox.Head(t.Context(), "everybody"); err != nil || head != rounds*size {
		t.Errorf("head is %d (%v), want %d", head, err, rounds*size)
	}
	due, err := l.Timers.Overdue(t.Context(), at.Add(time.Minute), ledger.Timer{}, 1000)
	if err != nil || len(due) != size || due[0].Number != rounds {
		t.Errorf("%d timers (%v), want %d with number %d", len(due), err, size, rounds)
	}
}

// ledgerOneWinner: of many who decided on the same version, one commits.
func ledgerOneWinner(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	for range 5 {
		outcomes := make([]ledger.Outcome, 8)
		var racers sync.WaitGroup
		for i := range outcomes {
			racers.Go(func() { outcomes[i] = l.commit(t, l.step(a, withEvents(l.event("won", "u")))) })
		}
		racers.Wait()
		if won, lost := count(outcomes, ledger.Committed), count(outcomes, ledger.Moved); won != 1 || lost != 7 {
			t.Fatalf("outcomes %v, want one committed and the rest moved", statuses(outcomes))
		}
		a.version++
	}
	if head, err := l.Inbox.Head(t.Context(), "u"); err != nil || head != 5 {
		t.Errorf("five wins made head %d (%v)", head, err)
	}
}

func ledgerCancellation(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	before := l.trace(t, a.ref)
	l.claim(t, a)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	o := l.Writer.Commit(ended, []ledger.Transition{l.step(a)})[0]
	l.want(t, o, ledger.Failed)
	if !errors.Is(o.Err, context.Canceled) {
		t.Errorf("fails with %v, want context.Canceled", o.Err)
	}
	if diff := cmp.Diff(before, l.trace(t, a.ref)); diff != "" {
		t.Errorf("a cancelled call changed something:\n%s", diff)
	}
	// A caller who leaves in the middle takes nothing back: the answer is definite and true.
	l.claim(t, a)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var leaving sync.WaitGroup
		leaving.Go(cancel)
		o := l.Writer.Commit(ctx, []ledger.Transition{l.step(a)})[0]
		leaving.Wait()
		version := a.version
		c := l.claim(t, a)
		switch {
		case o.Status == ledger.Committed && c.Version == version+1:
		case o.Status == ledger.Failed && c.Version == version:
		default:
			t.Fatalf("outcome %v (%v), and the version went from %d to %d", o.Status, o.Err, version, c.Version)
		}
	}
}

func ledgerOddText(t *testing.T, l *ledgerTest) {
	odd := "नमस्ते ' \" \\ \n {} , NULL 🚚 " + strings.Repeat("x", 3000)
	a := l.owned(t, withState("note", odd))
	sameState(t, l.claim(t, a).State, tripState("note", odd))
	e := l.event("odd", odd)
	e.ID, e.TripID, e.OrderID, e.Expires = odd, odd, odd, at.Add(time.Hour)
	e.Data = []byte("{\"b\": 1.0,  \"a\":\"\\u0041\"}") // kept byte for byte
	l.must(t, a, withEvents(e), withCommand(odd, odd, odd, `"x"`), withTimers(ledger.TimerChange{Name: odd, Due: at, Number: 1}))
	entries, err := l.Inbox.Read(t.Context(), odd, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	e.Recipients = []string{odd}
	if diff := cmp.Diff([]ledger.InboxEntry{{Seq: 1, Event: e}}, entries); diff != "" {
		t.Errorf("entries differ:\n%s", diff)
	}
}
