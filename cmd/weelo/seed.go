package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"time"

	"weelo/internal/config"
	"weelo/internal/fleet"
	"weelo/internal/session"
	"weelo/internal/telemetry"
	"weelo/internal/token"
	"weelo/internal/world"
	"weelo/store/postgres"
	"weelo/store/sqlite"
)

// seedOptions are the flags of weelo seed.
type seedOptions struct {
	demo         bool
	drivers      int
	customers    int
	transporters int
	out          string
	dir          string
	baseURL      string
}

func seedCommand() command {
	return command{
		name: "seed", summary: "put a demo world with ready sessions into the stores, for simulate and bench",
		help: `
Invents transporters, vehicles, drivers and customers, writes them to DATABASE_URL (or to a dev folder
with --dir) and opens a session for each, so that thousands need no OTP. The server may run or not. A
second run adds nothing and mints fresh tokens, a bigger one adds the rest. The people of weelo dev are
among them, so a dev that is to be driven by simulate runs with --no-simulation. Refused in production.

  weelo seed --demo --drivers 2000 --customers 2000 --out world.json
  weelo seed --demo --drivers 50 --dir .weelo --out world.json

The file has everybody with ids, phones and access tokens (good for JWT_EXPIRES_IN); keep it to yourself.`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			var o seedOptions
			fs.BoolVar(&o.demo, "demo", false, "yes, invent people (there is nothing else to seed yet)")
			fs.IntVar(&o.drivers, "drivers", 100, "how many drivers, each with a vehicle (at most 100000)")
			fs.IntVar(&o.customers, "customers", 0, "how many customers (default as many as drivers)")
			fs.IntVar(&o.transporters, "transporters", 0, "how many transporters (default one for 20 drivers)")
			fs.StringVar(&o.out, "out", "world.json", "write everybody to this `file`")
			fs.StringVar(&o.dir, "dir", "", "seed this dev `folder` instead of DATABASE_URL")
			fs.StringVar(&o.baseURL, "url", "", "where the server is reached, for the file (default http://127.0.0.1:PORT)")
			return func(ctx context.Context, args []string, s surroundings) error {
				if err := noArgs(args); err != nil {
					return err
				}
				if err := o.complete(); err != nil {
					return err
				}
				return seed(ctx, o, s)
			}
		},
	}
}

func (o *seedOptions) complete() error {
	if o.customers == 0 {
		o.customers = o.drivers
	}
	if o.transporters == 0 {
		o.transporters = max(1, o.drivers/20)
	}
	switch {
	case !o.demo:
		return usagef("say --demo: it invents people")
	case o.drivers < 1 || o.drivers > 100_000 || o.customers < 1 || o.customers > 100_000:
		return usagef("--drivers and --customers go from 1 to 100000")
	case o.transporters < 1 || o.transporters > o.drivers:
		return usagef("--transporters goes from 1 to the number of drivers")
	case o.drivers/o.transporters > fleet.MaxFleet:
		return usagef("a transporter has at most %d drivers; ask for more --transporters", fleet.MaxFleet)
	}
	return nil
}

// seedStores are the ports that a seed writes to.
type seedStores struct {
	users    session.Users
	vehicles fleet.Vehicles
	sessions session.Store
	close    func()
}

func seed(ctx context.Context, o seedOptions, s surroundings) error {
	cfg, err := config.Load(s.environ)
	if err != nil {
		return err
	}
	st, keys, err := openForSeed(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer st.close()
	mint, err := token.New(tokenKeys(keys, cfg.Login.AccessLife.D()))
	if err != nil {
		return err
	}
	keeper := session.NewKeeper(session.Config{
		Store: st.sessions, Users: st.users, Mint: mint, Policy: session.DefaultPolicy(), Random: rand.Reader,
		Log: telemetry.NewConsole(s.err, cfg.Level()),
	})
	if o.baseURL == "" {
		o.baseURL = fmt.Sprintf("http://127.0.0.1:%d", cfg.Server.Port)
	}
	begun := time.Now()
	people := world.Invent(world.Options{
		Seed: 1, Transporters: o.transporters, Drivers: o.drivers, Customers: o.customers,
	}, begun)
	seeded, err := world.Seed(ctx, world.Ports{Users: st.users, Vehicles: st.vehicles, Sessions: demoSessions{keeper}}, people, o.baseURL)
	if err != nil {
		return err
	}
	if err := writeWhole(o.out, seeded.File, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d new and %d known people and vehicles in %v; %s has %d transporters, %d drivers, %d customers\n",
		seeded.New, seeded.Existing, time.Since(begun).Round(time.Millisecond), o.out, o.transporters, o.drivers, o.customers)
	return nil
}

func openForSeed(ctx context.Context, cfg config.Config, o seedOptions) (*seedStores, config.Secrets, error) {
	if o.dir != "" {
		return openFolderForSeed(ctx, cfg, o.dir)
	}
	if err := cfg.Seed(); err != nil {
		return nil, config.Secrets{}, err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.Store.DatabaseURL.Reveal()})
	if err != nil {
		return nil, config.Secrets{}, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		db.Close()
		return nil, config.Secrets{}, err
	}
	return &seedStores{postgres.NewUsers(db), postgres.NewVehicles(db), postgres.NewSessions(db), db.Close}, cfg.Secrets, nil
}

// openFolderForSeed does not take the folder's lock: a dev may be running, and SQLite takes turns.
func openFolderForSeed(ctx context.Context, cfg config.Config, dir string) (*seedStores, config.Secrets, error) {
	if err := cfg.Dev(); err != nil {
		return nil, config.Secrets{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, config.Secrets{}, err
	}
	f := &folder{dir: dir}
	made, err := f.secrets()
	if err != nil {
		return nil, config.Secrets{}, err
	}
	db, err := sqlite.Open(ctx, f.path(databaseFile))
	if err != nil {
		return nil, config.Secrets{}, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		_ = db.Close()
		return nil, config.Secrets{}, err
	}
	keys := config.Secrets{JWT: config.Secret(made.JWT), JWTRefresh: config.Secret(made.Refresh), Pepper: config.Secret(made.Pepper)}
	return &seedStores{sqlite.NewUsers(db), sqlite.NewVehicles(db), sqlite.NewSessions(db), func() { _ = db.Close() }}, keys, nil
}
