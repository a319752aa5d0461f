package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// roomOfUser is the watch that every customer and transporter has without asking for it: his trips.
const roomOfUser = "user"

// Bounds of the auth object, in bytes.
const (
	maxToken     = 4096
	maxPushToken = 1024
)

// auth is the auth object of a CONNECT packet.
type auth struct {
	token     string
	pushToken string
	resume    *hub.Resume // nil: nothing was asked for
}

// readAuth reads the auth object. Unknown fields are ignored, as the reference server does; a field
// that comes twice or has a wrong type is refused.
func readAuth(data []byte) (auth, error) {
	var a auth
	if len(data) == 0 {
		return a, nil
	}
	f, err := readObject(data)
	if err != nil {
		return a, err
	}
	if a.token, err = f.optionalText("token", maxToken); err != nil {
		return a, err
	}
	if a.pushToken, err = f.optionalText("fcmToken", maxPushToken); err != nil {
		return a, err
	}
	seq, given, err := f.seq("lastSeq")
	if given {
		a.resume = &hub.Resume{Seq: seq}
	}
	return a, err
}

// seq reads a number that the apps send as a string. An empty string and null are no number.
func (f object) seq(name string) (n int64, given bool, err error) {
	raw, ok := f[name]
	text := string(raw)
	if ok && firstByte(raw) == '"' {
		if json.Unmarshal(raw, &text) != nil {
			return 0, false, invalid(name)
		}
	}
	if !ok || text == "" || text == "null" {
		return 0, false, nil
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil || n < 0 {
		return 0, false, invalid(name)
	}
	return n, true, nil
}

// connect handles the CONNECT packet of the root namespace. A refusal is a CONNECT_ERROR; the client
// may try again a few times on the same connection.
func (c *conn) connect(data []byte) error {
	a, err := readAuth(data)
	if err == nil {
		err = c.authenticate(a)
	}
	if err == nil {
		err = c.begin(a)
	}
	if err == nil {
		return nil
	}
	var refusal *fault.Error
	if c.socket != nil || !errors.As(err, &refusal) {
		return err // the connection is over
	}
	c.server.cfg.Observer.Refused(formatName, refusal.Reason)
	if c.connects++; c.connects > maxConnects {
		return fmt.Errorf("%w: too many refused CONNECT packets", errMalformed)
	}
	return c.write(encodePacket(packet{Type: packetConnectError, Namespace: rootNamespace, Data: connectRefusal(refusal).json()}))
}

// The refusals of CONNECT that are ours.
var (
	errNoToken  = fault.New(fault.Unauthenticated, "AUTHENTICATION_REQUIRED", "Authentication required")
	errCapacity = fault.New(fault.Unavailable, "SERVER_AT_CAPACITY", "Server at capacity. Please retry.")
	errRevoked  = fault.New(fault.Unauthenticated, "TOKEN_REVOKED", "Token has been revoked")
)

// errUnavailable is a refusal about us, not about the token: the app may try again with the same one.
var errUnavailable = fault.New(fault.Unavailable, "UNAVAILABLE", "Server unavailable. Please retry.")

// staleTokenAge is how long after its expiry an access token still opens a socket, while its session
// lives: the idle life of a session (design §8).
const staleTokenAge = 30 * 24 * time.Hour

// connectRefusal puts a refusal into the words that the apps look for (contract §2.1).
func connectRefusal(e *fault.Error) refusalMessage {
	m := refusalMessage{Code: e.Reason, Data: map[string]any{"code": e.Reason}}
	switch {
	case e.Reason == errNoToken.Reason, e.Reason == errCapacity.Reason, e.Reason == errRevoked.Reason:
		m.Message = e.Message
	case e.Code == fault.Unauthenticated:
		m.Message = "Invalid token"
	case e.Code == fault.InvalidArgument:
		m.Message = "Invalid auth: " + e.Message
	case e.Retryable():
		m.Message = "Server unavailable. Please retry."
	default:
		m.Message = e.Message
	}
	return m
}

func (c *conn) authenticate(a auth) error {
	if a.token == "" {
		return errNoToken
	}
	now := c.server.cfg.Now()
	who, err := c.server.cfg.Tokens.VerifyStale(a.token, now, staleTokenAge)
	if err != nil {
		return fault.From(err)
	}
	if err := c.lives(who, now); err != nil {
		return err
	}
	if c.device != "" {
		who.Device = c.device
	}
	if c.tooOften(who) {
		return errTooOften
	}
	if c.server.named.Add(1) > int64(c.server.cfg.MaxSockets) {
		c.server.named.Add(-1)
		return errCapacity
	}
	c.who = who
	return nil
}

// tooOften tells whether he opens sockets too often. The connection is then closed, not refused by a
// CONNECT_ERROR: after one the apps' library does not try again by itself, after a close it does.
func (c *conn) tooOften(who token.Identity) bool {
	if c.server.cfg.Admit == nil {
		return false
	}
	ctx, cancel := timeout()
	defer cancel()
	return c.server.cfg.Admit(ctx, who) > 0
}

// lives refuses a token whose session is over.
func (c *conn) lives(who token.Identity, now time.Time) error {
	if now.Before(who.ExpiresAt) {
		if c.server.cfg.Revocations.Revoked(who.SessionID) {
			return errRevoked
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sessionWait)
	defer cancel()
	switch alive, err := c.server.cfg.Sessions.Alive(ctx, who.SessionID, now); {
	case err != nil:
		c.server.log.Error("session could not be checked", "conn", c.id, "error", err)
		return errUnavailable
	case !alive:
		return errRevoked
	}
	return nil
}

// begin makes the connection a socket of the hub. The order is the promise: the user's topics are
// joined first, then CONNECT is acknowledged, then what was missed is sent, then the live events.
func (c *conn) begin(a auth) error {
	cfg := c.server.cfg
	c.codec = &codec{who: c.who, now: cfg.Now}
	c.limiter = c.server.limits.enter(c.who.UserID)
	c.ws.SetReadLimit(maxPayload)
	socket := cfg.Hub.Attach(hub.Attachment{
		Identity: c.who, Device: c.who.Device, Conn: c.id, Codec: c.codec, Transport: c,
	})
	c.mu.Lock()
	c.socket, c.named, c.waitsForPong = socket, true, false
	c.timer.Reset(cfg.PingInterval)
	c.mu.Unlock()
	c.leaveLobby()
	if cfg.Revocations.Revoked(c.who.SessionID) {
		// Since it was asked before. The hub ends such a socket too; no other code may overtake this.
		c.Close(codeUnauthorized, "session is over")
		return errDone
	}

	ctx, cancel := context.WithTimeout(context.Background(), 6*portWait)
	defer cancel()
	plan, err := socket.Plan(ctx, a.resume, cfg.Now())
	if err == nil {
		c.presence, err = c.server.attach(ctx, c.who)
	}
	if err == nil {
		err = c.joinOwnRoom(ctx)
	}
	if err != nil {
		c.server.log.Warn("socket could not begin", "conn", c.id, "error", err)
		c.Close(hub.CodeOverloaded, "not ready, reconnect")
		return errDone
	}
	c.acknowledge()
	if err := socket.Begin(ctx, plan); err != nil {
		c.Close(hub.CodeSlow, "too slow")
		return errDone
	}
	c.afterBegin(ctx, a, plan)
	return nil
}

// joinOwnRoom makes a customer see every truck of his, and a transporter every truck of the fleet.
func (c *conn) joinOwnRoom(ctx context.Context) error {
	scope, ok := ownScope(c.who)
	if !ok {
		return nil
	}
	return c.socket.Watch(ctx, roomOfUser, scope)
}

func ownScope(who token.Identity) (hub.Scope, bool) {
	switch who.Role {
	case fleet.Customer:
		return hub.Scope{Kind: hub.Own, ID: string(who.UserID)}, true
	case fleet.Transporter:
		return hub.Scope{Kind: hub.Fleet, ID: string(who.UserID)}, true
	case fleet.Driver, fleet.Ops:
	}
	return hub.Scope{}, false
}

// acknowledge answers CONNECT and greets.
func (c *conn) acknowledge() {
	c.socket.SendAll([][]byte{
		encodePacket(packet{Type: packetConnect, Namespace: rootNamespace, Data: fmt.Appendf(nil, `{"sid":%q}`, c.id)}),
		eventMessage("connected", fields{
			"message": "Connected to Weelo", "userId": string(c.who.UserID), "role": string(c.who.Role),
			"eventVersion": 1, "serverTimeMs": c.server.cfg.Now().UnixMilli(),
		}),
	})
}

// afterBegin sends the state that a client needs at once: a customer where his trucks are, a driver
// the assignment he has not answered. All of it can also be read by REST, so a failure is only logged.
func (c *conn) afterBegin(ctx context.Context, a auth, plan hub.Plan) {
	if a.pushToken != "" && c.server.cfg.Push != nil {
		if err := c.server.cfg.Push.Register(ctx, c.who, a.pushToken); err != nil {
			c.server.log.Warn("push token not kept", "conn", c.id, "error", err)
		}
	}
	var err error
	switch c.who.Role {
	case fleet.Customer:
		c.codec.initial.Store(true)
		err = errors.Join(c.joinOwnRoom(ctx), c.sendOrders(ctx))
		c.codec.initial.Store(false)
	case fleet.Driver:
		err = c.sendPending(ctx, a, plan)
	case fleet.Transporter, fleet.Ops:
	}
	if err != nil {
		c.server.log.Warn("state at connect not sent", "conn", c.id, "error", err)
	}
}

// sendOrders tells a customer how his live orders stand.
func (c *conn) sendOrders(ctx context.Context) error {
	if c.server.cfg.Orders == nil {
		return nil
	}
	orders, err := c.server.cfg.Orders.LiveOrders(ctx, c.who)
	for _, o := range orders {
		t := o.Tally()
		c.socket.Send(eventMessage("order_state_sync", fields{
			"orderId": o.ID, "bookingId": o.ID, "status": string(o.Status), "dispatchState": string(o.Dispatch), "reasonCode": o.ReasonCode,
			"trucksConfirmed": t.Filled, "totalTrucks": t.Total, "expiresAt": o.ExpiresMS, "dispatchRevision": o.Revision,
			"orderLifecycleVersion": o.Count, "eventVersion": 1, "serverTimeMs": c.server.cfg.Now().UnixMilli(),
		}))
	}
	return err
}

// sendPending shows a driver the assignment that waits for his answer, unless the replay just did.
func (c *conn) sendPending(ctx context.Context, a auth, plan hub.Plan) error {
	now := c.server.cfg.Now()
	entries, err := c.server.pending.read(ctx, c.who, plan.Head, now)
	for _, e := range entries {
		if plan.Mode == hub.Replay && e.Seq > a.resume.Seq {
			continue
		}
		event := hub.Event{Seq: e.Seq, Event: e.Event}
		c.socket.SendAll(c.codec.emit(event, now, fields{"_reconnectDelivery": true}))
	}
	return err
}

// timeout is a context for one call of a port from the reader.
func timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), portWait)
}

// debounce tells whether the same thing was asked for less than `within` ago, and remembers it. The
// map stays small: it is emptied when it grows.
func debounce(seen map[string]time.Time, what string, now time.Time, within time.Duration) (again bool) {
	if last, ok := seen[what]; ok && now.Sub(last) < within {
		return true
	}
	if len(seen) >= 2*hub.MaxWatches {
		clear(seen)
	}
	seen[what] = now
	return false
}
