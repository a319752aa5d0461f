package actors_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
	"weelo/store/sqlite"
)

// once plants a fault for the next transition of a kind of aggregate.
func (m *market) once(kind ledger.Kind, f actortest.Fault) {
	done := false
	m.ledger.Break(func(t ledger.Transition) actortest.Fault {
		if done || t.Ref.Kind != kind || t.Version == 0 {
			return actortest.NoFault
		}
		done = true
		return f
	})
}

// The hint of a birth is lost: the sweeper finds the overdue wave two seconds later, and nobody else
// is needed.
func TestALostHintCostsTheSweepersDelay(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		m.deaf = true
		m.restart()
		id := m.create(1)
		<-time.After(11 * time.Second)
		if got := m.stored(id).Wave; got != 1 {
			t.Fatalf("wave %d before the sweeper's time", got)
		}
		<-time.After(3 * time.Second)
		if got := m.stored(id).Wave; got != 2 {
			t.Fatalf("wave %d, want 2", got)
		}
		<-time.After(2 * time.Minute)
		m.wants(id, order.Expired, order.SlotExpired)
	})
}

// Killed after the commit and before anything left: the client is told neither yes nor no, and his
// repeat finds what was done; what people missed is in their inbox and among their offers.
func TestKilledBetweenCommitAndEmit(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		ask := protocol.HoldRequest{OrderID: id, By: first, Type: "open", Subtype: "17 Feet", Quantity: 1, Repeat: protocol.Repeat{Key: "k1", Hash: "h"}}
		m.once(ledger.Order, actortest.LostReply)
		_, err := m.orders.Hold(t.Context(), ask)
		m.refuses(err, "INTERRUPTED")
		r, err := m.orders.Hold(t.Context(), ask)
		m.must(err)
		m.wants(id, order.Active, order.SlotHeld)

		c := protocol.ConfirmRequest{HoldID: r.Hold.ID, By: first, Picks: pick("V1", "D1"), Repeat: protocol.Repeat{Key: "k2", Hash: "h"}}
		m.once(ledger.Order, actortest.LostReply)
		_, err = m.orders.Confirm(t.Context(), c)
		m.refuses(err, "INTERRUPTED")
		if got := m.inbox("D1"); !cmp.Equal(got, []string{"trip_assigned"}) {
			t.Fatalf("the driver's inbox has %v", got)
		}
		confirmed, err := m.orders.Confirm(t.Context(), c)
		m.must(err)
		m.must(m.drive(confirmed.Hold.TripIDs[0], trip.Accept{By: ravi}))
		m.wants(id, order.FullyFilled, order.SlotAccepted)
	})
}

// Killed before the commit: nothing has happened, and the repeat does it.
func TestKilledBeforeTheCommit(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		hold := m.hold(id, first, 1)
		c := protocol.ConfirmRequest{HoldID: hold, By: first, Picks: pick("V1", "D1"), Repeat: protocol.Repeat{Key: "k", Hash: "h"}}
		m.once(ledger.Order, actortest.LostWrite)
		_, err := m.orders.Confirm(t.Context(), c)
		m.refuses(err, "INTERRUPTED")
		m.wants(id, order.Active, order.SlotHeld)
		_, err = m.orders.Confirm(t.Context(), c)
		m.must(err)
		m.wants(id, order.Active, order.SlotAssigned)
	})
}

// A new task goes on where the old one was: between hold and confirm, and in the midst of the waves.
func TestAnotherTaskGoesOn(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		hold := m.hold(id, first, 1)
		m.restart()
		trips := m.confirm(hold, first, "V1", "D1")
		m.restart()
		<-time.After(26 * time.Second)
		if got := m.stored(id); got.Wave != 3 || got.OfferedTo("T2") == nil {
			t.Fatalf("wave %d, offered %v", got.Wave, got.Offered)
		}
		m.restart()
		m.must(m.drive(trips[0], trip.Accept{By: ravi}))
		m.wants(id, order.PartiallyFilled, order.SlotAccepted, order.SlotSearching)
		for _, wave := range m.history(id, "order_wave") {
			if wave > 1 {
				t.Errorf("one wave %d times", wave)
			}
		}
	})
}

// history counts the lines of a type in the order's history, by version.
func (m *market) history(id, kind string) map[int64]int {
	m.t.Helper()
	lines, err := sqlite.NewHistory(m.db).Events(m.t.Context(), ledger.Ref{Kind: ledger.Order, ID: id}, 0, 1000)
	m.must(err)
	count := map[int64]int{}
	for _, l := range lines {
		if l.Event.Type == kind {
			count[l.Version]++
		}
	}
	return count
}

// The answer to a wave's commit is lost while it is shown: the next activation neither repeats the wave
// nor leaves it out, and whoever it found has his offer in the rows.
func TestKilledDuringTheFanOutOfAWave(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		m.stands("T1", 200)
		m.stands("T2", 7)
		id := m.create(1)
		m.wants(id, order.Broadcasting, order.SlotSearching)
		m.once(ledger.Order, actortest.LostReply)
		<-time.After(15 * time.Second)
		if s := m.stored(id); s.Wave != 2 || s.OfferedTo("T2") == nil {
			t.Fatalf("wave %d, offered %v", s.Wave, s.Offered)
		}
		open, err := sqlite.NewOffers(m.db).Open(t.Context(), "T2", time.Now(), 10)
		m.must(err)
		if len(open) != 1 || open[0].OrderID != id || open[0].Version != 1 {
			t.Fatalf("T2 is offered %+v", open)
		}
		m.hold(id, second, 1)
	})
}

// A transporter who comes online during the search is offered what is open, once.
func TestLateComersAreOfferedWhatIsOpen(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		m.grid.Remove("T1", time.Now().UnixMilli())
		<-time.After(time.Second)
		id := m.create(1)
		m.wants(id, order.Broadcasting, order.SlotSearching)
		m.stands("T1", 3)
		at := geo.Point{Lat: bengaluru.Latitude, Lng: bengaluru.Longitude}
		for range 3 {
			m.searching.CameOnline(t.Context(), m.sys, "T1", at, []string{open17})
			m.searching.CameOnline(t.Context(), m.sys, "T9", at, []string{open17}) // nobody knows him
			m.searching.CameOnline(t.Context(), m.sys, "T2", at, []string{"tanker_"})
		}
		synctest.Wait()
		if got := m.shown(); !cmp.Equal(got, []string{"T1 v1 open"}) {
			t.Fatalf("shown %v", got)
		}
		m.wants(id, order.Active, order.SlotSearching)
		m.confirm(m.hold(id, first, 1), first, "V1", "D1")
		if m.searching.Len() != 0 {
			t.Error("an order that lacks nothing is still looked for")
		}
		<-time.After(2 * time.Second)
		all, err := sqlite.NewOffers(m.db).OfOrder(t.Context(), id, 10)
		m.must(err)
		if len(all) != 1 || all[0].Answer != order.AnswerConfirmed && all[0].Answer != order.AnswerHeld {
			t.Errorf("receipts: %+v", all)
		}
	})
}

// A letter that comes again, or out of turn, has one effect.
func TestALetterHasOneEffect(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(2)
		trips := m.confirm(m.hold(id, first, 1), first, "V1", "D1")
		letter := &protocol.Letter{ID: "letter-1", Type: order.LetterAccepted, Body: fmt.Appendf(nil, `{"tripId":%q}`, trips[0])}
		for range 3 {
			if _, err := ask(t, m.sys, protocol.OrderAddress(id), letter); err != nil {
				t.Fatal(err)
			}
		}
		m.restart()
		if _, err := ask(t, m.sys, protocol.OrderAddress(id), letter); err != nil {
			t.Fatal(err)
		}
		s := m.stored(id)
		if got := s.Tally().Filled; got != 1 || s.Letters != 0 {
			t.Errorf("%d filled, %d letters of no use", got, s.Letters)
		}
		odd := &protocol.Letter{ID: "letter-2", Type: "Whatever", Body: []byte(`"`)}
		if _, err := ask(t, m.sys, protocol.OrderAddress(id), odd); err != nil {
			t.Fatal(err)
		}
		if got := m.stored(id).Letters; got != 1 {
			t.Errorf("%d letters of no use are recorded, want 1", got)
		}
		m.must(m.drive(trips[0], trip.Accept{By: ravi})) // the trip's own letter finds it known
	})
}

// Cancel beats accept: whichever comes first, the order ends cancelled and so does its trip, and the
// driver who was told yes is told that it was cancelled.
func TestCancelRacesAccept(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		for round := range 12 {
			id := m.create(1)
			trips := m.confirm(m.hold(id, first, 1), first, "V1", "D1")
			accepted, cancelled := make(chan error, 1), make(chan error, 1)
			accept := func() {
				_, err := m.sys.Ask(context.Background(), protocol.TripAddress(trips[0]), &protocol.TripCommand{Do: trip.Accept{By: ravi}})
				accepted <- err
			}
			cancel := func() {
				_, err := m.orders.Cancel(context.Background(), protocol.OrderRequest{OrderID: id, By: asha, Reason: "no"})
				cancelled <- err
			}
			if round%2 == 0 {
				go accept()
				go cancel()
			} else {
				go cancel()
				go accept()
			}
			if err := <-accepted; err != nil && fault.From(err).Reason != "ASSIGNMENT_STATE_CHANGED" {
				t.Errorf("accept: %v", err)
			}
			m.must(<-cancelled)
			synctest.Wait()
			m.wants(id, order.Cancelled, order.SlotCancelled)
			if s := m.trip(trips[0]); s.Status != trip.Cancelled {
				t.Errorf("the trip is %s", s.Status)
			}
			<-time.After(3 * time.Minute) // the cool-down of a customer who keeps cancelling
			m.stands("T1", 3)
		}
	})
}

// Holds of many at once: as many trucks are held as there are, and not one more.
func TestHoldsRace(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		m.stands("T2", 2)
		id := m.create(1)
		results := make(chan error, 40)
		for n := range 40 {
			by := first
			if n%2 == 0 {
				by = second
			}
			go func() {
				_, err := m.orders.Hold(context.Background(), protocol.HoldRequest{OrderID: id, By: by, Type: "open", Subtype: "17 Feet", Quantity: 1})
				results <- err
			}()
		}
		won, lost := 0, 0
		for range 40 {
			switch err := <-results; {
			case err == nil:
				won++ // the winner's further taps are replays
			case fault.From(err).Reason == "NOT_ENOUGH_AVAILABLE" || fault.From(err).Retryable():
				lost++
			default:
				t.Errorf("refused with %v", err)
			}
		}
		if won == 0 || lost == 0 {
			t.Errorf("%d won, %d lost", won, lost)
		}
		active := 0
		for _, h := range m.stored(id).Holds {
			if h.Status == order.HoldActive {
				active++
			}
		}
		if active != 1 {
			t.Errorf("%d holds of one truck", active)
		}
	})
}

// Many orders wait when the task is killed: after the start of another each wait ends in its time.
func TestManyPendingTimersAreFoundAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		orders := 300
		if testing.Short() {
			orders = 50
		}
		m.deaf = true // nobody but the rows knows of them
		m.restart()
		people := sqlite.NewUsers(m.db)
		var ids []string
		for n := range orders {
			u := fleet.User{ID: fleet.UserID(fmt.Sprint("C-", n)), Role: fleet.Customer, Name: "Asha", Phone: fmt.Sprintf("+9197%08d", n)}
			if _, _, err := people.Enrol(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			wish := asks(1, "")
			wish.By.User = u.ID
			r, err := m.orders.Create(t.Context(), wish)
			m.must(err)
			ids = append(ids, r.State.ID)
		}
		m.deaf = false
		m.restart()
		<-time.After(3 * time.Minute)
		for _, id := range ids {
			m.wants(id, order.Expired, order.SlotExpired)
		}
		if late, err := sqlite.NewTimers(m.db).Overdue(t.Context(), time.Now(), ledger.Timer{}, 10); err != nil || len(late) != 0 {
			t.Errorf("timers are left: %v, %v", late, err)
		}
	})
}
