package simulate

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/trace"
	"weelo/internal/world"
)

// FleetOptions says how a demo world is kept alive.
type FleetOptions struct {
	World world.File // whose drivers and customers move: those that are not free
	// Token mints a fresh access token for a user of the world.
	Token    func(ctx context.Context, user fleet.UserID) (string, error)
	SMSFile  string        // where codes are read, for the few who log in by OTP; "": nobody does
	Logins   int           // how many drivers log in by OTP
	Interval time.Duration // between a driver's fixes; 0: 2 s
	Speed    float64       // of the playback, the server's TIME_SCALE; 0: 1
	Seed     uint64
	Log      *slog.Logger
}

// Fleet keeps every crew of the world on trips until ctx ends: assigned, accepted, driven from city to
// city along a recorded drive, completed, and on to the next city. A trip that was under way when the
// process ended is gone on with. It returns nil when ctx has ended.
func Fleet(ctx context.Context, o FleetOptions) error {
	setDefault(&o.Interval, 2*time.Second)
	setDefault(&o.Speed, 1)
	stage, err := newStage(nil)
	if err != nil {
		return err
	}
	f := &demoFleet{FleetOptions: o, stage: stage, api: newAPI(o.World.BaseURL), meter: &meter{}}
	f.Log = f.Log.With("component", "simulation")
	var all sync.WaitGroup
	everybody := 0
	for _, t := range o.World.Transporters {
		everybody += min(len(t.Drivers), len(t.Vehicles))
	}
	for _, c := range crews(o.World, everybody) {
		all.Go(func() { f.keepDriving(ctx, c) })
	}
	all.Wait()
	return nil
}

type demoFleet struct {
	FleetOptions
	stage *stage
	api   *api
	meter *meter
}

// demoFaults are milder than the fleet's: a demo should look like a good day.
func demoFaults() trace.Faults {
	f := trace.DefaultFaults()
	f.Duplicates, f.Coarse, f.BurstShare = 0.1, 0.03, 0.04
	return f
}

// keepDriving takes a crew from trip to trip. After a failure it waits, longer each time.
func (f *demoFleet) keepDriving(ctx context.Context, c crew) {
	failures := 0
	var at *world.Stop
	for n := uint64(0); ctx.Err() == nil; n++ {
		arrived, err := f.drive(ctx, c, n, at)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			f.Log.WarnContext(ctx, "a simulated trip failed", "driver_id", c.driver.ID, "err", err)
			pause(ctx, min(time.Minute, time.Duration(failures)*2*time.Second))
		default:
			failures, at = 0, &arrived
			pause(ctx, time.Duration(float64(20+rand.IntN(60))*float64(time.Second)/f.Speed)) // unloading, papers, tea
		}
	}
}

// drive is one trip of a crew. The tokens are fetched anew for each.
func (f *demoFleet) drive(ctx context.Context, c crew, n uint64, from *world.Stop) (arrived world.Stop, err error) {
	if err := f.logIn(ctx, &c, n); err != nil {
		return arrived, err
	}
	ride := &ride{
		crew: c, speed: f.Speed, api: f.api, meter: f.meter,
		phone:  trace.NewPhone(demoFaults(), f.Seed, uint64(c.number), f.Speed*200/3.6),
		sentAt: make(map[int64]time.Time, remembered),
	}
	lane, driven, status, err := f.begin(ctx, ride, n, from)
	if err != nil {
		return arrived, err
	}
	sockets, hangUp := context.WithCancel(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer hangUp()
	if err := ride.connect(sockets, &open, f.freshTokens); err != nil {
		return arrived, err
	}
	if status == "pending" {
		if err := f.api.accept(ctx, c, ride.tripID); err != nil {
			return arrived, err
		}
	}
	begin := time.Now().Add(-time.Duration(float64(driven) / f.Speed))
	ride.stands.Store(driven == 0 && status != "in_transit" && status != "arrived_at_drop")
	driving, there := context.WithCancel(ctx)
	defer there()
	var reporting sync.WaitGroup
	reporting.Go(func() {
		defer there()
		f.steps(ctx, ride, status)
		left := begin
		if ride.stands.Load() {
			left = time.Now()
			ride.leave()
		}
		pause(ctx, time.Until(left.Add(time.Duration(float64(ride.route.Duration())/f.Speed))))
	})
	ride.stream(ctx, begin, driving.Done(), f.Interval)
	reporting.Wait()
	if ctx.Err() != nil {
		return arrived, nil
	}
	if ride.driver.Token, err = f.Token(ctx, fleet.UserID(c.driver.ID)); err != nil { // the drive may have outlived the last one
		return arrived, err
	}
	ride.leftAt.CompareAndSwap(0, begin.UnixNano())
	err = errors.Join(ride.stepThere(ctx, "arrived_at_drop", false), ride.stepThere(ctx, "completed", false))
	return lane.To, err
}

// begin finds the trip that the driver is on, or puts him on a new one from where he is. driven is
// how much of the drive lies behind him.
func (f *demoFleet) begin(ctx context.Context, r *ride, n uint64, from *world.Stop) (lane world.Lane, driven time.Duration, status string, err error) {
	t, err := f.api.active(ctx, r.crew)
	if err != nil {
		return lane, 0, "", err
	}
	if t != nil {
		lane = world.Lane{From: stopOf(t.Pickup), To: stopOf(t.Drop)}
		r.tripID, r.route = t.TripID, f.stage.route(r.place(), lane)
		if t.LastLocation != nil {
			driven = r.route.Nearest(geo.Point{Lat: t.LastLocation.Latitude, Lng: t.LastLocation.Longitude})
		}
		return lane, driven, t.Status, nil
	}
	pick := f.Seed + n<<20
	if from == nil {
		lane = f.stage.lanes.Pick(pick, r.place())
	} else {
		lane = f.stage.lanes.From(*from, pick, r.place())
	}
	r.route = f.stage.route(r.place(), lane)
	if n == 0 { // a world that begins has trucks all over its lanes, not all of them at the pickup
		driven = time.Duration(rand.Float64() * 0.8 * float64(r.route.Duration()))
	}
	r.tripID, err = f.api.assign(ctx, r.crew, lane)
	return lane, driven, "pending", err
}

func stopOf(p place) world.Stop {
	return world.Stop{Address: p.Address, City: world.City{Name: p.City}, At: geo.Point{Lat: p.Latitude, Lng: p.Longitude}}
}

// steps reports what is left of the Captain app's steps, a little after one another.
func (f *demoFleet) steps(ctx context.Context, r *ride, from string) {
	all := []string{"pending", "driver_accepted", "at_pickup", "loading_complete", "in_transit"}
	at := 0
	for i, s := range all {
		if s == from || (from == "heading_to_pickup" && s == "driver_accepted") {
			at = i
		}
	}
	if from == "arrived_at_drop" {
		return
	}
	if !r.stands.Load() {
		all, at = all[:5], max(at, 3) // on its way already: what lies behind is not reported any more
	}
	for _, s := range all[max(at+1, 2):] {
		if !pause(ctx, time.Duration(float64(5+rand.IntN(20))*float64(time.Second)/f.Speed)) {
			return
		}
		if err := r.stepThere(ctx, s, true); err != nil && ctx.Err() == nil {
			f.Log.WarnContext(ctx, "a simulated step failed", "trip_id", r.tripID, "status", s, "err", err)
			return
		}
	}
}

// logIn gives the crew fresh tokens. A few drivers log in by OTP the first time, as people do.
func (f *demoFleet) logIn(ctx context.Context, c *crew, n uint64) error {
	var err error
	if c.transporter.Token, err = f.Token(ctx, fleet.UserID(c.transporter.ID)); err != nil {
		return err
	}
	if c.driver.Token, err = f.Token(ctx, fleet.UserID(c.driver.ID)); err != nil {
		return err
	}
	if n > 0 || f.SMSFile == "" || c.number >= f.Logins {
		return nil
	}
	token, err := f.api.loginDriver(ctx, *c, f.SMSFile)
	if err != nil {
		f.Log.WarnContext(ctx, "a simulated login failed", "driver_id", c.driver.ID, "err", err)
		return nil
	}
	c.driver.Token = token
	return nil
}

// freshTokens keeps sockets open for longer than a token lives.
func (f *demoFleet) freshTokens(ctx context.Context, p world.FilePerson, _ bool) (string, error) {
	return f.Token(ctx, fleet.UserID(p.ID))
}
