package main

import (
	"context"
	"flag"
	"fmt"

	"weelo/internal/config"
	"weelo/internal/telemetry"
)

// devOptions are the flags of weelo dev.
type devOptions struct {
	dir          string
	speed        float64
	noSimulation bool
}

func devCommand() command {
	return command{
		name: "dev", summary: "run everything in one process with a demo world (start here)",
		help: `
Starts the whole product on this machine: SQLite and generated keys in a folder, a demo world with
a moving fleet, a live map at /. It prints the address, the demo logins and every SMS. Ctrl-C ends
it; the next start goes on from what was stored. PORT chooses the port (3000).

  weelo dev
  weelo dev --speed 10                     time runs ten times as fast
  weelo dev --no-simulation --dir /tmp/w   the same people, but nobody moves

The folder has weelo.db, secrets.json, demo.json (who is in the demo world, for scripts) and
sms.jsonl (every SMS, one JSON line each).`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			var o devOptions
			fs.StringVar(&o.dir, "dir", ".weelo", "`folder` for database, keys and demo files")
			fs.Float64Var(&o.speed, "speed", 0, "run the dispatch clock and the simulation `N` times as fast (default TIME_SCALE, 1)")
			fs.BoolVar(&o.noSimulation, "no-simulation", false, "do not move the demo fleet")
			return func(ctx context.Context, args []string, s surroundings) error {
				if err := noArgs(args); err != nil {
					return err
				}
				return dev(ctx, o, s)
			}
		},
	}
}

func dev(ctx context.Context, o devOptions, s surroundings) error {
	cfg, err := config.Load(s.environ)
	log := telemetry.NewConsole(s.err, cfg.Level())
	if o.speed != 0 {
		cfg.Tests.TimeScale = o.speed
	}
	if err == nil {
		err = cfg.Dev()
	}
	if err != nil {
		return refuseStart(log, err)
	}
	folder, err := openFolder(o.dir)
	if err != nil {
		return err
	}
	defer folder.close()
	made, err := folder.secrets()
	if err != nil {
		return err
	}
	keys := config.Secrets{JWT: config.Secret(made.JWT), JWTRefresh: config.Secret(made.Refresh), Pepper: config.Secret(made.Pepper)}
	return launch(ctx, cfg, log, func(ctx context.Context, p *process) error {
		if len(p.cfg.Server.PublicHosts) == 0 { // a page of elsewhere that resolves to this machine is not served
			// The last is what an Android emulator calls the machine it runs on.
			p.cfg.Server.PublicHosts = []string{"localhost", "127.0.0.1", "::1", "10.0.2.2"}
		}
		if len(p.cfg.Server.AllowedOrigins) == 0 {
			p.cfg.Server.AllowedOrigins = []string{fmt.Sprintf("http://localhost:%d", p.port()), fmt.Sprintf("http://127.0.0.1:%d", p.port())}
		}
		sender, err := devSMS(ctx, cfg.SMS, folder.path(smsFile), s.out)
		if err != nil {
			return err
		}
		st, err := embedded(ctx, p, folder.path(databaseFile))
		if err != nil {
			return err
		}
		h, err := wire(ctx, p, st, keys, sender)
		if err != nil {
			return err
		}
		d := &demo{house: h, folder: folder, options: o, out: s.out}
		return d.build(ctx)
	})
}
