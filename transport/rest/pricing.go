package rest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/pricing"
)

func (d Fleet) registerPricing(a *API) {
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/vehicles/types", Name: "vehicle-types", Tag: "pricing", Public: true,
		Summary: "The catalogue: types, their subtypes, what they carry and cost"}, d.vehicleTypes)
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/vehicles/pricing", Name: "vehicle-pricing", Tag: "pricing", Public: true,
		Summary: "What trucks cost over a distance"}, d.vehiclePricing)
	Handle(a, Route{Method: http.MethodPost, Path: "/api/v1/pricing/estimate", Name: "estimate-price", Tag: "pricing", Public: true,
		Summary: "The same, with the parts of the price", MaxBody: 4 << 10}, d.estimatePrice)
}

// VehicleTypesData is the catalogue.
type VehicleTypesData struct {
	Types []VehicleTypeData `json:"types" nullable:"false"`
}

// VehicleTypeData is one type.
type VehicleTypeData struct {
	Type        string               `json:"type"`
	DisplayName string               `json:"displayName"`
	Description string               `json:"description"`
	PricePerKM  int                  `json:"pricePerKm"`
	BasePrice   int                  `json:"basePrice"`
	Minimum     int                  `json:"minimumPrice" doc:"No trip is priced below"`
	Floor       int                  `json:"floorPrice" doc:"No order may offer less for a truck"`
	Subtypes    []VehicleSubtypeData `json:"subtypes" nullable:"false"`
}

// VehicleSubtypeData is one subtype. Its id is the key that orders and vehicles are matched by.
type VehicleSubtypeData struct {
	ID           string  `json:"id" example:"open_17ft"`
	Name         string  `json:"name"`
	CapacityTons float64 `json:"capacityTons"`
	Multiplier   float64 `json:"multiplier"`
	PricePerKM   int     `json:"pricePerKm"`
}

func (d Fleet) vehicleTypes(context.Context, *struct{}) (VehicleTypesData, error) {
	data := VehicleTypesData{Types: []VehicleTypeData{}}
	for _, k := range fleet.Catalogue() {
		t := VehicleTypeData{
			Type: k.Type, DisplayName: k.Name, PricePerKM: k.PerKM, BasePrice: k.Base, Minimum: pricing.Least(k), Floor: k.Floor,
			Description: description(k), Subtypes: []VehicleSubtypeData{},
		}
		for _, s := range k.Subtypes {
			t.Subtypes = append(t.Subtypes, VehicleSubtypeData{
				ID: fleet.Key(k.Type, s.Name), Name: s.Name, CapacityTons: s.Tons, Multiplier: s.Multiplier,
				PricePerKM: int(math.Round(float64(k.PerKM) * s.Multiplier)),
			})
		}
		data.Types = append(data.Types, t)
	}
	return data, nil
}

func description(k fleet.Kind) string {
	largest, ok := k.Largest()
	if !ok {
		return k.Name
	}
	return fmt.Sprintf("%s, up to %g tons", k.Name, largest.Tons)
}

type vehiclePricingInput struct {
	Type       string  `query:"vehicleType" required:"true" maxLength:"50" example:"open"`
	Subtype    string  `query:"vehicleSubtype" maxLength:"50" example:"17 Feet"`
	DistanceKM float64 `query:"distanceKm" required:"true" example:"120"`
	Trucks     int     `query:"trucksNeeded" default:"1" example:"2"`
	CargoKG    int     `query:"cargoWeightKg"`
}

type vehiclePricingData struct {
	Pricing PricingData `json:"pricing"`
}

// PricingData is a price as the customer app reads it: whole rupees and kilometres.
type PricingData struct {
	VehicleType       string       `json:"vehicleType"`
	VehicleSubtype    string       `json:"vehicleSubtype" doc:"As the catalogue spells it; empty: the type's own price"`
	DistanceKM        int          `json:"distanceKm"`
	TrucksNeeded      int          `json:"trucksNeeded"`
	PricePerKM        int          `json:"pricePerKm"`
	PricePerTruck     int          `json:"pricePerTruck"`
	TotalAmount       int          `json:"totalAmount"`
	EstimatedDuration string       `json:"estimatedDuration" example:"4 hrs"`
	BasePrice         int          `json:"basePrice"`
	DistanceCharge    int          `json:"distanceCharge"`
	TonnageCharge     int          `json:"tonnageCharge"`
	SurgeMultiplier   float64      `json:"surgeMultiplier"`
	SurgeFactor       string       `json:"surgeFactor"`
	DistanceSlab      string       `json:"distanceSlab"`
	ValidForMinutes   int          `json:"validForMinutes"`
	CapacityInfo      CapacityData `json:"capacityInfo"`
}

// CapacityData is what the priced truck carries.
type CapacityData struct {
	CapacityKG   int     `json:"capacityKg"`
	CapacityTons float64 `json:"capacityTons"`
	MinTonnage   float64 `json:"minTonnage"`
	MaxTonnage   float64 `json:"maxTonnage"`
}

func (d Fleet) vehiclePricing(_ context.Context, in *vehiclePricingInput) (vehiclePricingData, error) {
	q, err := d.Prices.Estimate(pricing.Request{
		Type: in.Type, Subtype: in.Subtype, DistanceKM: in.DistanceKM, Trucks: in.Trucks, CargoKG: in.CargoKG,
	}, d.Now())
	if err != nil {
		return vehiclePricingData{}, err
	}
	return vehiclePricingData{pricingData(q)}, nil
}

func pricingData(q pricing.Quote) PricingData {
	return PricingData{
		VehicleType: q.Kind.Type, VehicleSubtype: q.Subtype.Name, DistanceKM: int(math.Round(q.DistanceKM)), TrucksNeeded: q.Trucks,
		PricePerKM: q.Kind.PerKM, PricePerTruck: q.PerTruck, TotalAmount: q.Total, EstimatedDuration: hours(q.Duration),
		BasePrice: q.Base, DistanceCharge: q.Distance, TonnageCharge: q.Tonnage, SurgeMultiplier: q.Surge.Factor, SurgeFactor: q.Surge.Label,
		DistanceSlab: q.Slab.Name, ValidForMinutes: int(pricing.Valid.Minutes()), CapacityInfo: capacityData(q),
	}
}

// capacityData is that of the subtype; without one, of a truck with the default load among the type's.
func capacityData(q pricing.Quote) CapacityData {
	s := q.Subtype
	if s.Name == "" {
		s = fleet.Subtype{Tons: fleet.DefaultTons, MinTons: fleet.DefaultTons}
	}
	return CapacityData{CapacityKG: int(math.Round(s.Tons * 1000)), CapacityTons: s.Tons, MinTonnage: s.MinTons, MaxTonnage: s.Tons}
}

// hours writes a time as the customer app shows it.
func hours(t time.Duration) string {
	minutes := int(math.Ceil(t.Minutes()))
	h, m := minutes/60, minutes%60
	switch {
	case h == 0:
		return fmt.Sprintf("%d mins", m)
	case m == 0:
		return fmt.Sprintf("%d hrs", h)
	}
	return fmt.Sprintf("%d hrs %d mins", h, m)
}

type estimatePriceInput struct {
	Body struct {
		Type       string  `json:"vehicleType" maxLength:"50" example:"open"`
		Subtype    *string `json:"vehicleSubtype,omitempty" nullable:"true" maxLength:"50" example:"17 Feet"`
		DistanceKM float64 `json:"distanceKm" example:"120"`
		Trucks     int     `json:"trucksNeeded,omitempty" example:"2" doc:"1 when absent"`
		CargoKG    int     `json:"cargoWeightKg,omitempty"`
	}
}

// EstimateData is a price with its parts. PricePerTruck is the sum of the first three, times the
// three factors, but never less than the type's minimum.
type EstimateData struct {
	PricingData
	TotalPrice             int       `json:"totalPrice"`
	SubtypeMultiplier      float64   `json:"subtypeMultiplier"`
	DistanceSlabMultiplier float64   `json:"distanceSlabMultiplier"`
	SurgeBucketStart       Timestamp `json:"surgeBucketStart"`
	SurgeBucketEnd         Timestamp `json:"surgeBucketEnd"`
	Currency               string    `json:"currency" example:"INR"`
}

func (d Fleet) estimatePrice(_ context.Context, in *estimatePriceInput) (EstimateData, error) {
	b := in.Body
	r := pricing.Request{Type: b.Type, DistanceKM: b.DistanceKM, Trucks: b.Trucks, CargoKG: b.CargoKG}
	if b.Subtype != nil {
		r.Subtype = *b.Subtype
	}
	if r.Trucks == 0 {
		r.Trucks = 1
	}
	q, err := d.Prices.Estimate(r, d.Now())
	if err != nil {
		return EstimateData{}, err
	}
	return EstimateData{
		PricingData: pricingData(q), TotalPrice: q.Total, SubtypeMultiplier: q.Multiplier, DistanceSlabMultiplier: q.Slab.Factor,
		SurgeBucketStart: At(q.Surge.From), SurgeBucketEnd: At(q.Surge.Until), Currency: "INR",
	}, nil
}
