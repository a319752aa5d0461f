package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/phone"
	"weelo/internal/trip"
)

// Customers finds customers by their phone.
type Customers interface {
	// ByPhone gives the user with that canonical number and role. fleet.ErrNoUser when there is none.
	ByPhone(ctx context.Context, phone string, role fleet.Role) (fleet.User, error)
}

// Users reads users by id.
type Users interface {
	// User gives one user. fleet.ErrNoUser when there is none.
	User(ctx context.Context, id fleet.UserID) (fleet.User, error)
}

// Trucks reads vehicles by id.
type Trucks interface {
	// Vehicle gives one vehicle. fleet.ErrNoVehicle when there is none.
	Vehicle(ctx context.Context, id fleet.VehicleID) (fleet.Vehicle, error)
}

// Assignments gives birth to trips without an order, in one transaction on the task that was asked.
// Nobody owns the trip then: the hint makes its owner claim it, and a lost hint costs the sweeper's
// two seconds.
type Assignments struct {
	Ledger    Ledger
	Router    Router
	Publisher protocol.Publisher
	Users     Users
	Trucks    Trucks
	Customers Customers
	Policy    trip.Policy
	NewID     func() string // a new bare UUID
}

var _ protocol.Assigner = (*Assignments)(nil)

// The refusals of an assignment.
var (
	ErrDriverUnknown  = fault.New(fault.NotFound, "DRIVER_NOT_FOUND", "This driver is not in your fleet.")
	ErrVehicleUnknown = fault.New(fault.NotFound, "VEHICLE_NOT_FOUND", "This vehicle is not in your fleet.")
	ErrDriverBusy     = fault.New(fault.Conflict, "DRIVER_BUSY", "This driver is already on a trip.")
	ErrVehicleBusy    = fault.New(fault.Conflict, "VEHICLE_UNAVAILABLE", "This vehicle is not available.")
)

// assignLimit bounds one birth, its reads included.
const assignLimit = 12 * time.Second

// Assign implements protocol.Assigner.
func (a *Assignments) Assign(ctx context.Context, n protocol.NewAssignment) (*protocol.TripReply, error) {
	reads, cancel := context.WithTimeout(ctx, assignLimit)
	defer cancel()
	// A repeat is answered from its record, whatever has become of the driver and the vehicle since.
	if kept, used, err := a.Ledger.recall(reads, string(n.Transporter), n.Key, n.Hash); err != nil || used {
		return born(kept, err)
	}
	birth, err := a.describe(reads, n)
	if err != nil {
		return nil, err
	}
	now := a.Ledger.now()
	d, err := trip.Born(birth, now, a.Policy)
	if err != nil {
		return nil, err
	}
	reply := &protocol.TripReply{State: d.State, Version: 1}
	t, err := a.transition(ctx, d, n, reply)
	if err != nil {
		return nil, err
	}
	// The client going away does not call the commit off.
	commit, cancelCommit := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancelCommit()
	o := a.Ledger.Writer.Commit(commit, []ledger.Transition{t})[0]
	if o.Status != ledger.Committed {
		return a.notBorn(o)
	}
	a.announce(ctx, d.State, Committed{Transition: t, Numbers: o.Numbers})
	return reply, nil
}

// describe reads who and what is meant and refuses what does not belong to the transporter.
func (a *Assignments) describe(ctx context.Context, n protocol.NewAssignment) (trip.Assignment, error) {
	driver, err := a.Users.User(ctx, n.Driver)
	if errors.Is(err, fleet.ErrNoUser) || (err == nil && (driver.Role != fleet.Driver || driver.TransporterID != n.Transporter || driver.Suspended)) {
		return trip.Assignment{}, ErrDriverUnknown
	}
	if err != nil {
		return trip.Assignment{}, fmt.Errorf("assign: read driver: %w", err)
	}
	truck, err := a.Trucks.Vehicle(ctx, n.Vehicle)
	if errors.Is(err, fleet.ErrNoVehicle) || (err == nil && truck.TransporterID != n.Transporter) {
		return trip.Assignment{}, ErrVehicleUnknown
	}
	if err != nil {
		return trip.Assignment{}, fmt.Errorf("assign: read vehicle: %w", err)
	}
	if truck.Status == "maintenance" || truck.Status == "inactive" {
		return trip.Assignment{}, ErrVehicleBusy
	}
	owner, err := a.Users.User(ctx, n.Transporter)
	if err != nil {
		return trip.Assignment{}, fmt.Errorf("assign: read transporter: %w", err)
	}
	customer, err := a.customer(ctx, n.CustomerPhone)
	if err != nil {
		return trip.Assignment{}, err
	}
	return trip.Assignment{
		ID: a.NewID(), Driver: n.Driver, Vehicle: n.Vehicle, Transporter: n.Transporter, Customer: customer.ID,
		Names: trip.Names{
			Driver: driver.Name, DriverPhone: driver.Phone, Transporter: owner.Name,
			Customer: customer.Name, CustomerPhone: customer.Phone,
		},
		Truck:  trip.Vehicle{Number: truck.Number, Type: truck.Type, Subtype: truck.Subtype},
		Pickup: n.Pickup, Drop: n.Drop, Cargo: trip.Cargo{Goods: n.Goods, FareRupees: n.FareRupees},
	}, nil
}

// customer finds the known customer with this phone. An unknown one is only a phone.
func (a *Assignments) customer(ctx context.Context, typed string) (fleet.User, error) {
	if typed == "" {
		return fleet.User{}, nil
	}
	number, err := phone.Parse(typed)
	if err != nil {
		return fleet.User{}, fault.Invalid("customerPhone", "Enter a valid 10-digit Indian mobile number.")
	}
	u, err := a.Customers.ByPhone(ctx, string(number), fleet.Customer)
	if errors.Is(err, fleet.ErrNoUser) {
		return fleet.User{Phone: string(number)}, nil
	}
	if err != nil {
		return fleet.User{}, fmt.Errorf("assign: read customer: %w", err)
	}
	return u, nil
}

func (a *Assignments) transition(ctx context.Context, d trip.Decision, n protocol.NewAssignment, reply *protocol.TripReply) (ledger.Transition, error) {
	t, _, err := d.Transition(0, 0)
	if err != nil {
		return ledger.Transition{}, err
	}
	t.Trace = tracedBy(ctx)
	if n.Key != "" {
		kept, err := json.Marshal(reply)
		if err != nil {
			return ledger.Transition{}, fmt.Errorf("assign: write answer: %w", err)
		}
		t.Idem = &ledger.Idem{Scope: string(n.Transporter), Key: n.Key, Hash: n.Hash, Reply: kept}
	}
	return t, nil
}

// notBorn turns an outcome that wrote nothing, or may have, into an answer.
func (a *Assignments) notBorn(o ledger.Outcome) (*protocol.TripReply, error) {
	switch {
	case o.Status == ledger.Replayed:
		return born(o.Reply, nil)
	case o.Status == ledger.Mismatched:
		return nil, ErrKeyReused
	case o.Status == ledger.Taken && o.Constraint == "one_live_trip_per_vehicle":
		return nil, ErrVehicleBusy
	case o.Status == ledger.Taken && o.Constraint == "one_live_trip_per_driver":
		return nil, ErrDriverBusy
	case o.Status == ledger.Failed:
		return nil, failed(o.Err)
	case o.Status == ledger.Unknown:
		return nil, ErrInterrupted.Because(o.Err)
	default:
		return nil, fmt.Errorf("assign: outcome %d of a birth, constraint %q: %w", o.Status, o.Constraint, o.Err)
	}
}

// born reads the kept answer of an earlier use of the key.
func born(kept json.RawMessage, err error) (*protocol.TripReply, error) {
	if err != nil {
		return nil, err
	}
	reply, err := (*tripActor)(nil).Decode(kept)
	if err != nil {
		return nil, err
	}
	return reply.(*protocol.TripReply), nil
}

// announce tells the driver and the watchers, and wakes the owner.
func (a *Assignments) announce(ctx context.Context, s trip.State, done Committed) {
	a.Publisher.Deliver(deliveries(done))
	a.Publisher.TripChanged(protocol.ViewTrip(s, 1, nil))
	_ = a.Router.Tell(ctx, protocol.TripAddress(s.ID), protocol.Hint{Version: 1}) // lost: the sweeper comes
	tellDriver(ctx, a.Router, s, 1)
}
