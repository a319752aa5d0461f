package trip_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
	"weelo/internal/trip"
)

// pushed lists the push messages of a decision as "type to recipient until seconds after start", and
// checks that each is about the trip, names nobody's phone and has an id of its own.
func pushed(t *testing.T, ids map[string]bool, d trip.Decision, err error) (lines []string, last ledger.Message) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	tr, _, err := d.Transition(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tr.Outbox {
		if ids[m.ID] {
			t.Errorf("%s: id %s a second time", m.Type, m.ID)
		}
		ids[m.ID] = true
		if m.Channel != nudge.PushChannel {
			continue
		}
		var p nudge.Push
		if err := json.Unmarshal(m.Body, &p); err != nil {
			t.Fatal(err)
		}
		eventKnown := false
		for _, e := range tr.Events {
			eventKnown = eventKnown || e.ID == p.Data["eventId"]
		}
		if p.Data["type"] != m.Type || p.Data["tripId"] != d.State.ID || !eventKnown || p.Title == "" || p.Body == "" || strings.Contains(string(m.Body), "987654") {
			t.Errorf("%s: %s", m.Type, m.Body)
		}
		lines = append(lines, fmt.Sprintf("%s to %s until %s", m.Type, m.To[:2], m.Deadline.Sub(start)))
		last = m
	}
	return lines, last
}

// TestPushes: who is woken by what, and until when that is worth something.
func TestPushes(t *testing.T) {
	t.Parallel()
	p := trip.DefaultPolicy()
	p.Push, p.NearPickupM, p.NearDropM = true, 0, 0
	a := assignment()
	a.OrderID, a.Slot = "b1", "s1"
	ids := map[string]bool{}
	born, err := trip.Born(a, start, p)
	got, assigned := pushed(t, ids, born, err)
	step := func(s trip.State, c trip.Command, after time.Duration) trip.State {
		t.Helper()
		d, err := trip.Decide(s, c, start.Add(after), p)
		lines, _ := pushed(t, ids, d, err)
		got = append(got, lines...)
		return d.State
	}
	step(born.State, trip.TimerFired{Name: trip.AcceptTimer, Number: 1}, 45*time.Second)
	ids = map[string]bool{} // another branch of the same life
	s := step(born.State, trip.Accept{By: people["driver"]}, 9*time.Second)
	step(s, trip.Cancel{By: people["customer"], Reason: "plans changed"}, time.Minute)
	ids = map[string]bool{}
	step(s, trip.BreakDown{By: people["driver"], Note: "engine"}, time.Minute) // he knows himself
	ids = map[string]bool{}
	for i, to := range []trip.Status{trip.EnRoutePickup, trip.AtPickup, trip.LoadingComplete, trip.InTransit, trip.ArrivedAtDrop, trip.Completed} {
		s = step(s, trip.ChangeStatus{By: people["driver"], To: to}, time.Duration(i+1)*time.Minute)
	}
	want := []string{
		"trip_assigned to d1 until 45s",
		"driver_timeout to a1 until 15m45s",
		"driver_assigned to c1 until 15m9s",
		"trip_cancelled to d1 until 16m0s",
		"trip_started to c1 until 19m0s",
		"trip_completed to c1 until 21m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var data nudge.Push
	if err := json.Unmarshal(assigned.Body, &data); err != nil {
		t.Fatal(err)
	}
	delete(data.Data, "eventId")
	wantData := map[string]string{
		"type": "trip_assigned", "tripId": a.ID, "assignmentId": a.ID, "orderId": "b1", "bookingId": "b1", "truckRequestId": "s1",
		"vehicleNumber": "KA01AB1234", "pickupAddress": "Majestic", "pickupCity": "Bengaluru", "pickupLat": "12.971600", "pickupLng": "77.594600",
		"dropAddress": "Koyambedu", "dropCity": "Chennai", "dropLat": "13.082700", "dropLng": "80.270700", "fare": "0", "farePerTruck": "0",
		"distanceKm": "290", "customerName": "Asha", "assignedAt": "2026-01-26T06:00:00.000Z", "expiresAt": "2026-01-26T06:00:45.000Z",
		"driverAcceptTimeoutSeconds": "45",
	}
	if diff := cmp.Diff(wantData, data.Data); diff != "" || !data.Urgent {
		t.Errorf("trip_assigned (-want +got):\n%s", diff)
	}
}

// TestPushesAreWrittenForSomebody: without a provider, or without a known customer, nothing waits in
// vain.
func TestPushesAreWrittenForSomebody(t *testing.T) {
	t.Parallel()
	p := trip.DefaultPolicy()
	born, err := trip.Born(assignment(), start, p)
	if lines, _ := pushed(t, map[string]bool{}, born, err); lines != nil {
		t.Errorf("no provider: %v", lines)
	}
	p.Push = true
	a := assignment()
	a.Customer = fleet.UserID("")
	if born, err = trip.Born(a, start, p); err != nil {
		t.Fatal(err)
	}
	d, err := trip.Decide(born.State, trip.Accept{By: people["driver"]}, start, p)
	if lines, _ := pushed(t, map[string]bool{}, d, err); lines != nil {
		t.Errorf("no customer: %v", lines)
	}
}
