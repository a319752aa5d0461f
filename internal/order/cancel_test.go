package order_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// TestCancelPolicy is contract §3: what cancelling costs at each stage. Preview says it, cancel does it.
func TestCancelPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		to     []trip.Status // after acceptance
		wait   time.Duration // after the last step
		want   order.Quote
		noWord bool // no driver accepted
	}{
		{name: "searching", noWord: true, want: order.Quote{Stage: order.StageSearching, Verdict: order.Allowed, Settlement: "none"}},
		{name: "assigned", want: quote(order.StageAssigned, false, order.Breakdown{Base: 50, Final: 50}, order.Breakdown{Base: 50, Final: 50})},
		{name: "at pickup", to: []trip.Status{trip.AtPickup}, wait: 5 * time.Minute,
			want: quote(order.StageAtPickup, true, order.Breakdown{Base: 100, Final: 100}, order.Breakdown{Base: 100, Final: 100})},
		{name: "at pickup for 16 minutes", to: []trip.Status{trip.AtPickup}, wait: 16 * time.Minute,
			want: quote(order.StageAtPickup, true, order.Breakdown{Base: 100, Waiting: 55, Final: 100}, order.Breakdown{Base: 100, Waiting: 55, Final: 100})},
		{name: "at pickup for an hour", to: []trip.Status{trip.AtPickup}, wait: time.Hour,
			want: quote(order.StageAtPickup, true, order.Breakdown{Base: 100, Waiting: 275, Final: 275}, order.Breakdown{Base: 100, Waiting: 275, Final: 275})},
		{name: "loaded", to: []trip.Status{trip.AtPickup, trip.LoadingComplete},
			want: quote(order.StageLoading, true, order.Breakdown{Base: 100, Percent: 2700, Final: 2700}, order.Breakdown{Base: 100, Percent: 1350, Final: 1350})},
		{name: "on the way", to: []trip.Status{trip.InTransit},
			want: order.Quote{Stage: order.StageTransit, Verdict: order.BlockedDisputeOnly, ReasonRequired: true, ReasonCode: "CANCEL_BLOCKED_DISPUTE_ONLY", Settlement: "none"}},
		{name: "at the drop", to: []trip.Status{trip.ArrivedAtDrop},
			want: order.Quote{Stage: order.StageUnloading, Verdict: order.BlockedDisputeOnly, ReasonRequired: true, ReasonCode: "CANCEL_BLOCKED_DISPUTE_ONLY", Settlement: "none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := born(t, 1)
			id := w.confirm(asha, 1)[0]
			if !tt.noWord {
				w.accept(id)
			}
			for _, to := range tt.to {
				w.step(id, to)
			}
			w.wait(tt.wait)
			got, err := order.Preview(w.s, byCustomer(), w.rows(), w.now, w.p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("preview (-want +got):\n%s", diff)
			}
			bare := order.Cancel{By: byCustomer(), Trips: w.rows()}
			if tt.want.Verdict == order.BlockedDisputeOnly {
				if err := w.refused(bare); !errors.Is(err, order.ErrCancelBlocked) {
					t.Errorf("cancel: %v", err)
				}
				w.do(order.Cancel{By: byOps(), Trips: w.rows()})
				w.status(order.Cancelled)
				return
			}
			if tt.want.ReasonRequired {
				if err := w.refused(bare); !errors.Is(err, order.ErrReasonNeeded) {
					t.Errorf("without a reason: %v", err)
				}
				bare.Reason = "too late"
			}
			w.do(bare)
			w.status(order.Cancelled)
			c := w.s.Cancellation
			if c.Quote != tt.want || c.TripsEnded != 1 || c.By != "customer" || w.trips[id].State.Status != trip.Cancelled {
				t.Errorf("cancelled %+v, trip %s", c, w.trips[id].State.Status)
			}
			if after, err := order.Preview(w.s, byCustomer(), nil, w.now.Add(time.Hour), w.p); err != nil || after != c.Quote {
				t.Errorf("afterwards: %+v, %v", after, err)
			}
		})
	}
}

func quote(stage order.Stage, reason bool, penalty, driver order.Breakdown) order.Quote {
	return order.Quote{
		Stage: stage, Verdict: order.AllowedWithPenalty, ReasonRequired: reason,
		Penalty: penalty, Driver: driver, Settlement: "pending",
	}
}

// TestCancelEndsEverything: holds, slots, trips, offers and timers, in one decision over all rows.
func TestCancelEndsEverything(t *testing.T) {
	t.Parallel()
	w := born(t, 4)
	trips := w.confirm(asha, 2)
	w.accept(trips[0])
	hold := w.hold(ravi, 1)
	cancel := order.Cancel{By: byCustomer(), Reason: "no need", Trips: w.rows()}
	if err := w.refused(order.Cancel{By: byCustomer()}); !errors.Is(err, order.ErrTripsNeeded) {
		t.Errorf("without the trips' rows: %v", err)
	}
	for _, by := range []order.By{byFleet(asha), {User: "c2", Role: fleet.Customer}, {}} {
		if err := w.refused(order.Cancel{By: by, Trips: w.rows()}); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%+v cancels: %v", by, err)
		}
	}
	d := w.do(cancel)
	w.status(order.Cancelled)
	w.slots(order.Tally{Cancelled: 4})
	if len(w.s.Timers) != 0 || w.s.Hold(hold).Status != order.HoldCancelled || w.s.Searching {
		t.Errorf("timers %v, hold %+v", w.s.Timers, w.s.Hold(hold))
	}
	with, err := d.With()
	if err != nil || len(with) != 2 {
		t.Fatalf("with %+v, %v", with, err)
	}
	for i, id := range trips {
		row := cancel.Trips[i]
		if with[i].Ref.ID != id || with[i].Version != row.Version || with[i].Epoch != row.Epoch || len(with[i].Outbox) != 0 {
			t.Errorf("trip %s is written as %+v", id, with[i])
		}
		if w.trips[id].State.Live {
			t.Errorf("trip %s is %s", id, w.trips[id].State.Status)
		}
	}
	for _, who := range []fleet.UserID{asha, ravi} {
		if got := w.heard(who, order.KindClosed); len(got) != 1 || got[0].Data.(order.ClosedData).Reason != order.ClosedCancelled {
			t.Errorf("%s heard %+v", who, got)
		}
	}
	if got := w.heard(asha, order.KindStatus); len(got) != 1 || got[0].Data.(order.StatusData).TripsEnded != 2 {
		t.Errorf("asha, who had trucks on it, heard %+v", got)
	}
	if len(w.heard(ravi, order.KindStatus)) != 0 {
		t.Error("ravi had none")
	}
	if d := w.do(cancel); !d.Replayed || len(d.Cancels) != 0 {
		t.Error("the second one is not a replay")
	}
}

// TestAcceptThatLosesToCancel gets the trip's own refusal.
func TestAcceptThatLosesToCancel(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	w.do(order.Cancel{By: byCustomer(), Trips: w.rows()})
	_, err := trip.Decide(w.trips[id].State, trip.Accept{By: w.driver(id)}, w.now, w.p.Trip)
	if !errors.Is(err, trip.ErrStateChanged) {
		t.Errorf("the driver is told %v", err)
	}
}

// TestCancelMeetsAnEndedTrip whose letter is still on its way: it stays completed.
func TestCancelMeetsAnEndedTrip(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	trips := w.confirm(asha, 2)
	w.accept(trips[0])
	letters := w.on(trips[0], trip.ChangeStatus{By: w.driver(trips[0]), To: trip.Completed})
	d := w.do(order.Cancel{By: byCustomer(), Reason: "enough", Trips: w.rows()})
	w.status(order.Cancelled)
	w.slots(order.Tally{Filled: 1, Completed: 1, Cancelled: 1})
	if len(d.Cancels) != 1 {
		t.Errorf("it ends %+v", d.Cancels)
	}
	w.do(letters[0])
	w.slots(order.Tally{Filled: 1, Completed: 1, Cancelled: 1})
}

func TestCancelAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.fire(order.SearchTimer)
	if err := w.refused(order.Cancel{By: byCustomer()}); !errors.Is(err, order.ErrCancelFailed) {
		t.Errorf("cancel: %v", err)
	}
	if _, err := order.Preview(w.s, byCustomer(), nil, w.now, w.p); !errors.Is(err, order.ErrPreview) {
		t.Errorf("preview: %v", err)
	}
	if _, err := order.Preview(w.s, byFleet(asha), nil, w.now, w.p); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("a stranger's preview: %v", err)
	}
}

// TestRebookCooldown: 15 s after a cancellation, 120 s after the third within an hour.
func TestRebookCooldown(t *testing.T) {
	t.Parallel()
	p := order.DefaultPolicy()
	ago := func(ds ...time.Duration) []int64 {
		var at []int64
		for _, d := range ds {
			at = append(at, start.Add(-d).UnixMilli())
		}
		return at
	}
	for _, tt := range []struct {
		name string
		at   []int64
		wait time.Duration
	}{
		{"never", nil, 0},
		{"just now", ago(0), 15 * time.Second},
		{"14 s ago", ago(14 * time.Second), time.Second},
		{"15 s ago", ago(15 * time.Second), 0},
		{"three times", ago(20*time.Second, time.Minute, 59*time.Minute), 100 * time.Second},
		{"three times, in any order", ago(time.Minute, 20*time.Second, 59*time.Minute), 100 * time.Second},
		{"three times in a day", ago(20*time.Second, 2*time.Hour, 3*time.Hour), 0},
	} {
		err := order.RebookWait(tt.at, start, p)
		var e *fault.Error
		if errors.As(err, &e); (tt.wait == 0) != (err == nil) || (err != nil && (e.RetryAfter != tt.wait || e.Reason != "REBOOK_COOLDOWN")) {
			t.Errorf("%s: %v, want a wait of %s", tt.name, err, tt.wait)
		}
	}
}

// TestDispute: only while goods are on their way; unanswered for 48 h, or at the end, people get it.
func TestDispute(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	raise := func() order.RaiseDispute {
		return order.RaiseDispute{By: byCustomer(), DisputeID: "dis1", ReasonCode: "DAMAGED", Notes: "wet", Trips: w.rows()}
	}
	w.accept(id)
	if err := w.refused(raise()); !errors.Is(err, order.ErrDispute) {
		t.Errorf("before the departure: %v", err)
	}
	w.step(id, trip.InTransit)
	w.do(raise())
	if d := w.s.Dispute; d.Stage != order.StageTransit || w.s.Timers[order.DisputeTimer].DueMS != w.now.Add(48*time.Hour).UnixMilli() {
		t.Errorf("dispute %+v, timers %v", d, w.s.Timers)
	}
	if d := w.do(raise()); !d.Replayed {
		t.Error("the second one is not a replay")
	}
	w.fire(order.DisputeTimer)
	if w.s.Dispute.HandedOverMS != w.now.UnixMilli() || len(w.s.Timers) != 0 {
		t.Errorf("dispute %+v, timers %v", w.s.Dispute, w.s.Timers)
	}
	w.step(id, trip.Completed)
	w.status(order.Completed)
	if err := w.refused(order.RaiseDispute{By: byFleet(asha)}); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("a stranger's: %v", err)
	}
}

func TestOpenDisputeIsHandedOverAtTheEnd(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.confirm(asha, 1)[0]
	w.accept(id)
	w.step(id, trip.InTransit)
	w.do(order.RaiseDispute{By: byCustomer(), DisputeID: "dis1", Trips: w.rows()})
	w.step(id, trip.Completed)
	w.status(order.Completed)
	if w.s.Dispute.HandedOverMS == 0 || len(w.s.Timers) != 0 {
		t.Errorf("dispute %+v, timers %v", w.s.Dispute, w.s.Timers)
	}
	if !w.s.Dispute.Open() {
		t.Error("the end of the order has decided it")
	}
}

// TestDriversShare: what the drivers get is divided by the way each has made, and adds up.
func TestDriversShare(t *testing.T) {
	t.Parallel()
	w := born(t, 3)
	trips := w.confirm(asha, 3)
	w.accept(trips[0])
	w.accept(trips[1])
	w.step(trips[1], trip.AtPickup)
	w.step(trips[1], trip.LoadingComplete)
	d := w.do(order.Cancel{By: byCustomer(), Reason: "no need", Trips: w.rows()})
	if got := w.s.Cancellation.Driver.Final; got != 1350 {
		t.Fatalf("the drivers get %d", got)
	}
	sum, last := 0, 0
	for i, c := range d.Cancels {
		got := c.Decision.Events[0].Rupees
		sum += got
		if i == 1 {
			last = got
		}
	}
	if sum != 1350 || last != 1301 || d.Cancels[2].Decision.Events[0].Rupees != 0 {
		t.Errorf("parts add up to %d, the loaded truck's is %d", sum, last)
	}
}
