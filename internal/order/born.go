package order

import (
	"fmt"
	"strings"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/trip"
)

// NewOrder is what an order is born from, as the customer asked for it.
type NewOrder struct {
	ID          string // a new bare UUID
	CustomerID  fleet.UserID
	Customer    Customer
	Pickup      trip.Place
	Drop        trip.Place
	Route       []Stop // empty: pickup and drop; else 2..4 with the ends in place
	DistanceKm  int    // 0: the straight line
	Needs       []Need // Key and CapacityTons are filled in
	Goods       string
	Notes       string // ≤ 500 characters
	WeightKg    int
	ScheduledMS int64 // when the trucks are wanted; 0: now
}

// PriceCheck accepts or refuses a customer's price for one truck of a kind (pricing.CheckPrice).
type PriceCheck func(field, kind string, perTruck int) error

// Trucks counts the slots the order will have: so many slot ids does Birth need.
func (n NewOrder) Trucks() int {
	total := 0
	for _, need := range n.Needs {
		total += max(0, need.Quantity)
	}
	return total
}

// opens is when the search begins.
func (n NewOrder) opens(now time.Time, p Policy) time.Time {
	if n.ScheduledMS == 0 {
		return now
	}
	if at := time.UnixMilli(n.ScheduledMS).Add(-p.ScheduledLead); at.After(now) {
		return at
	}
	return now
}

// The box of India that the apps' contract draws, in degrees, and the least distance of a journey.
const (
	southernmost, northernmost = 6.5, 37.0
	westernmost, easternmost   = 68.0, 97.5
	leastMetres                = 500
	mostKm                     = 5000
)

// Checked validates what was asked for and fills in what follows from it. Refuses with a
// VALIDATION_ERROR that names the input, and nothing else.
func (n NewOrder) Checked(price PriceCheck, now time.Time, p Policy) (NewOrder, error) {
	if n.ID == "" || n.CustomerID == "" {
		return NewOrder{}, fmt.Errorf("order born without id or customer")
	}
	if err := n.checkPlaces(); err != nil {
		return NewOrder{}, err
	}
	if len(n.Route) == 0 {
		n.Route = []Stop{{"PICKUP", n.Pickup}, {"DROP", n.Drop}}
	}
	if err := n.checkRoute(); err != nil {
		return NewOrder{}, err
	}
	if n.DistanceKm == 0 {
		n.DistanceKm = max(1, int(geo.Distance(n.Pickup.Point(), n.Drop.Point())/1000+0.5))
	}
	switch {
	case n.DistanceKm < 0 || n.DistanceKm > mostKm:
		return NewOrder{}, fault.Invalid("distanceKm", "The distance must be at most 5000 km.")
	case len([]rune(n.Goods)) > 200:
		return NewOrder{}, fault.Invalid("goodsType", "The kind of goods may have at most 200 characters.")
	case len([]rune(n.Notes)) > 500:
		return NewOrder{}, fault.Invalid("notes", "The notes may have at most 500 characters.")
	case n.WeightKg < 0 || n.WeightKg > 1_000_000:
		return NewOrder{}, fault.Invalid("cargoWeightKg", "The weight must be at most 1000 tons.")
	case n.ScheduledMS != 0 && n.ScheduledMS < now.Add(-time.Minute).UnixMilli():
		return NewOrder{}, fault.Invalid("scheduledAt", "The pickup time has already passed.")
	case n.ScheduledMS > now.Add(p.ScheduledAhead).UnixMilli():
		return NewOrder{}, fault.Invalid("scheduledAt", "The pickup time is too far ahead.")
	}
	return n.checkedNeeds(price)
}

func (n NewOrder) checkPlaces() error {
	for field, place := range map[string]trip.Place{"pickup": n.Pickup, "drop": n.Drop} {
		if err := checkPlace(field, place); err != nil {
			return err
		}
	}
	if geo.Distance(n.Pickup.Point(), n.Drop.Point()) < leastMetres {
		return fault.Invalid("drop", "Pickup and drop must be at least 500 m apart.")
	}
	return nil
}

func checkPlace(field string, place trip.Place) error {
	switch at := place.Point(); {
	case !at.Valid() || at.Lat < southernmost || at.Lat > northernmost || at.Lng < westernmost || at.Lng > easternmost:
		return fault.Invalid(field, "The "+field+" must be a place in India.")
	case strings.TrimSpace(place.Address) == "" || len([]rune(place.Address)) > 500:
		return fault.Invalid(field+".address", "The "+field+" needs an address of at most 500 characters.")
	}
	return nil
}

func (n NewOrder) checkRoute() error {
	if len(n.Route) < 2 || len(n.Route) > 4 {
		return fault.Invalid("routePoints", "A route has 2 to 4 points.")
	}
	for i, stop := range n.Route {
		want := "STOP"
		switch i {
		case 0:
			want = "PICKUP"
		case len(n.Route) - 1:
			want = "DROP"
		}
		if stop.Type != want {
			return fault.Invalid("routePoints", "A route begins with its pickup, ends with its drop and has stops between.")
		}
		if err := checkPlace("routePoints", stop.Place); err != nil {
			return err
		}
	}
	return nil
}

func (n NewOrder) checkedNeeds(price PriceCheck) (NewOrder, error) {
	if len(n.Needs) < 1 || len(n.Needs) > 50 {
		return NewOrder{}, fault.Invalid("vehicleRequirements", "Ask for 1 to 50 kinds of trucks.")
	}
	needs := make([]Need, len(n.Needs))
	for i, need := range n.Needs {
		field := fmt.Sprintf("vehicleRequirements[%d]", i)
		subtype := strings.TrimSpace(need.Subtype)
		switch {
		case need.Quantity < 1 || need.Quantity > 20:
			return NewOrder{}, fault.Invalid(field+".quantity", "Ask for 1 to 20 trucks of a kind.")
		case len([]rune(subtype)) < 2 || len([]rune(subtype)) > 50:
			return NewOrder{}, fault.Invalid(field+".vehicleSubtype", "The size of the truck must have 2 to 50 characters.")
		}
		kind, known := fleet.KindOf(need.Type)
		if !known {
			return NewOrder{}, fault.Invalid(field+".vehicleType", "This type of vehicle is not known.")
		}
		if err := price(field+".pricePerTruck", kind.Type, need.PriceRupees); err != nil {
			return NewOrder{}, err
		}
		need.Type, need.Subtype, need.Key = kind.Type, subtype, fleet.Key(kind.Type, subtype)
		need.CapacityTons = fleet.CapacityTons(kind.Type, subtype)
		needs[i] = need
	}
	n.Needs = needs
	if n.Trucks() > MaxTrucks {
		return NewOrder{}, fault.Invalid("vehicleRequirements", fmt.Sprintf("One order may have at most %d trucks.", MaxTrucks))
	}
	return n, nil
}

// Look is what the first wave of a checked order looks for; ok is false for one that opens later.
func (n NewOrder) Look(now time.Time, p Policy) (w fleet.Wanted, ok bool) {
	slots := map[string]int{}
	for _, need := range n.Needs {
		slots[need.Key] += need.Quantity
	}
	return fleet.Wanted{Slots: slots, At: n.Pickup.Point(), RadiusKM: p.Waves[0].RadiusKM, Now: now},
		!n.opens(now, p).After(now)
}

// Birth decides the birth of a checked order (Checked) with its first wave. slotIDs are new bare UUIDs,
// one for each truck (Trucks). The decision's transition is written at version 0.
func Birth(n NewOrder, slotIDs []string, found Found, now time.Time, p Policy) (Decision, error) {
	if len(slotIDs) != n.Trucks() || len(slotIDs) == 0 || len(slotIDs) > MaxTrucks {
		return Decision{}, fmt.Errorf("order %s: %d slot ids for %d trucks", n.ID, len(slotIDs), n.Trucks())
	}
	opens := n.opens(now, p)
	birth := State{
		ID: n.ID, Status: Created, Live: true, CustomerID: n.CustomerID, Customer: n.Customer,
		Pickup: n.Pickup, Drop: n.Drop, Route: n.Route, DistanceKm: n.DistanceKm, Goods: n.Goods, Notes: n.Notes, WeightKg: n.WeightKg,
		Needs: n.Needs, Dispatch: Queued, ScheduledMS: n.ScheduledMS,
		OpensMS: opens.UnixMilli(), ExpiresMS: opens.Add(p.SearchFor).UnixMilli(),
	}
	for i, need := range n.Needs {
		birth.TotalRupees += need.Quantity * need.PriceRupees
		for range need.Quantity {
			k := len(birth.Slots)
			birth.Slots = append(birth.Slots, Slot{ID: slotIDs[k], Number: k + 1, Need: i, Key: need.Key, Status: SlotSearching})
		}
	}
	immediate := !opens.After(now)
	if immediate { // also a scheduled one, when its pickup is near
		birth.Searches, birth.Searching, birth.NextWaveMS, birth.Dispatch = 1, true, now.UnixMilli(), Dispatching
	}
	b := begin(State{}, now, p)
	b.add(Event{What: WasCreated, Birth: &birth, By: string(fleet.Customer)})
	if immediate {
		b.wave(found)
	}
	return b.done(string(fleet.Customer))
}
