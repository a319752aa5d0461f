package simulate

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"weelo/internal/trace"
	"weelo/internal/world"
)

// Options says what Run does.
type Options struct {
	World    world.File
	Drivers  int           // 0: all of the world, at most 1,000
	Watchers int           // 0: one per driver; more share the trips, up to the server's limit per customer
	Duration time.Duration // of the stream, from when all are there; 0: 2 min
	Ramp     time.Duration // over which drivers and watchers come; 0: 10 ms each, at most 30 s
	Interval time.Duration // between a driver's fixes; 0: 5 s
	Speed    float64       // of the playback, the server's TIME_SCALE; 0: 1
	Seed     uint64
	Faults   *trace.Faults // nil: trace.DefaultFaults
	Traces   []trace.Trace // nil: those the binary carries
	Settle   time.Duration // how long the last positions and events may take; 0: 10 s
}

// complete fills in the defaults and refuses what cannot be simulated.
func (o *Options) complete() error {
	available := 0
	for _, t := range o.World.Transporters {
		available += min(len(t.Drivers), len(t.Vehicles))
	}
	setDefault(&o.Drivers, min(available, 1000))
	setDefault(&o.Watchers, o.Drivers)
	setDefault(&o.Duration, 2*time.Minute)
	setDefault(&o.Interval, 5*time.Second)
	setDefault(&o.Ramp, min(time.Duration(o.Drivers)*10*time.Millisecond, 30*time.Second))
	setDefault(&o.Speed, 1)
	setDefault(&o.Settle, 10*time.Second)
	if o.Faults == nil {
		f := trace.DefaultFaults()
		o.Faults = &f
	}
	var problems []error
	if o.Drivers > available {
		problems = append(problems, fmt.Errorf("the world has %d drivers with a vehicle, not %d; seed a bigger one", available, o.Drivers))
	}
	if o.Drivers <= 0 {
		problems = append(problems, errors.New("there is no driver to simulate"))
	}
	if o.Watchers > 0 && len(o.World.Customers) == 0 {
		problems = append(problems, errors.New("the world has no customers to watch"))
	}
	if o.Interval < 10*time.Millisecond || o.Duration < 0 || o.Speed < 0 || o.Watchers < 0 {
		problems = append(problems, errors.New("interval, duration, speed and watchers must be positive; the interval at least 10 ms"))
	}
	return errors.Join(problems...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// crew is a driver with the truck he drives, who owns it, and for whom he drives.
type crew struct {
	number      int
	transporter world.FileTransporter
	driver      world.FilePerson
	vehicle     world.FileVehicle
	customer    world.FilePerson // zero: nobody
}

// place numbers the lane of a driver: the same in every world and every run with one seed, so that he
// is not in two places within minutes.
func (c crew) place() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.driver.ID)) // a hash takes everything
	return h.Sum64()
}

// crews takes n crews of the world, evenly from all transporters, customers in turn.
func crews(w world.File, n int) []crew {
	var all []crew
	for i := 0; len(all) < n; i++ {
		before := len(all)
		for _, t := range w.Transporters {
			if i >= len(t.Drivers) || i >= len(t.Vehicles) || len(all) == n {
				continue
			}
			c := crew{number: len(all), transporter: t, driver: t.Drivers[i], vehicle: t.Vehicles[i]}
			if len(w.Customers) > 0 {
				c.customer = w.Customers[len(all)%len(w.Customers)]
			}
			all = append(all, c)
		}
		if len(all) == before {
			break
		}
	}
	return all
}
