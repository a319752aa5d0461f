package limit

import (
	"net/netip"
	"time"
)

// Requests is what one user may ask for once he has logged in, by user and not by address, and strangers by address
// (contract §1 and §4), as docs/limits.md lists them. The apps' old servers counted fixed windows, which
// let twice as many through around the end of one; so does Burst = Events, in any window.
type Requests struct {
	// Everything a user asks for over REST, by his role.
	Driver, Transporter, Customer, Ops Limit
	// The same from an address by those who have not said who they are; soft, see Strangers.
	Stranger Limit

	Order   Limit // orders created
	Hold    Limit // trucks held
	Confirm Limit // holds confirmed
	Answer  Limit // assignments accepted or declined by a driver
	Profile Limit // requests about one's profile
	Track   Limit // requests about positions, reading and reporting them together
	Explain Limit // explanations: one answer reads an order's whole history
	Replay  Limit // replays of broadcasts; over it they are empty

	Switch   Limit // changes of one's availability, between two of them …
	Switches Limit // … and over a while

	ShareCreate   Limit // links to trips
	ShareExchange Limit // their tokens, by address: whoever has a link has not logged in

	Socket Limit // sockets opened, native and Socket.IO together
}

// DefaultRequests is the contract's numbers, and ours where it has none.
func DefaultRequests() Requests {
	const minute = time.Minute
	return Requests{
		Driver:      Limit{Name: "requests-driver", Events: 200, Per: minute, Burst: 200},
		Transporter: Limit{Name: "requests-transporter", Events: 500, Per: minute, Burst: 500},
		Customer:    Limit{Name: "requests-customer", Events: 300, Per: minute, Burst: 300},
		Ops:         Limit{Name: "requests-ops", Events: 2000, Per: minute, Burst: 2000},

		Stranger: Limit{Name: "requests-stranger", Events: 1000, Per: minute, Burst: 1000},

		Order:   Limit{Name: "order-create", Events: 5, Per: minute, Burst: 5},
		Hold:    Limit{Name: "hold", Events: 30, Per: minute, Burst: 30, Block: 3 * minute},
		Confirm: Limit{Name: "hold-confirm", Events: 20, Per: minute, Burst: 20, Block: 5 * minute},
		Answer:  Limit{Name: "assignment-answer", Events: 10, Per: minute, Burst: 10, Block: minute},
		Profile: Limit{Name: "profile", Events: 30, Per: minute, Burst: 30},
		Track:   Limit{Name: "tracking", Events: 120, Per: minute, Burst: 120},
		Explain: Limit{Name: "order-explain", Events: 30, Per: minute, Burst: 30},
		Replay:  Limit{Name: "dispatch-replay", Events: 1, Per: 3 * time.Second, Burst: 1},

		Switch:   Limit{Name: "switch", Events: 1, Per: 5 * time.Second, Burst: 1},
		Switches: Limit{Name: "switches", Events: 10, Per: 5 * minute, Burst: 10},

		ShareCreate:   Limit{Name: "share-create", Events: 20, Per: minute, Burst: 20},
		ShareExchange: Limit{Name: "share-exchange", Events: 120, Per: minute, Burst: 120},

		Socket: Limit{Name: "socket-user", Events: 10, Per: minute, Burst: 10},
	}
}

// Limits lists them in the order of docs/limits.md.
func (t Requests) Limits() []Limit {
	return []Limit{
		t.Driver, t.Transporter, t.Customer, t.Ops, t.Stranger, t.Order, t.Hold, t.Confirm, t.Answer, t.Profile, t.Track, t.Explain, t.Replay,
		t.Switch, t.Switches, t.ShareCreate, t.ShareExchange, t.Socket,
	}
}

// Sender is what an address is counted under where everybody is, this machine too: an IPv4 address, or
// the /64 of an IPv6 one.
func Sender(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if near, err := a.Prefix(64); err == nil {
			return near.String()
		}
	}
	return a.String()
}
