package socketio

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/track"
)

// errTooFast ends a connection that goes on sending too much.
var errTooFast = errors.New("socketio: too many events")

// errFlood ends a connection that sends more frames, of any kind, than anybody has use for.
var errFlood = errors.New("socketio: too many frames")

// errTooOften ends a connection of somebody who opens too many.
var errTooOften = errors.New("socketio: too many connections")

// inbound maps the events of the apps (contract §2.3) to what they do. An event that is not here is
// ignored, as Socket.IO has it, and counted.
var inbound = map[string]struct {
	handle func(c *conn, args []json.RawMessage) error
	lossy  bool // too many of them are dropped without a word
}{
	"heartbeat":         {handle: (*conn).heartbeat, lossy: true},
	"update_location":   {handle: (*conn).updateLocation, lossy: true},
	"join_booking":      {handle: (*conn).joinBooking},
	"join_order":        {handle: (*conn).joinOrder},
	"join_trip":         {handle: (*conn).joinTrip},
	"leave_booking":     {handle: (*conn).leave},
	"leave_order":       {handle: (*conn).leave},
	"leave_trip":        {handle: (*conn).leave},
	"ping":              {handle: (*conn).ping, lossy: true},
	"dispatch_ack":      {handle: (*conn).seenOffer},
	"broadcast_ack":     {handle: (*conn).seenOffer},
	"fcm_token_refresh": {handle: (*conn).refreshPushToken},
}

// event handles one EVENT packet: the limit, the handler, the refusal, the acknowledgement.
func (c *conn) event(p packet) error {
	e, err := decodeEvent(p.Data)
	if err != nil {
		return err
	}
	in, known := inbound[e.Name]
	if !known {
		c.server.cfg.Observer.In(formatName, "unknown")
		return nil // what floods with them is ended by the limit of all frames
	}
	if !c.server.cfg.Unlimited && !c.limiter.Allow() {
		c.server.cfg.Observer.Refused(formatName, errRate.Reason)
		if in.lossy {
			return nil
		}
		c.refuse(p, errRate)
		if c.strikes.add(c.server.cfg.Now()) {
			return errTooFast
		}
		return nil
	}
	if err := in.handle(c, e.Args); err != nil {
		refusal := fault.From(err)
		if refusal.Code == fault.Internal {
			c.server.log.Error("event failed", "event", e.Name, "conn", c.id, "error", err)
		}
		c.server.cfg.Observer.Refused(formatName, refusal.Reason)
		c.refuse(p, refusal)
		return nil
	}
	c.server.cfg.Observer.In(formatName, e.Name)
	if p.HasID {
		c.socket.Send(encodePacket(packet{Type: packetAck, Namespace: rootNamespace, HasID: true, ID: p.ID, Data: []byte(`[{"success":true}]`)}))
	}
	return nil
}

var errRate = fault.New(fault.ResourceExhausted, "RATE_LIMITED", "Too many requests. Please slow down.")

// refuse sends the event `error`, and the acknowledgement when one was asked for.
func (c *conn) refuse(p packet, e *fault.Error) {
	message := refusalMessage{Message: e.Message, Code: e.Reason}
	c.socket.Send(appendEvent(nil, "error", message.json()))
	if p.HasID {
		body := append(append([]byte(`[{"success":false,"error":`), message.json()...), `}]`...)
		c.socket.Send(encodePacket(packet{Type: packetAck, Namespace: rootNamespace, HasID: true, ID: p.ID, Data: body}))
	}
}

var errRole = fault.New(fault.PermissionDenied, "FORBIDDEN", "You may not send this.")

// firstObject reads the first argument as an object.
func firstObject(args []json.RawMessage) (object, error) {
	if len(args) == 0 {
		return nil, fault.Invalid("payload", "An object is expected.")
	}
	return readObject(args[0])
}

// Ranges of a position (contract §1.7).
const (
	maxSpeed   = 110 // m/s
	maxBearing = 360 // degrees
)

// position reads the coordinates of an event in either spelling; nil when it has none.
func (c *conn) position(o object) (*track.Fix, error) {
	latName, lngName := "latitude", "longitude"
	if o.has("lat") || o.has("lng") {
		latName, lngName = "lat", "lng"
	}
	lat, hasLat, err := o.optionalNumber(latName, -90, 90)
	if err != nil {
		return nil, err
	}
	lng, hasLng, err := o.optionalNumber(lngName, -180, 180)
	switch {
	case err != nil:
		return nil, err
	case !hasLat && !hasLng:
		return nil, nil
	case !hasLat, !hasLng:
		return nil, fault.Invalid(latName, "Latitude and longitude go together.")
	case lat == 0 && lng == 0:
		return nil, fault.Invalid(latName, "0,0 is no position.")
	}
	now := c.server.cfg.Now().UnixMilli()
	fix := track.Fix{TS: now, ReceivedMS: now, Lat: lat, Lng: lng}
	if fix.Speed, fix.HasSpeed, err = o.optionalNumber("speed", 0, maxSpeed); err != nil {
		return nil, err
	}
	if fix.Bearing, fix.HasBearing, err = o.optionalNumber("bearing", 0, maxBearing); err != nil {
		return nil, err
	}
	return &fix, nil
}

// heartbeat: a driver is there, perhaps at a place. The one beat that flushes an offline queue says
// where the driver was at some earlier time, so its place is not used.
func (c *conn) heartbeat(args []json.RawMessage) error {
	if c.who.Role != fleet.Driver && c.who.Role != fleet.Transporter {
		return errRole
	}
	o, err := firstObject(args)
	if err != nil {
		return err
	}
	if err := c.speaksForItself(o); err != nil {
		return err
	}
	fix, err := c.position(o)
	if err != nil {
		return err
	}
	if string(o["_offlineFlush"]) == "true" {
		fix = nil
	}
	c.presence.beat(fix)
	return nil
}

// updateLocation: a driver's position during a trip. It moves the live position only; the same point
// comes again, with its time, in a batch.
func (c *conn) updateLocation(args []json.RawMessage) error {
	if c.who.Role != fleet.Driver {
		return errRole
	}
	o, err := firstObject(args)
	if err != nil {
		return err
	}
	if err := c.speaksForItself(o); err != nil {
		return err
	}
	tripID, err := o.optionalText("tripId", maxID)
	if err != nil {
		return err
	}
	fix, err := c.position(o)
	if err != nil {
		return err
	}
	if fix == nil {
		return fault.Invalid("latitude", "A position is required.")
	}
	if err := c.mayReport(tripID); err != nil {
		return err
	}
	c.presence.beat(fix)
	return nil
}

// speaksForItself refuses a payload that names another person than the socket's: who reports is known from
// the socket alone, so a name that differs is a mistake or a forgery, never an instruction.
func (c *conn) speaksForItself(o object) error {
	for _, name := range []string{"driverId", "userId"} {
		id, err := o.optionalText(name, maxID)
		switch {
		case err != nil:
			return err
		case id != "" && id != string(c.who.UserID):
			return errRole
		}
	}
	return nil
}

const (
	refusedFor = 5 * time.Second  // a refused trip is not asked about again for this long
	trustedFor = 30 * time.Second // and a granted one for this long
)

// mayReport checks that the named trip is the one the driver is on, by asking his actor now and then,
// not for every frame. A position can never reach another trip: the actor shows it on its own.
func (c *conn) mayReport(tripID string) error {
	now := c.server.cfg.Now()
	if tripID == "" || tripID == c.trip && now.Sub(c.tripAt) < trustedFor {
		return nil
	}
	if last, ok := c.refused[tripID]; ok && now.Sub(last) < refusedFor || uuid.Validate(tripID) != nil {
		return errNoTrip
	}
	ctx, cancel := timeout()
	defer cancel()
	d, err := c.server.cfg.Drivers.Get(ctx, c.who.UserID)
	if err != nil {
		return err
	}
	if d.Trip == nil || d.Trip.TripID != tripID || d.Trip.Transporter != c.who.TransporterID {
		c.refuseFor(tripID, now)
		return errNoTrip
	}
	c.trip, c.tripAt = tripID, now
	return nil
}

// refuseFor remembers for a while what was refused.
func (c *conn) refuseFor(what string, now time.Time) {
	if c.refused == nil {
		c.refused = make(map[string]time.Time)
	}
	debounce(c.refused, what, now, refusedFor)
}

// ping answers the customer app, which disconnects without a pong.
func (c *conn) ping([]json.RawMessage) error {
	c.socket.Send(appendEvent(nil, "pong"))
	return nil
}

// seenOffer: a broadcast reached a transporter's screen. It is kept for explain and changes nothing else:
// retention prunes the inbox, not receipts.
func (c *conn) seenOffer(args []json.RawMessage) error {
	o, err := firstObject(args)
	if err != nil {
		return err
	}
	if _, _, err := o.seq("seq"); err != nil {
		return err
	}
	for _, name := range []string{"orderId", "broadcastId", "bookingId"} {
		id, err := o.optionalText(name, maxID)
		if err != nil {
			return err
		}
		if c.who.Role == fleet.Transporter && uuid.Validate(id) == nil {
			c.socket.SeenOffer(order.OfferID(id, c.who.UserID))
			break
		}
	}
	return nil
}

// refreshPushToken keeps the phone's push token and says whether it did.
func (c *conn) refreshPushToken(args []json.RawMessage) error {
	o, err := firstObject(args)
	if err != nil {
		return err
	}
	pushToken, err := o.optionalText("fcmToken", maxPushToken)
	if err != nil {
		return err
	}
	if pushToken == "" {
		return fault.Invalid("fcmToken", "fcmToken is required.")
	}
	if c.server.cfg.Push == nil {
		c.socket.Send(eventMessage("fcm_token_refresh_ack", fields{"success": false}))
		return nil
	}
	ctx, cancel := timeout()
	defer cancel()
	err = c.server.cfg.Push.Register(ctx, c.who, pushToken)
	c.socket.Send(eventMessage("fcm_token_refresh_ack", fields{"success": err == nil}))
	return err
}
