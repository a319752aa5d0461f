package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/internal/client"
)

// TestDispatchWalk is the ordered walk of the apps' contract (§7), its REST parts, against the real
// binary on dev and on serve: a fleet is set up and goes online, a customer asks for two trucks, the
// transporter holds and confirms them one by one, two drivers accept, drive and complete, and the
// customer follows. Left out are push registration, dashboards, geocoding and ratings.
func TestDispatchWalk(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...string) *stage{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &dispatchWalk{t: t, s: on(t, "OPS_PHONES="+opsPhone)} // with every limit on: nobody here is in a hurry
			w.transporterSetsUp()
			w.driversComeOnline()
			w.transporterGoesOnline()
			w.customerAsks()
			w.transporterSeesTheOffer()
			first := w.holdAndConfirm(0)
			w.driverAccepts(0, first)
			second := w.holdAndConfirm(1)
			w.driverAccepts(1, second)
			w.customerFollows(first, second)
			w.driverDrives(0, first)
			w.customerMayNotCancelNow()
			w.driverDrives(1, second)
			w.driverCompletes(0, first)
			w.driverCompletes(1, second)
			w.everythingIsOver(first, second)
			w.operatorsDecideTheDispute(first, second)
			w.customerCancelsAnother()
		})
	}
}

// dispatchWalk is the walk's memory.
type dispatchWalk struct {
	t *testing.T
	s *stage

	transporter, customer string    // tokens
	drivers               [2]string // tokens
	driverIDs, trucks     [2]string
	order, dispute        string
}

// call asks for a path below /api/v1/ and reads the data; anything but a success fails the walk.
func (w *dispatchWalk) call(token, method, path, key string, in, out any) client.Answer {
	w.t.Helper()
	api := w.s.api(token)
	if strings.HasPrefix(path, "admin/") {
		api.Reason = "ticket 4711"
	}
	a, err := api.Do(w.t.Context(), method, path, key, in)
	if err != nil || !a.Success {
		w.t.Fatalf("%s %s: %v %s", method, path, err, a.Body)
	}
	if out != nil {
		if err := json.Unmarshal(a.Data, out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, a.Body)
		}
	}
	return a
}

func (w *dispatchWalk) get(token, path string, out any) client.Answer {
	w.t.Helper()
	return w.call(token, http.MethodGet, path, "", nil, out)
}

// refused asks for what the server must refuse with a code.
func (w *dispatchWalk) refused(token, method, path, key string, in any, status int, code string) client.Answer {
	w.t.Helper()
	a, err := w.s.api(token).Do(w.t.Context(), method, path, key, in)
	if err != nil || a.Success || a.Status != status || a.Error.Code != code {
		w.t.Fatalf("%s %s: %v %d %s, want %d %s", method, path, err, a.Status, a.Body, status, code)
	}
	return a
}

type fields = map[string]any

// Steps 1 to 3: login, and what a fleet needs.
func (w *dispatchWalk) transporterSetsUp() {
	w.t.Helper()
	w.transporter = w.s.login(w.t, w.s.cast.transporterPhone, "transporter")
	w.drivers[0], w.driverIDs[0] = w.s.loginDriver(w.t), w.s.cast.driverID
	var profile struct{ User, Profile struct{ ID string } }
	w.get(w.transporter, "profile", &profile)
	if profile.User.ID == "" || profile.User != profile.Profile {
		w.t.Fatalf("profile %+v", profile)
	}
	for i, number := range []string{"KA51WK0001", "ka 51 wk 0002"} {
		var upserted struct {
			Vehicle struct{ ID, Status, VehicleKey string }
			IsNew   bool
		}
		w.call(w.transporter, http.MethodPut, "vehicles/upsert", "", fields{"vehicleNumber": number, "vehicleType": "open", "vehicleSubtype": "17 Feet", "capacity": "7 Ton"}, &upserted)
		if !upserted.IsNew || upserted.Vehicle.Status != "available" || upserted.Vehicle.VehicleKey != "open_17ft" {
			w.t.Fatalf("vehicle %+v", upserted)
		}
		w.trucks[i] = upserted.Vehicle.ID
	}
	w.secondDriverJoins()
	var vehicles struct{ Vehicles []struct{ ID string } }
	w.get(w.transporter, "vehicles/list", &vehicles)
	var drivers struct{ Drivers []struct{ ID string } }
	w.get(w.transporter, "driver/list", &drivers)
	for i := range 2 {
		if !slices.Contains(vehicles.Vehicles, struct{ ID string }{w.trucks[i]}) || !slices.Contains(drivers.Drivers, struct{ ID string }{w.driverIDs[i]}) {
			w.t.Fatalf("the fleet lacks a truck or a driver: %+v %+v", vehicles, drivers)
		}
	}
}

// secondDriverJoins with the code that goes to his own phone, and logs in with the one that goes to his
// transporter's (step 12).
func (w *dispatchWalk) secondDriverJoins() {
	w.t.Helper()
	const number = "9345600077"
	seen := len(lines(w.s.smsFile))
	w.call(w.transporter, http.MethodPost, "driver/onboard/initiate", "", fields{"phone": number, "name": "Walter Walker", "licenseNumber": "KA5120210007777"}, nil)
	var joined struct{ Driver struct{ ID string } }
	w.call(w.transporter, http.MethodPost, "driver/onboard/verify", "", fields{"phone": number, "otp": w.s.code(w.t, number, seen)}, &joined)
	w.driverIDs[1] = joined.Driver.ID
	seen = len(lines(w.s.smsFile))
	if err := w.s.api("").SendDriverOTP(w.t.Context(), number); err != nil {
		w.t.Fatal(err)
	}
	tokens, id, err := w.s.api("").VerifyDriverOTP(w.t.Context(), number, w.s.code(w.t, w.s.cast.transporterPhone, seen))
	if err != nil || id != joined.Driver.ID {
		w.t.Fatalf("the new driver logs in as %q: %v", id, err)
	}
	w.drivers[1] = tokens.AccessToken
}

// Steps 12 and 13: a driver who switched himself on is online while his socket is there.
func (w *dispatchWalk) driversComeOnline() {
	w.t.Helper()
	for i, token := range w.drivers {
		w.s.connect(w.t, token, fmt.Sprintf("phone-%d", i), nil)
		w.call(token, http.MethodPut, "driver/availability", "", fields{"isOnline": true}, nil)
		a := w.get(token, "tracking/active-trip", nil)
		if string(a.Data) != "null" {
			w.t.Fatalf("a driver without a trip has %s", a.Data)
		}
	}
	eventually(w.t, 20*time.Second, "both drivers online", func() bool {
		var list struct {
			Drivers []struct {
				ID       string
				IsOnline bool
			}
		}
		w.get(w.transporter, "driver/list", &list)
		online := 0
		for _, d := range list.Drivers {
			if d.IsOnline && slices.Contains(w.driverIDs[:], d.ID) {
				online++
			}
		}
		return online == 2
	})
}

// Steps 5 to 7: availability, heartbeat, and an empty feed.
func (w *dispatchWalk) transporterGoesOnline() {
	w.t.Helper()
	var switched struct{ IsAvailable bool }
	w.call(w.transporter, http.MethodPut, "transporter/availability", "", fields{"isAvailable": true}, &switched)
	w.get(w.transporter, "transporter/availability", &switched)
	if !switched.IsAvailable {
		w.t.Fatal("the transporter is not available")
	}
	w.heartbeat()
	var feed offerFeed
	w.get(w.transporter, "bookings/requests/active", &feed)
	if feed.Count != 0 || feed.SyncCursor == "" || feed.SnapshotUnchanged {
		w.t.Fatalf("feed %+v", feed)
	}
	w.get(w.transporter, "bookings/requests/active?syncCursor="+url.QueryEscape(feed.SyncCursor), &feed)
	if !feed.SnapshotUnchanged {
		w.t.Fatalf("feed again %+v", feed)
	}
}

type offerFeed struct {
	Orders []struct {
		Order    struct{ ID, CustomerPhone string }
		Requests []struct{ Status string }
	}
	Count             int
	SyncCursor        string
	SnapshotUnchanged bool
}

func (w *dispatchWalk) heartbeat() {
	w.t.Helper()
	eventually(w.t, 20*time.Second, "the transporter online", func() bool {
		var beat struct {
			Registered         bool
			IndexedVehicleKeys []string
		}
		w.call(w.transporter, http.MethodPost, "transporter/heartbeat", "", fields{"latitude": 12.9720, "longitude": 77.5950, "isOnTrip": false}, &beat)
		return beat.Registered && slices.Contains(beat.IndexedVehicleKeys, "open_17ft")
	})
}

// Steps 7 to 9: what the transporter's screens fetch.
func (w *dispatchWalk) transporterSeesTheOffer() {
	w.t.Helper()
	var feed offerFeed
	w.get(w.transporter, "bookings/requests/active", &feed)
	if feed.Count != 1 || feed.Orders[0].Order.ID != w.order || len(feed.Orders[0].Requests) != 2 || feed.Orders[0].Order.CustomerPhone == w.s.cast.customerPhone {
		w.t.Fatalf("feed %+v", feed)
	}
	var replay struct {
		Events []struct{ OrderID, EventType string }
	}
	w.get(w.transporter, "transporter/dispatch/replay?limit=50", &replay)
	if len(replay.Events) != 1 || replay.Events[0].OrderID != w.order || replay.Events[0].EventType != "broadcast_created" {
		w.t.Fatalf("replay %+v", replay)
	}
	var shown struct {
		Broadcast struct {
			BroadcastID                            string
			TotalTrucksNeeded, YourAvailableTrucks int
		}
	}
	if err := json.Unmarshal(w.get(w.transporter, "broadcasts/"+w.order, nil).Body, &shown); err != nil {
		w.t.Fatal(err)
	}
	if b := shown.Broadcast; b.BroadcastID != w.order || b.TotalTrucksNeeded != 2 || b.YourAvailableTrucks < 2 {
		w.t.Fatalf("broadcast %+v", shown)
	}
	var snapshot struct{ OrderID, State string }
	w.get(w.transporter, "bookings/orders/"+w.order+"/broadcast-snapshot", &snapshot)
	if snapshot.OrderID != w.order || snapshot.State != "active" {
		w.t.Fatalf("snapshot %+v", snapshot)
	}
}

// Steps 10 and 11: a hold, found again after a lost answer, and its confirmation, sent twice.
func (w *dispatchWalk) holdAndConfirm(i int) (trip string) {
	w.t.Helper()
	hold := fields{"orderId": w.order, "vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1}
	var held, again struct{ HoldID, HoldState string }
	w.call(w.transporter, http.MethodPost, "truck-hold/hold", uuid.NewString(), hold, &held)
	if held.HoldID == "" || held.HoldState != "reserved" {
		w.t.Fatalf("held %+v", held)
	}
	w.get(w.transporter, "truck-hold/my-active?orderId="+w.order+"&vehicleType=open&vehicleSubtype=17+Feet", &again)
	if again.HoldID != held.HoldID {
		w.t.Fatalf("hold %s is found as %s", held.HoldID, again.HoldID)
	}
	if i == 0 { // he gives it up, and takes another
		w.call(w.transporter, http.MethodPost, "truck-hold/release", uuid.NewString(), fields{"holdId": held.HoldID}, nil)
		w.call(w.transporter, http.MethodPost, "truck-hold/hold", uuid.NewString(), hold, &held)
	}
	key, confirm := uuid.NewString(), fields{"holdId": held.HoldID, "assignments": []fields{{"vehicleId": w.trucks[i], "driverId": w.driverIDs[i]}}}
	var first, second struct{ AssignmentIDs, TripIDs []string }
	w.call(w.transporter, http.MethodPost, "truck-hold/confirm-with-assignments", key, confirm, &first)
	w.call(w.transporter, http.MethodPost, "truck-hold/confirm-with-assignments", key, confirm, &second)
	if len(first.TripIDs) != 1 || !slices.Equal(first.TripIDs, second.TripIDs) || !slices.Equal(first.TripIDs, first.AssignmentIDs) {
		w.t.Fatalf("confirmed %+v, then %+v", first, second)
	}
	return first.TripIDs[0]
}

// Steps 14 and 15: the trip is there for its driver, who takes it.
func (w *dispatchWalk) driverAccepts(i int, trip string) {
	w.t.Helper()
	var mine struct{ TripID, OrderID, Status string }
	w.get(w.drivers[i], "tracking/active-trip", &mine)
	if mine.TripID != trip || mine.OrderID != w.order || mine.Status != "pending" {
		w.t.Fatalf("the driver's trip %+v", mine)
	}
	w.refused(w.drivers[1-i], http.MethodPatch, "assignments/"+trip+"/accept", "", nil, http.StatusNotFound, "ASSIGNMENT_NOT_FOUND")
	var accepted struct{ BookingID, VehicleNumber, DriverName, Status string }
	w.call(w.drivers[i], http.MethodPatch, "assignments/"+trip+"/accept", "", nil, &accepted)
	if accepted.BookingID != w.order || accepted.VehicleNumber == "" || accepted.DriverName == "" || accepted.Status != "driver_accepted" {
		w.t.Fatalf("accepted %+v", accepted)
	}
	w.call(w.drivers[i], http.MethodPatch, "assignments/"+trip+"/accept", "", nil, nil) // its answer was lost
	want := []string{"partially_filled", "fully_filled"}[i]
	eventually(w.t, 20*time.Second, want, func() bool {
		s := w.status()
		return s.Status == want && s.TrucksFilled == i+1 && s.IsActive
	})
}

// Steps 16 and 17: the driver's steps, and a batch of positions near the drop.
func (w *dispatchWalk) driverDrives(i int, trip string) {
	w.t.Helper()
	for _, step := range []string{"at_pickup", "loading_complete", "in_transit"} {
		w.call(w.drivers[i], http.MethodPut, "tracking/trip/"+trip+"/status", "", fields{"status": step}, nil)
	}
	point := fields{"latitude": 12.2985, "longitude": 76.6394, "speed": 11.2, "bearing": 180, "accuracy": 8, "timestamp": time.Now().UTC().Format(time.RFC3339Nano)}
	var batch struct{ Processed, Accepted int }
	w.call(w.drivers[i], http.MethodPost, "tracking/batch", "", fields{"tripId": trip, "points": []fields{point}}, &batch)
	if batch.Processed != 1 || batch.Accepted != 1 {
		w.t.Fatalf("batch %+v", batch)
	}
	eventually(w.t, 20*time.Second, "the position at the customer", func() bool {
		var at struct {
			Status            string
			Latitude          float64
			LocationAvailable bool
		}
		w.get(w.customer, "tracking/"+trip, &at)
		return at.LocationAvailable && at.Latitude == 12.2985 && at.Status == "in_transit"
	})
	var eta struct {
		ETAs map[string]struct{ DurationMinutes int }
	}
	w.get(w.customer, "tracking/booking/"+w.order+"/eta", &eta)
	if eta.ETAs[trip].DurationMinutes != 1 { // 300 m, 1.3 times as much by road, at 30 km/h
		w.t.Fatalf("eta %+v", eta)
	}
}

// Step 18.
func (w *dispatchWalk) driverCompletes(i int, trip string) {
	w.t.Helper()
	for range 2 { // a double tap
		w.call(w.drivers[i], http.MethodPut, "tracking/trip/"+trip+"/status", "", fields{"status": "completed"}, nil)
	}
}

// everythingIsOver: the order is completed, trucks and drivers are free, and the server can say why it
// went as it did.
func (w *dispatchWalk) everythingIsOver(trips ...string) {
	w.t.Helper()
	eventually(w.t, 20*time.Second, "completed", func() bool { s := w.status(); return s.Status == "completed" && !s.IsActive })
	var vehicles struct{ Vehicles []struct{ ID, Status string } }
	w.get(w.transporter, "vehicles/list", &vehicles)
	for _, v := range vehicles.Vehicles {
		if v.Status != "available" {
			w.t.Fatalf("vehicle %+v", v)
		}
	}
	var detail struct {
		Requests []struct{ Status, TripID string }
	}
	w.get(w.customer, "orders/"+w.order, &detail)
	for i, r := range detail.Requests {
		if r.Status != "completed" || r.TripID != trips[i] {
			w.t.Fatalf("truck %+v", r)
		}
	}
	var explained struct {
		Summary []string
		Waves   []struct{ Offered, Answered int }
	}
	w.get(w.customer, "orders/"+w.order+"/explain", &explained)
	if len(explained.Waves) == 0 || len(explained.Summary) != len(explained.Waves) || explained.Waves[0].Offered != 1 || explained.Waves[0].Answered != 1 {
		w.t.Fatalf("explained %+v", explained)
	}
	if diff := cmp.Diff([]string{toldOfTheWalk}, masked(explained.Summary)); diff != "" {
		w.t.Fatalf("told (-want +got):\n%s", diff)
	}
}

// toldOfTheWalk is what the customer is told of how the order of the walk was dispatched, without its
// numbers.
const toldOfTheWalk = "Wave #, within # km: offered to # of # transporter; the nearest was # km away, # min; # confirmed trucks."

var numbers = regexp.MustCompile(`\d+(\.\d+)?`)

// masked are sentences with a # for each number.
func masked(sentences []string) []string {
	out := make([]string, len(sentences))
	for i, s := range sentences {
		out[i] = numbers.ReplaceAllString(s, "#")
	}
	return out
}
