package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

func TestATripFromAssignmentToCompletion(t *testing.T) {
	t.Parallel()
	onBothStores(t, aTripFromAssignmentToCompletion)
}

func aTripFromAssignmentToCompletion(y *yard) {
	t := y.t
	t.Helper()
	var born rest.AssignmentData
	answer := y.asOwner().With("X-Idempotency-Key", "key-1").Call("POST", "/api/v1/assignments", assignJSON(y.trucks[0], y.drivers[0])).Want(201).Data(&born)
	if born.ID == "" || born.TripID != born.ID || born.Status != "pending" || born.DriverPhone != "9123456781" || born.CustomerPhone != "+91******0001" ||
		born.PickupLat != 12.9716 || born.Drop.Lat != 12.2958 || born.Drop.Latitude != 12.2958 || born.TotalStops != 2 || born.DistanceKm == 0 {
		t.Errorf("born as %+v", born)
	}
	if !strings.Contains(string(answer.Raw), `"bookingId":""`) || strings.Contains(string(answer.Raw), "9000000001") {
		t.Errorf("bookingId is null or a customer's phone is whole: %s", answer.Raw)
	}

	driver := y.asDriver(0)
	var accepted rest.AssignmentData
	driver.Call("PATCH", "/api/v1/assignments/"+born.ID+"/accept", nil).Want(200).Data(&accepted)
	if accepted.Status != "driver_accepted" || time.Time(accepted.AcceptedAt).IsZero() {
		t.Errorf("accepted as %+v", accepted)
	}
	driver.Call("PATCH", "/api/v1/assignments/"+born.ID+"/accept", nil).Want(200) // the reply was lost
	for _, step := range []string{"at_pickup", "loading_complete", "in_transit", "in_transit", "completed", "completed"} {
		driver.Call("PUT", "/api/v1/tracking/trip/"+born.ID+"/status", `{"status":"`+step+`"}`).Want(200)
	}
	driver.Call("PUT", "/api/v1/tracking/trip/"+born.ID+"/status", `{"status":"in_transit"}`).Refused(400, "TRIP_ALREADY_COMPLETED")

	var seen rest.AssignmentData
	y.asCustomer().Call("GET", "/api/v1/assignments/"+born.ID, nil).Want(200).Data(&seen)
	if seen.Status != "completed" || strings.Contains(seen.DriverPhone, "9123456781") {
		t.Errorf("the customer sees %+v", seen)
	}
	y.asRival().Call("GET", "/api/v1/assignments/"+born.ID, nil).Refused(404, "ASSIGNMENT_NOT_FOUND")
	y.assign(0) // driver and truck are free again
}

func TestTheSameKeyAssignsOnce(t *testing.T) {
	t.Parallel()
	onBothStores(t, theSameKeyAssignsOnce)
}

func theSameKeyAssignsOnce(y *yard) {
	t := y.t
	t.Helper()
	owner := y.asOwner().With("X-Idempotency-Key", "key-1")
	first := owner.Call("POST", "/api/v1/assignments", assignJSON(y.trucks[0], y.drivers[0])).Want(201)
	before := y.rows()
	again := owner.Call("POST", "/api/v1/assignments", strings.ReplaceAll(assignJSON(y.trucks[0], y.drivers[0]), ":", " : ")).Want(201)
	var a, b rest.AssignmentData
	first.Data(&a)
	again.Data(&b)
	if diff := cmp.Diff(a, b, cmp.Comparer(func(x, y rest.Timestamp) bool { return x.String() == y.String() })); diff != "" {
		t.Errorf("replayed (-first +again):\n%s", diff)
	}
	owner.Call("POST", "/api/v1/assignments", assignJSON(y.trucks[1], y.drivers[1])).Want(409)
	if after := y.rows(); after != before {
		t.Errorf("a replay changed %q to %q", before, after)
	}
}

func TestADriverOrTruckIsOnOneTrip(t *testing.T) {
	t.Parallel()
	onBothStores(t, aDriverOrTruckIsOnOneTrip)
}

func aDriverOrTruckIsOnOneTrip(y *yard) {
	t := y.t
	t.Helper()
	y.assign(0)
	before := y.rows()
	y.asOwner().Call("POST", "/api/v1/assignments", assignJSON(y.trucks[1], y.drivers[0])).Refused(409, "DRIVER_BUSY")
	y.asOwner().Call("POST", "/api/v1/assignments", assignJSON(y.trucks[0], y.drivers[1])).Refused(409, "VEHICLE_UNAVAILABLE")
	if after := y.rows(); after != before {
		t.Errorf("refused, and yet %q became %q", before, after)
	}
}

func TestADeclinedTripFreesDriverAndTruck(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	id := y.assign(0)
	y.asDriver(1).Call("PATCH", "/api/v1/assignments/"+id+"/decline", `{"reason":"far"}`).Refused(404, "ASSIGNMENT_NOT_FOUND")
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+id+"/decline", `{"reason":"far"}`).Want(200)
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+id+"/decline", `{"reason":"far"}`).Want(200)
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+id+"/accept", nil).Refused(400, "ASSIGNMENT_STATE_CHANGED")
	y.assign(0)
	var page struct {
		Assignments []rest.AssignmentData
		Total       int
		HasMore     bool
	}
	y.asDriver(0).Call("GET", "/api/v1/assignments/driver?limit=1", nil).Want(200).Data(&page)
	if page.Total != 2 || !page.HasMore || len(page.Assignments) != 1 || page.Assignments[0].Status != "pending" {
		t.Errorf("first page %+v", page)
	}
	y.asDriver(0).Call("GET", "/api/v1/assignments/driver?status=driver_declined", nil).Want(200).Data(&page)
	if page.Total != 1 || page.HasMore || page.Assignments[0].Reason != "far" {
		t.Errorf("declined %+v", page)
	}
	y.asDriver(1).Call("GET", "/api/v1/assignments/driver", nil).Want(200).Data(&page)
	if page.Total != 0 {
		t.Errorf("another driver sees %+v", page)
	}
}

// TestBadInputChangesNothing is the table of what may come from outside.
func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	onBothStores(t, badInputChangesNothing)
}

func badInputChangesNothing(y *yard) {
	t := y.t
	t.Helper()
	id := y.accepted(0)
	unknown := uuid.NewString()
	good := assignJSON(y.trucks[1], y.drivers[1])
	without := func(field string) string {
		var body map[string]any
		if err := json.Unmarshal([]byte(good), &body); err != nil {
			t.Fatal(err)
		}
		delete(body, field)
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	point := func(fields string) string {
		return `{"tripId":"` + id + `","points":[{"latitude":12.9,"longitude":77.5,"timestamp":"2026-11-24T10:00:00.000Z"` + fields + `}]}`
	}
	status, batch, assign := "/api/v1/tracking/trip/"+id+"/status", "/api/v1/tracking/batch", "/api/v1/assignments"
	owner, rival, customer, driver, other := y.asOwner(), y.asRival(), y.asCustomer(), y.asDriver(0), y.asDriver(1)
	before := y.rows()
	refuse := func(name string, a resttest.Answer, status int, code string) {
		t.Helper()
		if a.Status != status {
			t.Errorf("%s: status %d, want %d: %s", name, a.Status, status, a.Raw)
			return
		}
		a.Refused(status, code)
	}
	const invalid = "VALIDATION_ERROR"
	refuse("nobody", y.Call("POST", assign, good), 401, "UNAUTHORIZED")
	refuse("garbage token", y.As("x.y.z").Call("POST", assign, good), 401, "UNAUTHORIZED")
	refuse("customer assigns", customer.Call("POST", assign, good), 403, "FORBIDDEN")
	refuse("driver assigns", driver.Call("POST", assign, good), 403, "FORBIDDEN")
	refuse("transporter accepts", owner.Call("PATCH", assign+"/"+id+"/accept", nil), 403, "FORBIDDEN")
	refuse("foreign driver", owner.Call("POST", assign, assignJSON(y.trucks[1], y.rivalDriver)), 404, "DRIVER_NOT_FOUND")
	refuse("unknown driver", owner.Call("POST", assign, strings.ReplaceAll(good, string(y.drivers[1]), unknown)), 404, "DRIVER_NOT_FOUND")
	refuse("foreign truck", owner.Call("POST", assign, assignJSON(y.rivalTruck, y.drivers[1])), 404, "VEHICLE_NOT_FOUND")
	refuse("unknown truck", owner.Call("POST", assign, strings.ReplaceAll(good, string(y.trucks[1]), unknown)), 404, "VEHICLE_NOT_FOUND")
	refuse("not a uuid", owner.Call("POST", assign, strings.ReplaceAll(good, string(y.trucks[1]), "v1")), 400, invalid)
	for _, field := range []string{"vehicleId", "driverId", "pickup", "drop"} {
		refuse("without "+field, owner.Call("POST", assign, without(field)), 400, invalid)
	}
	refuse("unknown field", owner.Call("POST", assign, `{"x":1,`+good[1:]), 400, invalid)
	refuse("twice", owner.Call("POST", assign, `{"vehicleId":"`+unknown+`",`+good[1:]), 400, invalid)
	refuse("other case", owner.Call("POST", assign, strings.Replace(good, "vehicleId", "vehicleid", 1)), 400, invalid)
	refuse("trailing", owner.Call("POST", assign, good+"{}"), 400, invalid)
	refuse("not JSON", owner.Call("POST", assign, "vehicleId=1"), 400, invalid)
	refuse("latitude 91", owner.Call("POST", assign, strings.Replace(good, "12.9716", "91", 1)), 400, invalid)
	refuse("latitude a string", owner.Call("POST", assign, strings.Replace(good, "12.9716", `"12.9716"`, 1)), 400, invalid)
	refuse("0,0", owner.Call("POST", assign, strings.NewReplacer("12.9716", "0", "77.5946", "0").Replace(good)), 400, invalid)
	refuse("no phone", owner.Call("POST", assign, strings.Replace(good, "9000000001", "12345", 1)), 400, invalid)
	refuse("oversized", owner.Call("POST", assign, strings.Replace(good, "Yard A", strings.Repeat("a", 20<<10), 1)), 413, "PAYLOAD_TOO_LARGE")
	refuse("form", owner.With("Content-Type", "application/x-www-form-urlencoded").Call("POST", assign, good), 415, "UNSUPPORTED_MEDIA_TYPE")

	refuse("foreign accept", other.Call("PATCH", assign+"/"+id+"/accept", nil), 404, "ASSIGNMENT_NOT_FOUND")
	refuse("unknown accept", driver.Call("PATCH", assign+"/"+unknown+"/accept", nil), 404, "ASSIGNMENT_NOT_FOUND")
	refuse("odd id accept", driver.Call("PATCH", assign+"/1/accept", nil), 404, "ASSIGNMENT_NOT_FOUND")
	refuse("long id", driver.Call("PATCH", assign+"/"+strings.Repeat("a", 100)+"/accept", nil), 400, invalid)
	refuse("long reason", driver.Call("PATCH", assign+"/"+id+"/decline", `{"reason":"`+strings.Repeat("a", 501)+`"}`), 400, invalid)
	refuse("late decline", driver.Call("PATCH", assign+"/"+id+"/decline", `{}`), 400, "INVALID_STATUS")
	refuse("foreign step", other.Call("PUT", status, `{"status":"at_pickup"}`), 404, "ASSIGNMENT_NOT_FOUND")
	refuse("unknown step", driver.Call("PUT", status, `{"status":"flying"}`), 400, invalid)
	refuse("cancelled is no step", driver.Call("PUT", status, `{"status":"cancelled"}`), 400, invalid)
	refuse("step a number", driver.Call("PUT", status, `{"status":7}`), 400, invalid)
	refuse("no step", driver.Call("PUT", status, `{}`), 400, invalid)

	refuse("foreign batch", other.Call("POST", batch, point("")), 404, "TRACKING_NOT_FOUND")
	refuse("batch by owner", owner.Call("POST", batch, point("")), 403, "FORBIDDEN")
	refuse("unknown trip", driver.Call("POST", batch, strings.ReplaceAll(point(""), id, unknown)), 404, "TRACKING_NOT_FOUND")
	refuse("trip no uuid", driver.Call("POST", batch, strings.ReplaceAll(point(""), id, "TRIP-"+id)), 400, invalid)
	refuse("unknown field of a point", driver.Call("POST", batch, point(`,"x":1`)), 400, invalid)
	refuse("field twice in a point", driver.Call("POST", batch, point(`,"latitude":13`)), 400, invalid)
	refuse("speed a string", driver.Call("POST", batch, point(`,"speed":"fast"`)), 400, invalid)
	refuse("no points", driver.Call("POST", batch, `{"tripId":"`+id+`","points":[]}`), 400, invalid)
	refuse("points null", driver.Call("POST", batch, `{"tripId":"`+id+`","points":null}`), 400, invalid)
	refuse("101 points", driver.Call("POST", batch, points(id, 101)), 400, invalid)
	refuse("64 KiB", driver.Call("POST", batch, points(id, 900)), 413, "PAYLOAD_TOO_LARGE")
	refuse("update of a foreign trip", other.Call("POST", "/api/v1/tracking/update", `{"tripId":"`+id+`","latitude":12,"longitude":77}`), 404, "TRACKING_NOT_FOUND")
	refuse("update out of range", driver.Call("POST", "/api/v1/tracking/update", `{"tripId":"`+id+`","latitude":12,"longitude":181}`), 400, invalid)
	refuse("update without a readable time", driver.Call("POST", "/api/v1/tracking/update", `{"tripId":"`+id+`","latitude":12,"longitude":77,"timestamp":"now"}`), 400, invalid)

	for _, path := range []string{"/api/v1/assignments/", "/api/v1/tracking/", "/api/v1/tracking/history/", "/api/v1/trips/"} {
		code := "TRACKING_NOT_FOUND"
		if strings.Contains(path, "assignments") {
			code = "ASSIGNMENT_NOT_FOUND"
		}
		refuse("rival reads "+path, rival.Call("GET", path+id, nil), 404, code)
		refuse("other driver reads "+path, other.Call("GET", path+id, nil), 404, code)
		refuse("unknown "+path, driver.Call("GET", path+unknown, nil), 404, code)
	}
	refuse("cursor", driver.Call("GET", "/api/v1/tracking/history/"+id+"?cursor=abc", nil), 400, invalid)
	refuse("negative cursor", driver.Call("GET", "/api/v1/tracking/history/"+id+"?cursor=-5", nil), 400, invalid)
	refuse("limit", driver.Call("GET", "/api/v1/tracking/history/"+id+"?limit=100000", nil), 400, invalid)
	refuse("page 0", driver.Call("GET", "/api/v1/assignments/driver?page=0", nil), 400, invalid)
	refuse("unknown status", driver.Call("GET", "/api/v1/assignments/driver?status=flying", nil), 400, invalid)

	refuse("plate", owner.Call("PUT", "/api/v1/vehicles/upsert", `{"vehicleNumber":"12345","vehicleType":"open","vehicleSubtype":"17 Feet","capacity":"7"}`), 400, invalid)
	refuse("type", owner.Call("PUT", "/api/v1/vehicles/upsert", `{"vehicleNumber":"KA01AB0009","vehicleType":"boat","vehicleSubtype":"17 Feet","capacity":"7"}`), 400, invalid)
	refuse("rival's plate", owner.Call("PUT", "/api/v1/vehicles/upsert", `{"vehicleNumber":"KA01AB0003","vehicleType":"open","vehicleSubtype":"17 Feet","capacity":"7"}`), 409, "VEHICLE_EXISTS")
	refuse("rival's truck", owner.Call("GET", "/api/v1/vehicles/"+string(y.rivalTruck), nil), 404, "VEHICLE_NOT_FOUND")
	refuse("driver's switch by a customer", customer.Call("PUT", "/api/v1/driver/availability", `{"isOnline":true}`), 403, "FORBIDDEN")
	refuse("switch a string", driver.Call("PUT", "/api/v1/driver/availability", `{"isOnline":"yes"}`), 400, invalid)
	refuse("no switch", driver.Call("PUT", "/api/v1/driver/availability", `{}`), 400, invalid)
	refuse("heartbeat out of range", owner.Call("POST", "/api/v1/transporter/heartbeat", `{"latitude":-91,"longitude":0}`), 400, invalid)
	refuse("heartbeat of a foreign truck", owner.Call("POST", "/api/v1/transporter/heartbeat", `{"latitude":12,"longitude":77,"vehicleId":"`+string(y.rivalTruck)+`"}`), 400, invalid)
	if after := y.rows(); after != before {
		t.Errorf("bad input changed %q to %q", before, after)
	}
	if told := y.people.told(); len(told) != 0 {
		t.Errorf("bad input moved positions: %v", told)
	}
}

func points(trip string, n int) string {
	one := `{"latitude":12.9,"longitude":77.5,"timestamp":"2026-11-24T10:00:00.000Z"}`
	return `{"tripId":"` + trip + `","points":[` + strings.Repeat(one+",", n-1) + one + `]}`
}

// TestOfManyAssignmentsAtOnceOneWins: everybody asks for the same driver and truck at once.
func TestOfManyAssignmentsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	onBothStores(t, func(y *yard) {
		owner := y.asOwner()
		answers := make([]resttest.Answer, 12)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				answers[i] = owner.With("X-Idempotency-Key", fmt.Sprint("key-", i%4)).
					Call("POST", "/api/v1/assignments", assignJSON(y.trucks[0], y.drivers[0]))
			})
		}
		wg.Wait()
		born := map[string]bool{}
		for _, a := range answers {
			switch a.Status {
			case 201:
				var trip rest.AssignmentData
				a.Data(&trip)
				born[trip.ID] = true
			case 409:
			default:
				y.t.Errorf("answered %d: %s", a.Status, a.Raw)
			}
		}
		if len(born) != 1 {
			y.t.Errorf("%d trips were answered as born, want 1", len(born))
		}
		if rows := y.rows(); !strings.HasPrefix(rows, "1 trips") {
			y.t.Errorf("stored: %s", rows)
		}
	})
}

func TestATripThatDoesNotEndAsPlanned(t *testing.T) {
	t.Parallel()
	onBothStores(t, aTripThatDoesNotEndAsPlanned)
}

func aTripThatDoesNotEndAsPlanned(y *yard) {
	t := y.t
	t.Helper()
	id := y.assign(0)
	driver, status := y.asDriver(0), "/api/v1/tracking/trip/"+id+"/status"
	driver.Call("PATCH", "/api/v1/assignments/"+id+"/accept", nil).Want(200)
	driver.Call("PUT", status, `{"status":"partial_delivery","reason":"rain"}`).Refused(400, "INVALID_STATUS_TRANSITION")
	driver.Call("PUT", status, `{"status":"in_transit"}`).Want(200)
	driver.Call("PUT", status, `{"status":"partial_delivery"}`).Refused(400, "VALIDATION_ERROR")
	driver.Call("PUT", status, `{"status":"partial_delivery","reason":"rain"}`).Want(200)
	driver.Call("PUT", status, `{"status":"partial_delivery","reason":"rain"}`).Want(200)
	driver.Call("PUT", status, `{"status":"completed"}`).Refused(400, "TRIP_ALREADY_COMPLETED")

	id = y.assign(0) // driver and truck are free again
	path := "/api/v1/assignments/" + id + "/breakdown"
	y.asOwner().Call("POST", path, `{"note":"gearbox"}`).Refused(400, "TRIP_NOT_ACTIVE")
	driver.Call("PATCH", "/api/v1/assignments/"+id+"/accept", nil).Want(200)
	y.asRival().Call("POST", path, `{"note":"gearbox"}`).Refused(404, "ASSIGNMENT_NOT_FOUND")
	y.asCustomer().Call("POST", path, `{"note":"gearbox"}`).Refused(403, "FORBIDDEN")
	var broken rest.AssignmentData
	y.asOwner().Call("POST", path, `{"note":"gearbox"}`).Want(200).Data(&broken)
	if broken.Status != "cancelled" {
		t.Errorf("broken down as %+v", broken)
	}
	driver.Call("POST", path, `{}`).Want(200)
	y.assign(0)
}
