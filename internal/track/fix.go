// Package track holds the rules about fixes: which are well formed, which may move the live
// position, and what a trip's track says once folded.
//
// Invariant: the track of a trip is the sorted set of its distinct fixes, identified by
// (driver, ts). Whatever is folded from it is the same for any order, duplication or batching in
// which the fixes arrived.
package track

// Fix is one position sample of one driver. It is a small value: pass it by value.
// Times are Unix milliseconds UTC of the phone's clock; ReceivedMS is the server's.
type Fix struct {
	TS         int64   `json:"ts"`               // ms; identifies the fix together with the driver
	ReceivedMS int64   `json:"rx,omitzero"`      // ms, server clock; 0 until received
	Lat        float64 `json:"lat"`              // degrees, WGS-84
	Lng        float64 `json:"lng"`              // degrees, WGS-84
	Accuracy   float64 `json:"acc,omitzero"`     // metres, radius; 0 when the phone gave none
	Speed      float64 `json:"speed,omitzero"`   // m/s; NaN-free; see HasSpeed
	Bearing    float64 `json:"bearing,omitzero"` // degrees clockwise from north, [0,360]; see HasBearing
	HasSpeed   bool    `json:"hasSpeed,omitzero"`
	HasBearing bool    `json:"hasBearing,omitzero"`
	Mock       bool    `json:"mock,omitzero"` // the phone says the position is simulated: stored, never moves anything
	N          int64   `json:"n,omitzero"`    // the sender's counter on this connection; 0 when it has none. Not identity
}
