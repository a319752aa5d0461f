package pricing

import (
	"fmt"
	"math"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// The numbers of the contract, §1.3 and §5.
const (
	// Valid is how long a quote may be shown.
	Valid = 15 * time.Minute
	// LeastKM is the shortest distance that is charged.
	LeastKM = 5
	// MaxKM and MaxTrucks bound a request; MaxPrice a customer's own price for a truck.
	MaxKM     = 5000
	MaxTrucks = 20
	MaxPrice  = 1_000_000
)

// Request is what is to be priced.
type Request struct {
	Type       string
	Subtype    string  // empty or unknown: the kind's own price, for DefaultTons
	DistanceKM float64 // 0.1..MaxKM
	Trucks     int     // 1..MaxTrucks
	CargoKG    int     // 0: as much as the truck carries
}

// Quote is a price with its parts. The parts are those of one truck, before subtype, slab and surge.
type Quote struct {
	Kind       fleet.Kind
	Subtype    fleet.Subtype // zero: unknown
	DistanceKM float64
	Trucks     int

	Base       int
	Distance   int // charge for the distance
	Tonnage    int // charge for the load
	Multiplier float64
	Slab       Slab
	Surge      Bucket

	PerTruck int
	Total    int
	Duration time.Duration // by road, estimated
}

// Slab is a range of distances with its factor.
type Slab struct {
	UpToKM float64 // inclusive
	Factor float64
	Name   string
}

var slabs = []Slab{
	{50, 1.3, "Local"}, {100, 1.2, "Short Haul"}, {300, 1.0, "Medium Haul"}, {500, 0.95, "Long Haul"}, {math.Inf(1), 0.9, "Very Long Haul"},
}

// SlabOf gives the slab of a distance in km.
func SlabOf(km float64) Slab {
	for _, s := range slabs {
		if km <= s.UpToKM {
			return s
		}
	}
	return slabs[len(slabs)-1]
}

// Pricer prices requests.
type Pricer struct{ Surge Surge }

// Default prices with the default surge.
func Default() Pricer { return Pricer{DefaultSurge()} }

// Estimate prices r at now. A request that is out of range or of an unknown kind is a VALIDATION_ERROR.
func (p Pricer) Estimate(r Request, now time.Time) (Quote, error) {
	kind, ok := fleet.KindOf(r.Type)
	switch {
	case !ok:
		return Quote{}, fault.Invalid("vehicleType", "This type of vehicle is not known.")
	case !(r.DistanceKM >= 0.1 && r.DistanceKM <= MaxKM):
		return Quote{}, fault.Invalid("distanceKm", "The distance must be between 0.1 and 5000 km.")
	case r.Trucks < 1 || r.Trucks > MaxTrucks:
		return Quote{}, fault.Invalid("trucksNeeded", "Between 1 and 20 trucks can be priced at once.")
	case r.CargoKG < 0 || r.CargoKG > 1_000_000:
		return Quote{}, fault.Invalid("cargoWeightKg", "The weight must be between 0 and 1000 tons.")
	}
	q := Quote{Kind: kind, DistanceKM: r.DistanceKM, Trucks: r.Trucks, Base: kind.Base, Multiplier: 1, Surge: p.Surge.At(now)}
	tons := float64(fleet.DefaultTons)
	if sub, known := fleet.SubtypeOf(r.Type, r.Subtype); known {
		q.Subtype, q.Multiplier, tons = sub, sub.Multiplier, sub.Tons
	}
	if r.CargoKG > 0 {
		tons = float64(r.CargoKG) / 1000
	}
	km := max(r.DistanceKM, LeastKM)
	distance, tonnage := km*float64(kind.PerKM), tons*km*kind.PerTonKM
	q.Slab = SlabOf(km)
	price := (float64(kind.Base) + distance + tonnage) * q.Multiplier * q.Slab.Factor * q.Surge.Factor
	q.Distance, q.Tonnage = rupees(distance), rupees(tonnage)
	q.PerTruck = max(rupees(price), Least(kind))
	q.Total = q.PerTruck * r.Trucks
	q.Duration = fleet.RoadTime(r.DistanceKM * 1000)
	return q, nil
}

// Least is the lowest price that is quoted for a kind: its minimum, or its floor where that is higher,
// so that nobody is quoted a price that he may not order at.
func Least(k fleet.Kind) int { return max(k.Minimum, k.Floor) }

// CheckPrice accepts a customer's price for one truck, rupees. Above the floor of the kind it is
// trusted (contract §5). Otherwise a VALIDATION_ERROR at field.
func CheckPrice(field, kind string, perTruck int) error {
	k, ok := fleet.KindOf(kind)
	switch {
	case !ok:
		return fault.Invalid(field, "This type of vehicle is not known.")
	case perTruck < k.Floor:
		return fault.Invalid(field, fmt.Sprintf("The price for a %s truck must be at least ₹%d.", k.Name, k.Floor))
	case perTruck > MaxPrice:
		return fault.Invalid(field, fmt.Sprintf("The price for a truck must be at most ₹%d.", MaxPrice))
	}
	return nil
}

func rupees(f float64) int { return int(math.Round(f)) }
