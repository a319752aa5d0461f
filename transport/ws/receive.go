package ws

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/fault"
	"weelo/transport/hub"
	"weelo/transport/wire"
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
