package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/trace"
	"weelo/internal/track"
)

// TestWalk is the walk of docs/quickstart.md with kill -9 in the middle, on dev and on serve with real
// Postgres and Redis: a driver logs in, accepts, streams a real drive; the customer sees positions and
// status events. The trip goes on after the crash, every acknowledged batch is in history, and
// watchers who resume get what they missed, in order, once.
func TestWalk(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...string) *stage{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The drive is played ten times as fast, so speeds must be believed up to ten times 250 km/h.
			walk(t, on(t, "TIME_SCALE=10", "DRIVER_ACCEPT_TIMEOUT_SECONDS=600"))
		})
	}
}

func walk(t *testing.T, s *stage) {
	transporter, customer, driver := s.login(t, s.cast.transporterPhone, "transporter"), s.login(t, s.cast.customerPhone, "customer"), s.loginDriver(t)

	// Three sockets: the driver's, a customer who stays, and one who leaves and comes back later.
	truck := s.connect(t, driver, "phone", nil)
	stays := s.connect(t, customer, "tablet", nil)
	leaves := s.connect(t, customer, "phone", nil)

	d := newDrive(t, truck)
	tripID, err := s.api(transporter).Assign(t.Context(), client.Assignment{
		VehicleID: s.cast.vehicleID, DriverID: s.cast.driverID, CustomerPhone: s.cast.customerPhone,
		Pickup: d.place(0), Drop: d.place(len(d.shape) / 2),
	})
	if err != nil {
		t.Fatalf("assign: %v", err)
	}
	eventually(t, 10*time.Second, "the driver is told of his trip", func() bool { return slices.Contains(types(truck), "trip_assigned") })
	if err := s.api(driver).Accept(t.Context(), tripID); err != nil {
		t.Fatalf("accept: %v", err)
	}
	for _, p := range []*person{stays, leaves} {
		if err := p.Watch(t.Context(), "w1", "trip", tripID); err != nil {
			t.Fatal(err)
		}
	}
	d.trip = tripID
	d.play(t, 6)
	eventually(t, 10*time.Second, "positions at both customers", func() bool { return stays.lastTS(tripID) > 0 && leaves.lastTS(tripID) > 0 })
	move(t, s, driver, tripID, "at_pickup")
	eventually(t, 10*time.Second, "at_pickup at the one who leaves", func() bool { return slices.Contains(leaves.statuses(), "at_pickup") })

	leaves.end() // a phone in a pocket
	left := leaves.Position()
	move(t, s, driver, tripID, "loading_complete")

	// The machine vanishes while a batch is on its way. The driver's phone sends it again until it is
	// acknowledged.
	var streaming sync.WaitGroup
	streaming.Go(func() { d.play(t, 8) })
	eventually(t, 20*time.Second, "two more batches acknowledged", func() bool { return d.acknowledged() >= 8 })
	s.crash(t)
	streaming.Wait()
	if stays.Connects() < 2 || truck.Connects() < 2 {
		t.Errorf("the sockets did not come back: %d, %d", stays.Connects(), truck.Connects())
	}

	// The trip goes on where it was.
	move(t, s, driver, tripID, "in_transit")
	d.play(t, 4)
	eventually(t, 10*time.Second, "positions again after the crash", func() bool { return stays.lastTS(tripID) >= d.last() })
	back := s.connect(t, customer, "phone", &left)
	eventually(t, 10*time.Second, "the one who left is back in time", func() bool { return slices.Contains(back.statuses(), "in_transit") })
	move(t, s, driver, tripID, "completed")
	for name, p := range map[string]*person{"stayed": stays, "came back": back} {
		eventually(t, 10*time.Second, "the end at the one who "+name, func() bool { return slices.Contains(p.statuses(), "completed") })
	}

	// In order, once: the numbers of the one who stayed, and of the one who left before and after, have
	// no hole and no repeat.
	dense(t, "stayed", stays.numbers())
	dense(t, "left and came back", append(leaves.numbers(), back.numbers()...))
	want := []string{"at_pickup", "loading_complete", "in_transit", "completed"}
	if got := progress(stays.statuses()); !slices.Equal(got, want) {
		t.Errorf("statuses of the one who stayed: %v", stays.statuses())
	}
	if got := progress(append(leaves.statuses(), back.statuses()...)); !slices.Equal(got, want) {
		t.Errorf("statuses of the one who left: %v, then %v", leaves.statuses(), back.statuses())
	}
	d.allInHistory(t, s, customer)

	// Both are free again.
	if _, err := s.api(transporter).Assign(t.Context(), client.Assignment{
		VehicleID: s.cast.vehicleID, DriverID: s.cast.driverID,
		Pickup: client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"}, Drop: client.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Bengaluru"},
	}); err != nil {
		t.Errorf("the next trip: %v", err)
	}
}

func types(p *person) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		out = append(out, e.Type)
	}
	return out
}

// progress keeps the steps that the walk makes by itself.
func progress(statuses []string) []string {
	var out []string
	for _, s := range statuses {
		if slices.Contains([]string{"at_pickup", "loading_complete", "in_transit", "completed"}, s) {
			out = append(out, s)
		}
	}
	return out
}

func dense(t *testing.T, who string, numbers []int64) {
	t.Helper()
	for i, n := range numbers {
		if n != numbers[0]+int64(i) {
			t.Errorf("the events of the one who %s are not dense: %v", who, numbers)
			return
		}
	}
	if len(numbers) < 5 {
		t.Errorf("the one who %s got only %v", who, numbers)
	}
}

// move reports a step as the apps do: again until it is answered. The same step twice is no error.
func move(t *testing.T, s *stage, token, trip, status string) {
	t.Helper()
	eventually(t, 20*time.Second, "the step "+status, func() bool {
		err := s.api(token).SetStatus(t.Context(), trip, status)
		var refused *client.APIError
		if errors.As(err, &refused) && refused.Status < 500 {
			t.Fatalf("the step %s: %v", status, err)
		}
		return err == nil
	})
}

// drive plays a recorded drive through a driver's phone: ten times as fast as recorded, in batches
// of five that are sent until acknowledged, and as single frames beside them.
type drive struct {
	truck *person
	trip  string
	shape []track.Fix
	begin time.Time

	mu    sync.Mutex
	acked []track.Fix
	count int
}

func newDrive(t testing.TB, truck *person) *drive {
	t.Helper()
	drives, err := trace.Drives()
	if err != nil {
		t.Fatal(err)
	}
	return &drive{truck: truck, shape: drives[0].Fixes}
}

// place is where the drive is at its n-th fix. Steps are refused to a truck that is elsewhere: pickup
// and drop lie on the drive.
func (d *drive) place(n int) client.Place {
	return client.Place{Latitude: d.shape[n].Lat, Longitude: d.shape[n].Lng, Address: "on the way"}
}

// play sends n batches in real time.
func (d *drive) play(t testing.TB, n int) {
	for range n {
		batch := make([]track.Fix, 0, 5)
		tick := time.NewTicker(100 * time.Millisecond)
		for range 5 {
			now := <-tick.C
			f := d.at(now)
			d.truck.Fix(t.Context(), f, "")
			batch = append(batch, f)
		}
		tick.Stop()
		d.deliver(t, batch)
	}
}

// at is where the phone is now: ten recorded seconds for each one that passes.
func (d *drive) at(now time.Time) track.Fix {
	if d.begin.IsZero() {
		d.begin = now
	}
	recorded := d.shape[0].TS + 10*now.Sub(d.begin).Milliseconds()
	i := 1
	for i < len(d.shape)-1 && d.shape[i].TS < recorded {
		i++
	}
	from, to := d.shape[i-1], d.shape[i]
	share := min(1, float64(recorded-from.TS)/float64(to.TS-from.TS))
	f := track.Fix{TS: now.UnixMilli(), Accuracy: 8, Lat: from.Lat + share*(to.Lat-from.Lat), Lng: from.Lng + share*(to.Lng-from.Lng)}
	return f
}

// deliver sends a batch until it is acknowledged, as a phone must.
func (d *drive) deliver(t testing.TB, batch []track.Fix) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		ack, err := d.truck.Fixes(ctx, batch, d.trip)
		var refused *client.RefusedError
		switch {
		case err == nil:
			if ack.Invalid > 0 || ack.Accepted+ack.Duplicate+ack.Stale != len(batch) {
				t.Errorf("acknowledgement: %+v", ack)
			}
			d.mu.Lock()
			d.acked = append(d.acked, batch...)
			d.count++
			d.mu.Unlock()
			return
		case ctx.Err() != nil, errors.As(err, &refused) && !refused.Retryable:
			t.Errorf("a batch was not acknowledged: %v", err)
			return
		}
	}
}

func (d *drive) acknowledged() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

func (d *drive) last() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acked[len(d.acked)-1].TS
}

// allInHistory reads the whole track as the customer and looks for every acknowledged fix.
func (d *drive) allInHistory(t *testing.T, s *stage, token string) {
	t.Helper()
	stored := map[int64]bool{}
	var previous int64
	for cursor := ""; ; {
		var page struct {
			Fixes   []struct{ Timestamp time.Time }
			Cursor  string
			HasMore bool
		}
		path := fmt.Sprintf("tracking/history/%s?limit=7&cursor=%s", d.trip, cursor)
		if err := s.api(token).Call(t.Context(), http.MethodGet, path, nil, &page); err != nil {
			t.Fatalf("history: %v", err)
		}
		for _, f := range page.Fixes {
			ts := f.Timestamp.UnixMilli()
			if ts <= previous {
				t.Errorf("history is not sorted at %d", ts)
			}
			previous, stored[ts] = ts, true
		}
		if cursor = page.Cursor; !page.HasMore {
			break
		}
	}
	for _, f := range d.acked {
		if !stored[f.TS] {
			t.Errorf("the acknowledged fix of %d is lost", f.TS)
		}
	}
	if len(d.acked) < 90 {
		t.Errorf("only %d fixes were acknowledged", len(d.acked))
	}
}
