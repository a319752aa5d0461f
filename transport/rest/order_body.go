package rest

import (
	"math"
	"time"

	"weelo/internal/fault"
	"weelo/internal/geo"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// OrderPlaceInput is a place of a request, flat or with nested coordinates.
type OrderPlaceInput struct {
	Latitude    *float64    `json:"latitude,omitempty" nullable:"true"`
	Longitude   *float64    `json:"longitude,omitempty" nullable:"true"`
	Coordinates *whereInput `json:"coordinates,omitempty" doc:"Instead of latitude and longitude"`
	Address     string      `json:"address" minLength:"1" maxLength:"500"`
	City        *string     `json:"city,omitempty" nullable:"true" maxLength:"100"`
	State       *string     `json:"state,omitempty" nullable:"true" maxLength:"100"`
	Pincode     *string     `json:"pincode,omitempty" nullable:"true" maxLength:"20"`
}

// place reads either spelling. field names the place in a refusal.
func (p OrderPlaceInput) place(field string) (trip.Place, error) {
	place := trip.Place{Address: p.Address, City: text(p.City), State: text(p.State)}
	switch {
	case p.Coordinates != nil:
		place.Latitude, place.Longitude = p.Coordinates.Latitude, p.Coordinates.Longitude
		if differs(p.Latitude, place.Latitude) || differs(p.Longitude, place.Longitude) {
			return trip.Place{}, fault.Invalid(field, "The place is given twice, and differently.")
		}
	case p.Latitude != nil && p.Longitude != nil:
		place.Latitude, place.Longitude = *p.Latitude, *p.Longitude
	default:
		return trip.Place{}, fault.Invalid(field, "The place needs a latitude and a longitude.")
	}
	return place, nil
}

func differs(given *float64, from float64) bool { return given != nil && *given != from }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

type routePointInput struct {
	Type string `json:"type" enum:"PICKUP,STOP,DROP"`
	OrderPlaceInput
}

type needInput struct {
	VehicleType    string  `json:"vehicleType" minLength:"1" maxLength:"50"`
	VehicleSubtype string  `json:"vehicleSubtype" minLength:"2" maxLength:"50"`
	Quantity       int     `json:"quantity" minimum:"1" maximum:"20"`
	PricePerTruck  float64 `json:"pricePerTruck" minimum:"1" maximum:"1000000" doc:"Rupees; a fraction is rounded"`
}

func (n needInput) need() order.Need {
	return order.Need{Type: n.VehicleType, Subtype: n.VehicleSubtype, Quantity: n.Quantity, PriceRupees: rounded(n.PricePerTruck)}
}

// orderBody is what a customer asks for. pickup and drop may be left out when routePoints has them.
type orderBody struct {
	RoutePoints         []routePointInput `json:"routePoints,omitempty" maxItems:"4" doc:"2 to 4 points, the pickup first, the drop last"`
	Pickup              *OrderPlaceInput  `json:"pickup,omitempty"`
	Drop                *OrderPlaceInput  `json:"drop,omitempty"`
	DistanceKm          float64           `json:"distanceKm" minimum:"0.1" maximum:"5000"`
	VehicleRequirements []needInput       `json:"vehicleRequirements,omitempty" maxItems:"50"`
	Trucks              []needInput       `json:"trucks,omitempty" maxItems:"50" doc:"Another name of vehicleRequirements"`
	GoodsType           *string           `json:"goodsType,omitempty" nullable:"true" maxLength:"200"`
	CargoWeightKg       *float64          `json:"cargoWeightKg,omitempty" nullable:"true" minimum:"0" maximum:"1000000"`
	Notes               *string           `json:"notes,omitempty" nullable:"true" maxLength:"500" doc:"For whoever drives"`
	ScheduledAt         *string           `json:"scheduledAt,omitempty" nullable:"true" maxLength:"40" doc:"When the trucks are wanted; without it, now"`
}

type createOrderInput struct{ Body orderBody }

// order is the request in the domain's words. Whether it can be had is the domain's to say; two
// spellings of the same request are the same order.
func (b orderBody) order() (order.NewOrder, error) {
	n := order.NewOrder{
		DistanceKm: max(1, rounded(b.DistanceKm)), Goods: text(b.GoodsType), Notes: text(b.Notes),
	}
	if b.CargoWeightKg != nil {
		n.WeightKg = rounded(*b.CargoWeightKg)
	}
	var err error
	if n.ScheduledMS, err = scheduled(b.ScheduledAt); err != nil {
		return order.NewOrder{}, err
	}
	if n.Needs, err = b.needs(); err != nil {
		return order.NewOrder{}, err
	}
	if n.Route, err = b.route(); err != nil {
		return order.NewOrder{}, err
	}
	if n.Pickup, err = end(b.Pickup, n.Route, 0, "pickup"); err != nil {
		return order.NewOrder{}, err
	}
	n.Drop, err = end(b.Drop, n.Route, len(n.Route)-1, "drop")
	return n, err
}

func (b orderBody) needs() ([]order.Need, error) {
	asked := b.VehicleRequirements
	if len(asked) == 0 {
		asked = b.Trucks
	} else if len(b.Trucks) > 0 {
		return nil, fault.Invalid("trucks", "Ask for trucks in vehicleRequirements or in trucks, not in both.")
	}
	needs := make([]order.Need, len(asked))
	for i, a := range asked {
		needs[i] = a.need()
	}
	return needs, nil
}

func (b orderBody) route() ([]order.Stop, error) {
	if len(b.RoutePoints) == 0 {
		return nil, nil
	}
	route := make([]order.Stop, len(b.RoutePoints))
	for i, p := range b.RoutePoints {
		place, err := p.place("routePoints")
		if err != nil {
			return nil, err
		}
		route[i] = order.Stop{Type: p.Type, Place: place}
	}
	return route, nil
}

// sameSpotM is how far apart two spellings of one place may be: the least length of a journey.
const sameSpotM = 500

// end is one end of the journey: as given, or that of the route. Given twice, both must be the same
// spot, or nobody knows where the truck should go.
func end(given *OrderPlaceInput, route []order.Stop, i int, field string) (trip.Place, error) {
	if given == nil {
		if len(route) == 0 {
			return trip.Place{}, fault.Invalid(field, "This is needed.")
		}
		return route[i].Place, nil
	}
	place, err := given.place(field)
	if err != nil {
		return trip.Place{}, err
	}
	if len(route) > 0 && geo.Distance(place.Point(), route[i].Point()) > sameSpotM {
		return trip.Place{}, fault.Invalid("routePoints", "The route does not have the "+field+" at its end.")
	}
	return place, nil
}

// scheduled reads the wanted time; 0: now.
func scheduled(at *string) (int64, error) {
	if at == nil || *at == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339, *at)
	if err != nil {
		return 0, fault.Invalid("scheduledAt", "The pickup time is not readable.")
	}
	return t.UnixMilli(), nil
}

func rounded(x float64) int { return int(math.Round(x)) }
