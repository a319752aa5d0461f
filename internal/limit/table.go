package limit

import (
	"net/netip"
	"time"
)

// Login is the limits of logins, refreshes and sockets (security.md §2.3), as docs/limits.md lists them.
type Login struct {
	Global Limit // codes asked for, everywhere

	Address     Limit // codes asked for from one address; soft
	AddressHard Limit // the same for everybody
	Device      Limit // codes sent for one device
	DevicePhone Limit // tells a phone that is new to a device
	Phones      Limit // distinct phones of one device
	Prefix      Limit // codes sent to numbers that differ in the last four digits only; soft
	Converting  Limit // shuts a prefix whose codes are not used

	FailAddress     Limit // failed tries from one address; soft
	FailAddressHard Limit
	FailDevice      Limit

	RefreshFamily  Limit
	RefreshAddress Limit
	Connect        Limit // sockets opened from one address; soft

	Span        time.Duration // of the tallies of conversion and of failed tries
	Day         time.Duration // of the SMS budget
	Known       time.Duration // how long a login makes its device known
	Doubt       time.Duration // how long the posture is raised after the store forgot
	SMS         int           // messages a day
	FailBudget  int           // failed tries in a Span before the posture is raised, or a tenth of all tries
	Conversions int           // messages to a prefix from which on a fifth of them has to be used
}

// DefaultLogin is the design's numbers.
func DefaultLogin() Login {
	const minute, hour, day = time.Minute, time.Hour, 24 * time.Hour
	return Login{
		Global:      Limit{Name: "login-global", Events: 20, Per: time.Second, Burst: 100},
		Address:     Limit{Name: "login-address", Events: 10, Per: 10 * minute, Burst: 10},
		AddressHard: Limit{Name: "login-address-hard", Events: 600, Per: hour, Burst: 600},
		Device:      Limit{Name: "login-device", Events: 5, Per: hour, Burst: 5},
		DevicePhone: Limit{Name: "login-device-phone", Events: 1, Per: day, Burst: 1},
		Phones:      Limit{Name: "login-device-phones", Events: 3, Per: day, Burst: 3},
		Prefix:      Limit{Name: "login-prefix", Events: 30, Per: 10 * minute, Burst: 30},
		Converting:  Limit{Name: "login-prefix-unused", Events: 1, Per: hour, Burst: 1},

		FailAddress:     Limit{Name: "login-fails-address", Events: 30, Per: 10 * minute, Burst: 30},
		FailAddressHard: Limit{Name: "login-fails-address-hard", Events: 300, Per: hour, Burst: 300},
		FailDevice:      Limit{Name: "login-fails-device", Events: 20, Per: day, Burst: 20},

		RefreshFamily:  Limit{Name: "refresh-family", Events: 60, Per: hour, Burst: 20},
		RefreshAddress: Limit{Name: "refresh-address", Events: 300, Per: 10 * minute, Burst: 300},
		Connect:        Limit{Name: "socket-address", Events: 60, Per: minute, Burst: 60},

		Span: hour, Day: day, Known: 30 * day, Doubt: 10 * minute, SMS: 20_000, FailBudget: 300, Conversions: 20,
	}
}

// Limits lists them in the order of docs/limits.md.
func (t Login) Limits() []Limit {
	return []Limit{
		t.Global, t.Address, t.AddressHard, t.Device, t.DevicePhone, t.Phones, t.Prefix, t.Converting,
		t.FailAddress, t.FailAddressHard, t.FailDevice, t.RefreshFamily, t.RefreshAddress, t.Connect,
	}
}

// Scaled divides every time by n, for tests (LOGIN_TIME_SCALE).
func (t Login) Scaled(n float64) Login {
	if n <= 0 || n == 1 {
		return t
	}
	for _, l := range []*Limit{
		&t.Global, &t.Address, &t.AddressHard, &t.Device, &t.DevicePhone, &t.Phones, &t.Prefix, &t.Converting,
		&t.FailAddress, &t.FailAddressHard, &t.FailDevice, &t.RefreshFamily, &t.RefreshAddress,
	} {
		*l = l.Scaled(n)
	}
	for _, d := range []*time.Duration{&t.Span, &t.Day, &t.Known, &t.Doubt} {
		*d = time.Duration(float64(*d) / n)
	}
	return t
}

// Network is one group of addresses that is limited together, as many times as one address.
type Network struct {
	Key   string
	Times int
}

// WideSuffix is what the limit of a /48 has behind the name of that of its addresses.
const WideSuffix = "-48"

// Of gives the limit that the network has, of one for an address.
func (n Network) Of(l Limit) Limit {
	if n.Times == 1 {
		return l
	}
	return l.Times(n.Times, l.Name+WideSuffix)
}

// Networks groups an address: an IPv4 one stands alone, an IPv6 one for its /64, and ten times as much is
// allowed to the /48. None for this machine's own and unknown ones: nobody can be told apart there.
func Networks(a netip.Addr) []Network {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsLoopback():
		return nil
	case a.Is4():
		return []Network{{a.String(), 1}}
	}
	a = a.WithZone("")
	near, _ := a.Prefix(64) // both lengths fit an IPv6 address
	far, _ := a.Prefix(48)
	return []Network{{near.String(), 1}, {far.String(), 10}}
}
