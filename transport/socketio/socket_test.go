package socketio

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weelo/actors/protocol"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// moving is the trip of the fixture as its people see it.
func moving() protocol.TripView {
	return protocol.TripView{
		TripID: trip1, OrderID: order1, Version: 3, Status: "in_transit", Customer: ravi, Transporter: asha,
		Driver: protocol.Person{ID: mohan, Name: "Mohan"}, Live: &track.Fix{TS: time.Now().UnixMilli(), Lat: 12.9, Lng: 77.5},
	}
}

func at(lat float64) protocol.Position {
	now := time.Now().UnixMilli()
	return protocol.Position{TripID: trip1, OrderID: order1, Driver: mohan, Transporter: asha, Customer: ravi,
		Fix: track.Fix{TS: now, ReceivedMS: now, Lat: lat, Lng: 77.6}}
}

func statusData(status string) trip.StatusData {
	return trip.StatusData{AssignmentID: trip1, TripID: trip1, OrderID: order1, Status: status, Timestamp: time.Now().UnixMilli()}
}

func TestAnEventReachesEverybodyInHisWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	customer, transporter, driver := w.connect("ravi", ""), w.connect("asha", ""), w.connect("mohan", "")
	w.deliver("trip_status", statusData("driver_accepted"), ravi, asha, mohan)
	for _, c := range []*client{customer, transporter, driver} {
		if got := c.event("assignment_status_changed"); got["status"] != "driver_accepted" || got["_seq"] != 1.0 || got["bookingId"] != order1 {
			t.Errorf("%v", got)
		}
	}
	customer.event("truck_assigned")
	transporter.event("driver_accepted")
	w.deliver("trip_timeout", trip.TimeoutData{TripID: trip1}, asha)
	transporter.event("driver_timeout")
	transporter.event("assignment_timeout")
	w.hub.Notify(asha, "driver_status", protocol.DriverStatusData{DriverID: mohan, IsOnline: true, Action: "online", Timestamp: 1})
	if got := transporter.event("driver_status_changed"); got["_seq"] != nil || got["timestamp"] != "1970-01-01T00:00:00.001Z" {
		t.Errorf("a soft event: %v", got)
	}
	driver.quiet()
	customer.quiet()
}

// TestACustomerSeesHisTruckWithoutJoining: also a truck that was assigned after he connected.
func TestACustomerSeesHisTruckWithoutJoining(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	early := w.connect("ravi", "")
	transporter := w.connect("asha", "")
	w.access.show(moving())
	w.hub.Position(at(13.1))
	if got := early.event("location_updated"); got["latitude"] != 13.1 || got["driverId"] != string(mohan) || got["isStale"] != false {
		t.Errorf("%v", got)
	}
	transporter.event("location_updated")

	late := w.connect("ravi", "") // same session: it takes the place of the first
	if got := late.event("location_updated"); got["latitude"] != 12.9 {
		t.Errorf("the last position at connect: %v", got)
	}
}

func TestRooms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.access.show(moving())
	for _, join := range []string{
		fmt.Sprintf(`["join_booking",%q]`, order1), fmt.Sprintf(`["join_booking",%q]`, trip1), fmt.Sprintf(`["join_order",%q]`, order1),
		fmt.Sprintf(`["join_trip",{"tripId":%q}]`, trip1), fmt.Sprintf(`["join_trip",%q]`, order1), fmt.Sprintf(`["join_order",{"orderId":%q}]`, order1),
	} {
		t.Run(join, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.access.show(moving())
			c := w.connect("mohan", "") // a driver has no room of his own
			if strings.Contains(join, order1) {
				c = w.connect("ravi", "")
				c.event("location_updated")
			}
			c.send("42" + join)
			c.event("location_updated")
			c.send("42" + join) // again within 5 s: nothing
			c.quiet()
			w.hub.Position(at(13.2))
			if got := c.event("location_updated"); got["latitude"] != 13.2 {
				t.Errorf("%v", got)
			}
			c.quiet() // one position, however many rooms
			c.send("42" + strings.Replace(join, "join", "leave", 1))
			c.quiet()
		})
	}
	stranger := w.connect("mohan", "")
	for join, message := range map[string]string{
		`["join_booking","70000000-0000-4000-8000-00000000000f"]`: "Booking not found",
		`["join_order","nonsense"]`:                               "Order not found",
		`["join_trip",{"tripId":"` + trip2 + `"}]`:                "Trip not found",
		`["join_trip",{}]`:                                        "An id is expected.",
		`["join_trip",7]`:                                         "id is not valid.",
		`["join_booking"]`:                                        "An id is expected.",
	} {
		for range 2 { // again, and the answer is the same
			stranger.send("42" + join)
			if got := stranger.event("error"); got["message"] != message {
				t.Errorf("%s: %v, want %q", join, got, message)
			}
		}
	}
}

// TestATripThatIsNotHisAnyMore: the client is told in the words of a room that there is not, and sees no more of it.
// That a trip is over its last event says.
func TestATripThatIsNotHisAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.access.show(moving())
	c := w.connect("mohan", "")
	join := fmt.Sprintf(`42["join_trip",%q]`, trip1)
	c.send(join)
	c.event("location_updated")
	other := moving()
	other.Driver.ID = "somebody else"
	w.hub.TripChanged(other)
	if got := c.event("error"); got["message"] != "Trip not found" || got["code"] != "NOT_FOUND" {
		t.Errorf("%v", got)
	}
	w.hub.Position(at(13.2))
	c.quiet()

	ravi := w.connect("ravi", "")
	ravi.event("location_updated")
	ravi.send(join)
	ravi.event("location_updated")
	w.hub.TripEnded(protocol.TripEnded{TripID: trip1, Reason: protocol.WatchReassigned})
	ravi.quiet()
}

func TestADriverMovesHisLivePosition(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_767_323_045_678)
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	c := w.connect("mohan", "")
	c.send(fmt.Sprintf(`42["update_location",{"tripId":%q,"latitude":12.9,"longitude":77.5,"speed":11.2,"bearing":180}]`, trip1))
	c.send(`42["heartbeat",{"t":"hb","lat":12.8,"lng":77.4,"battery":80}]`)
	c.send(`42["heartbeat",{"t":"hb"}]`)
	c.send(`42["heartbeat",{"type":"heartbeat","lat":10.1,"lng":70.1,"_offlineFlush":true,"_queueSize":50}]`)
	w.people.until(t, "four beats", func() bool { return w.people.counts["beat"] == 4 })
	w.people.mu.Lock()
	defer w.people.mu.Unlock()
	want := []track.Fix{
		{TS: now.UnixMilli(), ReceivedMS: now.UnixMilli(), Lat: 12.9, Lng: 77.5, Speed: 11.2, HasSpeed: true, Bearing: 180, HasBearing: true},
		{TS: now.UnixMilli(), ReceivedMS: now.UnixMilli(), Lat: 12.8, Lng: 77.4},
	}
	if len(w.people.reports) != 2 || w.people.reports[0] != want[0] || w.people.reports[1] != want[1] {
		t.Errorf("reports %+v, want %+v", w.people.reports, want)
	}
}

// TestOwnershipIsAskedOncePerTrip: not for every frame, and a refusal is remembered too.
func TestOwnershipIsAskedOncePerTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.connect("mohan", "")
	mine := fmt.Sprintf(`42["update_location",{"tripId":%q,"latitude":12.9,"longitude":77.5}]`, trip1)
	theirs := strings.Replace(mine, trip1, trip2, 1)
	c.send(mine, mine, mine, theirs, theirs)
	for range 2 {
		if got := c.event("error"); got["code"] != "NOT_FOUND" || got["message"] != "Trip not found" {
			t.Errorf("%v", got)
		}
	}
	if n := w.people.count("driver asked"); n != 2 {
		t.Errorf("the actor was asked %d times, want 2", n)
	}
	if n := w.people.count("report"); n != 3 {
		t.Errorf("%d reports, want 3", n)
	}
}

// TestATripOfAFleetThatHeLeftIsNotHis: his actor may still name it; his session is of another fleet.
func TestATripOfAFleetThatHeLeftIsNotHis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.people.onFleet = "another"
	c := w.connect("mohan", "")
	c.send(fmt.Sprintf(`42["update_location",{"tripId":%q,"latitude":12.9,"longitude":77.5}]`, trip1))
	if got := c.event("error"); got["code"] != "NOT_FOUND" {
		t.Errorf("%v", got)
	}
	if n := w.people.count("report"); n != 0 {
		t.Errorf("%d reports, want none", n)
	}
}

// TestBadInputIsRefusedAndChangesNothing is the table of what a phone, or somebody else, may send.
func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	location := func(body string) string { return `["update_location",{"tripId":"` + trip1 + `",` + body + `}]` }
	tests := []struct{ who, event, code string }{
		{"mohan", location(`"latitude":91,"longitude":77.5`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":12.9,"longitude":-180.5`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":"12.9","longitude":77.5`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":1e999,"longitude":77.5`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":12.9`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":0,"longitude":0`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":12.9,"longitude":77.5,"speed":111`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":12.9,"longitude":77.5,"speed":-1`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":12.9,"longitude":77.5,"bearing":361`), "VALIDATION_ERROR"},
		{"mohan", location(`"latitude":12.9,"latitude":13,"longitude":77.5`), "VALIDATION_ERROR"},
		{"mohan", `["update_location",{"tripId":7,"latitude":12.9,"longitude":77.5}]`, "VALIDATION_ERROR"},
		{"mohan", `["update_location",{"tripId":"TRIP-1","latitude":12.9,"longitude":77.5}]`, "NOT_FOUND"},
		{"mohan", `["update_location",{"tripId":"` + trip2 + `","latitude":12.9,"longitude":77.5}]`, "NOT_FOUND"},
		{"mohan", `["update_location"]`, "VALIDATION_ERROR"},
		{"mohan", `["update_location","text"]`, "VALIDATION_ERROR"},
		{"mohan", `["update_location",[]]`, "VALIDATION_ERROR"},
		{"mohan", `["heartbeat",{"lat":"x","lng":1}]`, "VALIDATION_ERROR"},
		{"mohan", `["heartbeat",null]`, "VALIDATION_ERROR"},
		{"mohan", location(`"driverId":"` + trip2 + `","latitude":12.9,"longitude":77.5`), "FORBIDDEN"}, // P24
		{"mohan", location(`"driverId":7,"latitude":12.9,"longitude":77.5`), "VALIDATION_ERROR"},
		{"mohan", `["heartbeat",{"driverId":"` + trip2 + `","lat":12,"lng":77}]`, "FORBIDDEN"},
		{"mohan", `["heartbeat",{"userId":"` + trip2 + `","lat":12,"lng":77}]`, "FORBIDDEN"},
		{"ravi", location(`"latitude":12.9,"longitude":77.5`), "FORBIDDEN"},
		{"asha", location(`"latitude":12.9,"longitude":77.5`), "FORBIDDEN"},
		{"ravi", `["heartbeat",{"lat":12,"lng":77}]`, "FORBIDDEN"},
		{"ravi", `["fcm_token_refresh",{}]`, "VALIDATION_ERROR"},
		{"ravi", `["fcm_token_refresh",{"fcmToken":"` + strings.Repeat("x", maxPushToken+1) + `"}]`, "VALIDATION_ERROR"},
		{"asha", `["dispatch_ack",{"seq":"x"}]`, "VALIDATION_ERROR"},
		{"asha", `["broadcast_ack",{"seq":-3}]`, "VALIDATION_ERROR"},
		{"asha", `["broadcast_ack",{"seq":1.5}]`, "VALIDATION_ERROR"},
	}
	for _, test := range tests {
		t.Run(test.who+test.event[:min(60, len(test.event))], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c := w.connect(test.who, "")
			c.send("42" + test.event)
			if got := c.event("error"); got["code"] != test.code || got["message"] == "" {
				t.Errorf("%v, want %s", got, test.code)
			}
			for _, what := range []string{"report", "beat", "push"} {
				if n := w.people.count(what); n != 0 {
					t.Errorf("%s happened %d times", what, n)
				}
			}
			if n := w.people.count("refused " + test.code); n != 1 {
				t.Errorf("counted %d times", n)
			}
		})
	}
}

func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.connect("asha", "")
	c.send(`427["ping"]`)
	c.event("pong")
	if got := c.next(); got != `437[{"success":true}]` {
		t.Error(got)
	}
	c.send(`428["join_trip","x"]`)
	c.event("error")
	if got := c.next(); got != `438[{"success":false,"error":{"message":"Trip not found","code":"NOT_FOUND"}}]` {
		t.Error(got)
	}
	c.send(`42["broadcast_ack",{"seq":41,"orderId":"o1","dispatchRevision":1,"receivedAt":1767225600123,"source":"socket"}]`)
	c.send(`42["dispatch_ack",{"seq":"42","orderId":"o1"}]`)
	c.send(`42["dispatch_ack",{"orderId":"o1","source":"fcm"}]`) // no number: nothing to record
	c.send(`42["fcm_token_refresh",{"fcmToken":"phone-1"}]`)
	if got := c.event("fcm_token_refresh_ack"); got["success"] != true {
		t.Errorf("%v", got)
	}
	if fmt.Sprint(w.people.push) != "[phone-1]" || w.people.count("in broadcast_ack") != 1 || w.people.count("in dispatch_ack") != 2 {
		t.Errorf("push %v, counts %v", w.people.push, w.people.counts)
	}
}

// TestAPushTokenThatNobodyKeepsIsNotAcknowledgedAsKept: the app then knows to register again.
func TestAPushTokenThatNobodyKeepsIsNotAcknowledgedAsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Push = nil })
	c := w.connect("asha", `,"fcmToken":"phone-1"`)
	c.send(`42["fcm_token_refresh",{"fcmToken":"phone-1"}]`)
	if got := c.event("fcm_token_refresh_ack"); got["success"] != false {
		t.Errorf("%v", got)
	}
}

func TestReconnectWithLastSeqGetsWhatWasMissedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.connect("ravi", "")
	for _, status := range []string{"at_pickup", "loading_complete", "in_transit"} {
		w.deliver("trip_status", statusData(status), ravi)
		first.event("assignment_status_changed")
	}
	_ = first.ws.CloseNow()
	w.store("trip_status", statusData("arrived_at_drop"), ravi)
	for _, lastSeq := range []string{`"2"`, `2`} {
		again := w.connect("ravi", `,"lastSeq":`+lastSeq)
		for i, want := range []string{"in_transit", "arrived_at_drop"} {
			got := again.event("assignment_status_changed")
			if got["status"] != want || got["_seq"] != float64(i+3) || got["_replayed"] != true {
				t.Errorf("lastSeq %s: %v, want %s", lastSeq, got, want)
			}
		}
		again.quiet()
	}
	plain := w.connect("ravi", "") // asks for nothing, gets nothing
	plain.quiet()
	w.deliver("trip_status", statusData("completed"), ravi)
	if got := plain.event("assignment_status_changed"); got["_seq"] != 5.0 || got["_replayed"] != nil {
		t.Errorf("%v", got)
	}
}

func TestADriverWhoComesBackIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	pending := moving()
	pending.Status = "pending"
	w.access.show(pending)
	data := trip.AssignedData{TripID: trip1, ExpiresAt: time.Now().Add(40 * time.Second).UnixMilli()}
	w.store("trip_assigned", data, mohan)
	c := w.connect("mohan", "")
	got := c.event("trip_assigned")
	left, _ := got["remainingSeconds"].(float64)
	if got["_reconnectDelivery"] != true || got["_seq"] != 1.0 || left < 30 || left > 40 {
		t.Errorf("%v", got)
	}
	c.quiet()

	replayed := w.connect("mohan", `,"lastSeq":"0"`) // the replay brings it, once
	if got := replayed.event("trip_assigned"); got["_replayed"] != true || got["remainingSeconds"] == nil {
		t.Errorf("%v", got)
	}
	replayed.quiet()

	w.access.mu.Lock()
	w.access.views[0].Status = "driver_accepted"
	w.access.mu.Unlock()
	w.connect("mohan", "").quiet() // answered meanwhile
}

func TestTheRateLimitIsPerUserAndForgivesPositions(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_767_323_045_678)
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	driver := w.connect("mohan", "")
	for range 4 * eventsBurst {
		driver.send(`42["heartbeat",{"t":"hb"}]`)
	}
	w.people.until(t, "dropped heartbeats", func() bool { return w.people.counts["refused RATE_LIMITED"] > eventsBurst })

	customer := w.connect("ravi", "")
	for range 4 * eventsBurst {
		if customer.ws.Write(t.Context(), websocket.MessageText, []byte(`42["leave_booking","x"]`)) != nil {
			break // closed meanwhile
		}
	}
	if code := customer.closed(); code != codeRate {
		t.Errorf("closed with %d, want %d", code, codeRate)
	}
}

// Whatever the frames are, a socket that floods the server with them is closed.
func TestAFloodOfAnyFramesEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]string{
		"pongs": "3", "unknown events": `42["nobody_knows",{}]`, "acknowledgements": "431[]", "noops": "6",
		"heartbeats": `42["heartbeat",{"t":"hb"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t, nil).connect("mohan", "")
			for range 20 * floodBurst {
				if c.ws.Write(t.Context(), websocket.MessageText, []byte(frame)) != nil {
					break // closed meanwhile
				}
			}
			if code := c.closed(); code != codeRate {
				t.Errorf("closed with %d, want %d", code, codeRate)
			}
		})
	}
}

// The WebSocket's own pings are answered within reason.
func TestAFloodOfControlPingsEndsTheConnection(t *testing.T) {
	t.Parallel()
	c := newWorld(t, nil).connect("mohan", "")
	code := make(chan int, 1)
	go func() { code <- c.closed() }() // pongs are read on the way
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	answered := 0
	for c.ws.Ping(ctx) == nil {
		answered++
	}
	if got := <-code; got != codeRate || answered < pingBurst {
		t.Errorf("closed with %d after %d pings, want %d after %d", got, answered, codeRate, pingBurst)
	}
}

func TestWithoutLimitsNothingIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Unlimited = true })
	c := w.connect("mohan", "")
	for range 4 * eventsBurst {
		c.send(`42["heartbeat",{"t":"hb"}]`)
	}
	w.people.until(t, "every heartbeat", func() bool { return w.people.counts["beat"] == 4*eventsBurst })
}
