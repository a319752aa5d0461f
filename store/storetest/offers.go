package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// offerTo is an open offer to a recipient, whose id is made of order and recipient.
func offerTo(order *aggregate, recipient string, change ...func(*ledger.OfferChange)) ledger.OfferChange {
	o := ledger.OfferChange{
		ID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(order.ref.ID+recipient)).String(), Recipient: recipient, Wave: 1, Open: true,
		Expires: at.Add(2 * time.Minute), Data: json.RawMessage(fmt.Sprintf(`{"b": 1,  "a":%q}`, recipient)), Reason: "wave",
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

func closed(reason string) func(*ledger.OfferChange) {
	return func(o *ledger.OfferChange) { o.Open, o.Reason, o.Data, o.Expires = false, reason, nil, time.Time{} }
}

func withOffers(os ...ledger.OfferChange) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.Offers = os }
}

func closingAll(reason string, except ...string) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.CloseOffers = &ledger.OfferClosing{Reason: reason, Except: except} }
}

func atTime(when time.Time) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.At = when }
}

// versions renders what an outcome says of offers: recipient, version, and a + while it is open.
func versions(o ledger.Outcome) []string {
	var words []string
	for _, v := range o.Offers {
		word := fmt.Sprint(v.Recipient, v.Version)
		if v.Open {
			word += "+"
		}
		words = append(words, word)
	}
	return words
}

func wantVersions(t *testing.T, o ledger.Outcome, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, versions(o)); diff != "" {
		t.Errorf("changed offers differ:\n%s", diff)
	}
}

// offersOf gives an order's offers by recipient.
func (l *ledgerTest) offersOf(t *testing.T, order *aggregate) map[string]ledger.Offer {
	t.Helper()
	offers, err := l.Offers.OfOrder(t.Context(), order.ref.ID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string]ledger.Offer)
	for _, o := range offers {
		by[o.Recipient] = o
	}
	return by
}

func offersChange(t *testing.T, l *ledgerTest) {
	order := l.ownedOrder(t)
	wantVersions(t, l.must(t, order, withOffers(offerTo(order, "b"), offerTo(order, "a"))), "a1+", "b1+")
	first := offerTo(order, "a")
	want := ledger.Offer{
		ID: first.ID, OrderID: order.ref.ID, Recipient: "a", Wave: 1, Version: 1, Open: true, Expires: first.Expires,
		Data: first.Data, Reason: "wave", Offered: at,
	}
	if diff := cmp.Diff(want, l.offersOf(t, order)["a"]); diff != "" {
		t.Errorf("a new offer:\n%s", diff)
	}
	// Fewer trucks are left: one is changed. Another is closed, and a third is new.
	later := atTime(at.Add(time.Minute))
	fewer := func(o *ledger.OfferChange) {
		o.Data, o.Wave, o.Reason, o.Expires = json.RawMessage(`{"left":1}`), 2, "fewer", at.Add(time.Hour)
	}
	wantVersions(t, l.must(t, order, later, withOffers(offerTo(order, "a", fewer), offerTo(order, "c"), offerTo(order, "b", closed("declined")))), "a2+", "b2", "c1+")
	want.Data, want.Wave, want.Reason, want.Expires, want.Version = json.RawMessage(`{"left":1}`), 2, "fewer", at.Add(time.Hour), 2
	if diff := cmp.Diff(want, l.offersOf(t, order)["a"]); diff != "" {
		t.Errorf("a changed offer:\n%s", diff)
	}
	b := l.offersOf(t, order)["b"]
	if b.Open || b.Reason != "declined" || !b.Closed.Equal(at.Add(time.Minute)) || b.Data == nil || !b.Expires.Equal(first.Expires) {
		t.Errorf("a closed offer: %+v", b)
	}
	// Closing what is closed, or was never made, does nothing. A closed one can be opened again.
	wantVersions(t, l.must(t, order, withOffers(offerTo(order, "b", closed("again")), offerTo(order, "nobody", closed("never")))))
	wantVersions(t, l.must(t, order, withOffers(offerTo(order, "b"))), "b3+")
	if b := l.offersOf(t, order)["b"]; !b.Open || !b.Closed.IsZero() || b.Reason != "wave" {
		t.Errorf("an offer that was opened again: %+v", b)
	}
	// A step without offers says nothing of them.
	wantVersions(t, l.must(t, order))
}

func offersCloseAll(t *testing.T, l *ledgerTest) {
	order, other := l.ownedOrder(t), l.ownedOrder(t)
	l.must(t, other, withOffers(offerTo(other, "a")))
	l.must(t, order, withOffers(offerTo(order, "a"), offerTo(order, "b"), offerTo(order, "c"), offerTo(order, "d")))
	l.must(t, order, withOffers(offerTo(order, "d", closed("declined"))))
	wantVersions(t, l.must(t, order, closingAll("filled", "b", "x")), "a2", "c2")
	wantVersions(t, l.must(t, order, closingAll("filled", "b")))
	// What the same step opens stays open; each is told once, as it was left.
	wantVersions(t, l.must(t, order, closingAll("cancelled"), withOffers(offerTo(order, "e"), offerTo(order, "a"))), "a3+", "b2", "e1+")
	got := make(map[string]string)
	for who, o := range l.offersOf(t, order) {
		got[who] = o.Reason
	}
	if diff := cmp.Diff(map[string]string{"a": "wave", "b": "cancelled", "c": "filled", "d": "declined", "e": "wave"}, got); diff != "" {
		t.Errorf("reasons differ:\n%s", diff)
	}
	if o := l.offersOf(t, other)["a"]; !o.Open || o.Version != 1 {
		t.Errorf("another order's offer was closed: %+v", o)
	}
}

// offersRefused: offers belong to their transition, all or nothing, and to their order.
func offersRefused(t *testing.T, l *ledgerTest) {
	order, thief := l.ownedOrder(t), l.ownedOrder(t)
	l.must(t, order, withOffers(offerTo(order, "a")))
	stale := *order
	l.must(t, order)
	l.want(t, l.commit(t, l.step(&stale, closingAll("never"), withOffers(offerTo(order, "b")))), ledger.Moved)
	old := *order
	l.claim(t, order)
	l.want(t, l.commit(t, l.step(&old, withOffers(offerTo(order, "a", closed("never"))))), ledger.Fenced)
	before := l.offersOf(t, order)
	if len(before) != 1 || !before["a"].Open || before["a"].Version != 1 {
		t.Errorf("refused steps left %+v", before)
	}
	// Another order changes nothing of it, whatever id and recipient it names.
	wantVersions(t, l.must(t, thief, withOffers(offerTo(order, "a", closed("stolen")))))
	wantVersions(t, l.must(t, thief, withOffers(offerTo(order, "a", func(o *ledger.OfferChange) { o.Reason = "stolen" }))))
	if diff := cmp.Diff(before, l.offersOf(t, order)); diff != "" {
		t.Errorf("somebody else's step changed an offer:\n%s", diff)
	}
	// A second id for one order and recipient is a fault of the whole step.
	twin := offerTo(order, "a", func(o *ledger.OfferChange) { o.ID = uuid.NewString() })
	l.want(t, l.commit(t, l.step(order, withOffers(twin))), ledger.Failed)
	l.must(t, order)
}

func offersMalformed(t *testing.T, l *ledgerTest) {
	order, trip := l.ownedOrder(t), l.owned(t)
	for i, tr := range []ledger.Transition{
		l.step(trip, withOffers(offerTo(order, "a"))),
		l.step(trip, closingAll("x")),
		l.step(order, withOffers(offerTo(order, ""))),
		l.step(order, withOffers(offerTo(order, "a"), offerTo(order, "a", closed("x")))),
		l.step(order, withOffers(offerTo(order, "a", func(o *ledger.OfferChange) { o.ID = "" }))),
		l.step(order, withOffers(offerTo(order, "a", func(o *ledger.OfferChange) { o.Data = nil }))),
		l.step(order, withOffers(offerTo(order, "a", func(o *ledger.OfferChange) { o.Expires = time.Time{} }))),
		l.step(order, withOffers(offerTo(order, "a", func(o *ledger.OfferChange) { o.Wave = -1 }))),
	} {
		if o := l.commit(t, tr); o.Status != ledger.Failed || !errors.Is(o.Err, ledger.ErrMalformed) {
			t.Errorf("malformed %d: %v (%v)", i, o.Status, o.Err)
		}
	}
}

// offersInOneBatch: steps of many orders fly together, each with changes of every kind.
func offersInOneBatch(t *testing.T, l *ledgerTest) {
	const size = 20
	orders := make([]*aggregate, size)
	ts := make([]ledger.Transition, size)
	for i := range orders {
		orders[i] = l.ownedOrder(t)
		ts[i] = l.step(orders[i], withOffers(offerTo(orders[i], "a"), offerTo(orders[i], "b"), offerTo(orders[i], "c")))
	}
	if n := count(l.Writer.Commit(t.Context(), ts), ledger.Committed); n != size {
		t.Fatalf("%d of %d committed", n, size)
	}
	for i, order := range orders {
		order.version++
		switch i % 4 {
		case 0:
			ts[i] = l.step(order, closingAll("filled", "b"))
		case 1:
			ts[i] = l.step(order, withOffers(offerTo(order, "a", closed("declined")), offerTo(order, "b"), offerTo(order, "d")))
		case 2:
			ts[i] = l.step(order, closingAll("filled"), withOffers(offerTo(order, "c")))
		case 3:
			order.version++ // refused
			ts[i] = l.step(order, closingAll("never"))
		}
	}
	want := [][]string{{"a2", "c2"}, {"a2", "b2+", "d1+"}, {"a2", "b2", "c3+"}, nil}
	for i, o := range l.Writer.Commit(t.Context(), ts) {
		if (o.Status == ledger.Committed) != (i%4 != 3) {
			t.Fatalf("%d: %v (%v)", i, o.Status, o.Err)
		}
		wantVersions(t, o, want[i%4]...)
	}
}

// offersTogether: a cancel closes what its order offered in the transaction that ends its trips.
func offersTogether(t *testing.T, l *ledgerTest) {
	order, trip := l.ownedOrder(t), l.owned(t)
	l.must(t, order, withOffers(offerTo(order, "a"), offerTo(order, "b")))
	stale := *trip
	l.must(t, trip)
	refused := l.together(t, l.step(order, closingAll("cancelled")), l.step(&stale))
	l.wantTogether(t, refused, "aborted", "moved")
	if o := l.offersOf(t, order)["a"]; !o.Open || o.Version != 1 {
		t.Errorf("an aborted step changed an offer: %+v", o)
	}
	outcomes := l.together(t, l.step(order, closingAll("cancelled", "b"), withOffers(offerTo(order, "c"))), l.step(trip))
	l.wantTogether(t, outcomes, "committed", "committed")
	wantVersions(t, outcomes[0], "a2", "c1+")
	wantVersions(t, outcomes[1])
}

func offersRead(t *testing.T, l *ledgerTest) {
	older, newer, closing := l.ownedOrder(t), l.ownedOrder(t), l.ownedOrder(t)
	short := func(o *ledger.OfferChange) { o.Expires = at.Add(time.Minute) }
	l.must(t, older, withOffers(offerTo(older, "a", short), offerTo(older, "b")))
	l.must(t, newer, atTime(at.Add(time.Second)), withOffers(offerTo(newer, "a"), offerTo(newer, "c", func(o *ledger.OfferChange) { o.Wave = 0 })))
	l.must(t, closing, withOffers(offerTo(closing, "a")))
	l.must(t, closing, closingAll("filled"))
	for _, c := range []struct {
		now  time.Time
		want []string
	}{
		{at, []string{newer.ref.ID, older.ref.ID}},
		{at.Add(time.Minute), []string{newer.ref.ID}},
		{at.Add(time.Hour), nil},
	} {
		open, err := l.Offers.Open(t.Context(), "a", c.now, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range open {
			got = append(got, o.OrderID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("open at %v:\n%s", c.now, diff)
		}
	}
	if open, err := l.Offers.Open(t.Context(), "a", at, 1); err != nil || len(open) != 1 || open[0].OrderID != newer.ref.ID {
		t.Errorf("the newest one: %v (%v)", open, err)
	}
	counts, err := l.Offers.CountOpen(t.Context(), []string{"a", "b", "nobody"}, at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 2, "b": 1}, counts); diff != "" {
		t.Errorf("counts:\n%s", diff)
	}
	if counts, err := l.Offers.CountOpen(t.Context(), nil, at); err != nil || len(counts) != 0 {
		t.Errorf("of nobody: %v (%v)", counts, err)
	}
	offers, err := l.Offers.OfOrder(t.Context(), newer.ref.ID, 10)
	if err != nil || len(offers) != 2 || offers[0].Recipient != "c" {
		t.Errorf("by wave: %+v (%v)", offers, err)
	}
	if offers, err := l.Offers.OfOrder(t.Context(), "nowhere", 10); err != nil || len(offers) != 0 {
		t.Errorf("of no order: %v (%v)", offers, err)
	}
}

func offerReceipts(t *testing.T, l *ledgerTest) {
	order := l.ownedOrder(t)
	l.must(t, order, withOffers(offerTo(order, "a"), offerTo(order, "b")))
	a, b := offerTo(order, "a").ID, offerTo(order, "b").ID
	receipts := func(rs ...ledger.OfferReceipt) {
		t.Helper()
		if err := l.Offers.Receipt(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	sec := func(n int) time.Time { return at.Add(time.Duration(n) * time.Second) }
	receipts()
	receipts(
		ledger.OfferReceipt{ID: a, Recipient: "a", Seen: sec(4)},
		ledger.OfferReceipt{ID: b, Recipient: "a", Delivered: sec(1)}, // not his
		ledger.OfferReceipt{ID: uuid.NewString(), Recipient: "a", Delivered: sec(1)},
		ledger.OfferReceipt{ID: a, Recipient: "a", Delivered: sec(2), Seen: sec(3), Answer: "not yet"},
	)
	receipts(ledger.OfferReceipt{ID: a, Recipient: "a", Delivered: sec(8), Seen: sec(9), Answered: sec(10), Answer: "hold"})
	receipts(ledger.OfferReceipt{ID: a, Recipient: "a", Answered: sec(11), Answer: "decline"})
	got := l.offersOf(t, order)
	o := got["a"]
	if !o.Delivered.Equal(sec(2)) || !o.Seen.Equal(sec(3)) || !o.Answered.Equal(sec(10)) || o.Answer != "hold" || o.Version != 1 {
		t.Errorf("receipts of an offer: %+v", o)
	}
	if o := got["b"]; !o.Delivered.IsZero() || !o.Answered.IsZero() || o.Answer != "" {
		t.Errorf("somebody else's receipt was kept: %+v", o)
	}
	// Closing keeps them; a closed offer takes them.
	l.must(t, order, closingAll("filled"))
	receipts(ledger.OfferReceipt{ID: b, Recipient: "b", Delivered: sec(20)})
	got = l.offersOf(t, order)
	if got["a"].Answer != "hold" || !got["b"].Delivered.Equal(sec(20)) || got["b"].Version != 2 {
		t.Errorf("after closing: %+v", got)
	}
}

// offerTally: who answered how often and how soon. An offer that never reached a device says nothing of
// its recipient, nor does one that he may still answer.
func offerTally(t *testing.T, l *ledgerTest) {
	hour := func(h int) func(*ledger.Transition) { return atTime(at.Add(time.Duration(h) * time.Hour)) }
	sec := func(h, n int) time.Time { return at.Add(time.Duration(h)*time.Hour + time.Duration(n)*time.Second) }
	to := func(order *aggregate, who string) string { return offerTo(order, who).ID }
	orders := []*aggregate{l.ownedOrder(t), l.ownedOrder(t), l.ownedOrder(t)}
	for h, order := range orders {
		l.must(t, order, withOffers(offerTo(order, "a"), offerTo(order, "b"), offerTo(order, "c")), hour(h))
	}
	if err := l.Offers.Receipt(t.Context(), []ledger.OfferReceipt{
		{ID: to(orders[0], "a"), Recipient: "a", Answered: sec(0, 5), Answer: "held"}, // too old
		{ID: to(orders[1], "a"), Recipient: "a", Delivered: sec(1, 2), Answered: sec(1, 6), Answer: "held"},
		{ID: to(orders[2], "a"), Recipient: "a", Answered: sec(2, 7), Answer: "declined"}, // a device had it when nobody knows
		{ID: to(orders[1], "b"), Recipient: "b", Delivered: sec(1, 1)},
		{ID: to(orders[2], "b"), Recipient: "b", Delivered: sec(2, 1)}, // and is open
	}); err != nil {
		t.Fatal(err)
	}
	l.must(t, orders[1], closingAll("filled"), hour(3))
	got, err := l.Offers.Tally(t.Context(), []string{"a", "b", "c", "nobody"}, sec(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]ledger.OfferTally{
		"a": {Answers: map[string]int{"held": 1, "declined": 1}, Waited: 11 * time.Second},
		"b": {Answers: map[string]int{"": 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tallies (-want +got):\n%s", diff)
	}
	if got, err := l.Offers.Tally(t.Context(), nil, at); err != nil || len(got) != 0 {
		t.Errorf("of nobody: %v (%v)", got, err)
	}
}

// offerReceiptsAtOnce: receipts of many offers, in any order, beside the steps of their orders.
func offerReceiptsAtOnce(t *testing.T, l *ledgerTest) {
	const orders, recipients, rounds = 6, 8, 10
	all := make([]*aggregate, orders)
	var rs []ledger.OfferReceipt
	for i := range all {
		all[i] = l.ownedOrder(t)
		var offers []ledger.OfferChange
		for r := range recipients {
			o := offerTo(all[i], fmt.Sprint("r", r))
			offers = append(offers, o)
			rs = append(rs, ledger.OfferReceipt{ID: o.ID, Recipient: o.Recipient, Delivered: at, Seen: at, Answered: at, Answer: "x"})
		}
		l.must(t, all[i], withOffers(offers...))
	}
	var busy sync.WaitGroup
	for _, order := range all {
		busy.Go(func() {
			for range rounds {
				o := l.Writer.Commit(t.Context(), []ledger.Transition{l.step(order, closingAll("x", "r1"), withOffers(offerTo(order, "r7"), offerTo(order, "r0"), offerTo(order, "r2", closed("y"))))})[0]
				if o.Status != ledger.Committed {
					t.Errorf("%v (%v)", o.Status, o.Err)
					return
				}
				order.version++
			}
		})
	}
	for turn := range 2 {
		busy.Go(func() {
			for round := range rounds {
				mixed := append(append([]ledger.OfferReceipt{}, rs[round*4+turn:]...), rs[:round*4+turn]...)
				if err := l.Offers.Receipt(t.Context(), mixed); err != nil {
					t.Error(err)
				}
			}
		})
	}
	busy.Wait()
	for _, order := range all {
		for who, o := range l.offersOf(t, order) {
			if o.Answer != "x" || !o.Seen.Equal(at) {
				t.Errorf("receipt of %s was lost: %+v", who, o)
			}
		}
		if o := l.offersOf(t, order)["r7"]; o.Version != 1+2*rounds {
			t.Errorf("an offer that was closed and opened %d times has version %d", rounds, o.Version)
		}
	}
}

func offerRetention(t *testing.T, l *ledgerTest) {
	order := l.ownedOrder(t)
	day := 24 * time.Hour
	l.must(t, order, atTime(at.Add(-40*day)), withOffers(offerTo(order, "old"), offerTo(order, "young"), offerTo(order, "open")))
	l.must(t, order, atTime(at.Add(-31*day)), withOffers(offerTo(order, "old", closed("x"))))
	l.must(t, order, atTime(at.Add(-29*day)), withOffers(offerTo(order, "young", closed("x"))))
	pruned, err := l.Pruner.Prune(t.Context(), at, ledger.Retention{})
	if err != nil || pruned.Offer != 1 {
		t.Errorf("pruned %+v (%v), want one offer", pruned, err)
	}
	left := l.offersOf(t, order)
	if _, gone := left["old"]; gone || len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}
