package rest

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/phone"
	"weelo/internal/presence"
	"weelo/internal/pricing"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// PresenceReader tells who is online: presence.Store.
type PresenceReader interface {
	Read(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]presence.Entry, error)
}

// Positions keeps last positions: presence.Positions.
type Positions interface {
	Put(ctx context.Context, spots []presence.Spot) error
	Last(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error)
	Remove(ctx context.Context, user fleet.UserID) error
}

// Fleet is what the routes of people and vehicles need.
type Fleet struct {
	People       fleet.People
	Vehicles     fleet.Vehicles
	Trips        TripReader
	Presence     PresenceReader
	Positions    Positions
	Drivers      protocol.Drivers
	Transporters protocol.Owners
	Prices       pricing.Pricer
	Onboarding   Onboarding    // without Logins: no driver can join
	Limits       limit.Limiter // nil: switches are not limited
	Notifier     Notifier      // nil: a transporter's devices do not hear of changes
	Log          *slog.Logger
	Now          func() time.Time
	NewID        func() string // a bare UUID
}

// RegisterFleet adds the routes of availability, heartbeats, vehicles, prices, drivers and profiles.
func RegisterFleet(a *API, d Fleet) {
	d.registerAvailability(a)
	d.registerVehicles(a)
	d.registerPricing(a)
	d.registerPeople(a)
	if d.Onboarding.Logins != nil {
		d.registerOnboarding(a)
	}
}

func (d Fleet) registerPeople(a *API) {
	transporter := []fleet.Role{fleet.Transporter}
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/driver/list", Name: "drivers-of-fleet", Tag: "drivers", Roles: transporter,
		Summary: "The caller's drivers, with presence and live trip"}, d.driverList)
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/tracking/fleet", Name: "track-fleet", Tag: "tracking", Limit: allowed.Track, Roles: transporter,
		Summary: "Where the caller's drivers are"}, d.track)
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/profile", Name: "profile", Tag: "profile", Limit: allowed.Profile,
		Summary: "The caller himself, under both names that the apps read"}, d.profile)
}

// DriverData is a driver as the Captain app lists him.
type DriverData struct {
	ID            string    `json:"id"`
	TransporterID string    `json:"transporterId"`
	Phone         string    `json:"phone"`
	Name          string    `json:"name"`
	LicenseNumber string    `json:"licenseNumber"`
	IsOnline      bool      `json:"isOnline"`
	IsAvailable   bool      `json:"isAvailable"`
	IsOnTrip      bool      `json:"isOnTrip"`
	Status        string    `json:"status" enum:"active,on_trip,inactive"`
	CurrentTripID *string   `json:"currentTripId" nullable:"true"`
	Rating        float64   `json:"rating"`
	TotalTrips    int       `json:"totalTrips"`
	CreatedAt     Timestamp `json:"createdAt"`
}

type driverListData struct {
	Drivers   []DriverData `json:"drivers" nullable:"false"`
	Total     int          `json:"total"`
	Online    int          `json:"online"`
	Offline   int          `json:"offline"`
	Active    int          `json:"active"`
	Available int          `json:"available"`
	Cached    bool         `json:"cached"`
}

func (d Fleet) driverList(ctx context.Context, _ *struct{}) (driverListData, error) {
	drivers, err := d.People.Drivers(ctx, Caller(ctx).UserID)
	if err != nil {
		return driverListData{}, err
	}
	live, err := d.liveByDriver(ctx)
	if err != nil {
		return driverListData{}, err
	}
	online := d.online(ctx, ids(drivers))
	data := driverListData{Drivers: make([]DriverData, len(drivers)), Total: len(drivers)}
	for i, u := range drivers {
		_, present := online[u.ID]
		row := DriverData{
			ID: string(u.ID), TransporterID: string(u.TransporterID), Phone: national(u.Phone), Name: u.Name, LicenseNumber: u.LicenseNumber,
			IsOnline: present, CreatedAt: At(u.CreatedAt), Status: "inactive",
		}
		if t, onTrip := live[u.ID]; onTrip {
			row.IsOnTrip, row.CurrentTripID, row.Status = true, &t.Trip.ID, "on_trip"
		} else if present {
			row.IsAvailable, row.Status = true, "active"
			data.Available++
		}
		if present {
			data.Online++
		}
		data.Drivers[i] = row
	}
	data.Offline, data.Active = data.Total-data.Online, data.Online
	return data, nil
}

// liveByDriver gives the caller's live trips, one per driver.
func (d Fleet) liveByDriver(ctx context.Context) (map[fleet.UserID]access.Row, error) {
	rows, err := d.Trips.OfFleet(ctx, Caller(ctx).UserID)
	if err != nil {
		return nil, err
	}
	live := make(map[fleet.UserID]access.Row, len(rows))
	for _, r := range rows {
		live[r.Trip.DriverID] = r
	}
	return live, nil
}

// online gives who of the users is present. A store of presence that does not answer makes everybody
// look offline for as long as it lasts; the list itself is still worth showing.
func (d Fleet) online(ctx context.Context, users []fleet.UserID) map[fleet.UserID]presence.Entry {
	found, err := d.Presence.Read(ctx, users, d.Now())
	if err != nil {
		d.Log.WarnContext(ctx, "presence not read", "error", err)
		return nil
	}
	return found
}

func ids(users []fleet.User) []fleet.UserID {
	list := make([]fleet.UserID, len(users))
	for i, u := range users {
		list[i] = u.ID
	}
	return list
}

// FleetTrackData is where a transporter's drivers are.
type FleetTrackData struct {
	TransporterID string             `json:"transporterId"`
	ActiveDrivers int                `json:"activeDrivers"`
	Drivers       []FleetDriverTrack `json:"drivers" nullable:"false"`
}

// FleetDriverTrack is one driver with a known position. status is that of his trip, else online or
// offline.
type FleetDriverTrack struct {
	DriverID      string    `json:"driverId"`
	DriverName    string    `json:"driverName"`
	VehicleNumber string    `json:"vehicleNumber"`
	TripID        *string   `json:"tripId" nullable:"true"`
	Latitude      float64   `json:"latitude"`
	Longitude     float64   `json:"longitude"`
	Speed         float64   `json:"speed"`
	Bearing       float64   `json:"bearing"`
	Status        string    `json:"status"`
	LastUpdated   Timestamp `json:"lastUpdated"`
	IsStale       bool      `json:"isStale"`
}

func (d Fleet) track(ctx context.Context, _ *struct{}) (FleetTrackData, error) {
	who := Caller(ctx)
	rows, err := d.Trips.OfFleet(ctx, who.UserID)
	if err != nil {
		return FleetTrackData{}, err
	}
	onTrip, err := d.Trips.WithPosition(ctx, rows)
	if err != nil {
		return FleetTrackData{}, err
	}
	drivers, err := d.People.Drivers(ctx, who.UserID)
	if err != nil {
		return FleetTrackData{}, err
	}
	data := FleetTrackData{TransporterID: string(who.UserID), Drivers: []FleetDriverTrack{}}
	shown := make(map[fleet.UserID]bool, len(onTrip))
	for _, t := range onTrip {
		if t.HasLast {
			shown[t.Trip.DriverID] = true
			data.Drivers = append(data.Drivers, fleetTrack(t.Trip.DriverID, t.Trip.Names.Driver, t.Trip.Status.App(), t.Last, &t.Trip, d.Now()))
		}
	}
	list := ids(drivers)
	online := d.online(ctx, list)
	last, err := d.Positions.Last(ctx, list, d.Now())
	if err != nil {
		d.Log.WarnContext(ctx, "last positions not read", "error", err)
	}
	for _, u := range drivers {
		fix, known := last[u.ID]
		if !known || shown[u.ID] {
			continue
		}
		status := "offline"
		if _, present := online[u.ID]; present {
			status = "online"
		}
		data.Drivers = append(data.Drivers, fleetTrack(u.ID, u.Name, status, fix, nil, d.Now()))
	}
	for _, t := range data.Drivers {
		if t.Status != "offline" {
			data.ActiveDrivers++
		}
	}
	return data, nil
}

func fleetTrack(driver fleet.UserID, name, status string, f track.Fix, t *trip.State, now time.Time) FleetDriverTrack {
	row := FleetDriverTrack{
		DriverID: string(driver), DriverName: name, Status: status, Latitude: f.Lat, Longitude: f.Lng,
		Speed: f.Speed, Bearing: f.Bearing, LastUpdated: AtMS(f.TS), IsStale: f.Stale(now),
	}
	if t != nil {
		row.VehicleNumber, row.TripID = t.Vehicle.Number, &t.ID
	}
	return row
}

// ProfileData has the same person twice: the customer app reads profile, the Captain app user.
type ProfileData struct {
	User    PersonData `json:"user"`
	Profile PersonData `json:"profile"`
}

// PersonData is a user as he sees himself.
type PersonData struct {
	ID                string    `json:"id"`
	Phone             string    `json:"phone"`
	Role              string    `json:"role"`
	Name              string    `json:"name"`
	Email             *string   `json:"email" nullable:"true"`
	TransporterID     *string   `json:"transporterId" nullable:"true"`
	LicenseNumber     *string   `json:"licenseNumber" nullable:"true"`
	IsVerified        bool      `json:"isVerified"`
	IsActive          bool      `json:"isActive"`
	IsProfileComplete bool      `json:"isProfileComplete"`
	CreatedAt         Timestamp `json:"createdAt"`
	UpdatedAt         Timestamp `json:"updatedAt"`
}

func (d Fleet) profile(ctx context.Context, _ *struct{}) (ProfileData, error) {
	u, err := d.People.User(ctx, Caller(ctx).UserID)
	if err != nil {
		return ProfileData{}, unknownCaller(err)
	}
	p := PersonData{
		ID: string(u.ID), Phone: national(u.Phone), Role: string(u.Role), Name: u.Name,
		Email: optional(u.Email), TransporterID: optional(string(u.TransporterID)), LicenseNumber: optional(u.LicenseNumber),
		IsVerified: true, IsActive: !u.Suspended, IsProfileComplete: u.Name != "", CreatedAt: At(u.CreatedAt), UpdatedAt: At(u.UpdatedAt),
	}
	return ProfileData{User: p, Profile: p}, nil
}

// optional is null for an empty string.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// national writes a full phone as the apps do, ten digits; a masked or empty one stays as it is.
func national(e164 string) string {
	if n, err := phone.Parse(e164); err == nil {
		return n.National()
	}
	return e164
}
