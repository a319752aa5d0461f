package ws

import (
	"time"

	"weelo/actors/protocol"
	"weelo/transport/hub"
	"weelo/transport/wire"
)

// Format is the name of this wire format in counters.
const Format = "ws"

// codec writes what the hub sends as frames of weelo.v1. It has no state: a driver's phone is masked
// in the view already, and everything else is the same for everybody who may see it.
type codec struct{}

var _ hub.Codec = codec{}

func (codec) Format() string { return Format }

// MaxJoin is the most positions of one pos frame.
func (codec) MaxJoin() int { return 64 }

func (codec) Position(p *protocol.Position) []byte {
	return wire.AppendPosition(make([]byte, 0, 256), p.TripID, p.Fix)
}

func (codec) Join(messages [][]byte) []byte { return wire.JoinPositions(messages) }

func (codec) Event(e hub.Event) [][]byte {
	return [][]byte{wire.AppendEvent(make([]byte, 0, 256+len(e.Data)), e.Seq, e.Replayed, &e.Event)}
}

func (codec) Synced(seq int64) [][]byte { return [][]byte{wire.AppendSynced(nil, seq)} }

func (codec) Trip(v *protocol.TripView, watch string) [][]byte {
	return [][]byte{wire.AppendTrip(make([]byte, 0, 1024), watch, v)}
}

func (codec) Unwatched(watch, reason string) [][]byte {
	return [][]byte{wire.AppendUnwatched(nil, watch, reason)}
}

func (codec) Offer(o hub.Offer) [][]byte {
	return [][]byte{wire.AppendOffer(nil, o.ID, o.Version, o.Open, o.Expires, o.Data)}
}

func (codec) GoAway(wait time.Duration) [][]byte { return [][]byte{wire.AppendGoAway(nil, wait)} }
