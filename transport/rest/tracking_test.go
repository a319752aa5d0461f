package rest_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/transport/rest"
)

// at is one point of a batch, a truck going north at 10 m/s, taken `ago` before now.
func at(ago time.Duration) string {
	t := time.Now().Add(-ago)
	return fmt.Sprintf(`{"latitude":%.6f,"longitude":77.5,"speed":10.5,"bearing":0,"accuracy":8,"timestamp":%q}`,
		12.9-ago.Seconds()*10/111_320, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func batchJSON(trip string, points ...string) string {
	raw, err := json.Marshal(map[string]any{"tripId": trip, "points": raws(points)})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func raws(points []string) []json.RawMessage {
	list := make([]json.RawMessage, len(points))
	for i, p := range points {
		list[i] = json.RawMessage(p)
	}
	return list
}

func TestABatchIsCountedStoredAndShown(t *testing.T) {
	t.Parallel()
	onBothStores(t, aBatchIsCountedStoredAndShown)
}

func aBatchIsCountedStoredAndShown(y *yard) {
	t := y.t
	t.Helper()
	id := y.accepted(0)
	driver := y.asDriver(0)
	first := at(0)
	body := batchJSON(id, first,
		`{"latitude":91,"longitude":77.5,"timestamp":"`+time.Now().UTC().Format(time.RFC3339Nano)+`"}`, // out of range
		`{"latitude":12.9,"longitude":77.5,"speed":null,"bearing":null,"timestamp":"yesterday"}`,       // no time
		at(-2*time.Minute), // ahead of the clock
		at(time.Hour),      // before the trip
		first)
	var got rest.BatchData
	driver.Call("POST", "/api/v1/tracking/batch", body).Want(200).Data(&got)
	want := rest.BatchData{TripID: id, Processed: 6, Accepted: 1, Duplicate: 1, Invalid: 4, InvalidAt: []int{1, 2, 3, 4}, LastAccepted: got.LastAccepted}
	if diff := cmp.Diff(want, got, sameTime); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
	if got.LastAccepted.Time().IsZero() {
		t.Error("no last accepted time")
	}
	driver.Call("POST", "/api/v1/tracking/batch", body).Want(200).Data(&got)
	if got.Duplicate != 2 || got.Accepted != 0 {
		t.Errorf("the same again: %+v", got)
	}
	if told := y.people.told(); len(told) == 0 || told[0].Lat == 0 || told[0].ReceivedMS == 0 {
		t.Errorf("the driver's actor was told %v", told)
	}
	for name, who := range map[string]interface {
		Track(id string) rest.TrackData
	}{"customer": reader{y, y.asCustomer().Call}, "owner": reader{y, y.asOwner().Call}, "driver": reader{y, driver.Call}} {
		seen := who.Track(id)
		if !seen.Available || seen.Latitude == 0 || seen.Status != "driver_accepted" || seen.Stale || seen.VehicleNumber != "KA01AB0001" {
			t.Errorf("the %s sees %+v", name, seen)
		}
	}
}

func TestATrackIsReadInPagesSortedByTime(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	id := y.accepted(0)
	// 25 points within the trip, which began moments ago: the phone's clock may be up to 30 s ahead.
	points := make([]string, 25)
	for i := range points {
		points[i] = at(-time.Duration(25-i) * time.Second) // newest first
	}
	y.asDriver(0).Call("POST", "/api/v1/tracking/batch", batchJSON(id, points...)).Want(200)
	var times []string
	cursor := ""
	for page := 0; ; page++ {
		var got rest.HistoryData
		y.asCustomer().Call("GET", "/api/v1/tracking/history/"+id+"?limit=10&cursor="+cursor, nil).Want(200).Data(&got)
		for _, f := range got.Fixes {
			if f.Speed == nil || *f.Speed != 10.5 || f.Accuracy != 8 {
				t.Errorf("fix %+v", f)
			}
			times = append(times, f.Timestamp.String())
		}
		cursor = got.Cursor
		if !got.HasMore {
			break
		}
		if page > 5 {
			t.Fatal("the pages never end")
		}
	}
	if len(times) != 25 {
		t.Fatalf("%d fixes, want 25", len(times))
	}
	for i := 1; i < len(times); i++ {
		if times[i-1] >= times[i] {
			t.Errorf("not sorted: %s before %s", times[i-1], times[i])
		}
	}
}

func TestATripWithoutAPositionIsStillShown(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	id := y.assign(0)
	seen := reader{y, y.asCustomer().Call}.Track(id)
	if seen.Available || seen.Latitude != 0 || seen.Status != "pending" || seen.LastUpdated.Time().IsZero() {
		t.Errorf("sees %+v", seen)
	}
	var none rest.HistoryData
	y.asOwner().Call("GET", "/api/v1/tracking/history/"+id, nil).Want(200).Data(&none)
	if len(none.Fixes) != 0 || none.HasMore {
		t.Errorf("history %+v", none)
	}
}

// The Captain app's live screen reads trip, everybody else data.
func TestATripIsNamedTripAndData(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	id := y.assign(0)
	var got rest.TrackedTrip
	raw := y.asOwner().Call("GET", "/api/v1/trips/"+id, nil).Want(200).Raw
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.Data, got.Trip, sameTime); diff != "" || !got.Success || got.Trip.TripID != id {
		t.Errorf("answered %s (-data +trip):\n%s", raw, diff)
	}
}

func TestAPositionWithoutATimeMovesTheMapAndIsNotKept(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	id := y.accepted(0)
	before := y.rows()
	y.asDriver(0).Call("POST", "/api/v1/tracking/update", `{"tripId":"`+id+`","latitude":12.9,"longitude":77.5,"speed":3}`).Want(200)
	if after := y.rows(); after != before {
		t.Errorf("%q became %q", before, after)
	}
	if told := y.people.told(); len(told) != 1 || told[0].Speed != 3 {
		t.Errorf("the driver's actor was told %v", told)
	}
	y.asDriver(0).Call("POST", "/api/v1/tracking/update",
		`{"tripId":"`+id+`","latitude":12.9,"longitude":77.5,"timestamp":"`+time.Now().UTC().Format(time.RFC3339Nano)+`"}`).Want(200)
	if after := y.rows(); after == before {
		t.Error("a position with a time was not kept")
	}
}

func TestTheActiveTripSurvivesAPhone(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var none *rest.ActiveTripData
	y.asDriver(0).Call("GET", "/api/v1/tracking/active-trip", nil).Want(200).Data(&none)
	if none != nil {
		t.Errorf("nobody assigned, and yet %+v", none)
	}
	id := y.accepted(0)
	y.asDriver(0).Call("POST", "/api/v1/tracking/batch", batchJSON(id, at(0))).Want(200)
	var active struct {
		AssignmentID, TripID, Status, BookingID, CustomerName, CustomerPhone string
		Pickup                                                               rest.SpotData
		LastLocation                                                         *rest.LastLocationData
	}
	y.asDriver(0).Call("GET", "/api/v1/tracking/active-trip", nil).Want(200).Data(&active)
	if active.AssignmentID != id || active.TripID != id || active.Status != "driver_accepted" || active.Pickup.Lat != 12.9716 ||
		active.LastLocation == nil || active.LastLocation.Speed != 10.5 || active.CustomerName != "Meera" || active.CustomerPhone != "+91******0001" {
		t.Errorf("active trip %+v", active)
	}
	y.asDriver(0).Call("PUT", "/api/v1/tracking/trip/"+id+"/status", `{"status":"completed"}`).Want(200)
	y.asDriver(0).Call("GET", "/api/v1/tracking/active-trip", nil).Want(200).Data(&none)
	if none != nil {
		t.Errorf("the trip has ended, and yet %+v", none)
	}
}

var sameTime = cmp.Comparer(func(a, b rest.Timestamp) bool { return a.String() == b.String() })
