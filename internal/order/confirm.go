package order

import (
	"slices"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// Why a pick cannot be assigned.
const (
	PickTwice           = "DUPLICATE_PICK"
	PickVehicleUnknown  = "VEHICLE_NOT_IN_FLEET"
	PickVehicleKind     = "VEHICLE_TYPE_MISMATCH"
	PickVehicleBusy     = "VEHICLE_UNAVAILABLE"
	PickDriverUnknown   = "DRIVER_NOT_IN_FLEET"
	PickDriverSuspended = "DRIVER_SUSPENDED"
	PickDriverBusy      = "DRIVER_BUSY"
	PickDriverOffline   = "DRIVER_OFFLINE"
)

// confirm turns a hold into trips. All picks are judged; one that fails refuses the whole.
func (b *builder) confirm(c Confirm) (Decision, error) {
	h, err := b.ownHold(c.By, c.HoldID)
	if err != nil {
		return Decision{}, err
	}
	if h.Status == HoldConfirmed {
		if c.others(b.s, h) {
			return Decision{}, ErrTrucksChanged // yes would be a lie about these vehicles
		}
		return b.replay()
	}
	if err := b.usable(h); err != nil {
		return Decision{}, err
	}
	if len(c.Picks) != len(h.SlotIDs) || len(c.TripIDs) != len(c.Picks) {
		return Decision{}, fault.Invalid("assignments", "Name one vehicle and one driver for each truck you hold.")
	}
	if failed := c.judge(h); len(failed) > 0 {
		return Decision{}, refusePicks(failed)
	}
	h.Status, h.EndedMS, h.TripIDs = HoldConfirmed, b.now.UnixMilli(), slices.Clone(c.TripIDs)
	won := make([]Win, len(c.Picks))
	for i, pick := range c.Picks {
		slot := b.s.Slot(h.SlotIDs[i])
		vehicle, driver := c.Crew.Vehicles[pick.VehicleID], c.Crew.Drivers[pick.DriverID]
		won[i] = Win{
			SlotID: slot.ID, TripID: c.TripIDs[i], Transporter: c.Name,
			VehicleID: vehicle.ID, VehicleNumber: vehicle.Number,
			DriverID: driver.ID, DriverName: driver.Name, DriverPhone: driver.Phone,
		}
		born, err := trip.Born(b.assignment(*slot, c, vehicle.Vehicle, driver.User, c.TripIDs[i]), b.now, b.p.Trip)
		if err != nil {
			return Decision{}, err
		}
		b.d.Births = append(b.d.Births, born)
	}
	b.add(Event{What: WasConfirmed, User: c.By.User, By: string(fleet.Transporter), Hold: &h, Won: won})
	return b.done(string(fleet.Transporter))
}

// others tells whether the picks are known to be not those that the hold was confirmed with.
func (c Confirm) others(s State, h Hold) bool {
	if len(c.Picks) != len(h.TripIDs) {
		return true
	}
	for i, pick := range c.Picks {
		slot := s.SlotOfTrip(h.TripIDs[i]) // nil: its trip came to nothing since
		if slot != nil && (slot.VehicleID != pick.VehicleID || slot.DriverID != pick.DriverID) {
			return true
		}
	}
	return false
}

func (b *builder) assignment(slot Slot, c Confirm, v fleet.Vehicle, d fleet.User, tripID string) trip.Assignment {
	need := b.s.Needs[slot.Need]
	return trip.Assignment{
		ID: tripID, Driver: d.ID, Vehicle: v.ID, Transporter: c.By.User, Customer: b.s.CustomerID,
		OrderID: b.s.ID, Slot: slot.ID,
		Names: trip.Names{
			Driver: d.Name, DriverPhone: d.Phone, Transporter: c.Name,
			Customer: b.s.Customer.Name, CustomerPhone: b.s.Customer.Phone,
		},
		Truck:  trip.Vehicle{Number: v.Number, Type: v.Type, Subtype: v.Subtype},
		Pickup: b.s.Pickup, Drop: b.s.Drop,
		Cargo: trip.Cargo{Goods: b.s.Goods, DistanceKm: b.s.DistanceKm, FareRupees: need.PriceRupees},
	}
}

// judge says which picks cannot be assigned, each with its first reason.
func (c Confirm) judge(h Hold) []FailedPick {
	var failed []FailedPick
	vehicles, drivers := map[fleet.VehicleID]bool{}, map[fleet.UserID]bool{}
	for _, pick := range c.Picks {
		reason := c.judgePick(pick, h)
		if vehicles[pick.VehicleID] || drivers[pick.DriverID] {
			reason = PickTwice
		}
		vehicles[pick.VehicleID], drivers[pick.DriverID] = true, true
		if reason != "" {
			failed = append(failed, FailedPick{pick.VehicleID, reason})
		}
	}
	return failed
}

func (c Confirm) judgePick(pick Pick, h Hold) string {
	v, known := c.Crew.Vehicles[pick.VehicleID]
	switch {
	case !known || v.TransporterID != h.TransporterID:
		return PickVehicleUnknown
	case fleet.Key(v.Type, v.Subtype) != h.Key:
		return PickVehicleKind
	case v.Status != fleet.VehicleAvailable || v.TripID != "":
		return PickVehicleBusy
	}
	d, known := c.Crew.Drivers[pick.DriverID]
	switch {
	case !known || d.Role != fleet.Driver || d.TransporterID != h.TransporterID:
		return PickDriverUnknown
	case d.Suspended:
		return PickDriverSuspended
	case d.TripID != "":
		return PickDriverBusy
	case !c.Online[pick.DriverID]:
		return PickDriverOffline
	}
	return ""
}
