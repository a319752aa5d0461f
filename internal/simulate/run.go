package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"weelo/internal/trace"
	"weelo/internal/world"
)

// Run simulates a fleet as the options say, writes its progress and a summary to out, and gives the
// summary. An error means that it could not begin or was interrupted; what went wrong on the way is in
// the summary.
func Run(ctx context.Context, o Options, out io.Writer) (Summary, error) {
	if err := o.complete(); err != nil {
		return Summary{}, err
	}
	stage, err := newStage(o.Traces)
	if err != nil {
		return Summary{}, err
	}
	begin := time.Now()
	run := &run{
		Options: o, stage: stage, api: newAPI(o.World.BaseURL), meter: &meter{}, begin: begin,
		done: make(chan struct{}), key: strconv.FormatUint(rand.Uint64(), 36),
		opening: make(chan struct{}, atOnce),
	}
	sockets, hangUp := context.WithCancel(ctx)
	defer hangUp()
	run.watchers = make([][]*watcher, o.Drivers)
	reporting, stopReports := context.WithCancel(ctx)
	var reports sync.WaitGroup
	reports.Go(func() { run.report(reporting, out) })

	run.drive(sockets)
	stopReports()
	reports.Wait()
	if err := ctx.Err(); err != nil {
		hangUp()
		run.open.Wait()
		return run.meter.summary(o, time.Since(begin)), fmt.Errorf("interrupted: %w", err)
	}
	verdicts := run.judgePositions(ctx)
	run.end(ctx)
	run.judgeEvents(ctx, &verdicts)
	hangUp()
	run.open.Wait()

	s := run.meter.summary(o, time.Since(begin))
	s.Checked, s.Right, s.EventsMissed = verdicts.checked, verdicts.right, verdicts.missed
	s.Write(out)
	return s, nil
}

// run is one run in progress.
type run struct {
	Options
	stage *stage
	api   *api
	meter *meter
	begin time.Time
	done  chan struct{} // closed at the end of the stream
	key   string        // makes the run's devices its own

	open    sync.WaitGroup // sessions
	opening chan struct{}  // bounds the rides between assignment and acceptance

	mu       sync.Mutex
	rides    []*ride
	watchers [][]*watcher // by crew
}

// stage is what rides are laid on.
type stage struct {
	shapes []*trace.Shape
	lanes  *world.Lanes
}

// Lanes are between cities this far apart.
const minKm, maxKm = 50, 600

// newStage takes the shapes of the traces (nil: those the binary carries) and the lanes of the country.
func newStage(traces []trace.Trace) (*stage, error) {
	if traces == nil {
		var err error
		if traces, err = trace.Drives(); err != nil {
			return nil, err
		}
	}
	s := &stage{}
	for _, t := range traces {
		shape, err := trace.NewShape(t)
		if errors.Is(err, trace.ErrRound) {
			shape, err = trace.NewShape(t.Outward())
		}
		if err == nil {
			s.shapes = append(s.shapes, shape)
		}
	}
	if len(s.shapes) == 0 {
		return nil, errors.New("none of the traces leads anywhere: each stays within 500 m")
	}
	var err error
	s.lanes, err = world.NewLanes(minKm, maxKm)
	return s, err
}

func (s *stage) route(n uint64, lane world.Lane) *trace.Route {
	return s.shapes[n%uint64(len(s.shapes))].Lay(lane.From.At, lane.To.At)
}

// drive starts every crew at its place in the ramp, lets them all stream for the duration from when
// the last has opened, and returns when all streams have ended.
func (r *run) drive(ctx context.Context) {
	var rides, openings sync.WaitGroup
	openings.Add(r.Drivers)
	for _, c := range crews(r.World, r.Drivers) {
		rides.Go(func() {
			opened := sync.OnceFunc(openings.Done)
			defer opened()
			if !pause(ctx, r.Ramp*time.Duration(c.number)/time.Duration(r.Drivers)) {
				return
			}
			if err := r.ride(ctx, c, opened); err != nil && ctx.Err() == nil {
				r.meter.fail("ride", err)
			}
		})
	}
	openings.Wait()
	pause(ctx, r.Duration)
	close(r.done)
	rides.Wait()
}

// atOnce is how many rides may be between their assignment and its acceptance: all at once would let
// a busy server run into the accept timer of 45 s.
const atOnce = 32

// ride is one crew from its assignment to the end of its stream.
func (r *run) ride(ctx context.Context, c crew, opened func()) error {
	lane := r.stage.lanes.Pick(r.Seed, c.place())
	ride := &ride{
		crew: c, route: r.stage.route(c.place(), lane), speed: r.Speed, api: r.api, meter: r.meter,
		phone:  trace.NewPhone(*r.Faults, r.Seed, uint64(c.number), r.Speed*200/3.6),
		sentAt: make(map[int64]time.Time, remembered),
	}
	if err := r.openRide(ctx, ride, lane); err != nil {
		return err
	}
	r.mu.Lock()
	r.rides = append(r.rides, ride)
	r.mu.Unlock()
	opened()
	ride.stands.Store(true)
	var steps sync.WaitGroup
	steps.Go(func() { r.steps(ctx, ride) })
	ride.stream(ctx, time.Now(), r.done, r.Interval)
	steps.Wait()
	return nil
}

// openRide assigns the trip, opens the sockets of its watchers and of the driver, and accepts.
func (r *run) openRide(ctx context.Context, ride *ride, lane world.Lane) (err error) {
	select {
	case r.opening <- struct{}{}:
		defer func() { <-r.opening }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if ride.tripID, err = r.api.assign(ctx, ride.crew, lane); err != nil {
		return err
	}
	if err := r.watch(ctx, ride); err != nil {
		return err
	}
	if err := ride.connect(ctx, &r.open, fileTokens); err != nil {
		return err
	}
	if err := r.api.accept(ctx, ride.crew, ride.tripID); err != nil {
		return err
	}
	ride.reached("driver_accepted")
	return nil
}

// watch opens the sockets of everybody who watches this ride: watchers are dealt out in turn.
func (r *run) watch(ctx context.Context, ride *ride) error {
	for n := ride.number; n < r.Watchers; n += r.Drivers {
		w := &watcher{ride: ride, meter: r.meter, statuses: map[string]bool{}}
		if err := w.connect(ctx, &r.open, fileTokens, fmt.Sprintf("sim-%s-%d", r.key, n)); err != nil {
			return fmt.Errorf("watcher: %w", err)
		}
		r.mu.Lock()
		r.watchers[ride.number] = append(r.watchers[ride.number], w)
		r.mu.Unlock()
	}
	return nil
}

// steps reports the Captain app's steps in the first half of the stream; the truck stands at its pickup
// meanwhile.
func (r *run) steps(ctx context.Context, ride *ride) {
	for _, status := range []string{"at_pickup", "loading_complete", "in_transit"} {
		if !pause(ctx, r.Duration/8) {
			return
		}
		if err := ride.stepThere(ctx, status, true); err != nil && ctx.Err() == nil {
			r.meter.fail("step", err)
		}
	}
	ride.leave()
}

// report writes a line of progress every two seconds.
func (r *run) report(ctx context.Context, out io.Writer) {
	for pause(ctx, 2*time.Second) {
		r.meter.progress(out, time.Since(r.begin), r.Options)
	}
}

// end completes every trip, so that drivers and trucks are free for the next run.
func (r *run) end(ctx context.Context) {
	var ends sync.WaitGroup
	for _, ride := range r.rides {
		ends.Go(func() {
			ride.arrive(ctx, r.Interval)
			if err := ride.stepThere(ctx, "completed", false); err != nil {
				r.meter.fail("complete", err)
			}
		})
	}
	ends.Wait()
}
