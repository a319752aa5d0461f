package rest

import (
	"context"

	"weelo/internal/fleet"
)

// Notifier reaches the sockets of a user: protocol.Publisher. It does not block.
type Notifier interface {
	Notify(user fleet.UserID, event string, data any)
}

// What happened to a vehicle or to a driver. A transporter's own devices hear of it by a soft event,
// vehicle_changed or driver_changed: one who is not connected reads the list when he comes back.
const (
	vehicleRegistered = "registered"
	vehicleUpdated    = "updated"
	vehicleDeleted    = "deleted"
	driverAdded       = "added"
	driverDeleted     = "deleted"
)

// vehicleChangedData is the data of vehicle_changed (contract §2.4).
type vehicleChangedData struct {
	Action     string         `json:"action"`
	VehicleID  string         `json:"vehicleId"`
	FleetStats fleetStatsData `json:"fleetStats"`
	Vehicle    *VehicleData   `json:"vehicle,omitempty"` // not of a deleted one
}

type fleetStatsData struct {
	Total       int `json:"total"`
	Available   int `json:"available"`
	InTransit   int `json:"in_transit"`
	Maintenance int `json:"maintenance"`
}

// driverChangedData is the data of driver_changed (contract §2.4).
type driverChangedData struct {
	Action      string          `json:"action"`
	DriverID    string          `json:"driverId"`
	DriverStats driverStatsData `json:"driverStats"`
	Driver      *DriverData     `json:"driver,omitempty"` // not of one who left
}

type driverStatsData struct {
	Total     int `json:"total"`
	Available int `json:"available"`
	OnTrip    int `json:"onTrip"`
}

// vehicleChanged tells the caller's devices. The change is committed; what cannot be told is in the list.
func (d Fleet) vehicleChanged(ctx context.Context, action string, id fleet.VehicleID) {
	if d.Notifier == nil {
		return
	}
	list, err := d.vehicleList(ctx, nil)
	if err != nil {
		d.Log.WarnContext(ctx, "devices do not hear of a vehicle", "vehicle", id, "action", action, "error", err)
		return
	}
	data := vehicleChangedData{Action: action, VehicleID: string(id), FleetStats: fleetStatsData{
		Total: list.Total, Available: list.Available, InTransit: list.InTransit, Maintenance: list.Maintenance,
	}}
	for i := range list.Vehicles {
		if list.Vehicles[i].ID == data.VehicleID {
			data.Vehicle = &list.Vehicles[i]
		}
	}
	d.Notifier.Notify(Caller(ctx).UserID, "vehicle_changed", data)
}

// driverChanged tells the caller's devices, as vehicleChanged does. A joining that is repeated because
// its answer was lost is told again.
func (d Fleet) driverChanged(ctx context.Context, action string, id fleet.UserID) {
	if d.Notifier == nil {
		return
	}
	list, err := d.driverList(ctx, nil)
	if err != nil {
		d.Log.WarnContext(ctx, "devices do not hear of a driver", "driver", id, "action", action, "error", err)
		return
	}
	data := driverChangedData{Action: action, DriverID: string(id), DriverStats: driverStatsData{Total: list.Total, Available: list.Available}}
	for i := range list.Drivers {
		row := &list.Drivers[i]
		if row.IsOnTrip {
			data.DriverStats.OnTrip++
		}
		if row.ID == data.DriverID {
			data.Driver = row
		}
	}
	d.Notifier.Notify(Caller(ctx).UserID, "driver_changed", data)
}
