package ws

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/hub"
	"weelo/transport/wire"
)

// conn is one connection. Its fields belong to its reading goroutine, but for the atomic ones, which
// the sweep and the callbacks of the socket use too.
type conn struct {
	server *Server
	socket *websocket.Conn
	out    *output
	id     string
	device string
	place  place // until the end of the hello

	member  atomic.Pointer[hub.Socket] // nil before the hello
	message wire.Message
	limits  limits
	driver  protocol.DriverLink // of drivers, else nil
	trips   tripCache
	parked  *parked // the fix that waits for its turn; nil until one had to

	heardMS  atomic.Int64 // last frame or pong
	pingedMS atomic.Int64 // last ping of ours
	expiryMS atomic.Int64 // end of the token
	sinceMS  atomic.Int64 // start of a message that is not complete; 0: none
	pings    pingMeter
	arranged atomic.Bool // a close with a code is under way, before there is a member
	closing  sync.Once
	closed   chan struct{} // after Close has closed the socket
}

// errDone ends a connection whose close was arranged already.
var errDone = errors.New("connection is closing")

// begin is the first half of a connection's life: hello and welcome. What they need of stack and
// memory would stay with an idle connection, so the second half gets a goroutine of its own.
func (c *conn) begin(id *token.Identity) {
	defer c.rescue()
	ctx := c.server.base
	c.heardMS.Store(time.Now().UnixMilli())
	c.pingedMS.Store(c.heardMS.Load())
	who, resume, ok := func() (token.Identity, *wire.Resume, bool) {
		defer c.place.leave()
		return c.hello(ctx, id)
	}()
	if !ok {
		c.finish(c.arranged.Load())
		return
	}
	c.message = wire.Message{} // a token is large
	member := c.join(who)
	leave, err := c.appear(ctx, who)
	if err == nil {
		if err = c.welcome(ctx, member, resume); err == nil {
			go c.live(ctx, member, leave)
			return
		}
		leave()
	}
	c.server.log.WarnContext(ctx, "socket could not begin", "conn", c.id, "role", string(who.Role), "error", err)
	c.refuse(codeOverloaded, "please connect again")
	c.part(member)
}

// live is the second half: frames until the connection ends.
func (c *conn) live(ctx context.Context, member *hub.Socket, leave func()) {
	defer c.rescue()
	func() {
		defer leave()
		c.readFrames(ctx, member)
	}()
	c.part(member)
}

// join makes the connection known to the hub.
func (c *conn) join(who token.Identity) *hub.Socket {
	cfg := &c.server.cfg
	member := cfg.Hub.Attach(hub.Attachment{Identity: who, Conn: c.id, Codec: codecOf(who), Transport: c})
	c.limits = newLimits(cfg.Unlimited)
	if who.Role == fleet.Driver {
		c.socket.SetReadLimit(DriverLimit)
	}
	c.member.Store(member)
	return member
}

// part is the counterpart of join.
func (c *conn) part(member *hub.Socket) {
	ended := isClosed(member.Done())
	c.server.cfg.Hub.Detach(member)
	c.finish(ended)
}

// finish closes what is left. When the hub has ended the socket it closes it with a code; to cut in
// would lose the code, so it is waited for. The handshake that it waits for is bounded by the library.
func (c *conn) finish(ended bool) {
	if ended {
		<-c.closed
	}
	_ = c.socket.CloseNow()
	c.server.leave(c)
}

// rescue keeps a bug in the handling of one connection from ending all of them.
func (c *conn) rescue() {
	r := recover()
	if r == nil {
		return
	}
	c.server.log.Error("a connection broke", "conn", c.id, "panic", r, "stack", string(debug.Stack()))
	c.server.observer.Refused(Format, "PANIC")
	if m := c.member.Load(); m != nil {
		c.server.cfg.Hub.Detach(m)
	}
	go c.Close(codeInternal, "internal error")
	c.finish(true)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

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
		if w.Trip, w.LastFixMS, err = c.server.cfg.Facts.Welcome(ctx, who.UserID); err != nil {
			return err
		}
	}
	member.Send(wire.AppendWelcome(nil, w))
	return member.Begin(ctx, plan)
}

// What a welcome asks of a driver's phone, and the age from which a position is stale.
const (
	movingMS = 5_000
	idleMS   = 30_000
	staleMS  = 60_000
)

// readFrames handles one frame after the other until the connection ends.
func (c *conn) readFrames(ctx context.Context, member *hub.Socket) {
	for {
		kind, err := c.receive()
		unpaid := err != nil || kind == wire.Fix // has not passed the limit of other messages
		if err == nil {
			c.server.observer.In(Format, kinds[kind])
			err = c.handle(ctx, member, kind)
		}
		if err != nil && !c.survives(member, err, unpaid) {
			return
		}
		c.limits.pace(time.Now())
	}
}

// survives answers an error and tells whether the connection goes on. An error frame for a message
// that was not metered counts as a message, so that nobody can have errors written at his own rate.
func (c *conn) survives(member *hub.Socket, err error, unpaid bool) bool {
	var (
		malformed *wire.Malformed
		refusal   *fault.Error
		already   *metered
	)
	if errors.As(err, &already) {
		unpaid = false
		if errors.Is(already.error, errRate) {
			return c.limited(member, already.over)
		}
	}
	switch {
	case errors.Is(err, errDone):
		return false
	case errors.As(err, &malformed):
		c.server.observer.Refused(Format, "MALFORMED")
		c.refuse(codeMalformed, malformed.Error())
		return false
	case errors.As(err, &refusal):
	default:
		refusal = fault.From(err)
		c.server.log.Error("frame failed", "conn", c.id, "error", err)
	}
	c.server.observer.Refused(Format, refusal.Reason)
	if unpaid {
		if pass, over := c.limits.other(time.Now()); !pass {
			return c.limited(member, over)
		}
	}
	return member.Send(errorFrame(c.message.ID, refusal))
}

func errorFrame(re string, f *fault.Error) []byte {
	return wire.AppendError(nil, re, f.Reason, f.Message, f.Retryable())
}

var buffers = sync.Pool{New: func() any { b := make([]byte, OtherLimit); return &b }}

// receive reads one message into a pooled buffer, held only from its first to its last byte, and
// decodes it. errDone means that the connection has ended.
func (c *conn) receive() (wire.Kind, error) {
	// A context without an end costs the socket no timer: the sweep ends what takes too long.
	kind, r, err := c.socket.Reader(context.Background())
	if err != nil {
		return 0, errDone
	}
	if kind != websocket.MessageText {
		return 0, &wire.Malformed{What: "binary message"}
	}
	now := time.Now().UnixMilli()
	c.sinceMS.Store(now)
	buffer := buffers.Get().(*[]byte)
	n, err := readAll(r, buffer)
	c.sinceMS.Store(0)
	c.heardMS.Store(now)
	switch {
	case err == nil:
		err = c.message.Decode((*buffer)[:n])
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.server.observer.Refused(Format, closeName(codeTooBig))
		c.kill(codeTooBig, "message too big") // the code was sent; this reads on, or a reset would overtake it
		err = errDone
	default:
		err = errDone
	}
	if cap(*buffer) <= DriverLimit+OtherLimit {
		buffers.Put(buffer)
	}
	return c.message.Kind, err
}

func readAll(r io.Reader, buffer *[]byte) (int, error) {
	n := 0
	for {
		if n == len(*buffer) {
			*buffer = append(*buffer, make([]byte, max(len(*buffer), OtherLimit))...)
		}
		m, err := r.Read((*buffer)[n:])
		n += m
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// Write implements hub.Transport. It has no deadline of its own: the hub ends who takes too long.
func (c *conn) Write(message []byte) error {
	return c.out.message(message)
}

// TryWrite implements hub.DirectWriter.
func (c *conn) TryWrite(message []byte) (done bool, err error) { return c.out.try(message) }

// Close implements hub.Transport.
func (c *conn) Close(code int, reason string) {
	c.closing.Do(func() {
		_ = c.socket.Close(websocket.StatusCode(code), reason)
		close(c.closed)
	})
}

// kill ends the connection from outside its goroutine.
func (c *conn) kill(code int, reason string) {
	if m := c.member.Load(); m != nil {
		m.Kill(code, reason)
		return
	}
	c.arranged.Store(true)
	go c.Close(code, reason)
}

// refuse ends the connection from its goroutine, after what waits was written.
func (c *conn) refuse(code int, reason string) {
	reason = reason[:min(len(reason), 100)]
	m := c.member.Load()
	if m == nil {
		c.server.observer.Refused(Format, closeName(code))
		c.Close(code, reason)
		return
	}
	m.End(code, reason)
	c.drain(m)
}

// drain waits until a close that was arranged has been made, so that the error frame before it gets
// out. The bound is the hub's: it kills who does not take his frames.
func (c *conn) drain(m *hub.Socket) {
	select {
	case <-m.Done():
	case <-time.After(hub.WriteWait + time.Second):
		m.Kill(codeTimeout, "too slow")
	}
}

// sendNow writes before there is a member whose queue could be used.
func (c *conn) sendNow(message []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), hub.WriteWait)
	defer cancel()
	_ = c.socket.Write(ctx, websocket.MessageText, message) // the close that follows is what matters
}
