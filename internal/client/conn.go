package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/track"
	"weelo/transport/wire"
)

// Frame is one message of the server: either Positions of a pos frame, or anything else.
type Frame struct {
	Positions []wire.Position
	*wire.Received
}

// Conn is one connection after its welcome. Reading and writing may be done by two goroutines.
type Conn struct {
	Welcome *wire.Received
	socket  *websocket.Conn
}

// DialConfig says where and as whom to connect.
type DialConfig struct {
	BaseURL string // of the server, http:// or https://
	Token   string
	Device  string // "" is the session's own
	Resume  *wire.Resume
	HTTP    *http.Client // nil: http.DefaultClient
}

// handshakeWait bounds the upgrade and the welcome.
const handshakeWait = 20 * time.Second

// Dial connects, says hello and waits for the welcome.
func Dial(ctx context.Context, c DialConfig) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, socketURL(c.BaseURL), &websocket.DialOptions{
		HTTPClient: c.HTTP, Subprotocols: []string{"weelo.v1"},
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	socket.SetReadLimit(1 << 20)
	conn := &Conn{socket: socket}
	if err := conn.hello(ctx, c); err != nil {
		_ = socket.CloseNow()
		return nil, err
	}
	return conn, nil
}

func socketURL(base string) string {
	base = strings.TrimSuffix(base, "/")
	return "ws" + strings.TrimPrefix(base, "http") + "/ws/v1"
}

func (c *Conn) hello(ctx context.Context, d DialConfig) error {
	if err := c.Write(ctx, wire.AppendHello(nil, d.Token, d.Device, d.Resume)); err != nil {
		return err
	}
	f, err := c.Read(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("hello: %w", err)
	case f.Received == nil || f.T != "welcome":
		if f.Received != nil && f.T == "error" {
			// the close frame behind it says whether to come back
			if _, err := c.Read(ctx); err != nil {
				return fmt.Errorf("hello: %s: %w", f.Code, err)
			}
		}
		return errors.New("hello: the server did not welcome")
	}
	c.Welcome = f.Received
	return nil
}

// Write sends one message. The deadline of ctx, when it strikes, ends the connection.
func (c *Conn) Write(ctx context.Context, message []byte) error {
	if err := c.socket.Write(ctx, websocket.MessageText, message); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Read waits for the next message.
func (c *Conn) Read(ctx context.Context) (Frame, error) {
	_, b, err := c.socket.Read(ctx)
	if err != nil {
		return Frame{}, fmt.Errorf("read: %w", err)
	}
	if wire.IsPositions(b) {
		p, err := wire.DecodePositions(b, nil)
		return Frame{Positions: p}, err
	}
	r, err := wire.DecodeReceived(b)
	return Frame{Received: r}, err
}

// Fix sends one position; it is never acknowledged.
func (c *Conn) Fix(ctx context.Context, f track.Fix, trip string) error {
	return c.Write(ctx, wire.AppendFix(make([]byte, 0, 256), f, trip))
}

// Close says goodbye.
func (c *Conn) Close() error { return c.socket.Close(websocket.StatusNormalClosure, "") }

// CloseNow hangs up.
func (c *Conn) CloseNow() error { return c.socket.CloseNow() }

// Socket is the connection underneath, for those who measure it.
func (c *Conn) Socket() *websocket.Conn { return c.socket }
