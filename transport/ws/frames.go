package ws

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/transport/hub"
	"weelo/transport/wire"
)

// kinds names the frames that come in, for counters.
var kinds = [...]string{
	wire.Hello: "hello", wire.Auth: "auth", wire.Replay: "replay", wire.Fix: "fix", wire.Fixes: "fixes",
	wire.Watch: "watch", wire.Unwatch: "unwatch", wire.Seen: "seen", wire.Ping: "ping",
}

var (
	errRate        = fault.New(fault.ResourceExhausted, "RATE_LIMITED", "Too many messages. Please slow down.")
	errOften       = fault.New(fault.ResourceExhausted, "RATE_LIMITED", "Too many connections. Please wait a moment.")
	errForbidden   = fault.New(fault.PermissionDenied, "FORBIDDEN", "This is not yours to do.")
	errWatch       = fault.New(fault.NotFound, "NOT_FOUND", "There is no such watch.")
	errTrip        = fault.New(fault.NotFound, "NOT_FOUND", "There is no such trip of yours at that time.")
	errUnavailable = fault.New(fault.Unavailable, "UNAVAILABLE", "Please try again in a moment.")
	errTwice       = fault.New(fault.FailedPrecondition, "ALREADY_AUTHENTICATED", "The hello comes once, at the start.")
)

// handle takes one frame. A position has no span and no other cost; every other frame is metered and
// traced.
func (c *conn) handle(ctx context.Context, member *hub.Socket, kind wire.Kind) error {
	now := time.Now()
	if kind == wire.Fix {
		return c.onFix(ctx, member, now)
	}
	if pass, over := c.limits.other(now); !pass {
		if c.limited(member, over) {
			return nil
		}
		return errDone
	}
	ctx, span := c.server.cfg.Tracer.Start(ctx, "ws "+kinds[kind], trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	err := c.command(ctx, member, kind, now)
	if err != nil {
		span.SetStatus(codes.Error, fault.From(err).Reason)
	}
	return err
}

// command is the table of contents of the frames that a client sends, but for positions.
func (c *conn) command(ctx context.Context, member *hub.Socket, kind wire.Kind, now time.Time) error {
	if member.Identity().Role == token.Viewer && !forViewers(kind) {
		return errForbidden
	}
	switch kind {
	case wire.Fixes:
		return c.onFixes(ctx, member, now)
	case wire.Watch:
		return c.onWatch(ctx, member)
	case wire.Unwatch:
		if !member.Unwatch(c.message.ID) {
			return errWatch
		}
	case wire.Ping:
		member.Answer(wire.AppendPong(nil))
	case wire.Auth:
		return c.onAuth(member, now)
	case wire.Replay:
		return member.Replay(ctx, c.message.From)
	case wire.Seen:
		// A receipt changes nothing but an explanation: retention prunes, not receipts.
		if c.message.Offer != "" && member.Identity().Role == fleet.Transporter {
			member.SeenOffer(c.message.Offer)
		}
	case wire.Hello:
		return errTwice
	case wire.Fix:
	}
	return nil
}

// limited answers a message beyond the rate and tells whether the connection goes on.
func (c *conn) limited(member *hub.Socket, over bool) bool {
	c.server.observer.Refused(Format, errRate.Reason)
	member.Send(errorFrame(c.message.ID, errRate))
	if over {
		c.refuse(codeRate, "too many messages")
	}
	return !over
}

// onFix is the hot path: one position of a driver. It is never acknowledged.
func (c *conn) onFix(ctx context.Context, member *hub.Socket, now time.Time) error {
	if c.driver == nil {
		return errForbidden
	}
	driver := member.Identity().Member()
	if !speaksForItself(driver.Driver, c.message.Driver) {
		return errForbidden
	}
	fix := c.message.Fix
	fix.ReceivedMS = now.UnixMilli()
	if err := track.Check(fix, now); err != nil {
		return err
	}
	if c.message.Trip != "" {
		if err := c.drove(ctx, driver, c.message.Trip, fix.TS, now); err != nil {
			return err
		}
	}
	if !c.limits.fix(now) {
		c.park(driver, fix)
		return nil
	}
	c.driver.Report(fix)
	c.server.cfg.Recorder.Note(driver, fix)
	return nil
}

// speaksForItself tells whether a position that names its driver names the socket's. Who reports is known
// from the socket alone, so a name that differs is a mistake or a forgery, never an instruction.
func speaksForItself(driver fleet.UserID, named string) bool {
	return named == "" || named == string(driver)
}

// onFixes records a batch and acknowledges it after the commit.
func (c *conn) onFixes(ctx context.Context, member *hub.Socket, now time.Time) error {
	if c.driver == nil {
		return errForbidden
	}
	ctx, cancel := context.WithTimeout(ctx, batchWait)
	defer cancel()
	ack := wire.Ack{Re: c.message.ID}
	var newest track.Fix
	for _, group := range groups(member.Identity().UserID, c.message.Batch, &ack, now) {
		r, err := c.server.cfg.Recorder.Record(ctx, member.Identity().Member(), group.trip, group.fixes)
		if err != nil {
			return fmt.Errorf("record batch: %w", err)
		}
		ack.Accepted += r.Accepted
		ack.Duplicate += r.Duplicate
		ack.Stale += r.Stale
		ack.Invalid += r.Invalid
		for _, at := range r.InvalidAt {
			ack.InvalidAt = append(ack.InvalidAt, group.places[at])
		}
		ack.LastFixMS = max(ack.LastFixMS, r.LastAcceptedMS)
		if r.HasFresh && r.NewestFresh.TS > newest.TS {
			newest = r.NewestFresh
		}
	}
	sortInts(ack.InvalidAt)
	if newest.TS != 0 {
		c.driver.Report(newest)
	}
	member.Answer(wire.AppendAck(nil, ack))
	return nil
}

func (c *conn) onWatch(ctx context.Context, member *hub.Socket) error {
	who := member.Identity()
	m := &c.message
	scope := hub.Scope{Kind: hub.Trip, ID: m.Trip}
	switch {
	case m.Order != "":
		scope = hub.Scope{Kind: hub.Order, ID: m.Order}
	case m.Fleet:
		if who.Role != fleet.Transporter {
			return errForbidden
		}
		scope = hub.Scope{Kind: hub.Fleet, ID: string(who.UserID)}
	case m.All:
		if who.Role != fleet.Ops {
			return errForbidden
		}
		scope = hub.Scope{Kind: hub.All}
	}
	return member.Watch(ctx, m.ID, scope)
}

// onAuth prolongs the connection by a new token of the same session.
func (c *conn) onAuth(member *hub.Socket, now time.Time) error {
	who, err := c.server.cfg.Tokens.Verify(c.message.Token, now)
	if err != nil {
		return tokenRefusal(err)
	}
	if !sameSession(who, member.Identity()) {
		c.server.observer.Refused(Format, closeName(codeForbidden))
		c.refuse(codeForbidden, "another session")
		return errDone
	}
	c.expiryMS.Store(who.ExpiresAt.UnixMilli())
	member.Send(wire.AppendAuthed(nil, who.ExpiresAt.UnixMilli()))
	return nil
}
