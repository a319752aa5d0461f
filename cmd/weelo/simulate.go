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

func simulateCommand() command {
	return command{
		name: "simulate", summary: "drive a fleet against a running server and judge what arrives",
		help: `
Assigns trips, accepts them, streams real recorded drives through phones with real faults, and watches
each trip as its customer, all over sockets, against the server in the world file. At the end it says
what was sent, what arrived and how late, and whether every watcher's last position is the right one.
It exits with 1 when anything was wrong.

  weelo seed --demo --drivers 2000 --out world.json
  weelo simulate --world world.json --drivers 2000 --watchers 2000 --duration 2m

More than a few hundred connections from one address need a server with LIMITS=off.`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			var o simulate.Options
			file := fs.String("world", "", "the `file` that weelo seed wrote")
			url := fs.String("url", "", "another `URL` than the file's")
			traces := fs.String("trace", "", "play this `file` (GPX, CSV, Fleet Engine JSON) instead of the built-in drives")
			fs.IntVar(&o.Drivers, "drivers", 0, "how many drivers (default all, at most 1000)")
			fs.IntVar(&o.Watchers, "watchers", 0, "how many watchers (default one for each driver)")
			fs.DurationVar(&o.Duration, "duration", 2*time.Minute, "how long to stream after everybody is there")
			fs.DurationVar(&o.Interval, "interval", 5*time.Second, "time between a driver's fixes")
			fs.DurationVar(&o.Ramp, "ramp", 0, "time over which everybody comes (default 10ms each, at most 30s)")
			fs.DurationVar(&o.Settle, "settle", 10*time.Second, "time for the last positions to arrive")
			fs.Float64Var(&o.Speed, "speed", 1, "playback speed; must be the server's TIME_SCALE")
			fs.Uint64Var(&o.Seed, "seed", 1, "seed of the phones' faults")
			return func(ctx context.Context, args []string, s surroundings) (err error) {
				if err := noArgs(args); err != nil {
					return err
				}
				if o.World, err = readWorld(*file); err != nil {
					return err
				}
				if *url != "" {
					o.World.BaseURL = *url
				}
				if *traces != "" {
					if o.Traces, err = readTraces(*traces); err != nil {
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
		},
	}
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
