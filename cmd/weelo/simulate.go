package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"weelo/internal/simulate"
	"weelo/internal/trace"
	"weelo/internal/world"
)

// simulateFlags are those of both simulations.
type simulateFlags struct {
	world, url, traces string
	fleet              simulate.Options
	orders             simulate.OrderOptions
	dir                string
	check              bool
}

func simulateCommand() command {
	return command{
		name: "simulate", summary: "play everybody against a running server and judge what arrives",
		help: `
Drives a fleet: assigns trips, accepts them, streams real recorded drives through phones with real
faults, and watches each trip as its customer, all over sockets, against the server in the world file.
At the end it says what was sent, what arrived and how late, and whether every watcher's last position
is the right one.

With --orders it plays the whole market: customers book, transporters hold and confirm, drivers accept,
drive and complete. --races adds a bad day on purpose: transporters who fire within 5 ms of one another,
double taps, requests given up and made again, cancellations while drivers accept, phones that never
answer, holds that are forgotten, foul confirmations, trucks that break down, goods that are not all taken,
orders for later, disputes. At the end it judges from the outside what everybody saw; with --check
(DATABASE_URL) or --dir it also audits the store, as weelo inspect check.

It exits with 1 when anything was wrong.

  weelo seed --demo --drivers 2000 --out world.json
  weelo simulate --world world.json --drivers 2000 --watchers 2000 --duration 2m
  weelo simulate --world world.json --orders 1000 --races --speed 30

Everybody stays below the server's limits and comes again when asked to. Addresses have none on the machine itself;
from another one more than a few hundred connections need a server with LIMITS=off.`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			f := &simulateFlags{}
			fs.StringVar(&f.world, "world", "", "the `file` that weelo seed wrote")
			fs.StringVar(&f.url, "url", "", "another `URL` than the file's")
			fs.StringVar(&f.traces, "trace", "", "play this `file` (GPX, CSV, Fleet Engine JSON) instead of the built-in drives")
			o := &f.fleet
			fs.IntVar(&o.Drivers, "drivers", 0, "how many drivers (default all, at most 1000)")
			fs.IntVar(&o.Watchers, "watchers", 0, "how many watchers (default one for each driver)")
			fs.DurationVar(&o.Duration, "duration", 2*time.Minute, "how long to stream after everybody is there")
			fs.DurationVar(&o.Interval, "interval", 0, "time between a driver's fixes (default 5s, with --orders 2s)")
			fs.DurationVar(&o.Ramp, "ramp", 0, "time over which everybody comes (default 10ms each, at most 30s)")
			fs.DurationVar(&o.Settle, "settle", 0, "time for the last positions and events to arrive (default 10s, with --orders 15s)")
			fs.Float64Var(&o.Speed, "speed", 1, "playback speed; must be the server's TIME_SCALE")
			fs.Uint64Var(&o.Seed, "seed", 1, "seed of the phones' faults and of everybody's choices")
			fs.IntVar(&f.orders.Orders, "orders", 0, "book this many orders instead")
			fs.IntVar(&f.orders.AtOnce, "at-once", 0, "orders that live at a time (default one for each customer, at most 100)")
			fs.BoolVar(&f.orders.Races, "races", false, "with --orders: everything that can go wrong, on purpose")
			fs.DurationVar(&f.orders.Limit, "limit", 10*time.Minute, "with --orders: the longest it may take")
			fs.BoolVar(&f.check, "check", false, "with --orders: audit DATABASE_URL at the end")
			fs.StringVar(&f.dir, "dir", "", "with --orders: audit this dev `folder` at the end")
			return func(ctx context.Context, args []string, s surroundings) error {
				if err := noArgs(args); err != nil {
					return err
				}
				w, err := readWorld(f.world)
				if err != nil {
					return err
				}
				if f.url != "" {
					w.BaseURL = f.url
				}
				if f.orders.Orders > 0 {
					return simulateOrders(ctx, f, w, s)
				}
				return simulateFleet(ctx, f, w, s)
			}
		},
	}
}

func simulateFleet(ctx context.Context, f *simulateFlags, w world.File, s surroundings) (err error) {
	o := f.fleet
	o.World = w
	if f.traces != "" {
		if o.Traces, err = readTraces(f.traces); err != nil {
			return err
		}
	}
	summary, err := simulate.Run(ctx, o, s.out)
	if err != nil {
		return err
	}
	if !summary.OK() {
		return fmt.Errorf("%d things went wrong", summary.Errors)
	}
	return nil
}

func simulateOrders(ctx context.Context, f *simulateFlags, w world.File, s surroundings) error {
	o := f.orders
	o.World, o.Speed, o.Seed, o.Interval, o.Settle = w, f.fleet.Speed, f.fleet.Seed, f.fleet.Interval, f.fleet.Settle
	summary, err := simulate.Orders(ctx, o, s.out)
	if err != nil {
		return err
	}
	if f.check || f.dir != "" {
		if err := auditAtRest(ctx, f.dir, time.Minute, s); err != nil {
			return err
		}
	}
	if !summary.OK() {
		return fmt.Errorf("%d things went wrong", summary.Errors)
	}
	return nil
}

func readWorld(path string) (world.File, error) {
	if path == "" {
		return world.File{}, usagef("--world is needed; weelo seed --demo writes one")
	}
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return world.File{}, err
	}
	defer f.Close()
	return world.ReadFile(f)
}

func readTraces(path string) ([]trace.Trace, error) {
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return trace.Read(path, f)
}
