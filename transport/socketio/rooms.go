package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"weelo/internal/fault"
	"weelo/transport/hub"
)

const (
	maxID        = 64              // bytes of an id
	joinDebounce = 5 * time.Second // contract §2.3
)

var (
	errNoBooking = fault.New(fault.NotFound, "NOT_FOUND", "Booking not found")
	errNoOrder   = fault.New(fault.NotFound, "NOT_FOUND", "Order not found")
	errNoTrip    = fault.New(fault.NotFound, "NOT_FOUND", "Trip not found")
)

func (c *conn) joinBooking(args []json.RawMessage) error { return c.join(args, errNoBooking) }

func (c *conn) joinOrder(args []json.RawMessage) error { return c.join(args, errNoOrder) }

func (c *conn) joinTrip(args []json.RawMessage) error { return c.join(args, errNoTrip) }

// join makes the client see the trips of an id, be it a booking's, an order's or a trip's: the apps
// know one id and send it under every name. notFound is the refusal in the words of the event.
func (c *conn) join(args []json.RawMessage, notFound *fault.Error) error {
	id, err := roomID(args)
	if err != nil {
		return err
	}
	if uuid.Validate(id) != nil {
		return notFound
	}
	now := c.server.cfg.Now()
	if last, ok := c.refused[room(id)]; ok && now.Sub(last) < refusedFor {
		return notFound
	}
	if c.joined == nil {
		c.joined = make(map[string]time.Time)
	}
	if debounce(c.joined, id, now, joinDebounce) {
		return nil
	}
	kinds := []hub.ScopeKind{hub.Order, hub.Trip}
	if notFound == errNoTrip {
		kinds = []hub.ScopeKind{hub.Trip, hub.Order}
	}
	c.codec.initial.Store(true)
	defer c.codec.initial.Store(false)
	for _, kind := range kinds {
		ctx, cancel := context.WithTimeout(context.Background(), portWait)
		err = c.socket.Watch(ctx, room(id), hub.Scope{Kind: kind, ID: id})
		cancel()
		var refusal *fault.Error
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refusal) && refusal.Reason == "WATCH_EXISTS":
			return nil // joined before, as the other kind
		case !errors.As(err, &refusal) || refusal.Code != fault.NotFound:
			delete(c.joined, id)
			return err
		}
	}
	delete(c.joined, id)
	c.refuseFor(room(id), now)
	return notFound
}

// room is the watch id of a room that the client asked for.
func room(id string) string { return "room:" + id }

func (c *conn) leave(args []json.RawMessage) error {
	id, err := roomID(args)
	if err != nil {
		return err
	}
	c.socket.Unwatch(room(id))
	delete(c.joined, id)
	return nil
}

// roomID reads the id of a room: a string, or an object with one of the names the apps use.
func roomID(args []json.RawMessage) (string, error) {
	if len(args) == 0 {
		return "", fault.Invalid("id", "An id is expected.")
	}
	o := object{"id": args[0]}
	names := []string{"id"}
	if firstByte(args[0]) == '{' {
		var err error
		if o, err = readObject(args[0]); err != nil {
			return "", err
		}
		names = []string{"tripId", "orderId", "bookingId", "id"}
	}
	for _, name := range names {
		if id, err := o.optionalText(name, maxID); err != nil || id != "" {
			return id, err
		}
	}
	return "", fault.Invalid("id", "An id is expected.")
}
