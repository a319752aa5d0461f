package order

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/trip"
)

// OfferData is what a transporter is shown: the fields of the apps' new_broadcast (contract §2.5), as
// they are for him. Times are Unix ms; distances whole km but for pickupDistanceKm.
type OfferData struct {
	Type           string          `json:"type"` // new_broadcast
	BroadcastID    string          `json:"broadcastId"`
	OrderID        string          `json:"orderId"`
	BookingID      string          `json:"bookingId"`
	CustomerID     fleet.UserID    `json:"customerId"`
	CustomerName   string          `json:"customerName"`
	VehicleType    string          `json:"vehicleType"`
	VehicleSubtype string          `json:"vehicleSubtype"`
	TrucksNeeded   int             `json:"trucksNeeded"`
	TrucksFilled   int             `json:"trucksFilled"`
	StillNeeded    int             `json:"trucksStillNeeded"`
	FarePerTruck   int             `json:"farePerTruck"`
	TotalFare      int             `json:"totalFare"`
	Pickup         trip.Spot       `json:"pickup"`
	Drop           trip.Spot       `json:"drop"`
	PickupLocation trip.Spot       `json:"pickupLocation"`
	DropLocation   trip.Spot       `json:"dropLocation"`
	PickupAddress  string          `json:"pickupAddress"`
	PickupCity     string          `json:"pickupCity"`
	DropAddress    string          `json:"dropAddress"`
	DropCity       string          `json:"dropCity"`
	RoutePoints    []trip.Spot     `json:"routePoints"`
	TotalStops     int             `json:"totalStops"`
	Distance       int             `json:"distance"`
	DistanceKm     int             `json:"distanceKm"`
	GoodsType      string          `json:"goodsType"`
	WeightKg       int             `json:"weight"`
	IsUrgent       bool            `json:"isUrgent"`
	Requested      []RequestedKind `json:"requestedVehicles"`
	YouCanProvide  int             `json:"trucksYouCanProvide"`
	MaxYouCan      int             `json:"maxTrucksYouCanProvide"`
	YourAvailable  int             `json:"yourAvailableTrucks"`
	YourTotal      int             `json:"yourTotalTrucks"`
	IsPersonalized bool            `json:"isPersonalized"`
	PickupKm       float64         `json:"pickupDistanceKm"` // one decimal
	PickupMinutes  int             `json:"pickupEtaMinutes"`
	ScheduledAt    int64           `json:"scheduledAt,omitempty"`
	CreatedAt      int64           `json:"createdAt"`
	ExpiresAt      int64           `json:"expiresAt"`
	EventID        string          `json:"eventId"`
	EventVersion   int             `json:"eventVersion"`
	Revision       int64           `json:"dispatchRevision"`
	Lifecycle      int64           `json:"orderLifecycleVersion"`
	PayloadVersion string          `json:"payloadVersion"`
}

// RequestedKind is one line of what an order asks for, as a transporter sees it.
type RequestedKind struct {
	VehicleType    string  `json:"vehicleType"`
	VehicleSubtype string  `json:"vehicleSubtype"`
	Count          int     `json:"count"`
	FilledCount    int     `json:"filledCount"`
	FarePerTruck   int     `json:"farePerTruck"`
	CapacityTons   float64 `json:"capacityTons"`
}

// OfferData is the order as one transporter is shown it now; ok is false for whom it was never shown.
func (s State) OfferData(transporter fleet.UserID) (data OfferData, ok bool) {
	o := s.OfferedTo(transporter)
	if o == nil {
		return OfferData{}, false
	}
	t := s.Tally()
	first := s.firstNeed(*o)
	canProvide, free, total := s.canProvide(*o)
	return OfferData{
		Type: "new_broadcast", BroadcastID: s.ID, OrderID: s.ID, BookingID: s.ID,
		CustomerID: s.CustomerID, CustomerName: s.Customer.Name,
		VehicleType: first.Type, VehicleSubtype: first.Subtype, FarePerTruck: first.PriceRupees,
		TrucksNeeded: t.Total, TrucksFilled: t.Filled, StillNeeded: t.Searching, TotalFare: s.TotalRupees,
		Pickup: s.Pickup.Spot(), Drop: s.Drop.Spot(), PickupLocation: s.Pickup.Spot(), DropLocation: s.Drop.Spot(),
		PickupAddress: s.Pickup.Address, PickupCity: s.Pickup.City, DropAddress: s.Drop.Address, DropCity: s.Drop.City,
		RoutePoints: s.RouteSpots(), TotalStops: len(s.Route), Distance: s.DistanceKm, DistanceKm: s.DistanceKm,
		GoodsType: s.Goods, WeightKg: s.WeightKg, Requested: s.Requested(),
		YouCanProvide: canProvide, MaxYouCan: canProvide, YourAvailable: free, YourTotal: total, IsPersonalized: true,
		PickupKm: math.Round(float64(o.DistanceM)/100) / 10, PickupMinutes: (o.ETASeconds + 59) / 60,
		ScheduledAt: s.ScheduledMS, CreatedAt: s.CreatedMS, ExpiresAt: s.ExpiresMS,
		EventID:      stableID("offer/" + s.ID + "/" + string(transporter) + "/" + strconv.FormatInt(o.Version, 10)),
		EventVersion: 1, Revision: s.Revision, Lifecycle: s.Count, PayloadVersion: strconv.FormatInt(o.Version, 10),
	}, true
}

// firstNeed is the line of the order that concerns a transporter first: still open and in his fleet.
func (s State) firstNeed(o Offered) Need {
	best := s.Needs[0]
	for i := len(s.Slots) - 1; i >= 0; i-- {
		slot := s.Slots[i]
		if slot.Status == SlotSearching && o.Stocks[slot.Key].Free > 0 {
			best = s.Needs[slot.Need]
		}
	}
	return best
}

// canProvide counts the trucks that the transporter could give to open slots, and his trucks of the
// wanted kinds.
func (s State) canProvide(o Offered) (could, free, total int) {
	open := map[string]int{}
	for _, slot := range s.Slots {
		if slot.Status == SlotSearching {
			open[slot.Key]++
		}
	}
	for key, stock := range o.Stocks {
		could += min(open[key], stock.Free)
		free += stock.Free
		total += stock.Total
	}
	return could, free, total
}

// Requested is what the order asks for, by lines, with what is filled of each.
func (s State) Requested() []RequestedKind {
	out := make([]RequestedKind, len(s.Needs))
	for i, n := range s.Needs {
		out[i] = RequestedKind{
			VehicleType: n.Type, VehicleSubtype: n.Subtype, Count: n.Quantity,
			FarePerTruck: n.PriceRupees, CapacityTons: n.CapacityTons,
		}
	}
	for _, slot := range s.Slots {
		if slot.Status.Filled() {
			out[slot.Need].FilledCount++
		}
	}
	return out
}

// RouteSpots is the route in both coordinate spellings.
func (s State) RouteSpots() []trip.Spot {
	out := make([]trip.Spot, len(s.Route))
	for i, stop := range s.Route {
		out[i] = stop.Spot()
		out[i].Type = stop.Type
	}
	return out
}

// Offers are the offers that the decision makes, changes or closes, as rows.
func (d Decision) Offers() ([]ledger.OfferChange, error) {
	var out []ledger.OfferChange
	for i, o := range d.State.Offered { // they keep their places
		if i < len(d.before.Offered) && d.before.Offered[i].Version == o.Version {
			continue
		}
		c := ledger.OfferChange{
			ID: OfferID(d.State.ID, o.TransporterID), Recipient: string(o.TransporterID), Wave: o.Wave,
			Open: !o.Closed, Expires: time.UnixMilli(d.State.ExpiresMS).UTC(), Reason: o.Why,
		}
		if c.Open {
			data, _ := d.State.OfferData(o.TransporterID)
			raw, err := json.Marshal(data)
			if err != nil {
				return nil, err
			}
			c.Data = raw
		}
		out = append(out, c)
	}
	return out, nil
}
