package ws

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"weelo/actors/protocol"
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
