package order_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// disputed is an order whose truck is on its way and whose customer complains.
func disputed(t *testing.T) (w *world, tripID string) {
	t.Helper()
	w = born(t, 2)
	tripID = w.confirm(asha, 1)[0]
	w.accept(tripID)
	w.confirm(ravi, 1) // his driver has not answered yet
	w.step(tripID, trip.InTransit)
	w.do(order.RaiseDispute{By: byCustomer(), DisputeID: "dis1", ReasonCode: "DAMAGED", Notes: "all is wet", Trips: w.rows()})
	return w, tripID
}

func resolve(to order.Resolution) order.ResolveDispute {
	return order.ResolveDispute{By: byOps(), DisputeID: "dis1", Resolution: to, Reason: " photographs, ticket 4711 "}
}

// TestResolvingADispute: at every moment of a dispute's life it can be resolved once, into each of the
// resolutions, and moves nothing else.
func TestResolvingADispute(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]func(w *world, tripID string){
		"while the order goes on":           func(*world, string) {},
		"after nobody decided for 48 hours": func(w *world, _ string) { w.fire(order.DisputeTimer) },
		"after the end": func(w *world, tripID string) {
			w.step(tripID, trip.Completed)
			w.do(order.Cancel{By: byOps(), Reason: "the second truck is not needed", Trips: w.rows()})
		},
	} {
		for _, to := range order.Resolutions() {
			t.Run(name+", "+string(to), func(t *testing.T) {
				t.Parallel()
				w, tripID := disputed(t)
				until(w, tripID)
				before := w.s
				w.wait(time.Minute)
				w.do(resolve(to))
				want := *before.Dispute
				want.Resolution, want.ResolvedMS, want.ResolvedBy, want.Why = to, w.now.UnixMilli(), byOps().User, "photographs, ticket 4711"
				if diff := cmp.Diff(want, *w.s.Dispute); diff != "" {
					t.Errorf("dispute (-want +got):\n%s", diff)
				}
				if _, armed := w.s.Timers[order.DisputeTimer]; armed || w.s.Dispute.Open() {
					t.Errorf("it still waits: %+v, timers %v", w.s.Dispute, w.s.Timers)
				}
				after := w.s
				after.Dispute, after.Count, after.Timers = before.Dispute, before.Count, before.Timers
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("more than the dispute has changed (-before +after):\n%s", diff)
				}
				if d := w.do(resolve(to)); !d.Replayed {
					t.Error("the same once more is not a replay")
				}
				for _, other := range order.Resolutions() {
					if other == to {
						continue
					}
					err := w.refused(resolve(other))
					if !errors.Is(err, order.ErrResolved) || fault.From(err).Data["resolution"] != to {
						t.Errorf("resolved otherwise: %v, %v", err, fault.From(err).Data)
					}
				}
				if err := w.refused(order.RaiseDispute{By: byCustomer(), DisputeID: "dis2"}); !errors.Is(err, order.ErrDisputeOver) {
					t.Errorf("a second complaint: %v", err)
				}
			})
		}
	}
}

// TestWhoLearnsOfADispute: nobody when it is raised or handed over; the parties of its resolution, each driver
// with his own trip, and nobody what the customer wrote or why ops decided so.
func TestWhoLearnsOfADispute(t *testing.T) {
	t.Parallel()
	w, tripID := disputed(t)
	if w.s.DisputeFor(byCustomer()) == nil || w.s.DisputeFor(byOps()) == nil {
		t.Error("the customer and ops do not see it")
	}
	if len(w.told) != 0 {
		t.Errorf("when it was raised people were told %+v", w.told)
	}
	w.fire(order.DisputeTimer)
	if len(w.told) != 0 {
		t.Errorf("when it was handed over people were told %+v", w.told)
	}
	driver := w.driver(tripID)
	former := driver
	former.Fleet = meena // he drives for another by now
	sees := func(who order.By) bool { return w.s.DisputeFor(who) != nil }
	others := []order.By{byFleet(asha), byFleet(ravi), driver}
	for _, who := range append(others, byFleet(meena), former, order.By{}) {
		if sees(who) {
			t.Errorf("%s sees a dispute that nobody has judged", who.User)
		}
	}
	w.do(resolve(order.ResolvedUpheld))
	for _, who := range append(others, byCustomer(), byOps()) {
		if !sees(who) {
			t.Errorf("%s does not see what became of the dispute", who.User)
		}
	}
	if sees(byFleet(meena)) || sees(former) || sees(order.By{}) {
		t.Error("strangers see what became of the dispute")
	}
	outcome := order.DisputeOutcome{DisputeID: "dis1", Stage: order.StageTransit, Resolution: order.ResolvedUpheld,
		RaisedAt: w.s.Dispute.RaisedMS, ResolvedAt: w.now.UnixMilli()}
	for who, ofTrip := range map[fleet.UserID]string{customer: "", asha: "", ravi: "", driver.User: tripID} {
		got := w.heard(who, order.KindStatus)
		if len(got) != 1 {
			t.Fatalf("%s heard %+v", who, got)
		}
		data := got[0].Data.(order.DisputeData)
		if data.OrderID != w.s.ID || data.Status != order.InProgress || data.TripID != ofTrip || data.TotalTrips != 2 || data.Message == "" || data.Dispute != outcome {
			t.Errorf("%s heard %+v", who, data)
		}
	}
	if len(w.told) != 2 {
		t.Errorf("others were told, too: %+v", w.told)
	}
	for _, told := range w.told {
		text, err := json.Marshal(told.Data)
		if err != nil || strings.Contains(string(text), "wet") || strings.Contains(string(text), "4711") || strings.Contains(string(text), "o1") {
			t.Errorf("people were told %s (%v)", text, err)
		}
	}
}

// TestRefusedResolutions: nothing that is not there, nobody but ops, nothing without a reason.
func TestRefusedResolutions(t *testing.T) {
	t.Parallel()
	w, _ := disputed(t)
	for name, tt := range map[string]struct {
		change func(c *order.ResolveDispute)
		want   error
	}{
		"the customer":       {func(c *order.ResolveDispute) { c.By = byCustomer() }, order.ErrNoDispute},
		"a transporter":      {func(c *order.ResolveDispute) { c.By = byFleet(asha) }, order.ErrNoDispute},
		"nobody":             {func(c *order.ResolveDispute) { c.By = order.By{} }, order.ErrNoDispute},
		"another dispute":    {func(c *order.ResolveDispute) { c.DisputeID = "dis2" }, order.ErrNoDispute},
		"no resolution":      {func(c *order.ResolveDispute) { c.Resolution = "" }, fault.Invalid("", "")},
		"an unknown one":     {func(c *order.ResolveDispute) { c.Resolution = "open" }, fault.Invalid("", "")},
		"no reason":          {func(c *order.ResolveDispute) { c.Reason = " \n " }, fault.Invalid("", "")},
		"a very long reason": {func(c *order.ResolveDispute) { c.Reason = strings.Repeat("ä", 501) }, fault.Invalid("", "")},
	} {
		c := resolve(order.ResolvedSettled)
		tt.change(&c)
		if err := w.refused(c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	quiet := born(t, 1)
	if err := quiet.refused(resolve(order.ResolvedSettled)); !errors.Is(err, order.ErrNoDispute) {
		t.Errorf("of an order without a dispute: %v", err)
	}
}
