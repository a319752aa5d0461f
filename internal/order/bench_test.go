package order_test

import (
	"fmt"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/order"
)

// crowd is an order of 10 trucks that 500 transporters were offered.
func crowd(b *testing.B) *world {
	w := bornOf(b, wish(10), order.Found{})
	w.p.Notify, w.p.OfferedMax = 500, 500
	var many []fleet.Candidate
	for i := range 500 {
		many = append(many, near(fleet.UserID(fmt.Sprintf("b1000000-0000-4000-8000-%012d", i)), 1000+i, 3))
	}
	w.fire(order.WaveTimer, many...)
	return w
}

// BenchmarkHold decides a hold and writes its transition.
func BenchmarkHold(b *testing.B) {
	w := crowd(b)
	c := order.PlaceHold{By: byFleet(w.s.Offered[250].TransporterID), HoldID: "HOLD_1", Type: "open", Subtype: "17 Feet", Quantity: 1}
	b.ReportAllocs()
	for b.Loop() {
		d, err := order.Decide(w.s, c, w.now, w.p)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := d.Transition(1, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHoldTooLate refuses a hold of an order that has nothing left.
func BenchmarkHoldTooLate(b *testing.B) {
	w := crowd(b)
	w.hold(w.s.Offered[0].TransporterID, 10)
	c := order.PlaceHold{By: byFleet(w.s.Offered[250].TransporterID), HoldID: "HOLD_1", Type: "open", Subtype: "17 Feet", Quantity: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := order.Decide(w.s, c, w.now, w.p); err == nil {
			b.Fatal("held")
		}
	}
}

// BenchmarkReopen gives a slot back that 500 transporters see again.
func BenchmarkReopen(b *testing.B) {
	w := crowd(b)
	id := w.hold(w.s.Offered[0].TransporterID, 10)
	c := order.ReleaseHold{By: byFleet(w.s.Offered[0].TransporterID), HoldID: id}
	b.ReportAllocs()
	for b.Loop() {
		d, err := order.Decide(w.s, c, w.now, w.p)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := d.Transition(1, 1); err != nil {
			b.Fatal(err)
		}
	}
}
