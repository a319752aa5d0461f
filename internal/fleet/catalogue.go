package fleet

import (
	"cmp"
	"slices"
)

// Kind is one type of the catalogue: what it costs and which subtypes it has. Money is whole rupees.
type Kind struct {
	Type     string // as the apps write it: open, container, …
	Name     string
	Base     int     // for each trip
	PerKM    int     // for each km
	PerTonKM float64 // for each ton and km
	Minimum  int     // no trip is priced below
	Floor    int     // no customer may offer less (contract §1.3)
	Subtypes []Subtype
}

// Subtype is one size of a kind.
type Subtype struct {
	Name       string  // the spelling of the apps; Key accepts every other
	MinTons    float64 // smallest load it is meant for
	Tons       float64 // largest load
	Multiplier float64 // of the kind's price
}

// DefaultTons is the load of a truck whose subtype is unknown (contract §5).
const DefaultTons = 10

// The catalogue of contract §5. Where the contract gives a range of bands only, the bands are those
// that the apps' forms offer, and the multipliers rise with them between the ends that it gives.
var catalogue = []Kind{
	{Type: "mini", Name: "Mini/Pickup", Base: 500, PerKM: 12, PerTonKM: 8, Minimum: 800, Floor: 500, Subtypes: []Subtype{
		{"Pickup Truck - Dost", 0.5, 1.5, 1.0}, {"Mini Truck - Tata Ace", 0.5, 1, 0.9}}},
	{Type: "lcv", Name: "LCV", Base: 800, PerKM: 15, PerTonKM: 6, Minimum: 1200, Floor: 800, Subtypes: []Subtype{
		{"LCV Open - 14 Feet", 2, 4, 1.0}, {"LCV Open - 17 Feet", 3, 5, 1.15}, {"LCV Open - 19 Feet", 4, 6, 1.25},
		{"LCV Container - 14 Feet", 2, 4, 1.1}, {"LCV Container - 17 Feet", 3, 5, 1.25}, {"LCV Container - 19 Feet", 4, 6, 1.35},
		{"LCV Container - 32 Feet SXL", 7, 9, 1.6}}},
	{Type: "open", Name: "Open", Base: 1500, PerKM: 25, PerTonKM: 4, Minimum: 2000, Floor: 1000, Subtypes: []Subtype{
		{"17 Feet", 5, 7, 1.0}, {"19 Feet", 6, 9, 1.1}, {"20 Feet", 7, 10, 1.15}, {"22 Feet", 9, 12, 1.25}, {"24 Feet", 10, 15, 1.35},
		{"10 Wheeler", 15, 21, 1.6}, {"12 Wheeler", 21, 25, 1.8}, {"14 Wheeler", 25, 30, 2.0}, {"16 Wheeler", 30, 35, 2.2}, {"18 Wheeler", 35, 40, 2.4}}},
	{Type: "container", Name: "Container", Base: 2000, PerKM: 30, PerTonKM: 4.5, Minimum: 2500, Floor: 2000, Subtypes: []Subtype{
		{"19 Feet", 6, 9, 1.0}, {"20 Feet", 7, 10, 1.05}, {"22 Feet", 9, 14, 1.2}, {"24 Feet", 10, 16, 1.35},
		{"32 Feet Single Axle", 14, 18, 1.5}, {"32 Feet Multi Axle", 18, 24, 1.7}, {"32 Feet Triple Axle", 24, 28, 1.9}}},
	{Type: "trailer", Name: "Trailer", Base: 3000, PerKM: 40, PerTonKM: 3.5, Minimum: 4000, Floor: 5000, Subtypes: []Subtype{
		{"8-11 Ton", 8, 11, 1.0}, {"12-15 Ton", 12, 15, 1.15}, {"16-19 Ton", 16, 19, 1.3}, {"20-22 Ton", 20, 22, 1.45}, {"23-25 Ton", 23, 25, 1.55},
		{"26-28 Ton", 26, 28, 1.7}, {"29-31 Ton", 29, 31, 1.85}, {"32-35 Ton", 32, 35, 2.0}, {"36-41 Ton", 36, 41, 2.2}, {"42+ Ton", 42, 50, 2.5}}},
	{Type: "tipper", Name: "Tipper", Base: 2500, PerKM: 35, PerTonKM: 3.8, Minimum: 3000, Floor: 1000, Subtypes: []Subtype{
		{"9-11 Ton", 9, 11, 1.0}, {"15-17 Ton", 15, 17, 1.25}, {"18-19 Ton", 18, 19, 1.35}, {"20-24 Ton", 20, 24, 1.5},
		{"25 Ton", 25, 25, 1.6}, {"26-28 Ton", 26, 28, 1.75}, {"29 Ton", 29, 29, 1.85}, {"30 Ton", 30, 30, 1.95}}},
	{Type: "tanker", Name: "Tanker", Base: 3500, PerKM: 45, PerTonKM: 4, Minimum: 4500, Floor: 3000, Subtypes: []Subtype{
		{"8-11 Ton", 8, 11, 1.0}, {"12-15 Ton", 12, 15, 1.2}, {"16-20 Ton", 16, 20, 1.4}, {"21-25 Ton", 21, 25, 1.6},
		{"26-29 Ton", 26, 29, 1.8}, {"30-31 Ton", 30, 31, 1.95}, {"32-35 Ton", 32, 35, 2.1}, {"36 Ton", 36, 36, 2.25}}},
	{Type: "dumper", Name: "Dumper", Base: 4000, PerKM: 50, PerTonKM: 4.2, Minimum: 5000, Floor: 1500, Subtypes: []Subtype{
		{"9-11 Ton", 9, 11, 1.0}, {"12-15 Ton", 12, 15, 1.2}, {"16-19 Ton", 16, 19, 1.4}, {"20-22 Ton", 20, 22, 1.55},
		{"23-25 Ton", 23, 25, 1.7}, {"26-28 Ton", 26, 28, 1.85}, {"29-30 Ton", 29, 30, 2.0}, {"31+ Ton", 31, 40, 2.2}}},
	{Type: "bulker", Name: "Bulker", Base: 4500, PerKM: 55, PerTonKM: 4.5, Minimum: 5500, Floor: 3000, Subtypes: []Subtype{
		{"20-22 Ton", 20, 22, 1.0}, {"23-25 Ton", 23, 25, 1.15}, {"26-28 Ton", 26, 28, 1.3}, {"29-31 Ton", 29, 31, 1.45}, {"32+ Ton", 32, 40, 1.6}}},
	// A valid type that the contract gives no prices for: those of a truck that nothing is known about.
	{Type: "tractor", Name: "Tractor", Base: 2000, PerKM: 30, PerTonKM: 0, Minimum: 2000, Floor: 2000},
}

// subtypes finds a subtype by its key.
var subtypes = func() map[string]Subtype {
	byKey := map[string]Subtype{}
	for _, k := range catalogue {
		for _, s := range k.Subtypes {
			byKey[Key(k.Type, s.Name)] = s
		}
	}
	return byKey
}()

// Catalogue gives all kinds in the order in which the apps show them.
func Catalogue() []Kind {
	kinds := slices.Clone(catalogue)
	for i := range kinds {
		kinds[i].Subtypes = slices.Clone(kinds[i].Subtypes)
	}
	return kinds
}

// KindOf finds a type in any case; false when there is none of that name.
func KindOf(kind string) (Kind, bool) {
	kind = kindName(kind)
	i := slices.IndexFunc(catalogue, func(k Kind) bool { return k.Type == kind })
	if i < 0 {
		return Kind{}, false
	}
	k := catalogue[i]
	k.Subtypes = slices.Clone(k.Subtypes)
	return k, true
}

// SubtypeOf finds a subtype of a type, in any spelling. Fleets own trucks that are in no catalogue,
// so one that is not found may still be ordered and matched.
func SubtypeOf(kind, subtype string) (Subtype, bool) {
	s, ok := subtypes[Key(kind, subtype)]
	return s, ok
}

// Largest gives the subtype that carries most; false for a type without subtypes.
func (k Kind) Largest() (Subtype, bool) {
	if len(k.Subtypes) == 0 {
		return Subtype{}, false
	}
	return slices.MaxFunc(k.Subtypes, func(a, b Subtype) int { return cmp.Compare(a.Tons, b.Tons) }), true
}

// CapacityTons is the largest load of a truck, in tons; DefaultTons for one that is in no catalogue.
func CapacityTons(kind, subtype string) float64 {
	if s, ok := SubtypeOf(kind, subtype); ok {
		return s.Tons
	}
	return DefaultTons
}
