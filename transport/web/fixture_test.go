package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/internal/world"
	"weelo/transport/hub"
	"weelo/transport/ws"
)

// opsToken is the one token that the fixture's sessions give and its sockets take.
const opsToken = "ops-token"

// town is a whole server in process: the page, the native socket and a hub, and trucks that a test
// moves by publishing positions.
type town struct {
	t    *testing.T
	hub  *hub.Hub
	site *Site
	url  string

	mu       sync.Mutex
	views    []protocol.TripView
	history  map[string][]ledger.Recorded
	sessions int
	failing  bool
}

func newTown(t *testing.T, change func(*Config)) *town {
	t.Helper()
	w := &town{t: t, history: map[string][]ledger.Recorded{}}
	quiet := slog.New(slog.DiscardHandler)
	w.hub = hub.New(hub.Config{Inbox: emptyInbox{}, Access: w, Log: quiet})
	cfg := Config{Sessions: w, Tokens: w, History: w, Version: "test", Log: quiet}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.site, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	sockets, err := ws.New(ws.Config{
		Hub: w.hub, Tokens: w, Drivers: nobody{}, Transporters: nobodyElse{}, Recorder: noHistory{}, Windows: noHistory{}, Facts: noHistory{},
		Origins: []string{web.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("GET /ws/v1", sockets)
	for _, pattern := range w.site.Patterns() {
		mux.Handle(pattern, w.site)
	}
	w.url = web.URL
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{w.hub.Run, sockets.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		web.Close()
	})
	return w
}

// addTrucks makes n trips on lanes of the demo world, each in another status.
func (w *town) addTrucks(n int) {
	w.t.Helper()
	lanes, err := world.NewLanes(150, 700)
	if err != nil {
		w.t.Fatal(err)
	}
	statuses := []string{"in_transit", "in_transit", "heading_to_pickup", "in_transit", "at_pickup", "driver_accepted", "in_transit", "arrived_at_drop"}
	names := []string{"Mohan Yadav", "Suresh Patil", "Gurpreet Singh", "Anil Kumar", "Ramesh Naik", "Imran Shaikh", "Vijay Rathod", "<b>Bold</b> Raju"}
	states := []string{"KA", "MH", "TN", "GJ", "RJ", "UP", "HR", "TS"}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		lane := lanes.Pick(7, uint64(i))
		id := fmt.Sprintf("70000000-0000-4000-8000-%012d", i+1)
		v := protocol.TripView{
			TripID: id, Version: 3, Status: statuses[i%len(statuses)], Transporter: "T1", Customer: "C1",
			Driver:  protocol.Person{ID: fleet.UserID(fmt.Sprintf("D%d", i)), Name: names[i%len(names)]},
			Vehicle: protocol.VehicleView{ID: "V", Number: fmt.Sprintf("%s%02dAB%04d", states[i%len(states)], 1+i%40, 1000+i*37), Type: "open", Subtype: "17 Feet"},
			Pickup:  place(lane.From), Drop: place(lane.To),
		}
		w.views = append(w.views, v)
		w.history[id] = timelineOf(v)
	}
}

func place(s world.Stop) protocol.Place {
	return protocol.Place{Latitude: s.At.Lat, Longitude: s.At.Lng, Address: s.Address, City: s.City.Name, State: s.City.State}
}

func timelineOf(v protocol.TripView) []ledger.Recorded {
	start := time.Now().Add(-2 * time.Hour)
	var out []ledger.Recorded
	add := func(kind string, minutes int, data any) {
		body, err := json.Marshal(data)
		if err != nil {
			panic(err)
		}
		out = append(out, ledger.Recorded{Version: int64(len(out) + 1), Event: ledger.Event{
			ID: fmt.Sprintf("e%d", len(out)), Type: kind, At: start.Add(time.Duration(minutes) * time.Minute), Data: body,
		}})
	}
	add("trip_assigned", 0, trip.AssignedData{VehicleNumber: v.Vehicle.Number, TimeoutSeconds: 45})
	add("trip_status", 1, trip.StatusData{Status: "driver_accepted", Message: "The driver has accepted the trip."})
	add("trip_heard", 2, map[string]any{"what": "heard"})
	add("trip_status", 24, trip.StatusData{Status: "at_pickup", Message: "The driver has arrived at the pickup."})
	add("trip_status", 51, trip.StatusData{Status: "loading_complete", Message: "Loading is complete."})
	add("trip_status", 55, trip.StatusData{Status: "in_transit", Message: "The trip has started."})
	add("trip_track", 90, map[string]any{"what": "track", "track": map[string]any{"odometerM": 41250}})
	return out
}

// drive publishes a position of every truck: step m of a slow drive from the pickup to the drop.
func (w *town) drive(step int) {
	w.mu.Lock()
	views := append([]protocol.TripView(nil), w.views...)
	w.mu.Unlock()
	for i, v := range views {
		w.hub.Position(protocol.Position{
			TripID: v.TripID, Driver: v.Driver.ID, Transporter: v.Transporter, Customer: v.Customer, Fix: fixAt(v, i, step),
		})
	}
}

func fixAt(v protocol.TripView, i, step int) track.Fix {
	from, to := geo.Point{Lat: v.Pickup.Latitude, Lng: v.Pickup.Longitude}, geo.Point{Lat: v.Drop.Latitude, Lng: v.Drop.Longitude}
	whole := geo.Distance(from, to)
	done := math.Mod(0.1+float64(i)*0.137, 0.8)*whole + float64(step)*120
	bearing := geo.Bearing(from, to) + 8*math.Sin(float64(step)/9)
	at := geo.Move(from, geo.Bearing(from, to), done)
	at = geo.Move(at, bearing+90, 900*math.Sin(float64(step)/7+float64(i)))
	now := time.Now().UnixMilli()
	return track.Fix{TS: now - 120, ReceivedMS: now, Lat: at.Lat, Lng: at.Lng, Speed: 11 + float64(i%9), HasSpeed: true, Bearing: math.Mod(bearing+360, 360), HasBearing: true, Accuracy: 8}
}

// change shows a new state of the n-th trip to everybody who watches.
func (w *town) change(n int, status string) {
	w.mu.Lock()
	w.views[n].Version++
	w.views[n].Status = status
	if trip.Status(status).Terminal() {
		w.views[n].EndedMS = time.Now().UnixMilli()
	}
	v := w.views[n]
	w.mu.Unlock()
	w.hub.TripChanged(v)
}

// MapSession, Verify, Events, Watch, Live and Offers are the ports of the server.
func (w *town) MapSession(context.Context) (Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions++
	if w.failing {
		return Session{}, fault.New(fault.Unavailable, "UNAVAILABLE", "away")
	}
	return Session{Token: opsToken, Expires: time.Now().Add(time.Hour)}, nil
}

func (w *town) Verify(access string, _ time.Time) (token.Identity, error) {
	switch access {
	case opsToken:
		return token.Identity{UserID: "ops", Role: fleet.Ops, SessionID: "s", ExpiresAt: time.Now().Add(time.Hour)}, nil
	case "customer-token":
		return token.Identity{UserID: "C1", Role: fleet.Customer, SessionID: "c", ExpiresAt: time.Now().Add(time.Hour)}, nil
	}
	return token.Identity{}, token.ErrUnauthenticated
}

func (w *town) Events(_ context.Context, ref ledger.Ref, _ int64, _ int) ([]ledger.Recorded, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing {
		return nil, fault.New(fault.Unavailable, "UNAVAILABLE", "away")
	}
	return w.history[ref.ID], nil
}

func (w *town) Watch(_ context.Context, who token.Identity, scope hub.Scope) ([]protocol.TripView, error) {
	if who.Role != fleet.Ops || scope.Kind != hub.All {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "There is nothing here.")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	views := append([]protocol.TripView(nil), w.views...)
	for i := range views {
		fix := fixAt(views[i], i, 0)
		views[i].Live = &fix
	}
	return views, nil
}

func (w *town) Live(context.Context, token.Identity) ([]protocol.TripView, error) { return nil, nil }
func (w *town) Offers(context.Context, token.Identity) ([]hub.Offer, error)       { return nil, nil }

type emptyInbox struct{}

func (emptyInbox) Stream(context.Context) (string, error)      { return "s1", nil }
func (emptyInbox) Head(context.Context, string) (int64, error) { return 0, nil }
func (emptyInbox) Read(context.Context, string, int64, int) ([]ledger.InboxEntry, error) {
	return nil, nil
}

// nobody, nobodyElse and noHistory are ports that the map never needs.
type (
	nobody     struct{ protocol.Drivers }
	nobodyElse struct{ protocol.Transporters }
	noHistory  struct{}
)

func (noHistory) Record(context.Context, fleet.Member, string, []track.Fix) (history.Result, error) {
	return history.Result{}, nil
}
func (noHistory) Note(fleet.Member, track.Fix) {}
func (noHistory) Windows(context.Context, []history.Ask) ([]history.Window, error) {
	return nil, nil
}
func (noHistory) Welcome(context.Context, token.Identity) (string, int64, error) { return "", 0, nil }

// ask makes a request; headers come in pairs.
func (w *town) ask(method, path string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if _, err := fmt.Fprint(&body, readAll(w.t, resp)); err != nil {
		w.t.Fatal(err)
	}
	return resp, body.String()
}
