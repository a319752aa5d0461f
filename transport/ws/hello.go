package ws

import (
	"context"
	"errors"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/hub"
	"weelo/transport/wire"
)

// What a welcome asks of a driver's phone, and the age from which a position is stale.
const (
	movingMS = 5_000
	idleMS   = 30_000
	staleMS  = 60_000
)

// hello reads the first message and verifies who speaks.
func (c *conn) hello(ctx context.Context, id *token.Identity) (token.Identity, *wire.Resume, bool) {
	c.socket.SetReadLimit(OtherLimit)
	late := time.AfterFunc(HelloWait, func() { c.kill(codeTimeout, "no hello") })
	defer late.Stop()
	kind, err := c.receive()
	switch {
	case errors.Is(err, errDone):
		return token.Identity{}, nil, false
	case err != nil, kind != wire.Hello:
		c.refuse(codeMalformed, "the first message must be a hello")
		return token.Identity{}, nil, false
	}
	who, refusal := c.authenticate(id)
	if refusal != nil {
		c.sendNow(errorFrame("", refusal))
		c.refuse(codeUnauthorized, refusal.Reason)
		return token.Identity{}, nil, false
	}
	if !late.Stop() {
		return token.Identity{}, nil, false // too late: the close is under way
	}
	if c.tooOften(ctx, who) {
		c.server.observer.Refused(Format, errOften.Reason)
		c.sendNow(errorFrame("", errOften))
		c.refuse(codeRate, "too many connections")
		return token.Identity{}, nil, false
	}
	if c.message.Device != "" {
		c.device = c.message.Device
	}
	if c.device != "" {
		who.Device = c.device
	}
	c.expiryMS.Store(who.ExpiresAt.UnixMilli())
	return who, c.message.Resume, true
}

func (c *conn) tooOften(ctx context.Context, who token.Identity) bool {
	if c.server.cfg.Admit == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return c.server.cfg.Admit(ctx, who) > 0
}

func (c *conn) authenticate(id *token.Identity) (token.Identity, *fault.Error) {
	if c.message.Token == "" {
		if id == nil {
			return token.Identity{}, errToken
		}
		return *id, nil
	}
	who, err := c.server.cfg.Tokens.Verify(c.message.Token, time.Now())
	if err != nil {
		return token.Identity{}, tokenRefusal(err)
	}
	if id != nil && !sameSession(who, *id) {
		return token.Identity{}, errToken
	}
	return who, nil
}

func sameSession(a, b token.Identity) bool {
	return a.UserID == b.UserID && a.SessionID == b.SessionID && a.Role == b.Role
}

// appear tells the actor of a driver or transporter that he has a socket here.
func (c *conn) appear(ctx context.Context, who token.Identity) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	switch who.Role {
	case fleet.Driver:
		link, err := c.server.cfg.Drivers.Attach(ctx, who.UserID, who.TransporterID)
		if err != nil {
			return nil, err
		}
		c.driver = link
		return func() { c.parked.stop(); link.Detach() }, nil
	case fleet.Transporter:
		detach, err := c.server.cfg.Transporters.Attach(ctx, who.UserID)
		return detach, err
	case fleet.Customer, fleet.Ops:
	}
	return func() {}, nil
}

// welcome answers the hello and lets the hub begin.
func (c *conn) welcome(ctx context.Context, member *hub.Socket, resume *wire.Resume) error {
	now := time.Now()
	var from *hub.Resume
	if resume != nil && member.Identity().Role != token.Viewer { // he missed nothing that is his
		from = &hub.Resume{Stream: resume.Stream, Seq: resume.Seq}
		if from.Stream == "" {
			from.Stream = "?" // no stream is never our stream
		}
	}
	plan, err := member.Plan(ctx, from, now)
	if err != nil {
		return err
	}
	who := member.Identity()
	w := wire.Welcome{
		Conn: c.id, User: string(who.UserID), Role: string(who.Role),
		Stream: plan.Stream, Head: plan.Head, Mode: string(plan.Mode),
		ExpMS: who.ExpiresAt.UnixMilli(), ServerMS: now.UnixMilli(),
		PingMS: PingEvery.Milliseconds(), StaleMS: staleMS, MovingMS: movingMS, IdleMS: idleMS,
	}
	if who.Role == fleet.Driver {
		ctx, cancel := context.WithTimeout(ctx, callWait)
		defer cancel()
		if w.Trip, w.LastFixMS, err = c.server.cfg.Facts.Welcome(ctx, who); err != nil {
			return err
		}
	}
	member.Send(wire.AppendWelcome(nil, w))
	return member.Begin(ctx, plan)
}
