package simulate

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"

	"weelo/internal/geo"
	"weelo/internal/world"
)

// town is a place where orders begin, with the transporters around it.
type town struct {
	city  world.City
	kinds []kind // what they have, most of them first
}

// kind is a type and subtype of vehicle, and how many there are of it in a town.
type kind struct {
	vehicleType, subtype string
	trucks               int
}

// fleetsPerTown is about how many transporters compete in a town.
const fleetsPerTown = 8

// foundTowns deals the transporters of the world out to towns far from one another.
func foundTowns(w world.File, seed uint64) ([]*town, error) {
	cities, err := world.Cities()
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, 77))
	rng.Shuffle(len(cities), func(i, j int) { cities[i], cities[j] = cities[j], cities[i] })
	var towns []*town
	want := max(1, len(w.Transporters)/fleetsPerTown)
	for _, c := range cities {
		apart := !slices.ContainsFunc(towns, func(t *town) bool { return geo.Distance(t.city.At, c.At) < 250_000 })
		if apart && len(towns) < want {
			towns = append(towns, &town{city: c})
		}
	}
	if len(towns) == 0 {
		return nil, errors.New("there is no city to trade in")
	}
	for i, t := range w.Transporters {
		at := towns[i%len(towns)]
		for _, v := range t.Vehicles[:min(len(t.Vehicles), len(t.Drivers))] {
			at.add(v)
		}
	}
	for _, t := range towns {
		slices.SortStableFunc(t.kinds, func(a, b kind) int { return cmp.Compare(b.trucks, a.trucks) })
	}
	return towns, nil
}

func (t *town) add(v world.FileVehicle) {
	for i := range t.kinds {
		if k := &t.kinds[i]; k.vehicleType == v.Type && k.subtype == v.Subtype {
			k.trucks++
			return
		}
	}
	t.kinds = append(t.kinds, kind{v.Type, v.Subtype, 1})
}

// yards are how far transporters stand from the middle of their town, in metres, so that searches widen.
var yards = []float64{1500, 3000, 7000, 9000, 13_000, 25_000, 45_000, 75_000}

// yardOf is where the i-th transporter stands; the nearest yards are left out.
func yardOf(towns []*town, i, leftOut int, rng *rand.Rand) geo.Point {
	t := towns[i%len(towns)]
	return geo.Move(t.city.At, rng.Float64()*360, yards[(i/len(towns)+leftOut)%len(yards)]*(0.9+rng.Float64()*0.1))
}

// errand is what a customer wants moved: from where to where, and with what.
type errand struct {
	from, to geo.Point
	city     world.City
	km       int
	needs    []need
}

type need struct {
	kind
	quantity, price int
}

func (e errand) trucks() (n int) {
	for _, need := range e.needs {
		n += need.quantity
	}
	return n
}

// errand makes one up: mostly a truck or two of one kind, sometimes of two kinds, sometimes many. free
// tells how many trucks of a kind are free; a customer asks for what there is, if he can (nil: he does not
// know).
func (t *town) errand(rng *rand.Rand, free func(kind) int) errand {
	choice := t.kinds
	if free != nil {
		choice = nil
		for _, k := range t.kinds {
			if k.trucks = free(k); k.trucks > 0 {
				choice = append(choice, k)
			}
		}
		if len(choice) == 0 {
			choice = t.kinds
		}
	}
	from := geo.Move(t.city.At, rng.Float64()*360, 200+rng.Float64()*2500)
	to := geo.Move(from, rng.Float64()*360, 5000+rng.Float64()*6000)
	e := errand{from: from, to: to, city: t.city, km: max(1, int(geo.Distance(from, to)*1.3/1000+0.5))}
	kinds := 1
	if len(choice) > 1 && rng.Float64() < 0.15 {
		kinds = 2
	}
	for _, i := range rng.Perm(len(choice))[:kinds] {
		k := choice[i]
		quantity := 1 + rng.IntN(2)
		if rng.Float64() < 0.12 {
			quantity += rng.IntN(5)
		}
		e.needs = append(e.needs, need{kind: k, quantity: max(1, min(quantity, k.trucks)), price: 6000 + 500*rng.IntN(20)})
	}
	return e
}
