package socketio

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"weelo/internal/trip"
	"weelo/transport/hub"
)

// official is the official JavaScript client in a process of its own.
type official struct {
	t     *testing.T
	input io.Writer
	lines chan said
}

// said is one thing that happened to the client.
type said struct {
	Is      string         `json:"is"` // connect, connect_error, disconnect, event, ack
	Event   string         `json:"event"`
	Payload map[string]any `json:"payload"`
	Message string         `json:"message"`
	Reason  string         `json:"reason"`
	Active  bool           `json:"active"` // it will come back by itself
	Answer  map[string]any `json:"answer"`
}

func (w *world) official(token string) *official {
	w.t.Helper()
	cmd := node(w.t, "client.mjs", w.url, token)
	input, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	o := &official{t: w.t, input: input, lines: make(chan said, 1024)}
	go func() {
		defer close(o.lines)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			var s said
			if json.Unmarshal(lines.Bytes(), &s) == nil {
				o.lines <- s
			}
		}
	}()
	w.t.Cleanup(func() { // the end of its input ends it
		_ = input.Close()
		for range o.lines { //nolint:revive // only emptied
		}
		_ = cmd.Wait()
	})
	return o
}

// next is the next thing that happens, which must be of a kind.
func (o *official) next(is string) said {
	o.t.Helper()
	select {
	case s, ok := <-o.lines:
		if !ok || s.Is != is {
			o.t.Fatalf("want %s, got %+v", is, s)
		}
		return s
	case <-time.After(20 * time.Second): // Node takes its time to start on a busy machine
		o.t.Fatalf("no %s", is)
	}
	return said{}
}

func (o *official) event(name string) map[string]any {
	o.t.Helper()
	s := o.next("event")
	if s.Event != name {
		o.t.Fatalf("want %s, got %+v", name, s)
	}
	return s.Payload
}

func (o *official) emit(args string, ack bool) {
	o.t.Helper()
	if _, err := fmt.Fprintf(o.input, `{"emit":%s,"ack":%t}`+"\n", args, ack); err != nil {
		o.t.Fatal(err)
	}
}

func TestOfficialClientConnectsAndTalks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.access.show(moving())
	driver, customer := w.official("mohan"), w.official("ravi")
	driver.next("connect")
	if got := driver.event("connected"); got["role"] != "driver" || got["userId"] != string(mohan) {
		t.Errorf("%v", got)
	}
	customer.next("connect")
	customer.event("connected")
	customer.event("location_updated")

	customer.emit(`["ping"]`, false)
	customer.event("pong")
	customer.emit(fmt.Sprintf(`["join_booking",%q]`, order1), true)
	customer.event("location_updated")
	if got := customer.next("ack"); got.Answer["success"] != true {
		t.Errorf("%+v", got)
	}
	customer.emit(`["join_booking","nonsense"]`, true)
	if got := customer.event("error"); got["message"] != "Booking not found" {
		t.Errorf("%v", got)
	}
	if got := customer.next("ack"); got.Answer["success"] != false {
		t.Errorf("%+v", got)
	}

	driver.emit(fmt.Sprintf(`["update_location",{"tripId":%q,"latitude":12.95,"longitude":77.55,"speed":11.2,"bearing":180}]`, trip1), false)
	w.people.until(t, "a report", func() bool { return w.people.counts["report"] == 1 })
	w.hub.Position(at(12.95))
	if got := customer.event("location_updated"); got["latitude"] != 12.95 || !threeDecimals.MatchString(fmt.Sprint(got["timestamp"])) {
		t.Errorf("%v", got)
	}
	w.deliver("trip_assigned", trip.AssignedData{TripID: trip1, ExpiresAt: time.Now().Add(time.Minute).UnixMilli()}, mohan)
	if got := driver.event("trip_assigned"); got["tripId"] != trip1 || got["_seq"] != 1.0 {
		t.Errorf("%v", got)
	}
}

func TestOfficialClientIsToldWhyItMayNotConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for token, message := range map[string]string{"": "Authentication required", "nonsense": "Invalid token", "revoked": "Token has been revoked"} {
		got := w.official(token).next("connect_error")
		if got.Message != message || got.Active {
			t.Errorf("token %q: %+v, want %q and no further try", token, got, message)
		}
	}
}

func TestOfficialClientIsKeptAliveByServerPings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.PingInterval, c.PingTimeout = 300*time.Millisecond, 2*time.Second })
	driver := w.official("mohan")
	driver.next("connect")
	driver.event("connected")
	// An answered ping is a sign of life: after the ninth, 2.7 s have passed.
	w.people.until(t, "nine answered pings", func() bool { return w.people.counts["beat"] >= 9 })
	driver.emit(`["ping"]`, false)
	driver.event("pong")
}

// TestOfficialClientComesBackAndGetsWhatItMissed: the socket ends as in a restart, the client library reconnects
// by itself, and the events of the meantime follow in order, once.
func TestOfficialClientComesBackAndGetsWhatItMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	customer := w.official("ravi")
	customer.next("connect")
	customer.event("connected")
	w.deliver("trip_status", statusData("at_pickup"), ravi)
	customer.event("assignment_status_changed")

	w.store("trip_status", statusData("loading_complete"), ravi)
	w.store("trip_status", statusData("in_transit"), ravi)
	w.hub.Disconnect(ravi, "", hub.CodeRestart, "restart")
	if got := customer.next("disconnect"); !got.Active {
		t.Errorf("it will not come back: %+v", got)
	}
	customer.next("connect")
	customer.event("connected")
	for i, want := range []string{"loading_complete", "in_transit"} {
		got := customer.event("assignment_status_changed")
		if got["status"] != want || got["_replayed"] != true || got["_seq"] != float64(i+2) {
			t.Errorf("%v, want %s", got, want)
		}
	}
	w.deliver("trip_status", statusData("completed"), ravi)
	if got := customer.event("assignment_status_changed"); got["status"] != "completed" || got["_replayed"] != nil {
		t.Errorf("%v", got)
	}
}

// TestOfficialClientStaysAwayWhenReplaced: two phones with one session must not push each other out
// for ever.
func TestOfficialClientStaysAwayWhenReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.official("ravi")
	first.next("connect")
	first.event("connected")
	w.connect("ravi", "")
	first.event("error")
	if got := first.next("disconnect"); got.Reason != "io server disconnect" || got.Active {
		t.Errorf("%+v", got)
	}
}
