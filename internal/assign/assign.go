// Package assign puts a driver and a vehicle on a trip: it checks whose they are and hands the birth of
// the trip to the ledger.
//
// Invariants:
//   - A transporter assigns his own drivers and vehicles only; a foreign and an unknown id are refused
//     alike.
//   - Whether a driver or vehicle is free is decided by the unique indexes of the ledger at the commit,
//     never by a look before it.
//   - A command with a key has one effect; a repeat gets the first answer.
//
// A trip that was born belongs to nobody yet: its actor claims it at the first hint, command or sweep.
package assign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/phone"
	"weelo/internal/trip"
)

// Request is what a transporter asks for.
type Request struct {
	Transporter   fleet.UserID
	Driver        fleet.UserID
	Vehicle       fleet.VehicleID
	Pickup        trip.Place
	Drop          trip.Place
	CustomerPhone string // as typed; "" when there is no customer
	Cargo         trip.Cargo
	Key           string // the client's idempotency key, "" without one
	Hash          string // of the request's body
}

// Result is the trip as it was born, and what the birth told whom.
type Result struct {
	State    trip.State
	Events   []ledger.Event
	Numbers  []ledger.Number
	Replayed bool // the command had been done before: nobody is told again
}

// The refusals.
var (
	ErrDriver  = fault.New(fault.PermissionDenied, "DRIVER_NOT_IN_FLEET", "This driver is not in your fleet.")
	ErrVehicle = fault.New(fault.PermissionDenied, "VEHICLE_NOT_IN_FLEET", "This vehicle is not in your fleet.")
	ErrStatus  = fault.New(fault.Conflict, "VEHICLE_UNAVAILABLE", "This vehicle is not available.")
	ErrBusy    = fault.New(fault.Conflict, "DRIVER_BUSY", "This driver is already on a trip.")
	ErrOnTrip  = fault.New(fault.Conflict, "VEHICLE_UNAVAILABLE", "This vehicle is already on a trip.")
	ErrKey     = fault.New(fault.Conflict, "IDEMPOTENCY_CONFLICT", "This request was already used for something else. Please try again.")
	errUnsure  = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "We could not confirm the trip just now. Please try again.").After(time.Second)
)

// Customers finds or enrols a customer by his phone, so that he sees the trip when he logs in.
type Customers interface {
	Enrol(ctx context.Context, u fleet.User) (stored fleet.User, isNew bool, err error)
}

// Service assigns trips. It is safe for concurrent use.
type Service struct {
	People    fleet.People
	Vehicles  fleet.Vehicles
	Customers Customers
	Writer    ledger.Writer
	Policy    trip.Policy
	Now       func() time.Time
	NewID     func() string // a bare UUID
}

// Assign gives birth to a trip. Errors: VALIDATION_ERROR, DRIVER_NOT_IN_FLEET, VEHICLE_NOT_IN_FLEET,
// VEHICLE_UNAVAILABLE, DRIVER_BUSY, IDEMPOTENCY_CONFLICT, SERVICE_UNAVAILABLE (unknown outcome: the
// same key finds out).
func (s *Service) Assign(ctx context.Context, r Request) (Result, error) {
	a, err := s.assignment(ctx, r)
	if err != nil {
		return Result{}, err
	}
	d, err := trip.Born(a, s.Now(), s.Policy)
	if err != nil {
		return Result{}, err
	}
	t, _, err := d.Transition(0, 0)
	if err != nil {
		return Result{}, err
	}
	if r.Key != "" {
		t.Idem = &ledger.Idem{Scope: string(r.Transporter), Key: r.Key, Hash: r.Hash, Reply: t.State}
	}
	return result(d, t, s.Writer.Commit(ctx, []ledger.Transition{t})[0])
}

// assignment looks up everybody on the trip.
func (s *Service) assignment(ctx context.Context, r Request) (trip.Assignment, error) {
	driver, err := s.People.User(ctx, r.Driver)
	if err != nil && !errors.Is(err, fleet.ErrNoUser) {
		return trip.Assignment{}, fmt.Errorf("driver of an assignment: %w", err)
	}
	if err != nil || driver.Role != fleet.Driver || driver.TransporterID != r.Transporter || driver.Suspended {
		return trip.Assignment{}, ErrDriver
	}
	vehicle, err := s.Vehicles.Vehicle(ctx, r.Vehicle)
	if err != nil && !errors.Is(err, fleet.ErrNoVehicle) {
		return trip.Assignment{}, fmt.Errorf("vehicle of an assignment: %w", err)
	}
	if err != nil || vehicle.TransporterID != r.Transporter {
		return trip.Assignment{}, ErrVehicle
	}
	if vehicle.Status != fleet.VehicleAvailable {
		return trip.Assignment{}, ErrStatus
	}
	owner, err := s.People.User(ctx, r.Transporter)
	if err != nil {
		return trip.Assignment{}, fmt.Errorf("transporter of an assignment: %w", err)
	}
	customer, err := s.customer(ctx, r.CustomerPhone)
	if err != nil {
		return trip.Assignment{}, err
	}
	return trip.Assignment{
		ID: s.NewID(), Driver: driver.ID, Vehicle: vehicle.ID, Transporter: r.Transporter, Customer: customer.ID,
		Names: trip.Names{Driver: driver.Name, DriverPhone: driver.Phone, Transporter: owner.Name,
			Customer: customer.Name, CustomerPhone: customer.Phone},
		Truck:  trip.Vehicle{Number: vehicle.Number, Type: vehicle.Type, Subtype: vehicle.Subtype},
		Pickup: r.Pickup, Drop: r.Drop, Cargo: r.Cargo,
	}, nil
}

func (s *Service) customer(ctx context.Context, typed string) (fleet.User, error) {
	if typed == "" {
		return fleet.User{}, nil
	}
	canonical, err := phone.Parse(typed)
	if err != nil {
		return fleet.User{}, fault.Invalid("customerPhone", "Enter a valid 10-digit mobile number.")
	}
	now := s.Now()
	customer, _, err := s.Customers.Enrol(ctx, fleet.User{
		ID: fleet.UserID(s.NewID()), Phone: string(canonical), Role: fleet.Customer, CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		return fleet.User{}, fmt.Errorf("customer of an assignment: %w", err)
	}
	return customer, nil
}

// result says what became of a birth.
func result(d trip.Decision, t ledger.Transition, o ledger.Outcome) (Result, error) {
	switch o.Status {
	case ledger.Committed:
		return Result{State: d.State, Events: t.Events, Numbers: o.Numbers}, nil
	case ledger.Replayed:
		first, err := trip.Load(json.RawMessage(o.Reply))
		if err != nil {
			return Result{}, fmt.Errorf("first reply of an assignment: %w", err)
		}
		return Result{State: first, Replayed: true}, nil
	case ledger.Mismatched:
		return Result{}, ErrKey
	case ledger.Taken:
		switch o.Constraint {
		case "one_live_trip_per_driver":
			return Result{}, ErrBusy
		case "one_live_trip_per_vehicle":
			return Result{}, ErrOnTrip
		}
		return Result{}, fmt.Errorf("birth of a trip: taken by %q: %v", o.Constraint, o.Err)
	case ledger.Unknown:
		return Result{}, errUnsure.Because(o.Err)
	case ledger.Fenced, ledger.Moved, ledger.Missing, ledger.Broken, ledger.Failed:
		return Result{}, fmt.Errorf("birth of a trip: outcome %d: %v", o.Status, o.Err)
	}
	return Result{}, fmt.Errorf("birth of a trip: outcome %d", o.Status)
}
