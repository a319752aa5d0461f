package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
	"weelo/transport/wire"
)

// Keeper puts a batch on disk before it answers: *history.Recorder.
type Keeper interface {
	Record(ctx context.Context, driver fleet.Member, tripID string, fixes []track.Fix) (history.Result, error)
}

// ServeDurable is the forwarder with the product's history under it, and nothing else of the product: it
// decodes each batch, has it committed, answers its driver, and passes it on. What it costs above the
// forwarder is the price of the promise; what the product costs above it is the product.
func ServeDurable(ctx context.Context, l net.Listener, keep Keeper) error {
	return serve(ctx, l, &Bare{watchers: map[string][]*websocket.Conn{}, keep: keep})
}

// store tells whether the connection goes on.
func (b *Bare) store(c *websocket.Conn, topic string, m *wire.Message, frame []byte) bool {
	if m.Decode(frame) != nil {
		return false
	}
	now := time.Now().UnixMilli()
	fixes := make([]track.Fix, 0, len(m.Batch))
	for _, s := range m.Batch {
		s.Fix.ReceivedMS = now
		fixes = append(fixes, s.Fix)
	}
	r, err := b.keep.Record(context.Background(), fleet.Member{Driver: fleet.UserID(fmt.Sprintf("0b7f2a30-7c0e-4e0f-8d53-%012s", topic))}, "", fixes)
	if err != nil {
		return false
	}
	ack := wire.AppendAck(nil, wire.Ack{Re: m.ID, Accepted: r.Accepted, Duplicate: r.Duplicate, Stale: r.Stale, Invalid: r.Invalid, LastFixMS: r.LastAcceptedMS})
	return c.Write(context.Background(), websocket.MessageText, ack) == nil
}
