package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"weelo/internal/fleet"
	"weelo/internal/session"
	"weelo/internal/simulate"
	"weelo/internal/token"
	"weelo/internal/world"
	"weelo/transport/web"
)

// demo is the world of weelo dev: its people in the store, its fleet on real sockets, its map.
type demo struct {
	*house
	folder  *folder
	options devOptions
	out     io.Writer
	seeded  world.Seeded
}

func (d *demo) build(ctx context.Context) (err error) {
	ports := world.Ports{Users: d.st.users, Vehicles: d.st.vehicles, Sessions: demoSessions{d.keeper}}
	base := fmt.Sprintf("http://localhost:%d", d.p.port())
	d.seeded, err = world.Seed(ctx, ports, world.Invent(world.DemoOptions(), time.Now()), base)
	if err != nil {
		return err
	}
	if err := d.site(); err != nil {
		return err
	}
	serving := make(chan struct{})
	d.p.opened = func() {
		if err := writeWhole(d.folder.path(demoFile), d.seeded.People.Demo(base, d.folder.absolute(smsFile)), 0o600); err != nil {
			d.p.log.Warn("demo.json was not written", "err", err)
		}
		d.greet(base)
		close(serving)
	}
	if !d.options.noSimulation {
		d.p.run("simulation", func(ctx context.Context) error {
			select {
			case <-serving:
			case <-ctx.Done():
				return nil
			}
			return d.simulate(ctx)
		})
	}
	return nil
}

// site mounts the live map.
func (d *demo) site() error {
	site, err := web.New(web.Config{
		Sessions: mapSessions{d.mint}, Tokens: d.mint, History: d.st.history, Hosts: d.p.cfg.Server.PublicHosts,
		StyleURL: d.p.cfg.Server.MapStyleURL, Speed: d.p.cfg.Tests.TimeScale, Version: version, Log: d.p.log,
	})
	if err != nil {
		return err
	}
	for _, pattern := range site.Patterns() {
		d.api.Mount(pattern, site)
	}
	return nil
}

// sampledLogins is how many simulated drivers log in by OTP like people do; the others use sessions
// that the seed opened.
const sampledLogins = 2

// simulate moves everybody who is not free, over real sockets, from when the port answers: half of every
// fleet is on long trips of its own, the other half takes the orders that customers book.
func (d *demo) simulate(ctx context.Context) error {
	roaming, market := d.seeded.Busy().Halves()
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		return simulate.Fleet(ctx, simulate.FleetOptions{
			World: roaming, SMSFile: d.folder.path(smsFile), Logins: sampledLogins, Speed: d.p.cfg.Tests.TimeScale, Log: d.p.log, Token: d.token,
		})
	})
	both.Go(func() error {
		return simulate.Market(ctx, simulate.MarketOptions{World: market, Speed: d.p.cfg.Tests.TimeScale, Log: d.p.log, Token: d.token})
	})
	return both.Wait()
}

// token is a fresh access token of somebody in the demo world.
func (d *demo) token(ctx context.Context, user fleet.UserID) (string, error) {
	u, err := d.st.users.User(ctx, user)
	if err != nil {
		return "", err
	}
	return demoSessions{d.keeper}.Token(ctx, u)
}

func (d *demo) greet(base string) {
	fmt.Fprintf(d.out, "\n  Weelo is at %s\n\n", base)
	for _, c := range d.seeded.People.Customers {
		if c.Free {
			fmt.Fprintf(d.out, "  customer     %s  %s\n", national(c.User.Phone), c.User.Name)
		}
	}
	for _, t := range d.seeded.People.Transporters {
		if t.Free {
			fmt.Fprintf(d.out, "  transporter  %s  %s\n", national(t.User.Phone), t.User.Name)
			for _, u := range t.Drivers[:min(2, len(t.Drivers))] {
				fmt.Fprintf(d.out, "    driver     %s  %s\n", national(u.Phone), u.Name)
			}
		}
	}
	fmt.Fprintf(d.out, "\n  Everybody is in %s. Codes appear here and in %s.\n  Ctrl-C ends it.\n\n",
		d.folder.path(demoFile), d.folder.path(smsFile))
}

// national is a number as people type it.
func national(e164 string) string { return e164[max(0, len(e164)-10):] }

// demoSessions opens one session for each seeded user, the same at every start.
type demoSessions struct{ keeper *session.Keeper }

// Token gives a fresh access token. When the user's own seeded session has ended (logged out, or 90
// days old) another one is opened.
func (s demoSessions) Token(ctx context.Context, u fleet.User) (string, error) {
	pair, err := s.keeper.Open(ctx, world.SessionID(u.ID), u, "demo", time.Now())
	if err != nil {
		pair, err = s.keeper.Open(ctx, uuid.NewString(), u, "demo", time.Now())
	}
	return pair.Access, err
}

// mapSessions gives the live map a short look at everything. Dev only: the page's own checks say who
// may ask (transport/web).
type mapSessions struct{ mint *token.Mint }

// The map's identity is nobody's: no user row, no refresh token, no session that could be revoked.
const (
	mapUser    = "00000000-0000-4000-8000-00000000da7a"
	mapSession = "00000000-0000-4000-8000-00000000da7b"
)

// MapSession implements web.Sessions.
func (m mapSessions) MapSession(context.Context) (web.Session, error) {
	access, id, err := m.mint.Access(token.Identity{UserID: mapUser, Role: fleet.Ops, SessionID: mapSession}, time.Now(), rand.Reader)
	return web.Session{Token: access, Expires: id.ExpiresAt}, err
}
