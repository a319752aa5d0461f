package order_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
	"weelo/internal/nudge"
	"weelo/internal/order"
)

// pushesTo gives the push messages of the last decision by recipient, one each.
func (w *world) pushesTo() (pushes map[string]nudge.Push, events []ledger.Event) {
	w.t.Helper()
	tr, _, err := w.last.Transition(w.version, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	pushes = map[string]nudge.Push{}
	for _, m := range tr.Outbox {
		var p nudge.Push
		if err := json.Unmarshal(m.Body, &p); err != nil || m.Channel != nudge.PushChannel {
			w.t.Fatalf("%s %s: %v", m.Channel, m.Body, err)
		}
		if _, twice := pushes[m.To]; twice {
			w.t.Errorf("%s is woken twice", m.To)
		}
		if until := w.now.Add(nudge.UpdateLife); !m.Deadline.Equal(until) {
			w.t.Errorf("to %s until %s, want %s", m.To, m.Deadline, until)
		}
		pushes[m.To] = p
	}
	return pushes, tr.Events
}

// TestAResolutionWakesTheParties: who is told of it over sockets gets a push message under the same event, a
// driver with his trip; before it, and when it is repeated, nobody does. What the customer wrote and why ops
// decided so is in none.
func TestAResolutionWakesTheParties(t *testing.T) {
	t.Parallel()
	w, tripID := disputed(t)
	w.p.Push, w.p.Texts = true, true
	w.fire(order.DisputeTimer)
	w.nudgedAre(map[string]bool{})
	w.wait(47 * time.Hour)
	w.do(resolve(order.ResolvedSettled))
	pushes, events := w.pushesTo()
	driver := string(w.driver(tripID).User)
	for who, p := range pushes {
		i := slices.IndexFunc(events, func(e ledger.Event) bool { return e.ID == p.Data["eventId"] })
		if i < 0 || events[i].Type != order.KindStatus || !slices.Contains(events[i].Recipients, who) {
			t.Errorf("%s is woken for event %q, which is not his", who, p.Data["eventId"])
		}
		delete(p.Data, "eventId")
		want := nudge.Push{Type: "general", Title: "Dispute decided", Body: "Bengaluru to Chennai: The dispute about this order was settled.", Tag: "dispute:dis1", Data: map[string]string{
			"type": "general", "orderId": w.s.ID, "broadcastId": w.s.ID, "bookingId": w.s.ID, "dispatchRevision": p.Data["dispatchRevision"],
			"disputeId": "dis1", "resolution": "settled",
		}}
		if who == driver {
			want.Data["tripId"], want.Data["assignmentId"] = tripID, tripID
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("to %s (-want +got):\n%s", who, diff)
		}
		if text, _ := json.Marshal(p); strings.Contains(string(text), "wet") || strings.Contains(string(text), "4711") {
			t.Errorf("to %s: %s", who, text)
		}
	}
	if _, his := pushes[driver]; !his || len(pushes) != 4 {
		t.Errorf("woken are %v, want the customer, both transporters and the driver who has accepted", pushes)
	}
	if d := w.do(resolve(order.ResolvedSettled)); !d.Replayed {
		t.Error("the same once more is not a replay")
	}
	w.nudgedAre(map[string]bool{})
}

// TestAResolutionWakesNobodyWithoutSenders: nothing is written for who cannot be reached.
func TestAResolutionWakesNobodyWithoutSenders(t *testing.T) {
	t.Parallel()
	w, _ := disputed(t)
	w.do(resolve(order.ResolvedUpheld))
	w.nudgedAre(map[string]bool{})
}
