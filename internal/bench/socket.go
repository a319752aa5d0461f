package bench

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const connectWait = 30 * time.Second

// open connects a peer and waits until it is ready.
func (p Peer) open(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	c, _, err := websocket.Dial(ctx, p.URL, &websocket.DialOptions{Subprotocols: []string{"weelo.v1"}})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c.SetReadLimit(1 << 20)
	for _, m := range p.Open {
		if err := c.Write(ctx, websocket.MessageText, m); err != nil {
			_ = c.CloseNow()
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	for _, prefix := range p.Ready {
		for {
			_, b, err := c.Read(ctx)
			if err == nil && bytes.HasPrefix(b, []byte(`{"t":"error"`)) {
				err = fmt.Errorf("refused: %s", b)
			}
			if err != nil {
				_ = c.CloseNow()
				return nil, fmt.Errorf("connect: waiting for %s: %w", prefix, err)
			}
			if strings.HasPrefix(string(b), prefix) {
				break
			}
		}
	}
	return c, nil
}

// openAll connects peers, a few at a time.
func openAll(ctx context.Context, n int, peer func(i int) Peer) ([]*websocket.Conn, error) {
	conns := make([]*websocket.Conn, n)
	err := each(ctx, n, 16, func(ctx context.Context, i int) (err error) {
		conns[i], err = peer(i).open(ctx)
		return err
	})
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	return conns, nil
}

func closeAll(conns []*websocket.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.CloseNow()
		}
	}
}
