package protocol

import "weelo/internal/fleet"

// The kinds of actors. A kind and an id together address one actor.
const (
	KindOTP         = "otp"
	KindDriver      = "driver"
	KindTransporter = "transporter"
	KindOrder       = "order"
	KindTrip        = "trip"
)

// Address names one actor. It need not be in memory: a message activates it.
type Address struct {
	Kind string
	ID   string
}

// String is "kind/id", the form that durable messages store.
func (a Address) String() string { return a.Kind + "/" + a.ID }

// TripAddress is where the trip's actor receives.
func TripAddress(tripID string) Address { return Address{Kind: KindTrip, ID: tripID} }

// DriverAddress is where the driver's actor receives.
func DriverAddress(id fleet.UserID) Address { return Address{Kind: KindDriver, ID: string(id)} }

// TransporterAddress is where the transporter's actor receives.
func TransporterAddress(id fleet.UserID) Address {
	return Address{Kind: KindTransporter, ID: string(id)}
}

// Command is a message with an effect. Its id makes a repeat harmless where a store keeps it, and
// names it in quarantine when it keeps breaking its actor.
type Command interface {
	CommandID() string
}

// Done answers a command that has nothing else to say.
type Done struct{}
