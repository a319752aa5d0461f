package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/internal/track"
)

const (
	// heartbeatEvery is what the Captain app keeps to, whatever it is told.
	heartbeatEvery = 5 * time.Second
)

var (
	errToggle     = fault.New(fault.ResourceExhausted, "TOGGLE_RATE_LIMITED", "Please wait a few seconds before you change this again.")
	errHeartbeat  = fault.New(fault.Unavailable, "HEARTBEAT_SYNC_FAILED", "Your vehicles could not be read just now. Trying again.").After(heartbeatEvery)
	errNoVehicles = fault.New(fault.FailedPrecondition, "NO_VEHICLES", "Add a vehicle before you go online.")
)

// unknownCaller refuses a token whose user is gone.
func unknownCaller(err error) error {
	if errors.Is(err, fleet.ErrNoUser) {
		return token.ErrUnauthenticated
	}
	return err
}

func (d Fleet) registerAvailability(a *API) {
	driver, transporter := []fleet.Role{fleet.Driver}, []fleet.Role{fleet.Transporter}
	const ofDriver, ofTransporter, heartbeat = "/api/v1/driver/availability", "/api/v1/transporter/availability", "/api/v1/transporter/heartbeat"
	Handle(a, Route{Method: http.MethodGet, Path: ofDriver, Name: "driver-availability", Tag: "availability", Roles: driver,
		Summary: "Whether the caller wants trips"}, d.driverAvailability)
	Handle(a, Route{Method: http.MethodPut, Path: ofDriver, Name: "set-driver-availability", Tag: "availability", Roles: driver,
		Summary: "Go online or offline", MaxBody: 4 << 10}, d.setDriverAvailability)
	Handle(a, Route{Method: http.MethodGet, Path: ofTransporter, Name: "transporter-availability", Tag: "availability", Roles: transporter,
		Summary: "Whether the caller wants broadcasts"}, d.transporterAvailability)
	Handle(a, Route{Method: http.MethodPut, Path: ofTransporter, Name: "set-transporter-availability", Tag: "availability", Roles: transporter,
		Summary: "Go online or offline", MaxBody: 4 << 10}, d.setTransporterAvailability)
	Handle(a, Route{Method: http.MethodPost, Path: heartbeat, Name: "transporter-heartbeat", Tag: "availability", Roles: transporter,
		Summary: "A sign of life with a position; it makes nobody online who is not", MaxBody: 4 << 10}, d.heartbeat)
	Handle(a, Route{Method: http.MethodDelete, Path: heartbeat, Name: "transporter-offline", Tag: "availability", Roles: transporter,
		Summary: "Go offline"}, d.goOffline)
}

type whereInput struct {
	Latitude  float64 `json:"latitude" minimum:"-90" maximum:"90"`
	Longitude float64 `json:"longitude" minimum:"-180" maximum:"180"`
}

type driverAvailabilityInput struct {
	Body struct {
		IsOnline        bool        `json:"isOnline"`
		CurrentLocation *whereInput `json:"currentLocation,omitempty"`
	}
}

// WhereData is a position.
type WhereData struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// DriverAvailabilityData is a driver's intent, under both names of the time that the app knows.
type DriverAvailabilityData struct {
	IsOnline        bool                `json:"isOnline"`
	CurrentLocation Nullable[WhereData] `json:"currentLocation"`
	LastUpdated     Timestamp           `json:"lastUpdated"`
	UpdatedAt       Timestamp           `json:"updatedAt"`
}

func (d Fleet) driverAvailability(ctx context.Context, _ *struct{}) (DriverAvailabilityData, error) {
	u, err := d.People.User(ctx, Caller(ctx).UserID)
	if err != nil {
		return DriverAvailabilityData{}, unknownCaller(err)
	}
	data := DriverAvailabilityData{IsOnline: u.Available, LastUpdated: At(u.UpdatedAt), UpdatedAt: At(u.UpdatedAt)}
	last, err := d.Positions.Last(ctx, []fleet.UserID{u.ID}, d.Now())
	if err != nil {
		d.Log.WarnContext(ctx, "last position not read", "error", err)
	}
	if f, known := last[u.ID]; known {
		data.CurrentLocation.Value = &WhereData{f.Lat, f.Lng}
	}
	return data, nil
}

func (d Fleet) setDriverAvailability(ctx context.Context, in *driverAvailabilityInput) (DriverAvailabilityData, error) {
	u, _, err := d.setAvailable(ctx, in.Body.IsOnline)
	if err != nil {
		return DriverAvailabilityData{}, err
	}
	if err := d.Drivers.SetAvailable(ctx, u.ID, u.Available); err != nil {
		return DriverAvailabilityData{}, err
	}
	data := DriverAvailabilityData{IsOnline: u.Available, LastUpdated: At(u.UpdatedAt), UpdatedAt: At(u.UpdatedAt)}
	if w := in.Body.CurrentLocation; w != nil {
		data.CurrentLocation.Value = &WhereData{w.Latitude, w.Longitude}
		if fix, ok := d.fix(*w); ok && u.Available {
			d.Drivers.Report(u.ID, fix)
		}
	}
	return data, nil
}

// fix is a position that came without a time: the server's. false: it is no position (0,0).
func (d Fleet) fix(w whereInput) (track.Fix, bool) {
	now := d.Now()
	f := track.Fix{TS: now.UnixMilli(), ReceivedMS: now.UnixMilli(), Lat: w.Latitude, Lng: w.Longitude}
	return f, track.Check(f, now) == nil
}

// setAvailable stores the caller's intent. changed is false when it was so already, which is never
// limited.
func (d Fleet) setAvailable(ctx context.Context, available bool) (u fleet.User, changed bool, err error) {
	id := Caller(ctx).UserID
	u, err = d.People.User(ctx, id)
	if err != nil {
		return fleet.User{}, false, unknownCaller(err)
	}
	if u.Available == available {
		return u, false, nil
	}
	if wait := d.toggleWait(ctx, id); wait > 0 && available {
		return fleet.User{}, false, errToggle.After(wait)
	}
	u, err = d.People.SetAvailable(ctx, id, available, d.Now())
	return u, true, err
}

// toggleWait counts one change of the switch and tells how long it should rest; 0: it may move.
func (d Fleet) toggleWait(ctx context.Context, id fleet.UserID) time.Duration {
	if d.Limits == nil {
		return 0
	}
	wait, err := d.Limits.Take(ctx, allowed.Switch, string(id))
	if err == nil && wait == 0 {
		if wait, err = d.Limits.Take(ctx, allowed.Switches, string(id)); wait > 0 {
			err = d.Limits.Return(ctx, allowed.Switch, string(id))
		}
	}
	if err != nil {
		d.Log.WarnContext(ctx, "toggle not counted", "error", err) // a limit is no reason to keep a driver from work
		return 0
	}
	return wait
}

// TransporterAvailabilityData is a transporter's intent.
type TransporterAvailabilityData struct {
	IsAvailable bool      `json:"isAvailable"`
	UpdatedAt   Timestamp `json:"updatedAt"`
	CooldownMS  int64     `json:"cooldownMs" doc:"How long the switch should rest"`
	Remaining   int64     `json:"cooldownRemainingMs"`
	Idempotent  bool      `json:"idempotent" doc:"It was so already"`
}

type transporterAvailabilityInput struct {
	Body struct {
		IsAvailable bool `json:"isAvailable"`
	}
}

func (d Fleet) transporterAvailability(ctx context.Context, _ *struct{}) (TransporterAvailabilityData, error) {
	u, err := d.People.User(ctx, Caller(ctx).UserID)
	if err != nil {
		return TransporterAvailabilityData{}, unknownCaller(err)
	}
	left := max(0, allowed.Switch.Per-d.Now().Sub(u.UpdatedAt)).Milliseconds()
	return TransporterAvailabilityData{IsAvailable: u.Available, UpdatedAt: At(u.UpdatedAt), Remaining: left}, nil
}

func (d Fleet) setTransporterAvailability(ctx context.Context, in *transporterAvailabilityInput) (TransporterAvailabilityData, error) {
	u, changed, err := d.setAvailable(ctx, in.Body.IsAvailable)
	if err != nil {
		return TransporterAvailabilityData{}, err
	}
	if err := d.Transporters.SetAvailable(ctx, u.ID, u.Available); err != nil {
		return TransporterAvailabilityData{}, err
	}
	data := TransporterAvailabilityData{IsAvailable: u.Available, UpdatedAt: At(u.UpdatedAt), Idempotent: !changed}
	if changed {
		data.CooldownMS = allowed.Switch.Per.Milliseconds()
		data.Remaining = data.CooldownMS
	}
	return data, nil
}

type heartbeatInput struct {
	Body struct {
		Latitude  float64 `json:"latitude" minimum:"-90" maximum:"90"`
		Longitude float64 `json:"longitude" minimum:"-180" maximum:"180"`
		VehicleID *string `json:"vehicleId,omitempty" nullable:"true" maxLength:"64"`
		IsOnTrip  bool    `json:"isOnTrip,omitempty"`
	}
}

// HeartbeatData answers a heartbeat.
type HeartbeatData struct {
	Registered  bool     `json:"registered" doc:"Whether the caller is online"`
	VehicleKey  string   `json:"vehicleKey"`
	VehicleID   string   `json:"vehicleId"`
	IndexedKeys []string `json:"indexedVehicleKeys" nullable:"false"`
	IsOnTrip    bool     `json:"isOnTrip"`
	NextMS      int64    `json:"nextHeartbeatMs"`
}

func (d Fleet) heartbeat(ctx context.Context, in *heartbeatInput) (HeartbeatData, error) {
	id := Caller(ctx).UserID
	data := HeartbeatData{IsOnTrip: in.Body.IsOnTrip, NextMS: heartbeatEvery.Milliseconds(), IndexedKeys: []string{}}
	if want := in.Body.VehicleID; want != nil && *want != "" {
		v, err := d.Vehicles.Vehicle(ctx, fleet.VehicleID(*want))
		if errors.Is(err, fleet.ErrNoVehicle) || (err == nil && v.TransporterID != id) {
			return HeartbeatData{}, fault.Invalid("vehicleId", "This vehicle is not in your fleet.")
		}
		if err != nil {
			return HeartbeatData{}, err
		}
		data.VehicleID, data.VehicleKey = string(v.ID), fleet.Key(v.Type, v.Subtype)
	}
	state, err := d.beat(ctx, id, whereInput{in.Body.Latitude, in.Body.Longitude})
	switch {
	case err != nil:
		return HeartbeatData{}, err
	case !state.FleetKnown:
		return HeartbeatData{}, errHeartbeat
	case state.Fleet.Vehicles == 0:
		return HeartbeatData{}, errNoVehicles
	}
	if data.VehicleID == "" {
		data.VehicleID, data.VehicleKey = string(state.Fleet.First), state.Fleet.FirstKey
	}
	data.Registered, data.IndexedKeys = state.Online, append(data.IndexedKeys, state.Fleet.Keys...)
	return data, nil
}

// beat hands a sign of life over. Without a position (0,0) it is one all the same.
func (d Fleet) beat(ctx context.Context, id fleet.UserID, where whereInput) (*protocol.Transporter, error) {
	if fix, ok := d.fix(where); ok {
		return d.Transporters.Report(ctx, id, fix)
	}
	d.Transporters.Beat(id)
	return d.Transporters.Get(ctx, id)
}

type offlineData struct {
	Offline bool `json:"offline"`
}

func (d Fleet) goOffline(ctx context.Context, _ *struct{}) (offlineData, error) {
	u, _, err := d.setAvailable(ctx, false)
	if err != nil {
		return offlineData{}, err
	}
	return offlineData{Offline: true}, d.Transporters.SetAvailable(ctx, u.ID, false)
}
