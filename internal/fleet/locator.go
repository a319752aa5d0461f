package fleet

import (
	"time"

	"weelo/internal/geo"
)

// MaxNearest bounds one answer of a Locator: what one wave of an order may consider (contract §3).
const MaxNearest = 250

// Locator answers who is near. It knows transporters that are online and where each was last.
type Locator interface {
	// Nearest gives transporters with a vehicle of the wanted kind, nearest first; the id settles
	// equal distances. Nobody whose position is older than the presence life is among them.
	Nearest(q Query) []Located
	// Where gives the position of one transporter and his kinds of vehicles, sorted; false when he is
	// not online, or his position is older than the presence life.
	Where(id UserID, now time.Time) (at geo.Point, keys []string, known bool)
}

// Query is one question to a Locator.
type Query struct {
	Key      string // kind of vehicle, as Key gives it
	At       geo.Point
	RadiusKM float64 // great-circle, inclusive
	Limit    int     // 1..MaxNearest; more is cut, 0 is MaxNearest
	// Skip leaves transporters out before they count against Limit; nil: nobody. It must not call the Locator.
	Skip func(UserID) bool
	Now  time.Time // judges the age of positions
}

// Located is a transporter and how far away he is.
type Located struct {
	Transporter UserID
	At          geo.Point
	DistanceM   float64 // great-circle, metres
	SeenMS      int64   // when the position was received, Unix ms
}
