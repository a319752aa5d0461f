package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
)

var errNumberTaken = fault.New(fault.Conflict, "VEHICLE_EXISTS", "This vehicle is registered by another transporter.")

func (d Fleet) registerVehicles(a *API) {
	transporter := []fleet.Role{fleet.Transporter}
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/vehicles/list", Name: "vehicles-of-fleet", Tag: "vehicles", Roles: transporter,
		Summary: "The caller's vehicles, with the status that follows from their live trips"}, d.vehicleList)
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/vehicles/{vehicleId}", Name: "vehicle", Tag: "vehicles", Roles: transporter,
		Summary: "One vehicle of the caller"}, d.oneVehicle)
	Handle(a, Route{Method: http.MethodPut, Path: "/api/v1/vehicles/upsert", Name: "upsert-vehicle", Tag: "vehicles", Roles: transporter,
		Summary: "Register a vehicle, or change the one with this number", MaxBody: 16 << 10}, d.upsertVehicle)
	Handle(a, Route{Method: http.MethodDelete, Path: "/api/v1/vehicles/{vehicleId}", Name: "delete-vehicle", Tag: "vehicles", Roles: transporter,
		Summary: "Delete a vehicle that is on no live trip"}, d.deleteVehicle)
}

// VehicleData is a vehicle as the Captain app reads it.
type VehicleData struct {
	ID             string    `json:"id"`
	TransporterID  string    `json:"transporterId"`
	VehicleNumber  string    `json:"vehicleNumber"`
	VehicleType    string    `json:"vehicleType"`
	VehicleSubtype string    `json:"vehicleSubtype"`
	VehicleKey     string    `json:"vehicleKey"`
	Capacity       string    `json:"capacity"`
	Model          *string   `json:"model" nullable:"true"`
	Year           *int      `json:"year" nullable:"true"`
	Status         string    `json:"status" enum:"available,on_hold,in_transit,maintenance,inactive"`
	CurrentTripID  *string   `json:"currentTripId" nullable:"true"`
	IsVerified     bool      `json:"isVerified"`
	IsActive       bool      `json:"isActive"`
	CreatedAt      Timestamp `json:"createdAt"`
	UpdatedAt      Timestamp `json:"updatedAt"`
}

type vehicleListData struct {
	Vehicles    []VehicleData `json:"vehicles" nullable:"false"`
	Total       int           `json:"total"`
	Available   int           `json:"available"`
	OnHold      int           `json:"onHold"`
	InTransit   int           `json:"inTransit"`
	Maintenance int           `json:"maintenance"`
}

func (d Fleet) vehicleList(ctx context.Context, _ *struct{}) (vehicleListData, error) {
	vehicles, err := d.Vehicles.VehiclesOf(ctx, Caller(ctx).UserID)
	if err != nil {
		return vehicleListData{}, err
	}
	live, err := d.liveByVehicle(ctx)
	if err != nil {
		return vehicleListData{}, err
	}
	data := vehicleListData{Vehicles: make([]VehicleData, len(vehicles)), Total: len(vehicles)}
	for i, v := range vehicles {
		data.Vehicles[i] = vehicleData(v, live)
		switch data.Vehicles[i].Status {
		case fleet.VehicleAvailable:
			data.Available++
		case onHold:
			data.OnHold++
		case inTransit:
			data.InTransit++
		case fleet.VehicleMaintenance:
			data.Maintenance++
		}
	}
	return data, nil
}

type vehicleIDInput struct {
	ID string `path:"vehicleId" maxLength:"64"`
}

type oneVehicleData struct {
	Vehicle VehicleData `json:"vehicle"`
}

var errNoVehicle = fault.New(fault.NotFound, "VEHICLE_NOT_FOUND", "This vehicle was not found.")

func (d Fleet) oneVehicle(ctx context.Context, in *vehicleIDInput) (oneVehicleData, error) {
	v, err := d.Vehicles.Vehicle(ctx, fleet.VehicleID(in.ID))
	if errors.Is(err, fleet.ErrNoVehicle) || (err == nil && v.TransporterID != Caller(ctx).UserID) {
		return oneVehicleData{}, errNoVehicle
	}
	if err != nil {
		return oneVehicleData{}, err
	}
	live, err := d.liveByVehicle(ctx)
	return oneVehicleData{vehicleData(v, live)}, err
}

var errVehicleBusy = fault.New(fault.Conflict, "VEHICLE_IN_USE", "This vehicle is on a trip. It can be deleted once the trip has ended.")

func (d Fleet) deleteVehicle(ctx context.Context, in *vehicleIDInput) (messageData, error) {
	id := Caller(ctx).UserID
	err := d.Vehicles.Delete(ctx, id, fleet.VehicleID(in.ID))
	switch {
	case errors.Is(err, fleet.ErrNoVehicle):
		return messageData{}, errNoVehicle
	case errors.Is(err, fleet.ErrVehicleBusy):
		return messageData{}, errVehicleBusy
	case err != nil:
		return messageData{}, err
	}
	d.Transporters.FleetChanged(id)
	d.vehicleChanged(ctx, vehicleDeleted, fleet.VehicleID(in.ID))
	return messageData{Message: "The vehicle was deleted."}, nil
}

// What a vehicle is while it is on a live trip. Never stored.
const (
	onHold    = "on_hold"    // its driver has not accepted yet
	inTransit = "in_transit" // he has
)

func (d Fleet) liveByVehicle(ctx context.Context) (map[fleet.VehicleID]access.Row, error) {
	rows, err := d.Trips.OfFleet(ctx, Caller(ctx).UserID)
	if err != nil {
		return nil, err
	}
	live := make(map[fleet.VehicleID]access.Row, len(rows))
	for _, r := range rows {
		live[r.Trip.VehicleID] = r
	}
	return live, nil
}

func vehicleData(v fleet.Vehicle, live map[fleet.VehicleID]access.Row) VehicleData {
	data := VehicleData{
		ID: string(v.ID), TransporterID: string(v.TransporterID), VehicleNumber: v.Number, VehicleType: v.Type, VehicleSubtype: v.Subtype,
		VehicleKey: fleet.Key(v.Type, v.Subtype), Capacity: v.Capacity, Model: optional(v.Model), Status: v.Status,
		IsVerified: true, IsActive: v.Status != fleet.VehicleInactive, CreatedAt: At(v.CreatedAt), UpdatedAt: At(v.UpdatedAt),
	}
	if v.Year != 0 {
		data.Year = &v.Year
	}
	if t, onTrip := live[v.ID]; onTrip {
		data.CurrentTripID, data.Status = &t.Trip.ID, onHold
		if t.Trip.Status.Moving() {
			data.Status = inTransit
		}
	}
	return data
}

type upsertVehicleInput struct {
	Body struct {
		Number   string  `json:"vehicleNumber" minLength:"4" maxLength:"20"`
		Type     string  `json:"vehicleType" enum:"mini,lcv,tipper,container,trailer,tanker,bulker,open,dumper,tractor"`
		Subtype  string  `json:"vehicleSubtype" minLength:"2" maxLength:"50"`
		Capacity string  `json:"capacity" maxLength:"50"`
		Model    *string `json:"model,omitempty" nullable:"true" maxLength:"100"`
		Year     *int    `json:"year,omitempty" nullable:"true" minimum:"1950" maximum:"2100"`
		Status   string  `json:"status,omitempty" enum:"available,maintenance,inactive"`
	}
}

type upsertVehicleData struct {
	Vehicle VehicleData `json:"vehicle"`
	IsNew   bool        `json:"isNew"`
}

func (d Fleet) upsertVehicle(ctx context.Context, in *upsertVehicleInput) (upsertVehicleData, error) {
	b := in.Body
	number, err := fleet.ParseNumber(b.Number)
	if err != nil {
		return upsertVehicleData{}, err
	}
	now := d.Now()
	v := fleet.Vehicle{
		ID: fleet.VehicleID(d.NewID()), TransporterID: Caller(ctx).UserID, Number: number, Type: b.Type, Subtype: strings.TrimSpace(b.Subtype),
		Capacity: b.Capacity, Status: b.Status, CreatedAt: now, UpdatedAt: now,
	}
	if b.Model != nil {
		v.Model = *b.Model
	}
	if b.Year != nil {
		v.Year = *b.Year
	}
	stored, isNew, err := d.Vehicles.Upsert(ctx, v)
	if errors.Is(err, fleet.ErrNumberTaken) {
		return upsertVehicleData{}, errNumberTaken
	}
	if err != nil {
		return upsertVehicleData{}, err
	}
	d.Transporters.FleetChanged(stored.TransporterID)
	action := vehicleUpdated
	if isNew {
		action = vehicleRegistered
	}
	d.vehicleChanged(ctx, action, stored.ID)
	live, err := d.liveByVehicle(ctx)
	return upsertVehicleData{Vehicle: vehicleData(stored, live), IsNew: isNew}, err
}
