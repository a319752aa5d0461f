package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// OrderReadsBackend is one fresh, empty store of orders.
type OrderReadsBackend struct {
	Writer  ledger.Writer
	Claimer ledger.Claimer
	Reads   interface {
		order.Reads
		order.LiveReads
	}
	Trips interface {
		RowsOfOrder(ctx context.Context, orderID string) ([]order.TripRow, error)
	}
}

// OrderReads proves the contract of order.Reads, and of the reader of an order's trips. open is called
// for each test.
func OrderReads(t *testing.T, open func(t *testing.T) OrderReadsBackend) {
	t.Helper()
	for name, run := range map[string]func(*testing.T, *ordersTest){
		"Order":          readOrder,
		"Active":         readActive,
		"OfCustomer":     readOfCustomer,
		"Live":           readLive,
		"Searching":      readSearching,
		"OfferedTo":      readOfferedTo,
		"WithoutOffered": readWithoutOffered,
		"OrderOfHold":    readOrderOfHold,
		"CancelledSince": readCancelled,
		"RowsOfOrder":    readRowsOfOrder,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, &ordersTest{OrderReadsBackend: open(t)})
		})
	}
}

type ordersTest struct {
	OrderReadsBackend
	age time.Duration // each order is a second younger than the one before
}

// add stores an order and gives its id.
func (o *ordersTest) add(t *testing.T, s order.State, offers ...ledger.OfferChange) string {
	t.Helper()
	s.ID = uuid.NewString()
	o.age += time.Second
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for i := range offers {
		offers[i].ID, offers[i].Wave, offers[i].Expires = uuid.NewString(), 1, at.Add(time.Hour)
		offers[i].Open, offers[i].Data = true, []byte(`{}`)
	}
	birth := ledger.Transition{Ref: ledger.Ref{Kind: ledger.Order, ID: s.ID}, State: snapshot, At: at.Add(o.age), Offers: offers}
	o.commit(t, birth)
	return s.ID
}

func (o *ordersTest) commit(t *testing.T, tr ledger.Transition) {
	t.Helper()
	if out := o.Writer.Commit(t.Context(), []ledger.Transition{tr})[0]; out.Status != ledger.Committed {
		t.Fatalf("%v (%v)", out.Status, out.Err)
	}
}

func readLive(t *testing.T, o *ordersTest) {
	older := o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "c1"})
	o.add(t, order.State{Status: order.Cancelled, CustomerID: "c1"})
	newer := o.add(t, order.State{Status: order.FullyFilled, Live: true, CustomerID: "c2"})
	for limit, want := range map[int][]string{1: {newer}, 2: {newer, older}, 500: {newer, older}} {
		got, err := o.Reads.Live(t.Context(), limit)
		if err != nil || !slices.Equal(orderIDs(got), want) {
			t.Errorf("the newest %d live orders: %v, %v, want %v", limit, orderIDs(got), err, want)
		}
	}
}

// readSearching pages through them; an order before its first wave, one whose search is over, and one
// that has ended are not among them.
func readSearching(t *testing.T, o *ordersTest) {
	var want []string
	for n := range 5 {
		s := order.State{Status: order.Broadcasting, Live: true, Wave: 1 + n}
		o.add(t, order.State{Status: order.InProgress, Live: true, Wave: 6, Closed: true})
		o.add(t, order.State{Status: order.Created, Live: true})
		o.add(t, order.State{Status: order.Cancelled, Wave: 1})
		want = append(want, o.add(t, s))
	}
	slices.Sort(want)
	var got []string
	for after, more := "", true; more; {
		page, err := o.Reads.Searching(t.Context(), after, 2)
		if err != nil || len(page) > 2 {
			t.Fatalf("behind %q: %v, %v", after, page, err)
		}
		if more = len(page) > 0; more {
			got, after = append(got, page...), page[len(page)-1]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("those that search (-want +got):\n%s", diff)
	}
}

func orderIDs(states []order.State) []string {
	var all []string
	for _, s := range states {
		all = append(all, s.ID)
	}
	return all
}

func wantIDs(t *testing.T, what string, got []order.State, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, orderIDs(got)); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

func readOrder(t *testing.T, o *ordersTest) {
	want := order.State{Status: order.Active, Live: true, CustomerID: "c", Goods: "आम 🚚", Needs: []order.Need{{Type: "open", Quantity: 2}}, CreatedMS: 5}
	want.ID = o.add(t, want)
	got, version, err := o.Reads.Order(t.Context(), want.ID)
	if err != nil || version != 1 {
		t.Fatalf("version %d (%v)", version, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order:\n%s", diff)
	}
	for _, id := range []string{uuid.NewString(), "", "x' OR 1"} {
		if _, _, err := o.Reads.Order(t.Context(), id); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("order %q: %v, want ErrMissing", id, err)
		}
	}
}

func readActive(t *testing.T, o *ordersTest) {
	o.add(t, order.State{Status: order.FullyFilled, Live: true, CustomerID: "c"})
	id := o.add(t, order.State{Status: order.Active, Live: true, Searching: true, CustomerID: "c"})
	if s, ok, err := o.Reads.Active(t.Context(), "c"); err != nil || !ok || s.ID != id {
		t.Errorf("active: %q, %v (%v), want %s", s.ID, ok, err, id)
	}
	if _, ok, err := o.Reads.Active(t.Context(), "nobody"); err != nil || ok {
		t.Errorf("of a customer without one: %v (%v)", ok, err)
	}
}

func readOfCustomer(t *testing.T, o *ordersTest) {
	var all []string
	for i := range 6 {
		status := []order.Status{order.Completed, order.Active, order.Cancelled}[i%3]
		all = append(all, o.add(t, order.State{Status: status, CustomerID: "c"}))
	}
	o.add(t, order.State{Status: order.Completed, CustomerID: "another"})
	slices.Reverse(all)
	page := func(offset, limit int, statuses ...order.Status) ([]order.State, int) {
		t.Helper()
		got, total, err := o.Reads.OfCustomer(t.Context(), "c", order.Page{Statuses: statuses, Offset: offset, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return got, total
	}
	got, total := page(0, 10)
	wantIDs(t, "all", got, nil, all...)
	if total != 6 {
		t.Errorf("total %d of 6", total)
	}
	got, total = page(1, 2, order.Completed, order.Cancelled)
	wantIDs(t, "second and third of the ended", got, nil, all[2], all[3])
	if total != 4 {
		t.Errorf("total %d of 4", total)
	}
	if got, total = page(9, 5); len(got) != 0 || total != 6 {
		t.Errorf("beyond the end: %d of %d", len(got), total)
	}
}

func readOfferedTo(t *testing.T, o *ordersTest) {
	older := o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "c"}, ledger.OfferChange{Recipient: "t"}, ledger.OfferChange{Recipient: "u"})
	newer := o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "d"}, ledger.OfferChange{Recipient: "t"})
	o.add(t, order.State{Status: order.Cancelled, CustomerID: "e"}, ledger.OfferChange{Recipient: "t"})
	o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "f"}, ledger.OfferChange{Recipient: "u"})
	got, err := o.Reads.OfferedTo(t.Context(), "t", at, 10)
	wantIDs(t, "offered", got, err, newer, older)
	got, err = o.Reads.OfferedTo(t.Context(), "t", at.Add(time.Hour), 10)
	wantIDs(t, "when the offers have run out", got, err)
	got, err = o.Reads.OfferedTo(t.Context(), "t", at, 1)
	wantIDs(t, "the newest", got, err, newer)
	s, version, err := o.Reads.Order(t.Context(), newer)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	o.commit(t, ledger.Transition{Ref: ledger.Ref{Kind: ledger.Order, ID: newer}, Version: version, State: snapshot, At: at, CloseOffers: &ledger.OfferClosing{Reason: "x"}})
	got, err = o.Reads.OfferedTo(t.Context(), "t", at, 10)
	wantIDs(t, "after one was closed", got, err, older)
}

// readWithoutOffered: lists leave out whom an order was offered to, but for the transporter who asks.
func readWithoutOffered(t *testing.T, o *ordersTest) {
	s := order.State{Status: order.Active, Live: true, Searching: true, CustomerID: "c", Notified: 2, Offered: []order.Offered{
		{TransporterID: "t", Wave: 1, DistanceM: 900, Stocks: map[string]fleet.Stock{"open_17ft": {Free: 1, Total: 2}}},
		{TransporterID: "u", Wave: 2},
	}}
	s.ID = o.add(t, s, ledger.OfferChange{Recipient: "t"}, ledger.OfferChange{Recipient: "u"})
	check := func(what string, offered []order.Offered, got ...order.State) {
		t.Helper()
		want := s
		want.Offered = offered
		if diff := cmp.Diff([]order.State{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	whole, _, err := o.Reads.Order(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	check("one order", s.Offered, whole)
	active, _, err := o.Reads.Active(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	check("the active order", nil, active)
	all, _, err := o.Reads.OfCustomer(t.Context(), "c", order.Page{Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	check("of the customer", nil, all...)
	live, err := o.Reads.Live(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	check("live", nil, live...)
	mine, err := o.Reads.OfferedTo(t.Context(), "t", at, 5)
	if err != nil {
		t.Fatal(err)
	}
	check("offered to one", s.Offered[:1], mine...)
}

func readOrderOfHold(t *testing.T, o *ordersTest) {
	hold := func(id string, by fleet.UserID) []order.Hold {
		return []order.Hold{{ID: "HOLD_other", TransporterID: by}, {ID: id, TransporterID: by}}
	}
	mine := o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "c", Holds: hold("HOLD_1", "t")}, ledger.OfferChange{Recipient: "t"})
	o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "d"}, ledger.OfferChange{Recipient: "t"})
	o.add(t, order.State{Status: order.Active, Live: true, CustomerID: "e", Holds: hold("HOLD_2", "u")}, ledger.OfferChange{Recipient: "t"}, ledger.OfferChange{Recipient: "u"})
	if id, err := o.Reads.OrderOfHold(t.Context(), "t", "HOLD_1"); err != nil || id != mine {
		t.Errorf("order %q (%v), want %s", id, err, mine)
	}
	for _, foreign := range []string{"HOLD_2", "HOLD_9", ""} {
		if id, err := o.Reads.OrderOfHold(t.Context(), "t", foreign); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("hold %q: %q (%v), want ErrMissing", foreign, id, err)
		}
	}
}

func readCancelled(t *testing.T, o *ordersTest) {
	cancelled := func(by string, endedMS int64) {
		o.add(t, order.State{Status: order.Cancelled, CustomerID: "c", EndedBy: by, EndedMS: endedMS})
	}
	for i := range int64(order.MaxRecentCancels + 2) {
		cancelled("customer", 1000+i)
	}
	cancelled("customer", 5)
	cancelled("ops", 2000)
	o.add(t, order.State{Status: order.Completed, CustomerID: "c", EndedBy: "customer", EndedMS: 2000})
	got, err := o.Reads.CancelledSince(t.Context(), "c", time.UnixMilli(1003))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != order.MaxRecentCancels-1 || got[0] != 1000+order.MaxRecentCancels+1 || got[len(got)-1] != 1003 {
		t.Errorf("since 1003: %v", got)
	}
	if got, err = o.Reads.CancelledSince(t.Context(), "c", time.UnixMilli(0)); err != nil || len(got) != order.MaxRecentCancels || !slices.IsSortedFunc(got, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("all: %v (%v)", got, err)
	}
	if got, err := o.Reads.CancelledSince(t.Context(), "nobody", time.UnixMilli(0)); err != nil || len(got) != 0 {
		t.Errorf("of nobody: %v (%v)", got, err)
	}
}

func readRowsOfOrder(t *testing.T, o *ordersTest) {
	const orderID = "o1"
	want := map[string]order.TripRow{}
	for i := range 4 {
		s := trip.State{ID: uuid.NewString(), OrderID: orderID, Slot: fmt.Sprint(i), Live: i != 3, Status: trip.Pending, DriverID: fleet.UserID(fmt.Sprint("d", i))}
		if i == 2 {
			s.OrderID = "another"
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		ref := ledger.Ref{Kind: ledger.Trip, ID: s.ID}
		o.commit(t, ledger.Transition{Ref: ref, State: snapshot, At: at})
		for range i { // each is claimed another time
			if _, err := o.Claimer.Claim(t.Context(), ref, "n"); err != nil {
				t.Fatal(err)
			}
		}
		if s.Live && s.OrderID == orderID {
			want[s.ID] = order.TripRow{State: s, Version: 1, Epoch: int64(i)}
		}
	}
	rows, err := o.Trips.RowsOfOrder(t.Context(), orderID)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]order.TripRow{}
	for _, r := range rows {
		got[r.State.ID] = r
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("live trips of the order:\n%s", diff)
	}
	if rows, err := o.Trips.RowsOfOrder(t.Context(), "nowhere"); err != nil || len(rows) != 0 {
		t.Errorf("of no order: %v (%v)", rows, err)
	}
}
