package order_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

var update = flag.Bool("update", false, "write what the tests see into testdata and docs")

// storied is an order with a bit of everything: a driver who declines, a hold that expires, one who
// only looks, one who comes late, one without trucks.
func storied(t *testing.T) (*world, order.Telling) {
	t.Helper()
	w := bornOf(t, wish(2), table(near(asha, 1200, 5), near(ravi, 2400, 5), near(meena, 3100, 0)))
	w.wait(3 * time.Second)
	trips := w.confirm(asha, 1)
	w.wait(2 * time.Second)
	w.hold(ravi, 1)
	w.wait(time.Second)
	w.decline(trips[0])
	w.fire(order.WaveTimer, near("kiran", 7200, 1), near(meena, 3100, 0))
	w.wait(2 * time.Second)
	w.do(order.DeclineOffer{By: byFleet("kiran"), Reason: "too far"})
	w.fire(order.WaveTimer)
	w.do(order.Offer{Found: table(near("devi", 9000, 2))})
	w.wait(4 * time.Second)
	trips = w.confirm("devi", 1)
	w.accept(trips[0])
	w.fire(order.HoldTimerPrefix + holdOf(w, ravi))
	w.fire(order.WaveTimer, near("late", 25000, 1))
	w.wait(time.Second)
	trips = w.confirm(asha, 1)
	w.wait(5 * time.Second)
	w.accept(trips[0])
	w.status(order.FullyFilled)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	return w, order.Telling{
		State: w.s, History: w.history,
		Names: map[fleet.UserID]string{asha: "Asha Fleet", ravi: "Ravi Roadways", meena: "Meena Movers", "kiran": "Kiran Cargo", "devi": "Devi Lines"},
		Offers: []ledger.Offer{
			{Recipient: string(ravi), Delivered: at(1)},
			{Recipient: "late", Delivered: at(106), Seen: at(107)},
		},
	}
}

func holdOf(w *world, by fleet.UserID) string {
	for _, h := range w.s.Holds {
		if h.TransporterID == by && h.Status == order.HoldActive {
			return h.ID
		}
	}
	w.t.Fatalf("%s holds nothing", by)
	return ""
}

// TestExplainGolden compares what people are told of an order with testdata/explain.golden.
func TestExplainGolden(t *testing.T) {
	t.Parallel()
	_, telling := storied(t)
	var b strings.Builder
	say := func(title string, v any, err error) {
		if err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		out, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("== " + title + "\n" + string(out) + "\n")
	}
	x, err := order.Explain(telling, byOps())
	say("to ops", x, err)
	x, err = order.Explain(telling, byCustomer())
	say("to the customer", x, err)
	for _, q := range []struct {
		title string
		about fleet.UserID
		by    order.By
	}{
		{"ops ask about Ravi", ravi, byOps()},
		{"Ravi asks about himself", ravi, byFleet(ravi)},
		{"the customer asks about Asha", asha, byCustomer()},
		{"ops ask about somebody who was not found", outsider, byOps()},
	} {
		a, err := order.ExplainFor(telling, q.about, q.by)
		say(q.title, a, err)
	}
	const file = "testdata/explain.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("run with -update to accept (-want +got):\n%s", diff)
	}
}

// TestExplainHidesNames: nobody but ops reads a competitor's name or id.
func TestExplainHidesNames(t *testing.T) {
	t.Parallel()
	_, telling := storied(t)
	for _, by := range []order.By{byCustomer(), byFleet(ravi)} {
		x, err := order.Explain(telling, by)
		if err != nil {
			t.Fatal(err)
		}
		a, err := order.ExplainFor(telling, ravi, by)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal([]any{x, a})
		for _, name := range []string{"Asha", "asha", "Devi", "devi", "kiran", "Kiran", "meena", "+91"} {
			if strings.Contains(string(raw), name) {
				t.Errorf("%s reads %q in %s", by.Role, name, raw)
			}
		}
	}
	for _, ask := range []struct {
		about fleet.UserID
		by    order.By
	}{{asha, byFleet(ravi)}, {asha, byFleet(outsider)}, {outsider, byFleet(outsider)}, {ravi, order.By{User: "d1", Role: fleet.Driver}}, {ravi, order.By{}}} {
		if _, err := order.ExplainFor(telling, ask.about, ask.by); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%+v asks about %s: %v", ask.by, ask.about, err)
		}
	}
	if _, err := order.Explain(telling, byFleet(outsider)); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("a stranger asks: %v", err)
	}
}

// TestHistoryKeepsNoPhones: whoever reads an order's history reads no driver's phone.
func TestHistoryKeepsNoPhones(t *testing.T) {
	t.Parallel()
	w, _ := storied(t)
	for _, r := range w.history {
		if len(r.Event.Recipients) == 0 && strings.Contains(string(r.Event.Data), "+919") {
			t.Errorf("%s keeps a phone: %s", r.Event.Type, r.Event.Data)
		}
	}
}
