package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weelo/internal/client"
)

// TestPush: a driver's sleeping phone is woken by his trip, his transporter's by his silence, and
// nobody else's.
func TestPush(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "push.jsonl")
	s := onDev(t, "PUSH_PROVIDER=file:"+file, "DRIVER_ACCEPT_TIMEOUT_SECONDS=10")
	transporter, driver := s.login(t, s.cast.transporterPhone, "transporter"), s.loginDriver(t)
	call := func(token, method, path string, in any) {
		t.Helper()
		if a, err := s.api(token).Do(t.Context(), method, path, "", in); err != nil || !a.Success {
			t.Fatalf("%s %s: %v %s", method, path, err, a.Body)
		}
	}
	call(transporter, http.MethodPost, "notifications/register-token", fields{"token": "token-of-the-transporter", "deviceType": "android"})
	call(driver, http.MethodPost, "notifications/register-token", fields{"token": "token-of-the-driver", "deviceType": "android", "deviceId": "pixel"})
	first, err := s.api(transporter).Assign(t.Context(), client.Assignment{
		VehicleID: s.cast.vehicleID, DriverID: s.cast.driverID, CustomerPhone: s.cast.customerPhone,
		Pickup: client.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Bengaluru"},
		Drop:   client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"},
	})
	if err != nil {
		t.Fatalf("assign: %v", err)
	}
	// sent lists what phones got, "type trip token".
	sent := func() []string {
		var out []string
		for _, line := range lines(file) {
			var m struct {
				Token string
				TTLMS int64
				Data  struct{ Type, TripID string }
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil || m.TTLMS <= 0 {
				t.Fatalf("%s: %v", line, err)
			}
			out = append(out, fmt.Sprint(m.Data.Type, " ", m.Data.TripID, " ", m.Token))
		}
		return out
	}
	eventually(t, 10*time.Second, "the driver's phone rings", func() bool {
		return slices.Equal(sent(), []string{"trip_assigned " + first + " token-of-the-driver"})
	})
	eventually(t, 60*time.Second, "his transporter learns that he did not answer", func() bool {
		return slices.Equal(sent()[1:], []string{"driver_timeout " + first + " token-of-the-transporter"})
	})
}
