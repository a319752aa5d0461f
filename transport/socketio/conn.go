package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"weelo/internal/token"
	"weelo/transport/hub"
)

// Close codes of this package (design §7); the hub has its own.
const (
	codeInternal     = 1011
	codeMalformed    = 4400
	codeUnauthorized = 4401
	codeForbidden    = 4403
	codeTimeout      = 4408
	codeRate         = 4429
)

// conn is one connection. Its reader goroutine owns every field below `reader only`; the rest is safe
// for all. The hub writes through Write.
type conn struct {
	server *Server
	ws     *websocket.Conn
	id     string
	device string
	closed atomic.Bool

	leaveLobby func() // gives back its place among those who have not said who they are; called once

	mu           sync.Mutex
	timer        *time.Timer // CONNECT deadline, then pings
	named        bool        // CONNECT was accepted
	waitsForPong bool
	acked        bool     // the CONNECT acknowledgement was written
	early        [][]byte // what the hub had before that

	messageTimer *time.Timer // bounds the time of one message

	// reader only
	who      token.Identity
	codec    *codec
	socket   *hub.Socket   // nil until CONNECT was accepted
	limiter  *rate.Limiter // of the user
	flood    *rate.Limiter // of all frames
	pings    *rate.Limiter // of the WebSocket's own pings, which are no frames
	strikes  strikeCount
	connects int                  // refused CONNECT packets
	joined   map[string]time.Time // rooms asked for lately
	presence presence             // the person's hold on his actor
	trip     string               // the trip this driver was last found to drive
	tripAt   time.Time            // when that was
	refused  map[string]time.Time // trips and rooms that were not his, lately
}

var _ hub.Transport = (*conn)(nil)

func (s *Server) newConn(ws *websocket.Conn, device string) *conn {
	return &conn{server: s, ws: ws, id: newID(), device: device, flood: rate.NewLimiter(floodRate, floodBurst), pings: rate.NewLimiter(pingRate, pingBurst)}
}

// openPacket is the first frame of every connection.
type openPacket struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"`
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// errDone ends a connection that ended itself in order.
var errDone = errors.New("socketio: done")

// run reads the connection to its end. It owns the connection's place in the server and in the hub.
func (c *conn) run() {
	defer c.server.leave(c)
	defer c.forget()
	defer c.rescue()
	c.ws.SetReadLimit(preAuthPayload)
	open, err := json.Marshal(openPacket{
		SID: c.id, Upgrades: []string{}, PingInterval: c.server.cfg.PingInterval.Milliseconds(),
		PingTimeout: c.server.cfg.PingTimeout.Milliseconds(), MaxPayload: maxPayload,
	})
	if err == nil {
		err = c.write(append([]byte{engineOpen}, open...))
	}
	if err != nil {
		c.Close(hub.CodeRestart, "write failed")
		return
	}
	c.mu.Lock()
	c.timer = time.AfterFunc(c.server.cfg.ConnectWait, c.tick)
	c.messageTimer = time.AfterFunc(time.Hour, func() { c.Close(codeTimeout, "message took too long") })
	c.messageTimer.Stop()
	c.mu.Unlock()
	c.end(c.read())
}

// end closes the connection for what reading it ended with.
func (c *conn) end(err error) {
	switch {
	case errors.Is(err, errDone):
		c.Close(int(websocket.StatusNormalClosure), "")
	case errors.Is(err, errMalformed):
		c.server.cfg.Observer.Refused(formatName, "MALFORMED")
		c.Close(codeMalformed, "malformed")
	case errors.Is(err, errTooOften):
		c.server.cfg.Observer.Refused(formatName, "RATE_LIMITED")
		c.Close(codeRate, "too many connections")
	case errors.Is(err, errFlood):
		c.server.cfg.Observer.Refused(formatName, errRate.Reason)
		c.Close(codeRate, "too many requests")
	case errors.Is(err, errTooFast):
		c.Close(codeRate, "too many requests")
	default: // the peer is gone, sent too much (1009, sent by the library) or somebody closed us
		c.closed.Store(true)
		_ = c.ws.CloseNow()
	}
}

// rescue keeps a bug in the handling of one connection from ending all of them.
func (c *conn) rescue() {
	r := recover()
	if r == nil {
		return
	}
	c.server.log.Error("a connection broke", "conn", c.id, "panic", r, "stack", string(debug.Stack()))
	c.server.cfg.Observer.Refused(formatName, "PANIC")
	c.Close(codeInternal, "internal error")
}

// forget gives everything back. It runs once, at the end of the reader.
func (c *conn) forget() {
	c.mu.Lock()
	c.timerStopLocked()
	named := c.named
	c.mu.Unlock()
	if !named {
		c.leaveLobby()
		return
	}
	c.server.cfg.Hub.Detach(c.socket)
	c.presence.detach()
	c.server.limits.leave(c.who.UserID)
	c.server.named.Add(-1)
}

func (c *conn) timerStopLocked() {
	if c.timer != nil {
		c.timer.Stop()
		c.messageTimer.Stop()
	}
}

// buffers are shared by the readers: an idle connection holds none.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 1024)) }}

// read handles frames until one of them, or the peer, ends the connection.
func (c *conn) read() error {
	for {
		kind, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if !c.server.cfg.Unlimited && !c.flood.Allow() {
			return errFlood
		}
		c.messageTimer.Reset(messageWait)
		buf := buffers.Get().(*bytes.Buffer)
		buf.Reset()
		if _, err = buf.ReadFrom(r); err == nil {
			c.messageTimer.Stop()
			err = c.frame(kind, buf.Bytes())
		}
		if buf.Cap() <= maxPayload+bytes.MinRead {
			buffers.Put(buf)
		}
		if err != nil {
			return err
		}
	}
}

// frame handles one Engine.IO packet. The bytes are only lent.
func (c *conn) frame(kind websocket.MessageType, frame []byte) error {
	if kind != websocket.MessageText || len(frame) == 0 || !utf8.Valid(frame) {
		return fmt.Errorf("%w: not a text packet", errMalformed)
	}
	switch frame[0] {
	case engineMessage:
		p, err := decodePacket(frame[1:])
		if err != nil {
			return err
		}
		return c.packet(p)
	case enginePong:
		c.pong()
		c.presence.beat(nil)
		return nil
	case engineNoop:
		return nil
	case engineClose:
		return errDone
	default: // open, ping and upgrade are not a client's to send here
		return fmt.Errorf("%w: unexpected engine packet", errMalformed)
	}
}

// packet handles one Socket.IO packet.
func (c *conn) packet(p packet) error {
	switch {
	case p.Type == packetConnect && p.Namespace != rootNamespace:
		return c.write(encodePacket(packet{
			Type: packetConnectError, Namespace: p.Namespace, Data: refusalMessage{Message: "Invalid namespace"}.json(),
		}))
	case p.Namespace != rootNamespace:
		return fmt.Errorf("%w: not connected to the namespace", errMalformed)
	case p.Type == packetConnect && c.socket == nil:
		return c.connect(p.Data)
	case c.socket == nil, p.Type == packetConnect, p.Type == packetConnectError:
		return fmt.Errorf("%w: packet out of order", errMalformed)
	case p.Type == packetDisconnect:
		return errDone
	case p.Type == packetEvent:
		return c.event(p)
	case p.Type == packetAck:
		return nil // we never ask for one
	default:
		return fmt.Errorf("%w: binary attachments are not served", errMalformed)
	}
}

// tick is the connection's clock: it ends a connection that never said who it is or does not answer
// a ping, and sends the next ping.
func (c *conn) tick() {
	defer c.rescue()
	c.mu.Lock()
	named, late := c.named, c.waitsForPong
	if named && !late {
		c.waitsForPong = true
		c.timer.Reset(c.server.cfg.PingTimeout)
	}
	socket := c.socket
	c.mu.Unlock()
	switch {
	case !named:
		c.Close(codeTimeout, "no CONNECT packet in time")
	case late:
		socket.Kill(codeTimeout, "ping timeout")
	default:
		socket.Send([]byte{enginePing})
	}
}

// pinged tells whether a ping of the WebSocket itself is answered; the library asks while it reads.
func (c *conn) pinged() bool {
	if c.server.cfg.Unlimited || c.pings.Allow() {
		return true
	}
	if !c.closed.Load() {
		c.server.cfg.Observer.Refused(formatName, errRate.Reason)
		go c.Close(codeRate, "too many pings") // it waits for the reader, some seconds at most
	}
	return false
}

func (c *conn) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waitsForPong {
		c.waitsForPong = false
		c.timer.Reset(c.server.cfg.PingInterval)
	}
}
