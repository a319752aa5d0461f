package order_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/nudge"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// nudged gives the push and text messages of the last decision, as "kind to recipient until seconds
// after start", sorted; each has an id that no earlier one had.
func (w *world) nudged(ids map[string]bool) []string {
	w.t.Helper()
	tr, _, err := w.last.Transition(w.version, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := []string{}
	for _, m := range tr.Outbox {
		if ids[m.ID] {
			w.t.Errorf("%s to %s: id %s a second time", m.Type, m.To, m.ID)
		}
		ids[m.ID] = true
		if strings.Contains(string(m.Body), "987654") {
			w.t.Errorf("a phone in %s", m.Body)
		}
		lines = append(lines, fmt.Sprintf("%s %s to %s until %s", m.Channel, m.Type, m.To, m.Deadline.Sub(start)))
	}
	slices.Sort(lines)
	return lines
}

// nudging is a world in which somebody sends push messages and texts.
func nudging(t tb, trucks int) *world {
	t.Helper()
	w := bornOf(t, wish(trucks), order.Found{})
	w.p.Push, w.p.Texts, w.p.Trip.Push = true, true, true
	w.fire(order.WaveTimer, near(asha, 1200, 5), near(ravi, 2400, 5))
	return w
}

func (w *world) nudgedAre(ids map[string]bool, want ...string) {
	w.t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, w.nudged(ids)); diff != "" {
		w.t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNudges: who is woken by what in the life of an order, and until when that is worth something.
func TestNudges(t *testing.T) {
	t.Parallel()
	w, ids := nudging(t, 2), map[string]bool{}
	w.nudgedAre(ids, "push new_broadcast to asha until 2m0s", "push new_broadcast to ravi until 2m0s")
	trips := w.confirm(asha, 1)
	w.nudgedAre(ids)
	w.accept(trips[0])
	w.nudgedAre(ids, "sms driver_accepted to c1 until 15m10s") // the search is longer: nobody is woken for that
	w.do(order.DeclineOffer{By: byFleet(ravi)})
	w.nudgedAre(ids) // he knows
	more := w.confirm(asha, 1)
	w.accept(more[0])
	w.nudgedAre(ids, "sms driver_accepted to c1 until 15m10s") // she has the trucks: her offer's end is no news
	w.do(order.Cancel{By: byCustomer(), Reason: "plans changed", Trips: w.rows()})
	w.status(order.Cancelled)
	w.nudgedAre(ids, "push booking_cancelled to asha until 5m10s")
}

// TestNudgesOfAnEnd: the others learn that it is over, under the name that takes it from their screens.
func TestNudgesOfAnEnd(t *testing.T) {
	t.Parallel()
	full := nudging(t, 1)
	trips := full.confirm(asha, 1)
	full.accept(trips[0])
	full.nudgedAre(map[string]bool{}, "push broadcast_dismissed to ravi until 5m10s", "sms driver_accepted to c1 until 15m10s")

	late := nudging(t, 1)
	late.fire(order.SearchTimer)
	late.status(order.Expired)
	late.nudgedAre(map[string]bool{}, "push booking_expired to asha until 7m0s", "push booking_expired to ravi until 7m0s", "sms order_expired to c1 until 17m0s")

	gone := nudging(t, 1)
	gone.do(order.Cancel{By: byCustomer(), Reason: "plans changed"})
	gone.nudgedAre(map[string]bool{}, "push booking_cancelled to asha until 5m10s", "push booking_cancelled to ravi until 5m10s")
}

// TestFreeTrucksWakeAgain: whose offer was closed is woken when it opens again.
func TestFreeTrucksWakeAgain(t *testing.T) {
	t.Parallel()
	w, ids := nudging(t, 1), map[string]bool{}
	w.nudged(ids)
	trips := w.confirm(asha, 1)
	w.accept(trips[0])
	w.nudged(ids)
	w.drive(trips[0], trip.Cancel{By: trip.By{User: asha, Role: "transporter"}, Reason: "engine"})
	got := w.nudged(ids)
	until := time.UnixMilli(w.s.ExpiresMS).Sub(start)
	want := []string{fmt.Sprintf("push new_broadcast to asha until %s", until), fmt.Sprintf("push new_broadcast to ravi until %s", until)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOfferPush: what wakes a transporter names the order and what it is about, and nobody's phone.
func TestOfferPush(t *testing.T) {
	t.Parallel()
	w := nudging(t, 2)
	tr, _, err := w.last.Transition(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got nudge.Push
	if err := json.Unmarshal(tr.Outbox[0].Body, &got); err != nil {
		t.Fatal(err)
	}
	offer, _ := w.s.OfferData(asha)
	id := w.s.ID
	want := nudge.Push{
		Type: "new_broadcast", Title: "New order near you", Body: "Bengaluru to Chennai: open 17 Feet, 2 needed, ₹9000 each", Urgent: true, Tag: "order:" + id,
		Data: map[string]string{
			"type": "new_broadcast", "legacyType": "new_truck_request", "orderId": id, "broadcastId": id, "bookingId": id, "eventId": offer.EventID,
			"payloadVersion": "1", "dispatchRevision": "1", "expiresAt": "2026-01-26T06:02:00.000Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNobodySendsNothingWaits: without senders nothing is written for them.
func TestNobodySendsNothingWaits(t *testing.T) {
	t.Parallel()
	w := born(t, 1)
	w.nudgedAre(map[string]bool{})
	w.fire(order.SearchTimer)
	w.nudgedAre(map[string]bool{})
}
