package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weelo/internal/audit"
	"weelo/internal/ledger"
)

// AuditBackend is a store with what an audit reads.
type AuditBackend struct {
	Writer ledger.Writer
	Rows   audit.Rows
}

// Audit is the conformance suite of audit.Rows. open gives an empty store.
func Audit(t *testing.T, open func(t *testing.T) AuditBackend) {
	t.Helper()
	at := time.UnixMilli(1_790_000_000_000).UTC()
	object := func(format string, args ...any) json.RawMessage { return json.RawMessage(fmt.Sprintf(format, args...)) }
	event := func(id, kind, data string, to ...string) ledger.Event {
		return ledger.Event{ID: id, Type: kind, PayloadVersion: 1, At: at, OrderID: "o1", Data: object("%s", data), Recipients: to}
	}
	write := func(t *testing.T, w ledger.Writer, ts ...ledger.Transition) {
		t.Helper()
		for _, tr := range ts {
			tr.At, tr.Contended = at, true
			if got := w.Commit(t.Context(), []ledger.Transition{tr})[0]; got.Status != ledger.Committed {
				t.Fatalf("%s %s: %v %v", tr.Ref.Kind, tr.Ref.ID, got.Status, got.Err)
			}
		}
	}
	order := func(id string) ledger.Ref { return ledger.Ref{Kind: ledger.Order, ID: id} }
	trip := func(id string) ledger.Ref { return ledger.Ref{Kind: ledger.Trip, ID: id} }

	t.Run("an order comes with everything that belongs to it", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		write(t, b.Writer,
			ledger.Transition{
				Ref: order("o1"), State: object(`{"status":"active","live":true}`),
				Events: []ledger.Event{event("e1", "order_created", `{"what":"created"}`), event("e2", "order_status", `{"status":"active"}`, "c1")},
				Timers: []ledger.TimerChange{{Name: "search", Due: at.Add(time.Minute), Number: 3}, {Name: "wave", Due: at.Add(time.Second), Number: 4}},
				Offers: []ledger.OfferChange{
					{ID: "f1", Recipient: "t1", Wave: 1, Open: true, Expires: at.Add(time.Minute), Data: object(`{}`)},
					{ID: "f2", Recipient: "t2", Wave: 1, Open: true, Expires: at.Add(time.Minute), Data: object(`{}`)},
				},
			},
			ledger.Transition{
				Ref: order("o1"), Version: 1, State: object(`{"status":"expired","live":false}`),
				Events:      []ledger.Event{event("e3", "offer_closed", `{}`, "t2", "t1"), event("e4", "order_status", `{"status":"expired"}`, "c1")},
				Timers:      []ledger.TimerChange{{Name: "wave", Number: 4}},
				CloseOffers: &ledger.OfferClosing{Reason: "timeout", Except: []string{"t1"}},
			},
			ledger.Transition{
				Ref: trip("x1"), State: object(`{"status":"pending","live":true,"orderId":"o1","driverId":"d1","vehicleId":"v1","slot":"s1"}`),
				Events: []ledger.Event{event("e5", "trip_assigned", `{}`, "d1")},
				Outbox: []ledger.Message{
					{ID: "m1", Channel: "actor", To: "order/o1", Type: "DriverAccepted", Body: object(`{}`)},
					{ID: "m2", Channel: "sms", To: "order/o1", Type: "x", Body: object(`{}`)},
				},
			},
		)
		got, err := b.Rows.Orders(t.Context(), "", 10)
		must(t, err)
		line := func(version int64, ordinal int, kind, status string) audit.Line {
			return audit.Line{Version: version, Ordinal: ordinal, Type: kind, At: at, Status: status}
		}
		want := []audit.Order{{
			Aggregate: audit.Aggregate{
				Ref: order("o1"), Version: 2,
				History: []audit.Line{
					line(1, 0, "order_created", ""), line(1, 1, "order_status", "active"),
					line(2, 0, "offer_closed", ""), line(2, 1, "order_status", "expired"),
				},
				Timers: []ledger.Timer{{Ref: order("o1"), Name: "search", Due: at.Add(time.Minute), Number: 3}},
			},
			Trips: []audit.Aggregate{{Ref: trip("x1"), Version: 1}},
			Offers: []ledger.Offer{
				{ID: "f1", OrderID: "o1", Recipient: "t1", Wave: 1, Version: 1, Open: true, Expires: at.Add(time.Minute), Offered: at},
				{ID: "f2", OrderID: "o1", Recipient: "t2", Wave: 1, Version: 2, Reason: "timeout", Expires: at.Add(time.Minute), Offered: at, Closed: at},
			},
			Told: []string{"t1", "t2"}, Letters: 1,
		}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(audit.Aggregate{}, "State")); diff != "" {
			t.Errorf("orders (-want +got):\n%s", diff)
		}
		if string(got[0].State) == "" || string(got[0].Trips[0].State) == "" {
			t.Error("a row came without its state")
		}
		letters, err := b.Rows.Letters(t.Context(), 10)
		must(t, err)
		if len(letters) != 1 || letters[0].ID != "m1" || letters[0].To != "order/o1" || !letters[0].Due.Equal(at) {
			t.Errorf("letters: %+v", letters)
		}
	})

	t.Run("pages go by id and come to an end", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		for _, id := range []string{"b", "A", "c", "a"} {
			write(t, b.Writer,
				ledger.Transition{Ref: order(id), State: object(`{"live":false}`), Events: []ledger.Event{event("o"+id, "order_created", `{}`)}},
				ledger.Transition{Ref: trip(id), State: object(`{"live":false}`), Events: []ledger.Event{event("t"+id, "trip_status", `{"status":"x"}`)}})
		}
		var orders, trips []string
		for after := ""; ; {
			page, err := b.Rows.Orders(t.Context(), after, 3)
			must(t, err)
			for _, o := range page {
				orders = append(orders, o.Ref.ID)
				after = o.Ref.ID
			}
			if len(page) == 0 {
				break
			}
		}
		for after := ""; ; {
			page, err := b.Rows.Trips(t.Context(), after, 3)
			must(t, err)
			for _, a := range page {
				if len(a.History) != 1 || a.History[0].Status != "x" {
					t.Errorf("history of trip %s: %+v", a.Ref.ID, a.History)
				}
				trips = append(trips, a.Ref.ID)
				after = a.Ref.ID
			}
			if len(page) == 0 {
				break
			}
		}
		want := []string{"A", "a", "b", "c"}
		if diff := cmp.Diff([][]string{want, want}, [][]string{orders, trips}); diff != "" {
			t.Errorf("ids (-want +got):\n%s", diff)
		}
	})
}
