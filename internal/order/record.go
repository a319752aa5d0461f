package order

import (
	"slices"

	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// recordKind names the line of history that an event leaves, whoever else is told: order_wave, …
func recordKind(h Happening) string { return "order_" + string(h) }

// WaveData is what history keeps of a look around: of a wave, or with Wave 0 of somebody who came
// online.
type WaveData struct {
	Wave     int               `json:"wave"`
	RadiusKM float64           `json:"radiusKm"`
	AtMS     int64             `json:"at"`
	Open     int               `json:"open"`    // slots that were searched for
	Offered  []fleet.UserID    `json:"offered"` // to whom the order was offered, best first
	Table    []fleet.Candidate `json:"table"`
}

// createdData is what history keeps of a birth.
type createdData struct {
	CustomerID  fleet.UserID `json:"customerId"`
	Pickup      trip.Place   `json:"pickup"`
	Drop        trip.Place   `json:"drop"`
	DistanceKm  int          `json:"distanceKm"`
	Needs       []Need       `json:"needs"`
	TotalRupees int          `json:"totalRupees"`
	ScheduledMS int64        `json:"scheduledAt,omitempty"`
	OpensMS     int64        `json:"opensAt"`
	ExpiresMS   int64        `json:"expiresAt"`
}

// record is what history keeps of an event: no phones, and of a birth and a wave only what tells.
func record(before State, e Event) any {
	switch e.What {
	case WasCreated:
		b := e.Birth
		return createdData{b.CustomerID, b.Pickup, b.Drop, b.DistanceKm, b.Needs, b.TotalRupees, b.ScheduledMS, b.OpensMS, b.ExpiresMS}
	case WaveSent, LateOffered:
		d := WaveData{Wave: e.Wave, RadiusKM: e.RadiusKM, AtMS: e.AtMS, Open: before.Tally().Searching, Table: e.Table}
		for _, o := range e.Offered {
			d.Offered = append(d.Offered, o.TransporterID)
		}
		return d
	case WasConfirmed:
		e.Won = slices.Clone(e.Won)
		for i := range e.Won {
			e.Won[i].DriverPhone = ""
		}
	case Reoffered:
		e.Offered = nil // who and which version is in the offers
	default: // the event as it is
	}
	return e
}
