package world

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"weelo/internal/fleet"
)

// Options sizes a world.
type Options struct {
	Seed         uint64
	Transporters int
	Drivers      int // over all transporters, as evenly as it goes; each drives a truck of its own
	Customers    int
	Free         int // of transporters and of customers each: the first ones, left alone by the simulation
}

// DemoOptions is the world of weelo dev: small enough to know everybody.
func DemoOptions() Options {
	return Options{Seed: 1, Transporters: 5, Drivers: 30, Customers: 6, Free: 2}
}

// People are the inhabitants as they are stored.
type People struct {
	Transporters []Transporter
	Customers    []Customer
}

// Transporter is a fleet owner with what he owns; vehicle i is driven by driver i.
type Transporter struct {
	User     fleet.User
	Vehicles []fleet.Vehicle
	Drivers  []fleet.User
	Free     bool
}

// Customer books trucks.
type Customer struct {
	User fleet.User
	Free bool
}

// The numbers of the deployment guide belong to the first transporter and his first driver.
const (
	guideTransporter = "+919876543210"
	guideDriver      = "+919123456789"
)

// perFleet is the room for numbers of one transporter's drivers and trucks.
const perFleet = fleet.MaxFleet

// Invent makes the people. Whoever stands at a place (the i-th transporter, his j-th driver) has the
// same number, plate and owner in every world, whatever its size or seed, so that worlds nest: a
// bigger one seeded later adds to a smaller one.
func Invent(o Options, now time.Time) People {
	var p People
	for i := range o.Customers {
		rng := dice(o.Seed, 1, uint64(i), 0)
		u := person(o.Seed, fleet.Customer, fmt.Sprintf("+9170%08d", 20_000_000+i), fullName(rng), now)
		p.Customers = append(p.Customers, Customer{User: u, Free: i < o.Free})
	}
	for i := range o.Transporters {
		p.Transporters = append(p.Transporters, inventFleet(o, i, now))
	}
	return p
}

func inventFleet(o Options, i int, now time.Time) Transporter {
	phone := fmt.Sprintf("+9180%08d", 30_000_000+i)
	if i == 0 {
		phone = guideTransporter
	}
	t := Transporter{User: person(o.Seed, fleet.Transporter, phone, company(dice(o.Seed, 2, uint64(i), 0)), now), Free: i < o.Free}
	t.User.Available = !t.Free
	for j := range min(share(o.Drivers, o.Transporters, i), perFleet) {
		n, rng := i*perFleet+j, dice(o.Seed, 3, uint64(i), uint64(j))
		phone := fmt.Sprintf("+9190%08d", n)
		if n == 0 {
			phone = guideDriver
		}
		d := person(o.Seed, fleet.Driver, phone, fullName(rng), now)
		d.TransporterID, d.MembershipVersion, d.Available = t.User.ID, 1, !t.Free
		d.LicenseNumber = fmt.Sprintf("%s%02d2019%07d", pick(rng, plates), 1+rng.IntN(50), n)
		t.Drivers = append(t.Drivers, d)
		t.Vehicles = append(t.Vehicles, truck(rng, o.Seed, t.User.ID, n, now))
	}
	return t
}

// dice are one person's: the same whoever else is in the world. Neighbouring seeds give unlike dice.
func dice(seed, kind, i, j uint64) *rand.Rand {
	return rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "weelo dice %d %d %d %d", seed, kind, i, j))))
}

// share is how many of total the i-th of n gets.
func share(total, n, i int) int { return total*(i+1)/n - total*i/n }

func person(seed uint64, role fleet.Role, phone, name string, now time.Time) fleet.User {
	return fleet.User{
		ID: fleet.UserID(nameUUID(seed, string(role)+phone)), Phone: phone, Role: role, Name: name,
		CreatedAt: now, UpdatedAt: now,
	}
}

func truck(rng *rand.Rand, seed uint64, owner fleet.UserID, n int, now time.Time) fleet.Vehicle {
	kind := kinds[rng.IntN(len(kinds))]
	// The letters and digits of a plate count up, so no two trucks share one.
	number := fmt.Sprintf("%s%02d%c%c%04d", plates[n*5%len(plates)], 1+n*13%50, 'A'+n/9999/26%26, 'A'+n/9999%26, 1+n%9999)
	return fleet.Vehicle{
		ID: fleet.VehicleID(nameUUID(seed, "vehicle"+number)), TransporterID: owner, Number: number,
		Type: kind.kind, Subtype: kind.subtype, Capacity: kind.capacity, Model: pick(rng, models),
		Year: 2014 + rng.IntN(11), Status: "available", CreatedAt: now, UpdatedAt: now,
	}
}

// kinds are rows of the apps' catalogue.
var kinds = []struct{ kind, subtype, capacity string }{
	{"open", "17 Feet", "7 Ton"}, {"open", "19 Feet", "9 Ton"}, {"open", "22 Feet", "12 Ton"}, {"open", "14 Wheeler", "30 Ton"},
	{"container", "20 Feet", "10 Ton"}, {"container", "24 Feet", "16 Ton"}, {"container", "32 Feet Single Axle", "18 Ton"},
	{"lcv", "LCV Open - 17 Feet", "5 Ton"}, {"lcv", "LCV Container - 14 Feet", "4 Ton"}, {"mini", "Mini Truck - Tata Ace", "1 Ton"},
}

var (
	plates = []string{"KA", "TN", "MH", "AP", "TS", "GJ", "DL", "HR", "RJ", "UP", "WB", "KL", "MP", "PB"}
	models = []string{"Tata 1512", "Tata Signa 2823", "Ashok Leyland 1920", "Ashok Leyland Ecomet", "Eicher Pro 3015", "BharatBenz 2823", "Mahindra Blazo X", "Mahindra Furio 14"}
	given  = []string{
		"Suresh", "Ramesh", "Asha", "Lakshmi", "Anil", "Sunita", "Vijay", "Manjunath", "Kavita", "Rajesh", "Deepak", "Meena", "Arun", "Farhan",
		"Gurpreet", "Harish", "Imran", "Joseph", "Kiran", "Latha", "Mahesh", "Naveen", "Omkar", "Prakash", "Rekha", "Santosh", "Thomas", "Usha", "Venkatesh", "Yusuf",
	}
	family = []string{
		"Kumar", "Reddy", "Sharma", "Gowda", "Singh", "Patil", "Nair", "Iyer", "Yadav", "Khan", "Das", "Joshi", "Naidu", "Shetty", "Chauhan",
		"Pillai", "Verma", "Rao", "Mishra", "Kaur", "Fernandes", "Sheikh", "Bose", "Desai", "Murthy",
	}
	houses = []string{"Kaveri", "Sahyadri", "Deccan", "Malabar", "Narmada", "Godavari", "Vindhya", "Konkan", "Nilgiri", "Aravalli", "Ganga", "Coromandel"}
	trades = []string{"Roadways", "Transport", "Logistics", "Carriers", "Freight Lines", "Goods Movers"}
)

func fullName(rng *rand.Rand) string { return pick(rng, given) + " " + pick(rng, family) }
func company(rng *rand.Rand) string  { return pick(rng, houses) + " " + pick(rng, trades) }

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

// nameUUID is a UUID (version 8, RFC 9562) that follows from the seed and the name.
func nameUUID(seed uint64, name string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "weelo world %d %s", seed, name))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// SessionID is the session that seeding opens for a user: the same each time, so that a second run
// finds it instead of adding one.
func SessionID(user fleet.UserID) string { return nameUUID(0, "session"+string(user)) }
