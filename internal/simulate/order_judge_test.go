package simulate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"weelo/internal/world"
)

// good is an order of two trucks as it should look in the end: one trip was declined, and its slot
// driven by another.
func good() (*booking, orderAnswer, []*journey) {
	o := &booking{id: "o", trucks: 2, ends: []string{"completed"}}
	var a orderAnswer
	text := `{"order":{"id":"o","status":"completed","totalTrucks":2,"trucksFilled":2},
		"requests":[{"id":"s1","status":"completed","tripId":"t2"},{"id":"s2","status":"completed","tripId":"t3"}]}`
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		panic(err)
	}
	return o, a, []*journey{
		{id: "t1", order: "o", slot: "s1", ended: "driver_declined"},
		{id: "t2", order: "o", slot: "s1", ended: "completed"},
		{id: "t3", order: "o", slot: "s2", ended: "completed"},
	}
}

// TestJudgeOrder: what is right is not complained of, and each way of being wrong is found. These are
// the controls of the judge.
func TestJudgeOrder(t *testing.T) {
	t.Parallel()
	if broken := judgeOrder(good()); len(broken) > 0 {
		t.Fatalf("a good order: %v", broken)
	}
	for promise, spoil := range map[string]func(*booking, *orderAnswer, []*journey) []*journey{
		"not terminal": func(_ *booking, a *orderAnswer, ts []*journey) []*journey {
			a.Order.Status = "active"
			return ts
		},
		"the customer was not told of the end": func(o *booking, _ *orderAnswer, ts []*journey) []*journey {
			o.ends = nil
			return ts
		},
		"more than one end": func(o *booking, _ *orderAnswer, ts []*journey) []*journey {
			o.ends = append(o.ends, "expired")
			return ts
		},
		"another end than was told": func(o *booking, _ *orderAnswer, ts []*journey) []*journey {
			o.ends = []string{"expired"}
			return ts
		},
		"a cancellation was lost": func(o *booking, _ *orderAnswer, ts []*journey) []*journey {
			o.cancelled = true
			return ts
		},
		"slots are not conserved": func(o *booking, _ *orderAnswer, ts []*journey) []*journey {
			o.trucks = 3
			return ts
		},
		"a slot still waits": func(_ *booking, a *orderAnswer, ts []*journey) []*journey {
			a.Requests[0].Status = "held"
			return ts
		},
		"a trip without an end": func(_ *booking, _ *orderAnswer, ts []*journey) []*journey {
			ts[0].ended = ""
			return ts
		},
		"two winners of one slot": func(_ *booking, _ *orderAnswer, ts []*journey) []*journey {
			return append(ts, &journey{id: "t4", order: "o", slot: "s2", ended: "completed"})
		},
		"a slot with another winner": func(_ *booking, a *orderAnswer, ts []*journey) []*journey {
			a.Requests[0].TripID = "t9"
			return ts
		},
		"a repeated accept was refused": func(_ *booking, _ *orderAnswer, ts []*journey) []*journey {
			ts[1].half = true
			return ts
		},
		"a dispute was lost": func(o *booking, _ *orderAnswer, ts []*journey) []*journey {
			o.dispute = "d1"
			return ts
		},
		"another end than the driver reported": func(_ *booking, _ *orderAnswer, ts []*journey) []*journey {
			ts[1].reported = "cancelled" // his truck broke down
			return ts
		},
		"trucksFilled is wrong": func(_ *booking, a *orderAnswer, ts []*journey) []*journey {
			a.Order.TrucksFilled = 1
			return ts
		},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			o, a, trips := good()
			trips = spoil(o, &a, trips)
			if !slices.ContainsFunc(judgeOrder(o, a, trips), func(b breach) bool { return b.promise == promise }) {
				t.Errorf("not found: %v", judgeOrder(o, a, trips))
			}
		})
	}
}

// TestBook: what contradicts a promise while it happens is noted while it happens.
func TestBook(t *testing.T) {
	t.Parallel()
	for about, do := range map[string]func(*book){
		"": func(b *book) {
			b.assigned("d", "t1", "o", "s1")
			b.assigned("d", "t1", "o", "s1") // seen again after a reconnect
			b.tripEnded("t1", "completed")
			b.assigned("d", "t2", "o", "s2")
			b.orderStatus("o", "active")
			b.orderStatus("o", "completed")
			b.confirmed("t2", "o", "f", "d", "v")
			b.confirmed("t2", "o", "f", "d", "v")
			first, again := b.offered("f", "o", "i", 1), b.offered("f", "o", "i", 1)
			b.offerFrameClosed("f", "i", 2)
			if late := b.offered("f", "o", "i", 1); !first || again || late || b.shown["f"]["o"].open {
				t.Error("an offer is answered when it is new")
			}
		},
		"two live trips of one driver": func(b *book) {
			b.assigned("d", "t1", "o", "s1")
			b.assigned("d", "t2", "o", "s2")
		},
		"told after the end": func(b *book) {
			b.orderStatus("o", "expired")
			b.orderStatus("o", "active")
		},
		"two confirmations of one trip": func(b *book) {
			b.confirmed("t", "o", "f", "d", "v")
			b.confirmed("t", "o", "g", "e", "w")
		},
		"offered after its end": func(b *book) {
			b.orderStatus("o", "cancelled")
			b.orders["o"].endedAt = time.Now().Add(-time.Minute)
			b.offered("f", "o", "i", 2)
		},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			b := newBook(&meter{})
			do(b)
			found := b.meter.summary(Options{}, 0)
			if about == "" && found.Errors > 0 || about != "" && (found.Errors != 1 || !strings.Contains(found.Reasons[0], about)) {
				t.Errorf("noted %v", found.Reasons)
			}
		})
	}
}

// TestSameAnswer: answers to one key are equal but for what counts time.
func TestSameAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"x":1,"serverTimeMs":5,"o":[{"expiresIn":7}]}`, `{"o":[{"expiresIn":8}],"x":1}`, true},
		{`{"x":1}`, `{"x":2}`, false},
		{`{"o":[1,2]}`, `{"o":[2,1]}`, false},
		{`broken`, `broken`, true},
	} {
		if got := sameAnswer(json.RawMessage(c.a), json.RawMessage(c.b)); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

// TestTowns: the same world and seed make the same towns, everybody's trucks are somewhere, and what a
// customer wants there exists there.
func TestTowns(t *testing.T) {
	t.Parallel()
	w := world.File{}
	for i := range 40 {
		w.Transporters = append(w.Transporters, world.FileTransporter{
			Vehicles: []world.FileVehicle{{Type: "open", Subtype: "17 Feet"}, {Type: "mini", Subtype: string(rune('a' + i%3))}},
			Drivers:  make([]world.FilePerson, 2),
		})
	}
	towns, err := foundTowns(w, 3)
	if err != nil || len(towns) != 5 {
		t.Fatalf("%d towns, %v", len(towns), err)
	}
	trucks := 0
	m := &market{OrderOptions: OrderOptions{Seed: 3}}
	keys := map[string]bool{}
	for _, town := range towns {
		for _, k := range town.kinds {
			trucks += k.trucks
		}
		for n := range 50 {
			rng := m.dice("c", n)
			keys[newKey(rng)] = true
			e := town.errand(rng, nil)
			if e.km < 5 || e.km > 20 || e.trucks() < 1 || e.trucks() > 12 {
				t.Fatalf("%+v", e)
			}
			for _, need := range e.needs {
				if need.quantity > need.trucks {
					t.Errorf("%d of %d trucks", need.quantity, need.trucks)
				}
			}
		}
	}
	if trucks != 80 || len(keys) != 50 {
		t.Errorf("%d trucks, %d keys", trucks, len(keys))
	}
}
