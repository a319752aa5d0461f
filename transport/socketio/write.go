package socketio

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"weelo/transport/hub"
)

// write sends one message at once, at most WriteWait long. Before CONNECT only the reader writes,
// afterwards only the hub's writer does.
func (c *conn) write(message []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), hub.WriteWait)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, message); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// maxEarly bounds what waits for the CONNECT acknowledgement: a few positions, which are lossy.
const maxEarly = 64

// Write is the hub's way out. Nothing overtakes the acknowledgement of CONNECT: what comes before it
// waits for it.
func (c *conn) Write(message []byte) error {
	var early [][]byte
	c.mu.Lock()
	if !c.acked {
		if !bytes.HasPrefix(message, []byte("40")) {
			if len(c.early) < maxEarly {
				c.early = append(c.early, message)
			}
			c.mu.Unlock()
			return nil
		}
		c.acked, early, c.early = true, c.early, nil
	}
	c.mu.Unlock()
	if err := c.write(message); err != nil {
		return err
	}
	for _, m := range early {
		if err := c.write(m); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the connection. After a code that asks the client not to come back by itself, it is told
// so in the words of Socket.IO, whose client library knows no close codes.
func (c *conn) Close(code int, reason string) {
	if c.closed.Swap(true) {
		return
	}
	switch code {
	case hub.CodeReplaced, codeUnauthorized, codeForbidden:
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		goodbye := appendEvent(nil, "error", refusalMessage{Message: reason}.json())
		if c.ws.Write(ctx, websocket.MessageText, goodbye) == nil {
			_ = c.ws.Write(ctx, websocket.MessageText, []byte{engineMessage, '0' + byte(packetDisconnect)})
		}
		cancel()
	}
	_ = c.ws.Close(websocket.StatusCode(code), reason) // it ends the connection in any case
}
