package order_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/order"
)

// TestWavesWiden: 5, 10, 15, 30, 60, 100 km after 10, 20, 35, 50, 65 s; exhausted after 80; over after 120.
func TestWavesWiden(t *testing.T) {
	t.Parallel()
	w := bornOf(t, wish(1), order.Found{})
	w.status(order.Broadcasting)
	for i, want := range []struct {
		km    float64
		after time.Duration
	}{{10, 10 * time.Second}, {15, 20 * time.Second}, {30, 35 * time.Second}, {60, 50 * time.Second}, {100, 65 * time.Second}} {
		armed := w.s.Timers[order.WaveTimer]
		wanted, ok := order.Look(w.s, order.TimerFired{Name: order.WaveTimer, Number: armed.Number}, w.now, w.p)
		if !ok || wanted.RadiusKM != want.km {
			t.Errorf("wave %d looks within %g km, %v", i+2, wanted.RadiusKM, ok)
		}
		w.fire(order.WaveTimer)
		if got := w.now.Sub(start); got != want.after || w.s.Wave != i+2 {
			t.Errorf("wave %d after %s", w.s.Wave, got)
		}
	}
	armed := w.s.Timers[order.WaveTimer]
	if _, ok := order.Look(w.s, order.TimerFired{Name: order.WaveTimer, Number: armed.Number}, w.now, w.p); ok {
		t.Error("after the last wave it looks again")
	}
	w.fire(order.WaveTimer)
	if got := w.now.Sub(start); got != 80*time.Second || len(w.s.Timers) != 1 {
		t.Errorf("exhausted after %s, timers %v", got, w.s.Timers)
	}
	w.status(order.Broadcasting)
	w.fire(order.SearchTimer)
	w.status(order.Expired)
	if w.s.ReasonCode != order.ReasonNoneOnline || w.s.Dispatch != order.DispatchFailed || w.now.Sub(start) != 2*time.Minute {
		t.Errorf("%s %s after %s", w.s.ReasonCode, w.s.Dispatch, w.now.Sub(start))
	}
	if got := w.heard(customer, order.KindStatus); len(got) != 1 || got[0].Data.(order.StatusData).ReasonCode != order.ReasonNoneOnline {
		t.Errorf("the customer was told %+v", got)
	}
}

// TestAWaveHeardAfterTheEnd: a task that was away hears the overdue wave before the overdue end of the
// search. Nobody is shown the order, and the customer learns why it ended.
//
// Invariants: 17.
func TestAWaveHeardAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := bornOf(t, wish(1), order.Found{})
	w.wait(10 * time.Minute)
	armed := w.s.Timers[order.WaveTimer]
	late := order.TimerFired{Name: order.WaveTimer, Number: armed.Number}
	if _, ok := order.Look(w.s, late, w.now, w.p); ok {
		t.Error("it looks around after the end")
	}
	late.Found = table(near(asha, 1000, 1))
	d := w.do(late)
	w.status(order.Expired)
	if offers, _ := d.Offers(); len(offers) != 0 || w.s.Wave != 1 {
		t.Errorf("offers %+v, wave %d", offers, w.s.Wave)
	}
	got := w.heard(customer, order.KindStatus)
	if w.s.ReasonCode != order.ReasonNoneOnline || len(got) != 1 || got[0].Data.(order.StatusData).ReasonCode != order.ReasonNoneOnline {
		t.Errorf("reason %q, the customer was told %+v", w.s.ReasonCode, got)
	}
}

func TestNobodyAccepts(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.fire(order.SearchTimer)
	w.status(order.Expired)
	if w.s.ReasonCode != order.ReasonNoAcceptant {
		t.Errorf("reason %s", w.s.ReasonCode)
	}
	for _, who := range []fleet.UserID{asha, ravi} {
		if got := w.heard(who, order.KindClosed); len(got) != 1 || got[0].Data.(order.ClosedData).Reason != order.ClosedTimeout {
			t.Errorf("%s heard %+v", who, got)
		}
	}
}

// TestNobodyIsOfferedTwice: a wave passes over those it was shown to, and its table stands in history
// without recipients.
func TestNobodyIsOfferedTwice(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	d := w.fire(order.WaveTimer, near(asha, 1200, 5), near(meena, 6000, 1))
	tr, _, err := d.Transition(1, 1)
	if err != nil || len(tr.Offers) != 1 || tr.Offers[0].Recipient != string(meena) || tr.Offers[0].Wave != 2 {
		t.Errorf("offers %+v, %v", tr.Offers, err)
	}
	for _, e := range tr.Events {
		if e.Type == "order_wave" && len(e.Recipients) > 0 {
			t.Errorf("the candidate table goes to %v", e.Recipients)
		}
	}
	wanted, _ := order.Look(w.s, order.SearchAgain{}, w.now, w.p)
	if !wanted.Offered(meena) || wanted.Offered(outsider) {
		t.Error("the matcher is not told who was offered the order")
	}
}

func TestAWaveHasALimit(t *testing.T) {
	t.Parallel()
	var many []fleet.Candidate
	for i := range 250 {
		many = append(many, near(fleet.UserID(fmt.Sprintf("t%03d", i)), 1000+i, 1))
	}
	w := bornOf(t, wish(1), table(many...))
	if len(w.s.Offered) != 100 || w.s.Notified != 100 || w.s.Offered[99].TransporterID != "t099" {
		t.Errorf("%d were offered it", len(w.s.Offered))
	}
	w.fire(order.WaveTimer, many...)
	if len(w.s.Offered) != 200 {
		t.Errorf("after wave 2: %d", len(w.s.Offered))
	}
	w.p.OfferedMax = 230
	w.fire(order.WaveTimer, many...)
	if len(w.s.Offered) != 230 {
		t.Errorf("an order was offered to %d", len(w.s.Offered))
	}
}

// TestWavesPause: while every truck is held or assigned nobody new is asked; a slot that comes back is
// searched for at once, at the step the search had reached.
func TestWavesPause(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	id := w.hold(asha, 1)
	if _, armed := w.s.Timers[order.WaveTimer]; armed {
		t.Error("a wave is due though nothing is left to offer")
	}
	w.wait(20 * time.Second)
	w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id})
	due, armed := w.s.Timers[order.WaveTimer]
	if !armed || time.UnixMilli(due.DueMS).After(w.now) {
		t.Errorf("wave 2 is due %v (%v)", due, armed)
	}
	w.fire(order.WaveTimer, near(meena, 7000, 1))
	if w.s.Wave != 2 || w.s.OfferedTo(meena) == nil {
		t.Errorf("wave %d", w.s.Wave)
	}
}

// TestTrucksFreeAgainLookAgain: after the last wave, a truck that is given back is looked for once more, for
// those who came while there was none; however fast it goes to and fro, not more often than every 10 s.
func TestTrucksFreeAgainLookAgain(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.p.SearchFor = 10 * time.Minute
	w.do(order.SearchAgain{By: byCustomer()})
	for range w.p.Waves {
		w.fire(order.WaveTimer)
	}
	if _, armed := w.s.Timers[order.WaveTimer]; armed || w.s.Wave != len(w.p.Waves) {
		t.Fatalf("after the last wave: %d, timers %v", w.s.Wave, w.s.Timers)
	}
	id := w.hold(asha, 1)
	w.wait(time.Second)
	w.do(order.ReleaseHold{By: byFleet(asha), HoldID: id})
	armed := w.s.Timers[order.WaveTimer]
	if got := time.UnixMilli(armed.DueMS); got.After(w.now) {
		t.Errorf("it looks again %s later", got.Sub(w.now))
	}
	wanted, ok := order.Look(w.s, order.TimerFired{Name: order.WaveTimer, Number: armed.Number}, w.now, w.p)
	if !ok || wanted.RadiusKM != 100 || wanted.Slots[truck17] != 1 {
		t.Errorf("it looks for %+v, %v", wanted, ok)
	}
	w.fire(order.WaveTimer, near(meena, 2000, 1))
	if o := w.s.OfferedTo(meena); o == nil || o.Wave != len(w.p.Waves)+1 {
		t.Fatalf("meena, who came while the truck was held, was offered %+v", o)
	}
	waves, from := w.s.Wave, w.now
	for range 60 { // a minute of ping-pong
		w.do(order.ReleaseHold{By: byFleet(ravi), HoldID: w.hold(ravi, 1)})
		w.wait(time.Second)
		if armed, ok := w.s.Timers[order.WaveTimer]; ok && armed.DueMS <= w.now.UnixMilli() {
			w.do(order.TimerFired{Name: order.WaveTimer, Number: armed.Number})
		}
	}
	if got := w.s.Wave - waves; got != 6 {
		t.Errorf("%d waves in %s", got, w.now.Sub(from))
	}
}

func TestWhoComesOnlineIsOfferedIt(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	wanted, ok := order.LookLate(w.s, meena, w.now, w.p)
	if !ok || wanted.Only != meena || wanted.RadiusKM != 5 || wanted.Slots[truck17] != 1 {
		t.Errorf("looks for %+v, %v", wanted, ok)
	}
	if _, ok := order.LookLate(w.s, asha, w.now, w.p); ok {
		t.Error("asha has been offered it")
	}
	if _, ok := order.LookLate(w.s, "", w.now, w.p); ok {
		t.Error("a further wave looks for whoever came unheard")
	}
	last := w.s
	last.Wave = len(w.p.Waves)
	all, ok := order.LookLate(last, "", w.now, w.p)
	if !ok || all.Only != "" || all.RadiusKM != 100 || !all.Offered(asha) || all.Offered(meena) {
		t.Errorf("looks for whoever came unheard: %+v, %v", all, ok)
	}
	d := w.do(order.Offer{Found: table(near(meena, 4000, 1))})
	if o := w.s.OfferedTo(meena); o == nil || o.Wave != order.LateWave {
		t.Errorf("offered %+v", o)
	}
	if offers, _ := d.Offers(); len(offers) != 1 {
		t.Errorf("offers %+v", offers)
	}
	if d := w.do(order.Offer{Found: table(near(meena, 4000, 1))}); !d.Replayed {
		t.Error("offered twice")
	}
	w.fire(order.SearchTimer)
	if d := w.do(order.Offer{Found: table(near("late", 4000, 1))}); !d.Replayed {
		t.Error("offered after the end")
	}
}

func TestSearchAgain(t *testing.T) {
	t.Parallel()
	w := born(t, 2)
	w.accept(w.confirm(asha, 1)[0])
	again := order.SearchAgain{By: byCustomer(), Found: table(near(meena, 4000, 1))}
	if err := w.refused(order.SearchAgain{By: byFleet(asha)}); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("a transporter searches: %v", err)
	}
	w.fire(order.SearchTimer)
	w.status(order.PartiallyFilled)
	w.slots(order.Tally{Filled: 1, Expired: 1})
	if w.s.Searching {
		t.Error("it still counts as searching")
	}
	if wanted, ok := order.Look(w.s, again, w.now, w.p); !ok || wanted.Slots[truck17] != 1 || wanted.RadiusKM != 5 {
		t.Errorf("looks for %+v, %v", wanted, ok)
	}
	d := w.do(again)
	if !d.Contended || !w.s.Searching {
		t.Error("the index of searching orders is not asked")
	}
	w.slots(order.Tally{Filled: 1, Searching: 1})
	if offers, _ := d.Offers(); len(offers) != 3 {
		t.Errorf("shown to %+v", offers)
	}
	w.accept(w.confirm(meena, 1)[0])
	w.status(order.FullyFilled)
	if err := w.refused(again); !errors.Is(err, order.ErrInactive) {
		t.Errorf("a full order searches: %v", err)
	}
}

func TestSearchAgainHasALimit(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	for range w.p.SearchesMax - 1 {
		w.wait(time.Second)
		w.do(order.SearchAgain{By: byCustomer()})
	}
	if err := w.refused(order.SearchAgain{By: byCustomer()}); !errors.Is(err, order.ErrSearchedOut) {
		t.Errorf("%v", err)
	}
	w.fire(order.SearchTimer)
	if err := w.refused(order.SearchAgain{By: byCustomer()}); !errors.Is(err, order.ErrInactive) {
		t.Errorf("an expired order searches: %v", err)
	}
}

func TestContinuePartial(t *testing.T) {
	t.Parallel()
	w := born(t, 3)
	on := order.ContinuePartial{By: byCustomer()}
	if err := w.refused(on); !errors.Is(err, order.ErrNothingFilled) {
		t.Errorf("without a truck: %v", err)
	}
	id := w.confirm(asha, 1)[0]
	w.accept(id)
	hold := w.hold(ravi, 1)
	w.do(on)
	w.status(order.PartiallyFilled)
	w.slots(order.Tally{Filled: 1, Expired: 2})
	if len(w.s.Timers) != 0 || w.s.Hold(hold).Status != order.HoldExpired || len(w.heard(ravi, order.KindHold)) != 1 {
		t.Errorf("timers %v, hold %+v", w.s.Timers, w.s.Hold(hold))
	}
	if d := w.do(on); !d.Replayed {
		t.Error("not a replay")
	}
	w.step(id, "completed")
	w.status(order.Completed)
}
