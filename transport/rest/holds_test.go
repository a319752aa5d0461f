package rest_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/transport/rest"
)

// TestAHoldFromBeginToEnd: a hold is found again, made longer, given up and made anew.
func TestAHoldFromBeginToEnd(t *testing.T) {
	t.Parallel()
	onBothStores(t, aHoldFromBeginToEnd)
}

func aHoldFromBeginToEnd(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(2).Order.ID
	owner := keyed(y.asOwner())
	var held, again rest.HoldData
	owner.Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)).Want(200).Data(&held)
	if !strings.HasPrefix(held.HoldID, "HOLD_") || len(held.HoldID) != 13 || held.HeldQuantity != 1 || held.HoldState != "reserved" || held.OrderID != id {
		t.Errorf("held %+v", held)
	}
	before := y.dispatched()
	owner.Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)).Want(200).Data(&again)
	again.ServerTimeMS = held.ServerTimeMS
	if diff := compared(held, again); diff != "" {
		t.Errorf("replayed (-first +again):\n%s", diff)
	}
	keyed(y.asOwner()).Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)).Want(200).Data(&again) // his hold is his hold
	if again.HoldID != held.HoldID {
		t.Errorf("two holds: %+v and %+v", held, again)
	}
	owner.Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 2)).Refused(409, "IDEMPOTENCY_CONFLICT")
	keyed(y.asOwner()).Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 2)).Refused(409, "ALREADY_HOLDING")
	keyed(y.asRival()).Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 2)).Refused(409, "NOT_ENOUGH_AVAILABLE")
	if after := y.dispatched(); after != before {
		t.Errorf("replays and refusals changed %q to %q", before, after)
	}

	active := "/api/v1/truck-hold/my-active?orderId=" + id + "&vehicleType=Open&vehicleSubtype=17ft"
	var mine *rest.ActiveHoldData
	y.asOwner().Call("GET", active, nil).Want(200).Data(&mine)
	if mine == nil || mine.HoldID != held.HoldID || mine.Quantity != 1 || mine.Phase != "FLEX" || !mine.CanExtend || mine.VehicleSubtype != "17 Feet" {
		t.Fatalf("mine %+v", mine)
	}
	y.asRival().Call("GET", active, nil).Want(200).Data(&mine)
	if mine != nil {
		t.Errorf("the rival has %+v", mine)
	}
	var left rest.AvailabilityData
	y.asRival().Call("GET", "/api/v1/truck-hold/availability/"+id, nil).Want(200).Data(&left)
	want := []rest.TruckAvailabilityData{{VehicleType: "open", VehicleSubtype: "17 Feet", TotalNeeded: 2, Available: 1, Held: 1, FarePerTruck: 9000}}
	if diff := cmp.Diff(want, left.Trucks); diff != "" || left.IsFull {
		t.Errorf("left (-want +got):\n%s", diff)
	}

	change := fmt.Sprintf(`{"holdId":%q}`, held.HoldID)
	extend, release := "/api/v1/truck-hold/flex-hold/extend", "/api/v1/truck-hold/release"
	var longer rest.ExtendedHoldData
	keyed(y.asOwner()).Call("POST", extend, change).Want(200).Data(&longer)
	if longer.AddedSeconds != 30 || longer.TotalSeconds != 120 || longer.Extended != 1 || !longer.CanExtend || longer.ExpiresAt.String() != longer.NewExpiresAt.String() {
		t.Errorf("longer %+v", longer)
	}
	keyed(y.asOwner()).Call("POST", extend, change).Want(200).Data(&longer)
	if longer.AddedSeconds != 10 || longer.TotalSeconds != 130 || longer.CanExtend {
		t.Errorf("longest %+v", longer)
	}
	keyed(y.asOwner()).Call("POST", extend, change).Refused(400, "FLEX_HOLD_CONFLICT")
	keyed(y.asRival()).Call("POST", extend, change).Refused(404, "HOLD_NOT_FOUND")
	keyed(y.asRival()).Call("POST", release, change).Refused(404, "HOLD_NOT_FOUND")
	keyed(y.asOwner()).Call("POST", release, change).Want(200)
	keyed(y.asOwner()).Call("POST", release, change).Want(200)
	y.asOwner().Call("GET", active, nil).Want(200).Data(&mine)
	if mine != nil {
		t.Errorf("after release: %+v", mine)
	}
	if now := y.hold(id, 2); now.HoldID == held.HoldID || now.HeldQuantity != 2 {
		t.Errorf("held anew: %+v", now)
	}
}

// TestAConfirmationIsAllOrNothing: one wrong vehicle or driver, and no trip is born.
func TestAConfirmationIsAllOrNothing(t *testing.T) {
	t.Parallel()
	onBothStores(t, aConfirmationIsAllOrNothing)
}

func aConfirmationIsAllOrNothing(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(2).Order.ID
	held := y.hold(id, 2)
	const confirm = "/api/v1/truck-hold/confirm-with-assignments"
	mine := func(i int) pick { return pick{y.trucks[i], y.drivers[i]} }
	before := y.dispatched()
	for name, c := range map[string]struct {
		picks  []pick
		reason string
	}{
		"another fleet's driver": {[]pick{mine(0), {y.trucks[1], y.rivalDriver}}, "DRIVER_NOT_IN_FLEET"},
		"another fleet's truck":  {[]pick{mine(0), {y.rivalTruck, y.drivers[1]}}, "VEHICLE_NOT_IN_FLEET"},
		"an unknown truck":       {[]pick{mine(0), {"v1", y.drivers[1]}}, "VEHICLE_NOT_IN_FLEET"},
		"an unknown driver":      {[]pick{mine(0), {y.trucks[1], "d1"}}, "DRIVER_NOT_IN_FLEET"},
		"one truck twice":        {[]pick{mine(0), {y.trucks[0], y.drivers[1]}}, "DUPLICATE_PICK"},
	} {
		refused := keyed(y.asOwner()).Call("POST", confirm, confirmJSON(held.HoldID, c.picks...)).Refused(400, "CONFIRM_FAILED")
		if !strings.Contains(string(refused.Raw), `"failedAssignments":[{"vehicleId"`) || !strings.Contains(string(refused.Raw), c.reason) {
			t.Errorf("%s: %s", name, refused.Raw)
		}
	}
	keyed(y.asOwner()).Call("POST", confirm, confirmJSON(held.HoldID, mine(0))).Refused(400, "VALIDATION_ERROR")
	keyed(y.asRival()).Call("POST", confirm, confirmJSON(held.HoldID, pick{y.rivalTruck, y.rivalDriver}, mine(0))).Refused(404, "HOLD_NOT_FOUND")
	keyed(y.asOwner()).Call("POST", confirm, confirmJSON("HOLD_00000000", mine(0), mine(1))).Refused(404, "HOLD_NOT_FOUND")
	if after := y.dispatched(); after != before {
		t.Errorf("refusals changed %q to %q", before, after)
	}

	var first, again rest.ConfirmedHoldData
	owner := keyed(y.asOwner())
	owner.Call("POST", confirm, confirmJSON(held.HoldID, mine(0), mine(1))).Want(200).Data(&first)
	owner.Call("POST", confirm, confirmJSON(held.HoldID, mine(0), mine(1))).Want(200).Data(&again)
	if diff := cmp.Diff(first, again); diff != "" || len(first.TripIDs) != 2 || first.TripIDs[0] != first.AssignmentIDs[0] {
		t.Errorf("confirmed %+v; replayed (-first +again):\n%s", first, diff)
	}
	keyed(y.asOwner()).Call("POST", confirm, confirmJSON(held.HoldID, mine(0), mine(1))).Want(200).Data(&again)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("with another key (-first +again):\n%s", diff)
	}
	owner.Call("POST", confirm, confirmJSON(held.HoldID, mine(1), mine(0))).Refused(409, "IDEMPOTENCY_CONFLICT")
	keyed(y.asOwner()).Call("POST", "/api/v1/truck-hold/release", `{"holdId":"`+held.HoldID+`"}`).Refused(409, "TRUCK_STATE_CHANGED")

	var assignment rest.AssignmentData
	y.asDriver(0).Call("GET", "/api/v1/assignments/"+first.TripIDs[0], nil).Want(200).Data(&assignment)
	if assignment.BookingID != id || assignment.OrderID != id || assignment.PricePerTruck != 9000 || assignment.CustomerPhone != "+91******0001" {
		t.Errorf("assignment %+v", assignment)
	}
}

// TestADeclinedTruckIsSearchedAgain: the slot of a driver who refuses is free for others at once.
func TestADeclinedTruckIsSearchedAgain(t *testing.T) {
	t.Parallel()
	onBothStores(t, aDeclinedTruckIsSearchedAgain)
}

func aDeclinedTruckIsSearchedAgain(y *yard) {
	y.t.Helper()
	y.open()
	id := y.order(1).Order.ID
	trip := y.confirm(y.hold(id, 1).HoldID, 1)[0]
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+trip+"/decline", `{"reason":"far"}`).Want(200)
	y.eventually("the truck is searched again", func() bool {
		var detail rest.OrderDetailData
		y.asCustomer().Call("GET", "/api/v1/bookings/orders/"+id, nil).Want(200).Data(&detail)
		return detail.Requests[0].Status == "searching" && detail.Requests[0].TripID == nil
	})
	keyed(y.asRival()).Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)).Want(200)
}

// TestOneOfManyHoldsTheLastTruck: of two transporters with five phones each, who hold at one moment, one
// has the truck on each of his phones and the other on none.
func TestOneOfManyHoldsTheLastTruck(t *testing.T) {
	t.Parallel()
	onBothStores(t, oneOfManyHoldsTheLastTruck)
}

func oneOfManyHoldsTheLastTruck(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(1).Order.ID
	var wg sync.WaitGroup
	const phones = 5
	var statuses [2][phones]int
	start := make(chan struct{})
	for who := range statuses {
		for i := range phones {
			client := keyed(y.asOwner())
			if who == 1 {
				client = keyed(y.asRival())
			}
			wg.Go(func() {
				<-start
				statuses[who][i] = client.Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)).Status
			})
		}
	}
	close(start)
	wg.Wait()
	all := func(status int) (a [phones]int) {
		for i := range a {
			a[i] = status
		}
		return a
	}
	if won, lost := all(200), all(409); statuses != [2][phones]int{won, lost} && statuses != [2][phones]int{lost, won} {
		t.Errorf("two hold the last truck: %v", statuses)
	}
}

// TestADeclinedOrderIsNotShownAgain: and a second decline is no error.
func TestADeclinedOrderIsNotShownAgain(t *testing.T) {
	t.Parallel()
	onBothStores(t, aDeclinedOrderIsNotShownAgain)
}

func aDeclinedOrderIsNotShownAgain(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(1).Order.ID
	const body = `{"driverId":"","reason":"DISTANCE_TOO_FAR","notes":"other side of the town"}`
	y.asOwner().Call("POST", "/api/v1/broadcasts/"+id+"/decline", body).Want(200)
	y.asOwner().Call("POST", "/api/v1/broadcasts/"+id+"/decline", body).Want(200)
	var feed rest.FeedData
	y.asOwner().Call("GET", "/api/v1/bookings/requests/active", nil).Want(200).Data(&feed)
	if feed.Count != 0 {
		t.Errorf("still shown: %+v", feed)
	}
	y.asRival().Call("GET", "/api/v1/bookings/requests/active", nil).Want(200).Data(&feed)
	if feed.Count != 1 {
		t.Errorf("the rival sees %+v", feed)
	}
	stranger := y.enrol("transporter", "+919876543299", "Far Away", "")
	y.as(stranger, "transporter").Call("POST", "/api/v1/broadcasts/"+id+"/decline", body).Refused(404, "ORDER_NOT_FOUND")
	y.as(stranger, "transporter").Call("POST", "/api/v1/broadcasts/"+uuid.NewString()+"/decline", body).Refused(404, "ORDER_NOT_FOUND")
}

// TestARepeatedExtensionIsTheFirst: whenever it comes, also when the hold has run out meanwhile.
func TestARepeatedExtensionIsTheFirst(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	y := openYard(t, dev(t), func(y *yard) { y.orderClock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	y.open()
	held := y.hold(y.order(2).Order.ID, 2)
	const extend = "/api/v1/truck-hold/flex-hold/extend"
	change := fmt.Sprintf(`{"holdId":%q}`, held.HoldID)
	owner := keyed(y.asOwner())
	var first rest.ExtendedHoldData
	owner.Call("POST", extend, change).Want(200).Data(&first)
	if first.Phase != "FLEX" || !first.CanExtend || first.RemainingSeconds < 100 {
		t.Fatalf("the first %+v", first)
	}
	first.RemainingSeconds = 0 // counts down
	repeated := func(when string) {
		t.Helper()
		var again rest.ExtendedHoldData
		owner.Call("POST", extend, change).Want(200).Data(&again)
		if ahead.Load() != 0 && again.RemainingSeconds != 0 {
			t.Errorf("%s %d seconds are left", when, again.RemainingSeconds)
		}
		again.RemainingSeconds = 0
		if diff := cmp.Diff(first, again, cmp.Comparer(func(a, b rest.Timestamp) bool { return a.String() == b.String() })); diff != "" {
			t.Errorf("%s (-first +again):\n%s", when, diff)
		}
	}
	repeated("at once")
	keyed(y.asOwner()).Call("POST", extend, change).Want(200)
	repeated("after another one")
	keyed(y.asOwner()).Call("POST", "/api/v1/truck-hold/release", change).Want(200)
	repeated("after its release")
	ahead.Store(int64(time.Hour))
	repeated("an hour later")
}
