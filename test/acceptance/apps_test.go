package acceptance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"weelo/internal/client"
)

// jsFolder has the official Socket.IO client and the script that drives it.
const jsFolder = "../../transport/socketio/jsclient"

// app is the official JavaScript client on the websocket transport, as the Captain app uses it: it
// comes back by itself and says how far it had come.
type app struct {
	t     *testing.T
	input io.Writer

	mu     sync.Mutex
	events []appEvent
	joined int // times it connected
}

type appEvent struct {
	Is      string         `json:"is"`
	Event   string         `json:"event"`
	Payload map[string]any `json:"payload"`
}

func (s *stage) app(t *testing.T, token string) *app {
	t.Helper()
	if _, err := os.Stat(filepath.Join(jsFolder, "node_modules", "socket.io-client")); err != nil {
		install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		install.Dir = jsFolder
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	cmd := exec.Command("node", filepath.Join("scripts", "client.mjs"), s.server.Base, token)
	cmd.Dir = jsFolder
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, input: input}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			var e appEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				a.note(e)
			}
		}
	}()
	t.Cleanup(func() { // the end of its input ends it
		_ = input.Close()
		<-read
		_ = cmd.Wait()
	})
	eventually(t, 30*time.Second, "an app connected", func() bool { return len(a.named("connected")) == 1 })
	return a
}

func (a *app) note(e appEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch e.Is {
	case "event":
		a.events = append(a.events, e)
	case "connect":
		a.joined++
	}
}

func (a *app) connects() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joined
}

// named are the payloads of the events of a name, in the order of arrival.
func (a *app) named(event string) (out []map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.Event == event {
			out = append(out, e.Payload)
		}
	}
	return out
}

func (a *app) statuses() (out []string) {
	for _, p := range a.named("assignment_status_changed") {
		status, _ := p["status"].(string)
		out = append(out, status)
	}
	return out
}

func (a *app) emit(event string, payload any) {
	a.t.Helper()
	line, err := json.Marshal(map[string]any{"emit": []any{event, payload}})
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(a.input, "%s\n", line); err != nil {
		a.t.Fatal(err)
	}
}

// TestTheAppsInPeoplesHands: a driver, a customer and a transporter on Socket.IO go through a trip,
// with kill -9 in the middle; each gets every event once, in order, in the contract's words.
func TestTheAppsInPeoplesHands(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...string) *stage{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apps(t, on(t, "DRIVER_ACCEPT_TIMEOUT_SECONDS=600"))
		})
	}
}

func apps(t *testing.T, s *stage) {
	transporterToken, customerToken, driverToken := s.login(t, s.cast.transporterPhone, "transporter"), s.login(t, s.cast.customerPhone, "customer"), s.loginDriver(t)
	driver, customer, transporter := s.app(t, driverToken), s.app(t, customerToken), s.app(t, transporterToken)

	trip, err := s.api(transporterToken).Assign(t.Context(), client.Assignment{
		VehicleID: s.cast.vehicleID, DriverID: s.cast.driverID, CustomerPhone: s.cast.customerPhone,
		// Where the truck will be is near both by road: its last position may be remembered over the crash.
		Pickup: client.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Bengaluru"},
		Drop:   client.Place{Latitude: 12.9741, Longitude: 77.5971, Address: "Bengaluru, the next street"},
	})
	if err != nil {
		t.Fatalf("assign: %v", err)
	}
	eventually(t, 10*time.Second, "trip_assigned at the driver", func() bool {
		got := driver.named("trip_assigned")
		return len(got) == 1 && got[0]["tripId"] == trip && got[0]["remainingSeconds"] != nil
	})
	if err := s.api(driverToken).Accept(t.Context(), trip); err != nil {
		t.Fatalf("accept: %v", err)
	}
	eventually(t, 10*time.Second, "the acceptance at everybody", func() bool {
		return slices.Contains(driver.statuses(), "driver_accepted") && len(customer.named("truck_assigned")) == 1 && len(transporter.named("driver_accepted")) == 1
	})

	// The customer joined nothing and connected before the trip was born.
	driver.emit("update_location", map[string]any{"tripId": trip, "latitude": 12.9721, "longitude": 77.5951, "speed": 3, "bearing": 45})
	eventually(t, 10*time.Second, "the truck at the customer", func() bool {
		got := customer.named("location_updated")
		return len(got) > 0 && got[len(got)-1]["latitude"] == 12.9721 && got[len(got)-1]["isStale"] == false
	})
	driver.emit("update_location", map[string]any{"tripId": "70000000-0000-4000-8000-000000000002", "latitude": 12.9721, "longitude": 77.5951})
	eventually(t, 10*time.Second, "a foreign trip refused", func() bool {
		got := driver.named("error")
		return len(got) == 1 && got[0]["code"] == "NOT_FOUND"
	})

	move(t, s, driverToken, trip, "at_pickup")
	eventually(t, 10*time.Second, "at_pickup at the customer", func() bool { return slices.Contains(customer.statuses(), "at_pickup") })
	s.crash(t)
	move(t, s, driverToken, trip, "in_transit") // perhaps before the apps are back
	for name, a := range map[string]*app{"driver": driver, "customer": customer, "transporter": transporter} {
		eventually(t, 30*time.Second, "the "+name+" back by himself", func() bool { return a.connects() >= 2 && len(a.named("connected")) >= 2 })
	}
	move(t, s, driverToken, trip, "completed")
	want := []string{"driver_accepted", "at_pickup", "in_transit", "completed"}
	for name, a := range map[string]*app{"driver": driver, "customer": customer, "transporter": transporter} {
		eventually(t, 10*time.Second, "the end at the "+name, func() bool { return slices.Contains(a.statuses(), "completed") })
		if got := a.statuses(); !slices.Equal(got, want) {
			t.Errorf("statuses at the %s: %v, want %v", name, got, want)
		}
	}
}
