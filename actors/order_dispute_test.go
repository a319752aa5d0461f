package actors_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
	"weelo/internal/order"
	"weelo/internal/trip"
)

var operator = order.By{User: "O1", Role: fleet.Ops}

// disputedOrder is an order on its way that its customer complains of.
func disputedOrder(t *testing.T) (m *market, id, tripID, disputeID string) {
	t.Helper()
	m = newMarket(t)
	id = m.create(1)
	tripID = m.confirm(m.hold(id, first, 1), first, "V1", "D1")[0]
	m.must(m.drive(tripID, trip.Accept{By: ravi}))
	m.must(m.drive(tripID, trip.ChangeStatus{By: ravi, To: trip.InTransit}))
	r, err := m.orders.Dispute(t.Context(), protocol.DisputeRequest{OrderID: id, By: asha, ReasonCode: "DELAY", Notes: "two hours late"})
	m.must(err)
	return m, id, tripID, r.State.Dispute.ID
}

func (m *market) resolve(id, disputeID string, to order.Resolution) (*protocol.OrderReply, error) {
	m.t.Helper()
	return m.orders.ResolveDispute(m.t.Context(), protocol.DisputeResolution{OrderID: id, DisputeID: disputeID, By: operator, Resolution: to, Reason: "ticket 4711"})
}

// told counts how often somebody was told how an order stands.
func (m *market) told(who string) int {
	m.t.Helper()
	n := 0
	for _, line := range m.inbox(who) {
		if line == "order_status:in_progress" {
			n++
		}
	}
	return n
}

// A resolution is committed once, whatever becomes of the answer and whoever owns the order by then, and
// the parties are told once, and woken once.
func TestADisputeIsResolvedOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		m, id, _, dispute := disputedOrder(t)
		m.policy.Push = true
		m.restart()
		before := map[string]int{"C1": m.told("C1"), "T1": m.told("T1"), "D1": m.told("D1")}
		m.once(ledger.Order, actortest.LostReply)
		_, err := m.resolve(id, dispute, order.ResolvedUpheld)
		m.refuses(err, "INTERRUPTED")
		r, err := m.resolve(id, dispute, order.ResolvedUpheld)
		m.must(err)
		if !r.Replayed || r.State.Dispute.Resolution != order.ResolvedUpheld || r.State.Dispute.ResolvedBy != operator.User {
			t.Errorf("the repeat gave %+v, replayed %v", r.State.Dispute, r.Replayed)
		}
		m.restart()
		_, err = m.resolve(id, dispute, order.ResolvedRejected)
		m.refuses(err, "DISPUTE_RESOLVED")
		if fault.From(err).Code != fault.Conflict {
			t.Errorf("refused with code %v", fault.From(err).Code)
		}
		if lines := m.history(id, "order_dispute_resolved"); len(lines) != 1 {
			t.Errorf("the history has it at versions %v", lines)
		}
		for who, n := range before {
			if got := m.told(who); got != n+1 {
				t.Errorf("%s was told %d times of the resolution", who, got-n)
			}
		}
		if s := m.wants(id, order.InProgress, order.SlotInProgress); len(s.Timers) != 0 {
			t.Errorf("timers %v", s.Timers)
		}
		woken := map[string]int{}
		pushes, err := m.ledger.Take(t.Context(), []string{nudge.PushChannel}, time.Now(), time.Minute, 100)
		m.must(err)
		for _, p := range pushes {
			woken[p.To]++
			if !p.Deadline.After(time.Now()) {
				t.Errorf("to %s until %s, which is past", p.To, p.Deadline)
			}
		}
		if diff := cmp.Diff(map[string]int{"C1": 1, "T1": 1, "D1": 1}, woken); diff != "" {
			t.Errorf("woken (-want +got):\n%s", diff)
		}
	})
}

// After the end of the order, which has left memory by then, a dispute is open until somebody resolves it. Two who
// do so at once, differently: one wins, the other learns of it.
func TestADisputeOutlivesItsOrder(t *testing.T) {
	in(t, func(t *testing.T) {
		m, id, tripID, dispute := disputedOrder(t)
		m.must(m.drive(tripID, trip.ChangeStatus{By: ravi, To: trip.Completed}))
		s := m.wants(id, order.Completed, order.SlotCompleted)
		if !s.Dispute.Open() || s.Dispute.HandedOverMS == 0 || len(s.Timers) != 0 {
			t.Fatalf("at the end: %+v, timers %v", s.Dispute, s.Timers)
		}
		<-time.After(2 * time.Minute)
		_, err := m.resolve(id, "another", order.ResolvedSettled)
		m.refuses(err, "DISPUTE_NOT_FOUND")
		_, err = m.resolve("nowhere", dispute, order.ResolvedSettled)
		m.refuses(err, "ORDER_NOT_FOUND")
		answers := make(chan error, 2)
		for _, to := range []order.Resolution{order.ResolvedSettled, order.ResolvedRejected} {
			go func() {
				_, err := m.orders.ResolveDispute(t.Context(), protocol.DisputeResolution{OrderID: id, DisputeID: dispute, By: operator, Resolution: to, Reason: "looked at"})
				answers <- err
			}()
		}
		outcomes := []string{}
		for range 2 {
			if err := <-answers; err == nil {
				outcomes = append(outcomes, "")
			} else {
				outcomes = append(outcomes, fault.From(err).Reason)
			}
		}
		slices.Sort(outcomes)
		if !slices.Equal(outcomes, []string{"", "DISPUTE_RESOLVED"}) {
			t.Errorf("two at once: %q", outcomes)
		}
		after := m.wants(id, order.Completed, order.SlotCompleted)
		if after.Live || after.Dispute.Open() || after.EndedMS != s.EndedMS {
			t.Errorf("after the resolution: live %v, %+v", after.Live, after.Dispute)
		}
	})
}
