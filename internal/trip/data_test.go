package trip_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/trip"
)

// TestEventData pins every event as its recipients get it: ids, times in ms, both coordinate
// spellings, the customer's phone masked. The file is a promise to clients in people's hands.
func TestEventData(t *testing.T) {
	t.Parallel()
	a := assignment()
	a.OrderID, a.Slot = "b1", "s1"
	var lines []ledger.Event
	record := func(d trip.Decision, err error) trip.State {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		tr, _, err := d.Transition(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, tr.Events...)
		return d.State
	}
	p := trip.DefaultPolicy()
	born := record(trip.Born(a, start, p))
	record(trip.Decide(born, trip.TimerFired{Name: trip.AcceptTimer, Number: 1}, start.Add(45*time.Second), p))
	accepted := record(trip.Decide(born, trip.Accept{By: people["driver"]}, start.Add(9*time.Second), p))
	record(trip.Decide(accepted, trip.ChangeStatus{By: people["driver"], To: trip.EnRoutePickup}, start.Add(time.Minute), p))
	record(trip.Decide(accepted, trip.TimerFired{Name: trip.SilenceTimer, Number: 2}, start.Add(7*time.Hour), p))
	record(trip.Decide(accepted, trip.Cancel{By: people["customer"], Reason: "plans changed"}, start.Add(time.Minute), p))

	var got bytes.Buffer
	for _, e := range lines {
		b, err := json.MarshalIndent(e, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(b, '\n'))
	}
	const file = "testdata/events.golden.json"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if bytes.Contains(got.Bytes(), []byte("9876543210")) {
		t.Error("the customer's phone is in an event")
	}
	ids := map[string]bool{}
	for _, e := range lines[:1] {
		ids[e.ID] = true
	}
	for _, e := range lines[1:3] { // one decision, two events
		if ids[e.ID] {
			t.Errorf("two events have the id %s", e.ID)
		}
		ids[e.ID] = true
	}
}

func TestBornRefuses(t *testing.T) {
	t.Parallel()
	for name, break_ := range map[string]func(*trip.Assignment){
		"no pickup":         func(a *trip.Assignment) { a.Pickup = trip.Place{} },
		"drop out of range": func(a *trip.Assignment) { a.Drop.Latitude = 91 },
	} {
		a := assignment()
		break_(&a)
		if _, err := trip.Born(a, start, trip.DefaultPolicy()); fault.From(err).Reason != "VALIDATION_ERROR" {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := assignment()
	a.Driver = ""
	_, err := trip.Born(a, start, trip.DefaultPolicy())
	if err == nil {
		t.Fatal("a trip was born without a driver")
	}
	for _, secret := range []string{a.Names.DriverPhone, a.Names.CustomerPhone} {
		if secret == "" || strings.Contains(err.Error(), secret) {
			t.Errorf("phone %q in: %v", secret, err)
		}
	}
}

// TestSnapshotKeys: the keys that stores extract columns from are part of the schema; absent parts
// have no key, so that a unique index over them stays silent.
func TestSnapshotKeys(t *testing.T) {
	t.Parallel()
	keys := func(a trip.Assignment) map[string]any {
		d, err := trip.Born(a, start, trip.DefaultPolicy())
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := d.State.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(snapshot, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	full := assignment()
	full.OrderID, full.Slot = "b1", "s1"
	m := keys(full)
	for key, want := range map[string]any{
		"id": full.ID, "status": "pending", "live": true, "driverId": string(driver), "vehicleId": "e1",
		"transporterId": string(transporter), "customerId": string(customer), "orderId": "b1", "slot": "s1",
	} {
		if m[key] != want {
			t.Errorf("%s is %v; want %v", key, m[key], want)
		}
	}
	bare := assignment()
	bare.Customer = ""
	m = keys(bare)
	for _, key := range []string{"customerId", "orderId", "slot"} {
		if v, there := m[key]; there {
			t.Errorf("%s is there: %v", key, v)
		}
	}
	if _, err := trip.Load(json.RawMessage(`{"id":1}`)); err == nil {
		t.Error("a broken snapshot was read")
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	d, err := trip.Born(assignment(), start, trip.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	forFleet, forCustomer := d.State.Summary(fleet.Driver), d.State.Summary(fleet.Customer)
	if forFleet.DriverPhone != "+919123456789" || forCustomer.DriverPhone != "+91******6789" {
		t.Errorf("driver's phone: fleet %q, customer %q", forFleet.DriverPhone, forCustomer.DriverPhone)
	}
	if forFleet.CustomerPhone != "+91******3210" || forFleet.DistanceKm != 290 || forFleet.ExpiresMS != start.Add(45*time.Second).UnixMilli() {
		t.Errorf("%+v", forFleet)
	}
	if forOps := d.State.Summary(fleet.Ops); forOps.DriverPhone != "+91******6789" {
		t.Errorf("driver's phone for ops: %q", forOps.DriverPhone)
	}
	if trip.ShortPhone("") != "" {
		t.Error("an unknown phone became one")
	}
}

// TestWindow: fixes belong to a trip from 5 s before its acceptance, because of phones' clocks, to its
// end + 10 min, both included.
func TestWindow(t *testing.T) {
	t.Parallel()
	s := trip.State{}
	if s.Covers(start.UnixMilli()) {
		t.Error("a trip that nobody accepted takes fixes")
	}
	s.AcceptedMS = start.UnixMilli()
	end := start.Add(time.Hour)
	for at, want := range map[time.Duration]bool{-5*time.Second - time.Millisecond: false, -5 * time.Second: true, 0: true, 100 * time.Hour: true} {
		if s.Covers(start.Add(at).UnixMilli()) != want {
			t.Errorf("live, at %v: want %v", at, want)
		}
	}
	s.EndedMS = end.UnixMilli()
	for at, want := range map[time.Duration]bool{10 * time.Minute: true, 10*time.Minute + time.Millisecond: false} {
		if s.Covers(end.Add(at).UnixMilli()) != want {
			t.Errorf("ended, %v after: want %v", at, want)
		}
	}
}

// TestWhomATripConcerns: everybody on it in his own role, and ops; a driver only for the fleet that he drove it for.
func TestWhomATripConcerns(t *testing.T) {
	t.Parallel()
	s := trip.State{DriverID: driver, TransporterID: transporter, CustomerID: customer}
	for by, want := range map[trip.By]bool{
		people["driver"]: true, people["transporter"]: true, people["customer"]: true, people["ops"]: true,
		people["former"]: false, people["stranger"]: false, {}: false, {Role: fleet.Customer}: false,
		{User: driver, Role: fleet.Driver}:                              false, // of no fleet
		{User: driver, Role: fleet.Customer, Fleet: transporter}:        false,
		{User: transporter, Role: fleet.Driver, Fleet: transporter}:     false,
		{User: transporter, Role: fleet.Customer}:                       false,
		{User: rival, Role: fleet.Transporter, Fleet: transporter}:      false,
		{User: driver, Fleet: transporter}:                              false,
		{User: driver, Role: "admin", Fleet: transporter}:               false,
		{User: customer, Role: fleet.Transporter, Fleet: transporter}:   false,
		{User: "C2", Role: fleet.Customer, Fleet: transporter}:          false,
		{User: transporter, Role: fleet.Transporter, Fleet: "whatever"}: true,
	} {
		if s.Concerns(by) != want {
			t.Errorf("%+v: want %v", by, want)
		}
	}
	if (trip.State{}).Concerns(trip.By{Role: fleet.Driver}) || (trip.State{}).Concerns(trip.By{Role: fleet.Customer}) {
		t.Error("nobody's trip concerns nobody")
	}
}

// TestOnlyItsPeopleCommandATrip: the driver of a trip who drives for another fleet by now is refused like a
// stranger, in every state, and so is everybody in another role than his own there.
func TestOnlyItsPeopleCommandATrip(t *testing.T) {
	t.Parallel()
	p := trip.DefaultPolicy()
	may := map[string][]string{
		"accept": {"driver"}, "decline": {"driver"}, "step": {"driver"}, "breakdown": {"driver", "transporter"},
		"cancel": {"customer", "transporter", "ops"},
	}
	for _, status := range trip.Statuses() {
		s := trip.State{DriverID: driver, TransporterID: transporter, CustomerID: customer, Status: status, Live: !status.Terminal()}
		for who, by := range people {
			if who == "order" {
				continue
			}
			for name, c := range map[string]trip.Command{
				"accept": trip.Accept{By: by}, "decline": trip.Decline{By: by}, "step": trip.ChangeStatus{By: by, To: trip.AtPickup},
				"breakdown": trip.BreakDown{By: by}, "cancel": trip.Cancel{By: by},
			} {
				_, err := trip.Decide(s, c, start, p)
				if refused := errors.Is(err, trip.ErrNotFound); refused == slices.Contains(may[name], who) {
					t.Errorf("%s: %s by the %s: %v", status, name, who, err)
				}
			}
		}
	}
}
