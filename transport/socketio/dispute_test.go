package socketio

import (
	"strings"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// TestADisputeOfACancelledOrder: the apps of all parties get its resolution in the words they read, and none
// is told a second time that the order was cancelled.
func TestADisputeOfACancelledOrder(t *testing.T) {
	t.Parallel()
	p := &play{t: t, p: order.DefaultPolicy(), seen: map[string][]map[string]any{}}
	p.begin(1)
	id := p.confirm(1)[0]
	p.drive(id, trip.Accept{By: p.driver(id)})
	p.drive(id, trip.ChangeStatus{By: p.driver(id), To: trip.InTransit})
	rows := []order.TripRow{p.trips[id]}
	ops := order.By{User: "o1", Role: fleet.Ops}
	p.do(order.RaiseDispute{By: order.By{User: "ravi", Role: fleet.Customer}, DisputeID: "dis1", Notes: "all is wet", Trips: rows})
	p.do(order.Cancel{By: ops, Reason: "the goods are lost", Trips: rows})
	if len(p.seen["customer order_cancelled"]) != 1 {
		t.Fatalf("the customer was told %v", p.seen["customer order_cancelled"])
	}
	before := map[fleet.Role]int{}
	roles := []fleet.Role{fleet.Customer, fleet.Transporter, fleet.Driver}
	for _, role := range roles {
		before[role] = len(p.seen[string(role)+" order_cancelled"])
		delete(p.seen, string(role)+" order_status_update")
	}
	p.do(order.ResolveDispute{By: ops, DisputeID: "dis1", Resolution: order.ResolvedUpheld, Reason: "photographs"})
	for _, role := range roles {
		if again := len(p.seen[string(role)+" order_cancelled"]) - before[role]; again != 0 {
			t.Errorf("a %s was told %d times more that the order is cancelled", role, again)
		}
		got := p.seen[string(role)+" order_status_update"]
		if len(got) != 1 {
			t.Fatalf("a %s got %v", role, got)
		}
		for _, field := range strings.Fields(required["order_status_update"] + " bookingId eventId serverTimeMs dispute.disputeId") {
			if find(got[0], strings.Split(field, ".")) == nil {
				t.Errorf("a %s lacks %s: %v", role, field, got[0])
			}
		}
		if at, ok := find(got[0], []string{"dispute", "resolvedAt"}).(string); !ok || !strings.HasSuffix(at, "Z") {
			t.Errorf("a %s got the time of the resolution as %v", role, find(got[0], []string{"dispute", "resolvedAt"}))
		}
		if find(got[0], []string{"dispute", "resolution"}) != "upheld" || (got[0]["tripId"] == id) != (role == fleet.Driver) {
			t.Errorf("a %s got %v", role, got[0])
		}
	}
}
