package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/token"
	"weelo/internal/trip"
)

// Actors is how commands reach actors: the Router of package actors.
type Actors interface {
	Ask(ctx context.Context, to protocol.Address, msg any) (any, error)
}

// TripReader reads trips for whoever may see them: *access.Reads.
type TripReader interface {
	Trip(ctx context.Context, who token.Identity, id string, notFound *fault.Error) (access.Row, error)
	Live(ctx context.Context, who token.Identity) ([]access.Row, error)
	OfFleet(ctx context.Context, transporter fleet.UserID) ([]access.Row, error)
	OfDriver(ctx context.Context, driver fleet.Member, statuses []trip.Status, offset, limit int) ([]access.Row, int, error)
	WithPosition(ctx context.Context, rows []access.Row) ([]access.Seen, error)
	Track(ctx context.Context, s trip.State, after int64, limit int) (access.Page, error)
}

// Assignments is what the routes of assignments need.
type Assignments struct {
	Assigner protocol.Assigner
	Actors   Actors
	Trips    TripReader
	Limits   limit.Limiter // of drivers' answers; nil: not limited
	Log      *slog.Logger  // needed with Limits
}

// PlaceInput is an address with its position, as the apps send it.
type PlaceInput struct {
	Latitude  float64 `json:"latitude" minimum:"-90" maximum:"90"`
	Longitude float64 `json:"longitude" minimum:"-180" maximum:"180"`
	Address   string  `json:"address" minLength:"1" maxLength:"500"`
	City      string  `json:"city,omitempty" maxLength:"100"`
	State     string  `json:"state,omitempty" maxLength:"100"`
}

func (p PlaceInput) place() trip.Place {
	return trip.Place{Latitude: p.Latitude, Longitude: p.Longitude, Address: p.Address, City: p.City, State: p.State}
}

type assignBody struct {
	_             struct{}   `additionalProperties:"false"`
	VehicleID     string     `json:"vehicleId" format:"uuid"`
	DriverID      string     `json:"driverId" format:"uuid"`
	Pickup        PlaceInput `json:"pickup"`
	Drop          PlaceInput `json:"drop"`
	CustomerPhone string     `json:"customerPhone,omitempty" maxLength:"20"`
	GoodsType     string     `json:"goodsType,omitempty" maxLength:"100"`
	FarePerTruck  int        `json:"farePerTruck,omitempty" minimum:"0" maximum:"10000000"`
}

type assignInput struct{ Body assignBody }

type assignmentIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

type declineInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason     string `json:"reason,omitempty" maxLength:"500"`
		ReasonType string `json:"reasonType,omitempty" maxLength:"100"`
	}
}

type assignmentsOfDriverInput struct {
	Status string `query:"status" maxLength:"40"`
	Page   int    `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

type breakdownInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Note string `json:"note,omitempty" maxLength:"500" doc:"What happened, for people"`
	}
}

// RegisterAssignments adds the assignments' routes.
func RegisterAssignments(a *API, d Assignments) {
	const base, tag = "/api/v1/assignments", "assignments"
	driver, transporter := []fleet.Role{fleet.Driver}, []fleet.Role{fleet.Transporter}
	Handle(a, Route{Method: http.MethodPost, Path: base, Name: "assign-trip", Tag: tag, Status: http.StatusCreated, Roles: transporter,
		Summary: "Put a driver and a vehicle of the caller's fleet on a trip", MaxBody: 16 << 10, Message: "Trip assigned"}, d.assign)
	Handle(a, Route{Method: http.MethodPatch, Path: base + "/{id}/accept", Name: "accept-assignment", Tag: tag, Roles: driver,
		Summary: "Take the trip", Message: "Trip accepted"}, d.accept)
	HandleAck(a, Route{Method: http.MethodPatch, Path: base + "/{id}/decline", Name: "decline-assignment", Tag: tag, Roles: driver,
		Summary: "Refuse the trip", MaxBody: 4 << 10, Message: "Trip declined"}, d.decline)
	Handle(a, Route{Method: http.MethodPost, Path: base + "/{id}/breakdown", Name: "break-down", Tag: tag,
		Roles: []fleet.Role{fleet.Driver, fleet.Transporter}, MaxBody: 4 << 10, Message: "Breakdown reported",
		Summary: "The vehicle cannot go on: the trip ends, and its order searches for another truck while it may"}, d.breakDown)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/driver", Name: "assignments-of-driver", Tag: tag, Roles: driver,
		Summary: "The caller's trips, newest first"}, d.ofDriver)
	Handle(a, Route{Method: http.MethodGet, Path: base + "/{id}", Name: "assignment", Tag: tag,
		Summary: "One trip the caller is on"}, d.one)
}

func (d Assignments) assign(ctx context.Context, in *assignInput) (AssignmentData, error) {
	b := in.Body
	reply, err := d.Assigner.Assign(ctx, protocol.NewAssignment{
		Transporter: Caller(ctx).UserID, Driver: fleet.UserID(b.DriverID), Vehicle: fleet.VehicleID(b.VehicleID),
		Pickup: b.Pickup.place(), Drop: b.Drop.place(), CustomerPhone: b.CustomerPhone,
		Goods: b.GoodsType, FareRupees: b.FarePerTruck,
		Key: RequestOf(ctx).IdempotencyKey, Hash: bodyHash(b),
	})
	if err != nil {
		return AssignmentData{}, err
	}
	return assignmentData(reply.State, fleet.Transporter), nil
}

func (d Assignments) accept(ctx context.Context, in *assignmentIDInput) (AssignmentData, error) {
	if err := limited(ctx, d.Limits, d.Log, allowed.Answer); err != nil {
		return AssignmentData{}, err
	}
	reply, err := askTrip(ctx, d.Actors, in.ID, trip.Accept{By: byCaller(ctx)})
	if err != nil {
		return AssignmentData{}, err
	}
	return assignmentData(reply.State, fleet.Driver), nil
}

func (d Assignments) decline(ctx context.Context, in *declineInput) error {
	if err := limited(ctx, d.Limits, d.Log, allowed.Answer); err != nil {
		return err
	}
	reason := in.Body.Reason
	if reason == "" {
		reason = in.Body.ReasonType
	}
	_, err := askTrip(ctx, d.Actors, in.ID, trip.Decline{By: byCaller(ctx), Reason: reason})
	return err
}

func (d Assignments) breakDown(ctx context.Context, in *breakdownInput) (AssignmentData, error) {
	by := byCaller(ctx)
	reply, err := askTrip(ctx, d.Actors, in.ID, trip.BreakDown{By: by, Note: in.Body.Note})
	if err != nil {
		return AssignmentData{}, err
	}
	return assignmentData(reply.State, by.Role), nil
}

func (d Assignments) one(ctx context.Context, in *assignmentIDInput) (AssignmentData, error) {
	who := Caller(ctx)
	row, err := d.Trips.Trip(ctx, who, in.ID, trip.ErrNotFound)
	if err != nil {
		return AssignmentData{}, err
	}
	return assignmentData(row.Trip, who.Role), nil
}

type assignmentsPage struct {
	Assignments []AssignmentData `json:"assignments" nullable:"false"`
	Total       int              `json:"total"`
	HasMore     bool             `json:"hasMore"`
}

func (d Assignments) ofDriver(ctx context.Context, in *assignmentsOfDriverInput) (assignmentsPage, error) {
	var statuses []trip.Status
	if in.Status != "" {
		s, err := trip.ParseFilter(in.Status)
		if err != nil {
			return assignmentsPage{}, err
		}
		statuses = append(statuses, s)
	}
	offset := (in.Page - 1) * in.Limit
	rows, total, err := d.Trips.OfDriver(ctx, Caller(ctx).Member(), statuses, offset, in.Limit)
	if err != nil {
		return assignmentsPage{}, err
	}
	page := assignmentsPage{Assignments: make([]AssignmentData, len(rows)), Total: total, HasMore: offset+len(rows) < total}
	for i, row := range rows {
		page.Assignments[i] = assignmentData(row.Trip, fleet.Driver)
	}
	return page, nil
}

// byCaller names who asks.
func byCaller(ctx context.Context) trip.By {
	return access.Principal(Caller(ctx))
}

// askTrip sends a command to a trip. An id that no trip can have never reaches an actor.
func askTrip(ctx context.Context, to Actors, id string, do trip.Command) (*protocol.TripReply, error) {
	if uuid.Validate(id) != nil || len(id) != 36 {
		return nil, trip.ErrNotFound
	}
	command := &protocol.TripCommand{Do: do, Key: RequestOf(ctx).IdempotencyKey}
	if command.Key != "" {
		command.Hash = bodyHash(map[string]any{"trip": id, "do": trip.CommandName(do), "what": do})
	}
	answer, err := to.Ask(ctx, protocol.TripAddress(id), command)
	if err != nil {
		var refusal *fault.Error
		if errors.As(err, &refusal) && refusal.Code == fault.NotFound {
			return nil, trip.ErrNotFound // of a trip and of an actor without a row alike
		}
		return nil, err
	}
	reply, ok := answer.(*protocol.TripReply)
	if !ok {
		return nil, fmt.Errorf("trip %s answered %T", id, answer)
	}
	return reply, nil
}

// bodyHash identifies what a request asks for, whatever its spelling: the hash of the parsed body.
func bodyHash(body any) string {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("rest: a parsed body does not marshal: %v", err)) // a bug: bodies are plain structs
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
