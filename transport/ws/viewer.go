package ws

import (
	"math"
	"strings"

	"weelo/actors/protocol"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/transport/hub"
	"weelo/transport/wire"
)

// viewerFormat is the format of viewers of share links in counters, and what keeps their positions apart
// from everybody else's.
const viewerFormat = "ws-share"

// viewerCodec writes frames of weelo.v1 for viewers of share links: the same words with less in them.
// This is the one place where a viewer's frames are made, whatever they are about.
type viewerCodec struct{ codec }

var _ hub.Codec = viewerCodec{}

func codecOf(who token.Identity) hub.Codec {
	if who.Role == token.Viewer {
		return viewerCodec{}
	}
	return codec{}
}

// forViewers tells which frames a viewer may send: he watches, and keeps his socket.
func forViewers(kind wire.Kind) bool {
	switch kind {
	case wire.Watch, wire.Unwatch, wire.Ping, wire.Auth:
		return true
	case wire.Hello, wire.Replay, wire.Fix, wire.Fixes, wire.Seen:
	}
	return false
}

// Format implements hub.Codec.
func (viewerCodec) Format() string { return viewerFormat }

// Position implements hub.Codec.
func (c viewerCodec) Position(p *protocol.Position) []byte {
	cut := *p
	cut.Fix = coarse(p.Fix)
	return c.codec.Position(&cut)
}

// Trip implements hub.Codec: no ids and no phone, the driver's first name, the end of the plate, the
// towns of pickup and drop.
func (c viewerCodec) Trip(v *protocol.TripView, watch string) [][]byte {
	cut := protocol.TripView{
		TripID: v.TripID, Version: v.Version, Status: v.Status, EndedMS: v.EndedMS,
		Driver:  protocol.Person{Name: firstName(v.Driver.Name)},
		Vehicle: protocol.VehicleView{Number: lastFour(v.Vehicle.Number), Type: v.Vehicle.Type, Subtype: v.Vehicle.Subtype},
		Pickup:  town(v.Pickup), Drop: town(v.Drop),
	}
	if v.Live != nil {
		fix := coarse(*v.Live)
		cut.Live = &fix
	}
	return c.codec.Trip(&cut, watch)
}

// Event implements hub.Codec: nothing that is addressed to people is a viewer's.
func (viewerCodec) Event(hub.Event) [][]byte { return nil }

// Offer implements hub.Codec.
func (viewerCodec) Offer(hub.Offer) [][]byte { return nil }

// rounded to 4 decimals of a degree is about 11 m.
func rounded(degrees, by float64) float64 { return math.Round(degrees*by) / by }

func coarse(f track.Fix) track.Fix {
	f.Lat, f.Lng = rounded(f.Lat, 1e4), rounded(f.Lng, 1e4)
	return track.Fix{
		N: f.N, TS: f.TS, ReceivedMS: f.ReceivedMS, Lat: f.Lat, Lng: f.Lng, Bearing: f.Bearing, HasBearing: f.HasBearing,
	}
}

// town is a place without its address, to about a kilometre: enough for a map and an estimate.
func town(p protocol.Place) protocol.Place {
	return protocol.Place{Latitude: rounded(p.Latitude, 1e2), Longitude: rounded(p.Longitude, 1e2), City: p.City, State: p.State}
}

// firstName is the first word of a name, unless it is a number: a person may have typed his phone.
func firstName(name string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(name), " ")
	if strings.ContainsAny(word, "0123456789") {
		return ""
	}
	return word
}

func lastFour(plate string) string {
	runes := []rune(plate)
	return string(runes[max(0, len(runes)-4):])
}
