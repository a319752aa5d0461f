// Package fleet knows who and what moves: customers, transporters with their vehicles and drivers.
//
// Invariants: a phone has at most one user per role; a driver belongs to at most one active fleet;
// a vehicle belongs to one transporter.
package fleet

import "time"

// UserID identifies a customer, transporter, driver or ops user; a bare UUID.
type UserID string

// VehicleID identifies a vehicle; a bare UUID.
type VehicleID string

// Role is what a session may act as. One session has one role.
type Role string

// The closed set of roles.
const (
	Customer    Role = "customer"
	Transporter Role = "transporter"
	Driver      Role = "driver"
	Ops         Role = "ops"
)

// User is a person with one role. Phone is canonical: +91 and ten digits.
type User struct {
	ID        UserID
	Phone     string
	Role      Role
	Name      string
	Email     string
	Suspended bool
	CreatedAt time.Time
	UpdatedAt time.Time

	// Of drivers only.
	TransporterID     UserID // the active fleet; empty: none
	MembershipVersion int64  // raised by every join and leave; a session is bound to it
	LicenseNumber     string

	// Available is the intent set by the person (PUT …/availability), not presence.
	Available bool

	// KYC is how far the check of a transporter's papers is. It keeps nobody from work unless the
	// operator asks for it (REQUIRE_KYC).
	KYC KYC
}

// Member is a driver as one of a fleet, which is what his session is of. In another fleet the same driver is
// another member: he sees and moves nothing of the trips that he drove for this one.
type Member struct {
	Driver UserID
	Fleet  UserID // his transporter
}

// KYC is the state of the check of somebody's papers (contract §3).
type KYC string

// The closed set of KYC states. Everybody begins with KYCNotStarted, whatever the value he is enrolled with.
const (
	KYCNotStarted  KYC = "NOT_STARTED"
	KYCUnderReview KYC = "UNDER_REVIEW"
	KYCVerified    KYC = "VERIFIED"
	KYCRejected    KYC = "REJECTED"
	KYCExpired     KYC = "EXPIRED"
)

// Vehicle is a truck of one transporter. Number is upper case without spaces, e.g. KA01AB1234.
type Vehicle struct {
	ID            VehicleID
	TransporterID UserID
	Number        string
	Type          string
	Subtype       string
	Capacity      string
	Model         string
	Year          int
	Status        string // available, maintenance or inactive; on_hold and in_transit are derived from the live trip
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// What a transporter may say about a vehicle. On hold and in transit are derived from its live trip.
const (
	VehicleAvailable   = "available"
	VehicleMaintenance = "maintenance"
	VehicleInactive    = "inactive"
)
