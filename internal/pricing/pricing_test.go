package pricing_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/pricing"
)

// calm is a Tuesday noon in India, without any surge.
var calm = time.Date(2026, 11, 24, 6, 30, 0, 0, time.UTC)

func TestPrices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    pricing.Request
		want int
	}{
		// (1500 + 120·25 + 7·120·4) · 1.0 · 1.0
		"a 17 feet open over 120 km":  {pricing.Request{Type: "open", Subtype: "17 Feet", DistanceKM: 120, Trucks: 1}, 7860},
		"the same, spelled otherwise": {pricing.Request{Type: "OPEN", Subtype: "17ft", DistanceKM: 120, Trucks: 1}, 7860},
		// (1500 + 3000 + 10·120·4) · 1.0
		"without a subtype ten tons are carried": {pricing.Request{Type: "open", DistanceKM: 120, Trucks: 1}, 9300},
		"an unknown subtype is none":             {pricing.Request{Type: "open", Subtype: "99 Feet", DistanceKM: 120, Trucks: 1}, 9300},
		// (1500 + 3000 + 2·120·4) · 1.0
		"two tons of cargo": {pricing.Request{Type: "open", Subtype: "17 Feet", DistanceKM: 120, Trucks: 1, CargoKG: 2000}, 5460},
		// (500 + 5·12 + 1·5·8) · 0.9 · 1.3 = 702
		"never under the minimum":       {pricing.Request{Type: "mini", Subtype: "Tata Ace", DistanceKM: 0.5, Trucks: 1}, 800},
		"nor under a floor above it":    {pricing.Request{Type: "trailer", Subtype: "8-11 Ton", DistanceKM: 5, Trucks: 1}, 5000},
		"three trucks cost three times": {pricing.Request{Type: "open", Subtype: "17 Feet", DistanceKM: 120, Trucks: 3}, 7860},
		// (2000 + 600·30 + 18·600·4.5) · 1.5 · 0.9
		"a long haul is cheaper by the km": {pricing.Request{Type: "container", Subtype: "32 ft SXL", DistanceKM: 600, Trucks: 1}, 92610},
		// (1500 + 50·25 + 7·50·4) · 1.3 and (1500 + 51·25 + 7·51·4) · 1.2
		"the last km of the first slab":   {pricing.Request{Type: "open", Subtype: "17 Feet", DistanceKM: 50, Trucks: 1}, 5395},
		"the first km of the second slab": {pricing.Request{Type: "open", Subtype: "17 Feet", DistanceKM: 51, Trucks: 1}, 5044},
	} {
		q, err := pricing.Default().Estimate(c.r, calm)
		if err != nil || q.PerTruck != c.want || q.Total != c.want*c.r.Trucks {
			t.Errorf("%s: %d each, %d together, %v; want %d each", name, q.PerTruck, q.Total, err, c.want)
		}
	}
}

func TestAQuoteShowsItsParts(t *testing.T) {
	t.Parallel()
	q, err := pricing.Default().Estimate(pricing.Request{Type: "open", Subtype: "20 feet", DistanceKM: 60, Trucks: 2}, calm.Add(3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := fleet.KindOf("open")
	want := pricing.Quote{
		Kind: kind, Subtype: fleet.Subtype{Name: "20 Feet", MinTons: 7, Tons: 10, Multiplier: 1.15}, DistanceKM: 60, Trucks: 2,
		Base: 1500, Distance: 1500, Tonnage: 2400, Multiplier: 1.15, Slab: pricing.Slab{UpToKM: 100, Factor: 1.2, Name: "Short Haul"},
		Surge:    pricing.Bucket{Factor: 1, Label: "Normal", From: calm, Until: calm.Add(5 * time.Minute)},
		PerTruck: 7452, Total: 14904, Duration: 2 * time.Hour,
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Errorf("quote (-want +got):\n%s", diff)
	}
}

func TestSurgeFollowsTheClockOfIndia(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]float64{
		"2026-11-24T07:59:59+05:30": 1, "2026-11-24T08:00:00+05:30": 1.2, "2026-11-24T10:59:59+05:30": 1.2, "2026-11-24T11:00:00+05:30": 1,
		"2026-11-24T17:00:00+05:30": 1.2, "2026-11-24T20:00:00+05:30": 1, "2026-11-24T22:00:00+05:30": 1.1, "2026-11-25T05:59:00+05:30": 1.1,
		"2026-11-25T06:00:00+05:30": 1, "2026-11-28T12:00:00+05:30": 1.05, "2026-11-28T09:00:00+05:30": 1.26, "2026-11-29T23:00:00+05:30": 1.16, // rounded 1.155
		"2026-11-27T19:00:00Z": 1.16, // already Saturday in India
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		b := pricing.DefaultSurge().At(moment)
		if b.Factor != want {
			t.Errorf("%s: %v, want %v", at, b.Factor, want)
		}
		if moment.Before(b.From) || !moment.Before(b.Until) || b.Until.Sub(b.From) != pricing.BucketLength {
			t.Errorf("%s is not in its bucket %v–%v", at, b.From, b.Until)
		}
	}
}

func TestWhatCannotBePriced(t *testing.T) {
	t.Parallel()
	good := pricing.Request{Type: "open", DistanceKM: 10, Trucks: 1}
	for field, spoil := range map[string]func(*pricing.Request){
		"vehicleType": func(r *pricing.Request) { r.Type = "rocket" }, "distanceKm": func(r *pricing.Request) { r.DistanceKM = 0 },
		"trucksNeeded": func(r *pricing.Request) { r.Trucks = 21 }, "cargoWeightKg": func(r *pricing.Request) { r.CargoKG = -1 },
	} {
		r := good
		spoil(&r)
		_, err := pricing.Default().Estimate(r, calm)
		if f := fault.From(err); f.Reason != "VALIDATION_ERROR" || f.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestTheFloorOfEachKind(t *testing.T) {
	t.Parallel()
	for kind, floor := range map[string]int{"mini": 500, "lcv": 800, "tipper": 1000, "container": 2000, "trailer": 5000, "tanker": 3000,
		"bulker": 3000, "open": 1000, "dumper": 1500, "tractor": 2000} {
		for price, ok := range map[int]bool{floor: true, floor - 1: false, 1_000_000: true, 1_000_001: false, 0: false, -5: false} {
			err := pricing.CheckPrice("pricePerTruck", kind, price)
			if (err == nil) != ok {
				t.Errorf("%s at %d: %v", kind, price, err)
			}
			if err != nil && fault.From(err).Reason != "VALIDATION_ERROR" {
				t.Errorf("%s at %d: refused with %v", kind, price, err)
			}
		}
	}
	if err := pricing.CheckPrice("pricePerTruck", "rocket", 5000); err == nil {
		t.Error("a rocket has a price")
	}
}

// request draws something that can be priced.
func request(t *rapid.T) pricing.Request {
	kind := rapid.SampledFrom(fleet.Catalogue()).Draw(t, "kind")
	names := []string{"", "99 Feet"}
	for _, s := range kind.Subtypes {
		names = append(names, s.Name)
	}
	return pricing.Request{
		Type: kind.Type, Subtype: rapid.SampledFrom(names).Draw(t, "subtype"), DistanceKM: rapid.Float64Range(0.1, pricing.MaxKM).Draw(t, "km"),
		Trucks: rapid.IntRange(1, pricing.MaxTrucks).Draw(t, "trucks"), CargoKG: rapid.IntRange(0, 50_000).Draw(t, "kg"),
	}
}

func moment(t *rapid.T) time.Time {
	return calm.Add(time.Duration(rapid.IntRange(0, 7*24*3600).Draw(t, "s")) * time.Second)
}

func TestAPriceIsNeverUnderMinimumOrFloor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q, err := pricing.Default().Estimate(request(t), moment(t))
		if err != nil {
			t.Fatal(err)
		}
		if q.PerTruck < q.Kind.Minimum || q.Total != q.PerTruck*q.Trucks {
			t.Fatalf("%d for one, %d for %d; at least %d each", q.PerTruck, q.Total, q.Trucks, q.Kind.Minimum)
		}
		if q.PerTruck > pricing.MaxPrice {
			return // a load that no truck carries
		}
		if err := pricing.CheckPrice("pricePerTruck", q.Kind.Type, q.PerTruck); err != nil {
			t.Fatalf("what was quoted cannot be ordered: %v", err)
		}
	})
}

func TestFurtherAndHeavierNeverCostsLessWithinASlab(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		near, now := request(t), moment(t)
		far := near
		far.DistanceKM = rapid.Float64Range(near.DistanceKM, pricing.MaxKM).Draw(t, "further")
		if near.CargoKG > 0 {
			far.CargoKG = rapid.IntRange(near.CargoKG, 60_000).Draw(t, "heavier")
		}
		if pricing.SlabOf(near.DistanceKM) != pricing.SlabOf(far.DistanceKM) {
			return
		}
		a, errA := pricing.Default().Estimate(near, now)
		b, errB := pricing.Default().Estimate(far, now)
		if errA != nil || errB != nil || a.PerTruck > b.PerTruck {
			t.Fatalf("%d for %v, %d for %v (%v, %v)", a.PerTruck, near, b.PerTruck, far, errA, errB)
		}
	})
}

func TestAQuoteIsTheSameWithinItsBucket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, now := request(t), moment(t)
		a, _ := pricing.Default().Estimate(r, now)
		b, _ := pricing.Default().Estimate(r, a.Surge.From.Add(time.Duration(rapid.IntRange(0, 299).Draw(t, "later"))*time.Second))
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("quotes of one bucket differ:\n%s", diff)
		}
	})
}
