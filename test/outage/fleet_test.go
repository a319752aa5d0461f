package outage

import (
	"net/http"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/servertest"
	"weelo/internal/track"
	"weelo/transport/wire"
)

// crew is a transporter with one driver and one truck.
type crew struct {
	boss       phone
	bossTokens client.Tokens
	driver     phone
	driverID   string
	vehicleID  string
}

// crew makes one as people do: the driver agrees by telling the code that came to his own phone.
func (w *town) crew(t testing.TB, s *servertest.Weelo, boss, driver string) crew {
	t.Helper()
	c := crew{boss: w.phone(boss, "transporter"), driver: w.phone(driver, "driver")}
	c.bossTokens = c.boss.login(t, s)
	api := c.boss.api(s).As(c.bossTokens.AccessToken)
	call := func(method, path string, in map[string]any, out any) {
		t.Helper()
		if err := api.Call(t.Context(), method, path, in, out); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	call(http.MethodPost, "driver/onboard/initiate", map[string]any{"phone": driver, "name": "Ravi Kumar", "licenseNumber": "KA0120210001234"}, nil)
	invited := w.messages(t, driver)
	var joined struct{ Driver struct{ ID string } }
	call(http.MethodPost, "driver/onboard/verify", map[string]any{"phone": driver, "otp": invited[len(invited)-1].Code}, &joined)
	var truck struct{ Vehicle struct{ ID string } }
	call(http.MethodPut, "vehicles/upsert", map[string]any{
		"vehicleNumber": "KA01AB" + driver[6:], "vehicleType": "open", "vehicleSubtype": "17 Feet", "capacity": "7 ton",
	}, &truck)
	c.driverID, c.vehicleID = joined.Driver.ID, truck.Vehicle.ID
	return c
}

func (c crew) sendDriver(t testing.TB, s *servertest.Weelo) client.Answer {
	t.Helper()
	return c.driver.do(t, s, "driver-auth/send-otp", map[string]any{"driverPhone": c.driver.number})
}

func (c crew) verifyDriver(t testing.TB, s *servertest.Weelo, code string) client.Answer {
	t.Helper()
	return c.driver.do(t, s, "driver-auth/verify-otp", map[string]any{"driverPhone": c.driver.number, "otp": code})
}

// driverCode has the driver's code sent to the transporter and answers it.
func (c crew) driverCode(t testing.TB, s *servertest.Weelo) string {
	t.Helper()
	had := len(c.boss.messages(t, c.boss.number))
	accepted(t, "a driver's code", c.sendDriver(t, s))
	now := c.boss.messages(t, c.boss.number)
	if len(now) != had+1 {
		t.Fatalf("%d messages to the transporter", len(now)-had)
	}
	return now[had].Code
}

// stream is a truck under way: its driver's socket, and a customer's who sees what the driver sends.
type stream struct {
	truck   *client.Conn
	sees    <-chan float64 // latitudes
	ended   <-chan error   // of either socket
	lat     float64
	at      time.Time
	counted int64
}

// stream starts a trip of the crew for the customer.
func (c crew) stream(t testing.TB, s *servertest.Weelo, customer phone, tokens client.Tokens) *stream {
	t.Helper()
	answer := c.verifyDriver(t, s, c.driverCode(t, s))
	accepted(t, "the driver's login", answer)
	in := decode[client.Tokens](t, answer.Data)
	trip, err := c.boss.api(s).As(c.bossTokens.AccessToken).Assign(t.Context(), client.Assignment{
		VehicleID: c.vehicleID, DriverID: c.driverID, CustomerPhone: customer.number,
		Pickup: client.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "MG Road"}, Drop: client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"},
	})
	if err != nil {
		t.Fatalf("assign: %v", err)
	}
	if err := c.driver.api(s).As(in.AccessToken).Accept(t.Context(), trip); err != nil {
		t.Fatalf("accept: %v", err)
	}
	seen, ended := make(chan float64, 64), make(chan error, 2)
	f := &stream{truck: c.driver.socket(t, s, in.AccessToken), sees: seen, ended: ended, lat: 12.97, at: time.Now()}
	watcher := customer.socket(t, s, tokens.AccessToken)
	if err := watcher.Write(t.Context(), wire.AppendWatch(nil, "w1", "trip", trip)); err != nil {
		t.Fatal(err)
	}
	for name, conn := range map[string]*client.Conn{"truck": f.truck, "watcher": watcher} {
		go func() {
			for {
				frame, err := conn.Read(t.Context())
				if err != nil {
					ended <- err
					return
				}
				for _, p := range frame.Positions {
					if name == "watcher" {
						seen <- p.Fix.Lat
					}
				}
			}
		}()
	}
	f.goesOn(t, "before the outage")
	return f
}

// goesOn drives some metres each second until the customer sees it.
func (f *stream) goesOn(t testing.TB, when string) {
	t.Helper()
	first := f.lat + 0.0001
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	f.drive(t, when)
	for {
		select {
		case lat := <-f.sees:
			if lat >= first-1e-7 {
				return
			}
		case <-tick.C: // one that came before the watch began is not shown again
			f.drive(t, when)
		case err := <-f.ended:
			t.Fatalf("%s: a socket ended: %v", when, err)
		case <-deadline:
			t.Fatalf("%s: the customer does not see the truck move", when)
		}
	}
}

// drive sends the next fix.
func (f *stream) drive(t testing.TB, when string) {
	t.Helper()
	f.counted++
	f.lat += 0.0001
	f.at = f.at.Add(time.Second)
	if now := time.Now(); f.at.Before(now) {
		f.at = now
	}
	fix := track.Fix{N: f.counted, TS: f.at.UnixMilli(), Lat: f.lat, Lng: 77.5946, Accuracy: 8}
	if err := f.truck.Fix(t.Context(), fix, ""); err != nil {
		t.Fatalf("%s: the truck cannot send: %v", when, err)
	}
}
