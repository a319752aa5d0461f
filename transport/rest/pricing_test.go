package rest_test

import (
	"slices"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/pricing"
	"weelo/transport/rest"
)

func TestTheCatalogueIsForEverybody(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var got rest.VehicleTypesData
	y.Call("GET", "/api/v1/vehicles/types", nil).Want(200).Data(&got)
	if len(got.Types) != 10 || got.Types[0].Type != "mini" || got.Types[9].Type != "tractor" || got.Types[9].Subtypes == nil {
		t.Fatalf("%d types: %+v", len(got.Types), got)
	}
	open := got.Types[slices.IndexFunc(got.Types, func(d rest.VehicleTypeData) bool { return d.Type == "open" })]
	want := rest.VehicleSubtypeData{ID: "open_20ft", Name: "20 Feet", CapacityTons: 10, Multiplier: 1.15, PricePerKM: 29}
	if open.PricePerKM != 25 || open.Minimum != 2000 || open.Floor != 1000 || len(open.Subtypes) != 10 || open.Subtypes[2] != want || open.Description != "Open, up to 40 tons" {
		t.Errorf("open trucks: %+v", open)
	}
}

func TestAPriceAsTheCustomerAppAsks(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var got struct{ Pricing rest.PricingData }
	y.Call("GET", "/api/v1/vehicles/pricing?vehicleType=open&distanceKm=120&trucksNeeded=2", nil).Want(200).Data(&got)
	p := got.Pricing
	if p.DistanceKM != 120 || p.TrucksNeeded != 2 || p.PricePerKM != 25 || p.PricePerTruck < 9300 || p.TotalAmount != 2*p.PricePerTruck ||
		p.EstimatedDuration != "4 hrs" || p.BasePrice != 1500 || p.DistanceCharge != 3000 || p.TonnageCharge != 4800 || p.DistanceSlab != "Medium Haul" ||
		p.ValidForMinutes != 15 || p.CapacityInfo.CapacityKG != 10000 || p.SurgeMultiplier < 1 {
		t.Errorf("%+v", p)
	}
	if err := pricing.CheckPrice("pricePerTruck", p.VehicleType, p.PricePerTruck); err != nil {
		t.Errorf("what was quoted cannot be ordered: %v", err)
	}
	y.Call("GET", "/api/v1/vehicles/pricing?vehicleType=Open&vehicleSubtype=17+feet&distanceKm=12.5", nil).Want(200).Data(&got)
	if p := got.Pricing; p.VehicleSubtype != "17 Feet" || p.DistanceKM != 13 || p.TrucksNeeded != 1 || p.CapacityInfo.CapacityTons != 7 || p.EstimatedDuration != "25 mins" {
		t.Errorf("%+v", p)
	}
	for _, query := range []string{"", "vehicleType=open", "vehicleType=rocket&distanceKm=10", "vehicleType=open&distanceKm=far", "vehicleType=open&distanceKm=5001",
		"vehicleType=open&distanceKm=10&trucksNeeded=21", "vehicleType=open&distanceKm=NaN"} {
		y.Call("GET", "/api/v1/vehicles/pricing?"+query, nil).Refused(400, "VALIDATION_ERROR")
	}
}

func TestAnEstimateShowsHowItIsMade(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var got rest.EstimateData
	y.Call("POST", "/api/v1/pricing/estimate", `{"vehicleType":"container","vehicleSubtype":"32 Feet SXL","distanceKm":600,"trucksNeeded":3,"cargoWeightKg":9000}`).Want(200).Data(&got)
	if got.SubtypeMultiplier != 1.5 || got.DistanceSlabMultiplier != 0.9 || got.TonnageCharge != 24300 || got.TotalPrice != 3*got.PricePerTruck || got.Currency != "INR" ||
		got.SurgeBucketEnd.Time().Sub(got.SurgeBucketStart.Time()) != pricing.BucketLength || got.VehicleSubtype != "32 Feet Single Axle" {
		t.Errorf("%+v", got)
	}
	y.Call("POST", "/api/v1/pricing/estimate", `{"vehicleType":"open","vehicleSubtype":null,"distanceKm":10}`).Want(200).Data(&got)
	if got.TrucksNeeded != 1 || got.VehicleSubtype != "" {
		t.Errorf("%+v", got)
	}
	y.Call("POST", "/api/v1/pricing/estimate", `{"vehicleType":"open","distanceKm":0}`).Refused(400, "VALIDATION_ERROR")
}

func TestAVehicleIsDeletedUnlessItDrives(t *testing.T) {
	t.Parallel()
	onBothStores(t, aVehicleIsDeletedUnlessItDrives)
}

func aVehicleIsDeletedUnlessItDrives(y *yard) {
	t := y.t
	t.Helper()
	const of = "/api/v1/vehicles/"
	id := y.assign(0)
	owner := y.asOwner()
	owner.Call("DELETE", of+string(y.trucks[0]), nil).Refused(409, "VEHICLE_IN_USE")
	owner.Call("DELETE", of+string(y.rivalTruck), nil).Refused(404, "VEHICLE_NOT_FOUND")
	owner.Call("DELETE", of+"0b7f2a30-7c0e-4e0f-8d53-000000000099", nil).Refused(404, "VEHICLE_NOT_FOUND")
	if len(y.people.changed) != 0 {
		t.Errorf("told of changes that were refused: %v", y.people.changed)
	}
	owner.Call("DELETE", of+string(y.trucks[1]), nil).Want(200)
	owner.Call("GET", of+string(y.trucks[1]), nil).Refused(404, "VEHICLE_NOT_FOUND")
	owner.Call("DELETE", of+string(y.trucks[1]), nil).Refused(404, "VEHICLE_NOT_FOUND")
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+id+"/decline", `{"reason":"puncture"}`).Want(200)
	owner.Call("DELETE", of+string(y.trucks[0]), nil).Want(200)
	if !slices.Equal(y.people.changed, []fleet.UserID{y.owner, y.owner}) {
		t.Errorf("told of changes of %v, want twice of the owner", y.people.changed)
	}
}
