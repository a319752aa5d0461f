package rest

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// Recorder puts batches of fixes into history and answers after the commit: *history.Recorder.
type Recorder interface {
	Record(ctx context.Context, driver fleet.Member, tripID string, fixes []track.Fix) (history.Result, error)
}

// Tracking is what the routes of tracking need.
type Tracking struct {
	Actors   Actors
	Trips    TripReader
	Recorder Recorder
	Drivers  protocol.Drivers
	Now      func() time.Time
}

var errNoTracking = fault.New(fault.NotFound, "TRACKING_NOT_FOUND", "There is no tracking for this trip.")

// PointInput is one sample of a batch. Values out of range make the point invalid, not the batch: a
// phone would send the same batch again for ever.
type PointInput struct {
	_         struct{} `additionalProperties:"false"`
	Latitude  float64  `json:"latitude" doc:"Degrees"`
	Longitude float64  `json:"longitude" doc:"Degrees"`
	Speed     *float64 `json:"speed,omitempty" nullable:"true" doc:"m/s, 0 to 110"`
	Bearing   *float64 `json:"bearing,omitempty" nullable:"true" doc:"Degrees clockwise from north, 0 to 360"`
	Accuracy  *float64 `json:"accuracy,omitempty" nullable:"true" doc:"Metres, 0 to 500"`
	Timestamp string   `json:"timestamp" maxLength:"64" doc:"When it was taken, ISO 8601 with Z"`
	Mock      bool     `json:"isMockLocation,omitempty" doc:"The phone says that the position is simulated"`
}

// fix is the point as a fix; one whose time cannot be read is not finite, which the recorder counts
// as invalid at its place.
func (p PointInput) fix() track.Fix {
	at, err := time.Parse(time.RFC3339, p.Timestamp)
	if err != nil {
		return track.Fix{Lat: math.NaN()}
	}
	return p.at(at)
}

func (p PointInput) at(t time.Time) track.Fix {
	f := track.Fix{TS: t.UnixMilli(), Lat: p.Latitude, Lng: p.Longitude, Mock: p.Mock}
	if p.Accuracy != nil {
		f.Accuracy = *p.Accuracy
	}
	if p.Speed != nil {
		f.Speed, f.HasSpeed = *p.Speed, true
	}
	if p.Bearing != nil {
		f.Bearing, f.HasBearing = *p.Bearing, true
	}
	return f
}

type batchInput struct {
	Body struct {
		_      struct{}     `additionalProperties:"false"`
		TripID string       `json:"tripId" format:"uuid"`
		Points []PointInput `json:"points" minItems:"1" maxItems:"100" nullable:"false"`
	}
}

// BatchData says what became of each point of a batch. The four counts sum to processed.
type BatchData struct {
	TripID       string    `json:"tripId"`
	Processed    int       `json:"processed"`
	Accepted     int       `json:"accepted"`
	Stale        int       `json:"stale" doc:"Older than 60 s: in the track, not on the map"`
	Duplicate    int       `json:"duplicate"`
	Invalid      int       `json:"invalid"`
	InvalidAt    []int     `json:"invalidAt" nullable:"false" doc:"Places of the invalid points in the batch"`
	LastAccepted Timestamp `json:"lastAcceptedTimestamp"`
}

type updateInput struct {
	Body struct {
		_         struct{} `additionalProperties:"false"`
		TripID    string   `json:"tripId" format:"uuid"`
		Latitude  float64  `json:"latitude" minimum:"-90" maximum:"90"`
		Longitude float64  `json:"longitude" minimum:"-180" maximum:"180"`
		Speed     *float64 `json:"speed,omitempty" nullable:"true" minimum:"0" maximum:"110"`
		Bearing   *float64 `json:"bearing,omitempty" nullable:"true" minimum:"0" maximum:"360"`
		Accuracy  *float64 `json:"accuracy,omitempty" nullable:"true" minimum:"0" maximum:"500"`
		Timestamp string   `json:"timestamp,omitempty" maxLength:"64"`
		Mock      bool     `json:"isMockLocation,omitempty"`
	}
}

type statusInput struct {
	TripID string `path:"tripId" maxLength:"64"`
	Body   struct {
		Status string `json:"status" maxLength:"40"`
		OTP    string `json:"otp,omitempty" maxLength:"8" doc:"The customer's delivery code, with completed and partial_delivery, where one is asked for"`
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"What could not be delivered; required with partial_delivery"`
	}
}

type tripIDInput struct {
	TripID string `path:"tripId" maxLength:"64"`
}

type historyInput struct {
	TripID string `path:"tripId" maxLength:"64"`
	Cursor string `query:"cursor" maxLength:"20" doc:"Of the page before; empty for the first"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"500"`
}

// RegisterTracking adds the tracking routes.
func RegisterTracking(a *API, d Tracking) {
	const base, tag = "/api/v1/tracking", "tracking"
	driver := []fleet.Role{fleet.Driver}
	HandleAck(a, Route{Method: http.MethodPut, Path: base + "/trip/{tripId}/status", Name: "change-trip-status", Tag: tag, Limit: allowed.Track, Roles: driver,
		Summary: "Report a step of the trip; the same step again is no error", MaxBody: 4 << 10, Message: "Status updated"}, d.changeStatus)
	Handle(a, Route{Method: http.MethodPost, Path: base + "/batch", Name: "record-batch", Tag: tag, Limit: allowed.Track, Roles: driver,
		Summary: "Up to 100 positions; answered after they are on disk", MaxBody: 64 << 10, Message: "Batch processed"}, d.batch)
	Handle(a, Route{Method: http.MethodPost, Path: base + "/update", Name: "record-position", Tag: tag, Limit: allowed.Track, Roles: driver,
		Summary: "One position; without a timestamp it moves the map and is not kept", MaxBody: 4 << 10, Message: "Location updated"}, d.update)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/active-trip", Name: "active-trip", Tag: tag, Limit: allowed.Track, Roles: driver,
		Summary: "The caller's live trip, or null"}, d.activeTrip)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/history/{tripId}", Name: "trip-history", Tag: tag, Limit: allowed.Track,
		Summary: "The track of a trip, sorted by time, in pages"}, d.history)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/{tripId}", Name: "track-trip", Tag: tag, Limit: allowed.Track,
		Summary: "Where the truck of a trip is, and what it has driven"}, d.one)
	d.registerTrackedTrip(a)
}

func (d Tracking) changeStatus(ctx context.Context, in *statusInput) error {
	to, err := trip.ParseStep(in.Body.Status)
	if err != nil {
		return err
	}
	reply, err := askTrip(ctx, d.Actors, in.TripID, trip.ChangeStatus{By: byCaller(ctx), To: to, Code: in.Body.OTP, Reason: in.Body.Reason})
	if err != nil {
		return err
	}
	return reply.State.RefusedCode(to)
}

func (d Tracking) batch(ctx context.Context, in *batchInput) (BatchData, error) {
	fixes := make([]track.Fix, len(in.Body.Points))
	for i, p := range in.Body.Points {
		fixes[i] = p.fix()
	}
	return d.record(ctx, in.Body.TripID, fixes)
}

func (d Tracking) record(ctx context.Context, tripID string, fixes []track.Fix) (BatchData, error) {
	driver := Caller(ctx).Member()
	r, err := d.Recorder.Record(ctx, driver, tripID, fixes)
	if err != nil {
		return BatchData{}, err
	}
	if r.TripID == "" {
		return BatchData{}, errNoTracking // not his, not accepted, or not there
	}
	if r.HasFresh {
		d.Drivers.Report(driver.Driver, r.NewestFresh)
	}
	return BatchData{
		TripID: r.TripID, Processed: r.Processed, Accepted: r.Accepted, Stale: r.Stale, Duplicate: r.Duplicate, Invalid: r.Invalid,
		InvalidAt: append([]int{}, r.InvalidAt...), LastAccepted: AtMS(r.LastAcceptedMS),
	}, nil
}

// update takes one position. One with a time is a batch of one; one without moves the map only,
// because nothing tells it from the same position in a later batch.
func (d Tracking) update(ctx context.Context, in *updateInput) (BatchData, error) {
	b := in.Body
	p := PointInput{Latitude: b.Latitude, Longitude: b.Longitude, Speed: b.Speed, Bearing: b.Bearing, Accuracy: b.Accuracy, Mock: b.Mock}
	if b.Timestamp != "" {
		at, err := time.Parse(time.RFC3339, b.Timestamp)
		if err != nil {
			return BatchData{}, fault.Invalid("timestamp", "The time of the position is not readable.")
		}
		return d.record(ctx, b.TripID, []track.Fix{p.at(at)})
	}
	row, err := d.Trips.Trip(ctx, Caller(ctx), b.TripID, errNoTracking)
	if err != nil {
		return BatchData{}, err
	}
	now := d.Now()
	fix := p.at(now)
	fix.ReceivedMS = now.UnixMilli()
	if err := track.Check(fix, now); err != nil {
		return BatchData{}, err
	}
	if !row.Trip.Covers(fix.TS) {
		return BatchData{}, errNoTracking
	}
	d.Drivers.Report(Caller(ctx).UserID, fix)
	return BatchData{TripID: b.TripID, Processed: 1, Accepted: 1, InvalidAt: []int{}, LastAccepted: AtMS(fix.TS)}, nil
}

// TrackData is where a truck is. Every field is always there; without a position the coordinates are
// 0 and locationAvailable is false.
type TrackData struct {
	TripID        string     `json:"tripId"`
	DriverID      string     `json:"driverId"`
	DriverName    string     `json:"driverName"`
	VehicleNumber string     `json:"vehicleNumber"`
	Latitude      float64    `json:"latitude"`
	Longitude     float64    `json:"longitude"`
	Speed         float64    `json:"speed" doc:"m/s; 0 when unknown"`
	Bearing       float64    `json:"bearing" doc:"Degrees; 0 when unknown"`
	Status        string     `json:"status"`
	LastUpdated   Timestamp  `json:"lastUpdated"`
	Available     bool       `json:"locationAvailable"`
	Stale         bool       `json:"isStale" doc:"The position is older than 60 s"`
	AgeMS         int64      `json:"locationAgeMs"`
	OdometerM     int64      `json:"odometerMeters"`
	Stops         []StopData `json:"stops" nullable:"false"`
	DeliveryCode  string     `json:"deliveryCode,omitempty" doc:"For the customer, while the driver will ask for it"`
}

// StopData is a stand of the truck; departedAt is null while it stands.
type StopData struct {
	Latitude   float64   `json:"latitude"`
	Longitude  float64   `json:"longitude"`
	ArrivedAt  Timestamp `json:"arrivedAt"`
	DepartedAt Timestamp `json:"departedAt"`
}

func (d Tracking) one(ctx context.Context, in *tripIDInput) (TrackData, error) {
	row, err := d.Trips.Trip(ctx, Caller(ctx), in.TripID, errNoTracking)
	if err != nil {
		return TrackData{}, err
	}
	if row.Trip.Live {
		row = d.newest(ctx, row)
	}
	seen, err := d.Trips.WithPosition(ctx, []access.Row{row})
	if err != nil {
		return TrackData{}, err
	}
	data := trackData(seen[0], d.Now())
	if s := seen[0].Trip; s.Live && s.Delivery != nil && Caller(ctx).Role == fleet.Customer {
		data.DeliveryCode = s.Delivery.Code
	}
	return data, nil
}

// newest asks a live trip for its odometer, which reaches the row now and then only. A trip that does
// not answer in time is shown as stored.
func (d Tracking) newest(ctx context.Context, row access.Row) access.Row {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answer, err := d.Actors.Ask(ctx, protocol.TripAddress(row.Trip.ID), &protocol.GetTrip{})
	if reply, ok := answer.(*protocol.TripReply); ok && err == nil {
		return access.Row{Trip: reply.State, Version: reply.Version}
	}
	return row
}

func trackData(t access.Seen, now time.Time) TrackData {
	s := t.Trip.Summary(fleet.Customer)
	data := TrackData{
		TripID: s.TripID, DriverID: string(s.DriverID), DriverName: s.DriverName, VehicleNumber: s.VehicleNumber, Status: s.Status,
		LastUpdated: AtMS(t.Trip.StatusMS), OdometerM: s.OdometerM, Stops: make([]StopData, len(s.Stops)),
	}
	for i, stop := range s.Stops {
		data.Stops[i] = StopData{Latitude: stop.Lat, Longitude: stop.Lng, ArrivedAt: AtMS(stop.ArrivedMS), DepartedAt: AtMS(stop.DepartedMS)}
	}
	if t.HasLast {
		data.Latitude, data.Longitude, data.Speed, data.Bearing = t.Last.Lat, t.Last.Lng, t.Last.Speed, t.Last.Bearing
		data.LastUpdated, data.Available = AtMS(t.Last.TS), true
		data.Stale, data.AgeMS = t.Last.Stale(now), max(0, now.UnixMilli()-t.Last.TS)
	}
	return data
}

// HistoryData is one page of a track.
type HistoryData struct {
	TripID  string    `json:"tripId"`
	Fixes   []FixData `json:"fixes" nullable:"false"`
	Cursor  string    `json:"cursor" doc:"Asks for what comes after this page"`
	HasMore bool      `json:"hasMore"`
}

// FixData is one sample of a track.
type FixData struct {
	Latitude  float64   `json:"latitude"`
	Longitude float64   `json:"longitude"`
	Speed     *float64  `json:"speed" nullable:"true" doc:"m/s; null when the phone did not know"`
	Bearing   *float64  `json:"bearing" nullable:"true" doc:"Degrees; null when the phone did not know"`
	Accuracy  float64   `json:"accuracy" doc:"Metres; 0 when the phone did not know"`
	Timestamp Timestamp `json:"timestamp"`
}

func (d Tracking) history(ctx context.Context, in *historyInput) (HistoryData, error) {
	after := int64(0)
	if in.Cursor != "" {
		var err error
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || after < 0 {
			return HistoryData{}, fault.Invalid("cursor", "The cursor is not one of ours.")
		}
	}
	row, err := d.Trips.Trip(ctx, Caller(ctx), in.TripID, errNoTracking)
	if err != nil {
		return HistoryData{}, err
	}
	page, err := d.Trips.Track(ctx, row.Trip, after, in.Limit)
	if err != nil {
		return HistoryData{}, err
	}
	data := HistoryData{TripID: row.Trip.ID, Fixes: make([]FixData, len(page.Fixes)), Cursor: in.Cursor, HasMore: page.More}
	for i, f := range page.Fixes {
		data.Fixes[i] = FixData{Latitude: f.Lat, Longitude: f.Lng, Accuracy: f.Accuracy, Timestamp: AtMS(f.TS)}
		if f.HasSpeed {
			data.Fixes[i].Speed = &f.Speed
		}
		if f.HasBearing {
			data.Fixes[i].Bearing = &f.Bearing
		}
		data.Cursor = strconv.FormatInt(f.TS, 10)
	}
	return data, nil
}
