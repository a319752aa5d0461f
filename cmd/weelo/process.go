package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"weelo/internal/config"
	"weelo/internal/telemetry"
	"weelo/transport/rest"
)

// process is a running weelo: one public listener, one admin listener, the long-lived parts, and the
// order in which they end.
//
// The order of an end (SIGTERM, or a part that failed): readiness fails at once and connections are
// no longer kept alive → wait until the load balancer has noticed → sockets are told to reconnect
// elsewhere → no new requests, those in flight are finished → actors drain, so that everything
// decided is committed → writers flush → long-lived parts stop → stores close → exit 0. All of it
// within STOP_TIMEOUT.
type process struct {
	cfg     config.Config
	log     *slog.Logger
	metrics *telemetry.Metrics
	ready   *readiness
	handler http.Handler
	parts   []part
	drains  []step // in order, after the listener has stopped accepting
	sockets func(ctx context.Context, over, wait time.Duration) error
	closes  []step // in reverse order, at the very end

	listener net.Listener
	opened   func() // called once the port answers
}

// part runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// step is one thing to do while stopping.
type step struct {
	name string
	do   func(context.Context) error
}

func (p *process) run(name string, f func(context.Context) error) {
	p.parts = append(p.parts, part{name, f})
}

func (p *process) drain(name string, f func(context.Context) error) {
	p.drains = append(p.drains, step{name, f})
}

func (p *process) close(name string, f func(context.Context) error) {
	p.closes = append(p.closes, step{name, f})
}

// shut closes what was opened, newest first. It is also how a start that failed half-way cleans up.
func (p *process) shut(ctx context.Context) {
	for i := len(p.closes) - 1; i >= 0; i-- {
		if err := p.closes[i].do(ctx); err != nil {
			p.log.Warn("closing failed", "part", p.closes[i].name, "err", err)
		}
	}
	p.closes = nil
}

// listen opens the public port. Port 0 takes a free one.
func (p *process) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if p.listener, err = lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", p.cfg.Server.Port)); err != nil {
		return fmt.Errorf("PORT: %w", err)
	}
	p.close("listener", func(context.Context) error {
		if err := p.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// port is the one it really listens on.
func (p *process) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// serve runs everything until ctx ends or a part fails, then ends in order.
func (p *process) serve(ctx context.Context) error {
	admin, err := p.admin(ctx)
	if err != nil {
		return err
	}
	// Parts outlive ctx: they end only after the drain.
	partsCtx, endParts := context.WithCancel(context.WithoutCancel(ctx))
	defer endParts()
	group, groupCtx := errgroup.WithContext(partsCtx)
	for _, part := range p.parts {
		group.Go(func() error {
			if err := part.run(partsCtx); err != nil && partsCtx.Err() == nil {
				p.log.Error("a part failed", "part", part.name, "err", err)
				return fmt.Errorf("%s: %w", part.name, err)
			}
			return nil
		})
	}
	if admin != nil {
		p.log.Info("admin pages", "addr", admin.Addr())
		group.Go(func() error { return admin.Run(partsCtx) })
	}

	server := rest.NewServer(p.handler, p.log)
	group.Go(func() error {
		if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("http: %w", err)
		}
		return nil
	})
	p.ready.state.Store(serving)
	p.log.Info("serving", "addr", p.listener.Addr().String(), "version", version)
	if p.opened != nil {
		p.opened()
	}

	select {
	case <-ctx.Done():
		p.log.Info("stopping", "why", "asked to")
	case <-groupCtx.Done():
		p.log.Error("stopping", "why", context.Cause(groupCtx))
	}
	p.stop(server, endParts)
	return group.Wait()
}

func (p *process) admin(ctx context.Context) (*telemetry.Admin, error) {
	if p.cfg.Ops.AdminAddr == "off" {
		return nil, nil
	}
	return telemetry.ListenAdmin(ctx, p.cfg.Ops.AdminAddr, p.metrics.Registry)
}

// socketSpread is how long sockets are told to reconnect over; the wait they are told is up to as
// much again, so that the other tasks see no storm.
func (p *process) socketSpread() time.Duration {
	if p.cfg.OnECS() {
		return 45 * time.Second
	}
	return 200 * time.Millisecond
}

func (p *process) stop(server *http.Server, endParts context.CancelFunc) {
	begun := time.Now()
	// The hard limit: better to leave by ourselves, with a line that says so, than to be killed.
	limit := time.AfterFunc(p.cfg.Ops.StopTimeout, func() {
		p.log.Error("the orderly stop took too long; leaving", "after", p.cfg.Ops.StopTimeout.String())
		os.Exit(0)
	})
	defer limit.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.Ops.StopTimeout)
	defer cancel()

	p.ready.state.Store(draining)
	server.SetKeepAlivesEnabled(false)
	if p.cfg.Ops.DrainDelay > 0 {
		noticed := time.NewTimer(p.cfg.Ops.DrainDelay)
		select {
		case <-noticed.C:
		case <-ctx.Done():
		}
		noticed.Stop()
	}
	if p.sockets != nil {
		if err := p.sockets(ctx, p.socketSpread(), p.socketSpread()); err != nil {
			p.log.Warn("not every socket was told", "err", err)
		}
	}
	// Requests in flight get ten seconds; hijacked sockets are the hub's.
	httpCtx, cancelHTTP := context.WithTimeout(ctx, 10*time.Second)
	if err := server.Shutdown(httpCtx); err != nil {
		p.log.Warn("requests were cut off", "err", err)
		_ = server.Close()
	}
	cancelHTTP()
	for _, s := range p.drains {
		if err := s.do(ctx); err != nil {
			p.log.Warn("draining failed", "part", s.name, "err", err)
		}
	}
	endParts()
	p.log.Info("stopped", "took", time.Since(begun).Round(time.Millisecond).String())
}
