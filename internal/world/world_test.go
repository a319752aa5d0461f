package world_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/phone"
	"weelo/internal/world"
)

var now = time.Date(2026, 1, 26, 6, 0, 0, 0, time.UTC)

// TestInvent: the same options make the same people; no two share a number, an id or a plate; every
// number and plate is one that the product accepts.
func TestInvent(t *testing.T) {
	t.Parallel()
	o := world.Options{Seed: 7, Transporters: 40, Drivers: 12_000, Customers: 500, Free: 2}
	p := world.Invent(o, now)
	if diff := cmp.Diff(p, world.Invent(o, now)); diff != "" {
		t.Fatalf("the same options made others:\n%.500s", diff)
	}
	plate := regexp.MustCompile(`^[A-Z]{2}\d{1,2}[A-Z]{1,3}\d{1,4}$`)
	seen := map[string]bool{}
	once := func(what string) {
		t.Helper()
		if seen[what] {
			t.Fatalf("%s is there twice", what)
		}
		seen[what] = true
	}
	user := func(u fleet.User, role fleet.Role) {
		t.Helper()
		once(u.Phone)
		once(string(u.ID))
		if n, err := phone.Parse(u.Phone); err != nil || n.E164() != u.Phone || u.Role != role || u.Name == "" {
			t.Fatalf("%+v", u)
		}
	}
	drivers := 0
	for i, tr := range p.Transporters {
		user(tr.User, fleet.Transporter)
		if tr.Free != (i < 2) || len(tr.Drivers) != len(tr.Vehicles) {
			t.Fatalf("transporter %d: free %v, %d drivers, %d vehicles", i, tr.Free, len(tr.Drivers), len(tr.Vehicles))
		}
		for j, d := range tr.Drivers {
			user(d, fleet.Driver)
			v := tr.Vehicles[j]
			once(v.Number)
			once(string(v.ID))
			if d.TransporterID != tr.User.ID || v.TransporterID != tr.User.ID || !plate.MatchString(v.Number) || v.Subtype == "" {
				t.Fatalf("%+v drives %+v", d, v)
			}
		}
		drivers += len(tr.Drivers)
	}
	for _, c := range p.Customers {
		user(c.User, fleet.Customer)
	}
	if drivers != o.Drivers || len(p.Transporters) != o.Transporters || len(p.Customers) != o.Customers {
		t.Errorf("%d drivers, %d transporters, %d customers", drivers, len(p.Transporters), len(p.Customers))
	}
	if a, b := p.Transporters[0].User.Phone, p.Transporters[0].Drivers[0].Phone; a != "+919876543210" || b != "+919123456789" {
		t.Errorf("the deployment guide's numbers are %s and %s", a, b)
	}
}

// TestWorldsNest: whoever stands at a place has the same number, plate and owner in every world.
func TestWorldsNest(t *testing.T) {
	t.Parallel()
	small := world.Invent(world.DemoOptions(), now)
	big := world.Invent(world.Options{Seed: 99, Transporters: 20, Drivers: 2000, Customers: 2000}, now)
	for i, tr := range small.Transporters {
		if tr.User.Phone != big.Transporters[i].User.Phone {
			t.Errorf("transporter %d is %s and %s", i, tr.User.Phone, big.Transporters[i].User.Phone)
		}
		for j := range tr.Drivers {
			if tr.Drivers[j].Phone != big.Transporters[i].Drivers[j].Phone || tr.Vehicles[j].Number != big.Transporters[i].Vehicles[j].Number {
				t.Errorf("driver %d of transporter %d differs", j, i)
			}
		}
	}
}

// store is the three ports, in memory.
type store struct {
	mu       sync.Mutex
	users    map[string]fleet.User
	vehicles map[string]fleet.Vehicle
	sessions map[string]int
	fail     error
}

func (s *store) Enrol(_ context.Context, u fleet.User) (fleet.User, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := string(u.Role) + u.Phone
	if old, there := s.users[key]; there {
		return old, false, s.fail
	}
	s.users[key] = u
	return u, true, s.fail
}

func (s *store) Upsert(_ context.Context, v fleet.Vehicle) (fleet.Vehicle, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.vehicles[v.Number]
	if there {
		v.ID = old.ID
	}
	s.vehicles[v.Number] = v
	return v, !there, nil
}

func (s *store) Token(_ context.Context, u fleet.User) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[world.SessionID(u.ID)]++
	return fmt.Sprintf("%s#%d", u.ID, s.sessions[world.SessionID(u.ID)]), nil
}

// TestSeedTwice: the second run adds nobody and no session, and mints fresh tokens; somebody who was
// there under his number before keeps his id, and his drivers belong to him.
func TestSeedTwice(t *testing.T) {
	t.Parallel()
	s := &store{users: map[string]fleet.User{}, vehicles: map[string]fleet.Vehicle{}, sessions: map[string]int{}}
	s.users["transporter+919876543210"] = fleet.User{ID: "was-here", Phone: "+919876543210", Role: fleet.Transporter, Name: "Old"}
	ports := world.Ports{Users: s, Vehicles: s, Sessions: s}
	seed := func() world.Seeded {
		t.Helper()
		out, err := world.Seed(t.Context(), ports, world.Invent(world.DemoOptions(), now), "http://x")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first, second := seed(), seed()
	all := 5 + 6 + 30 + 30
	if first.New != all-1 || first.Existing != 1 || second.New != 0 || second.Existing != all || len(s.sessions) != 41 {
		t.Errorf("first %d new, %d there; second %d new, %d there; %d sessions", first.New, first.Existing, second.New, second.Existing, len(s.sessions))
	}
	owner := first.File.Transporters[0]
	if owner.ID != "was-here" || owner.Phone != "9876543210" || s.users["driver+919123456789"].TransporterID != "was-here" {
		t.Errorf("%+v", owner)
	}
	tokens := map[string]bool{}
	for _, f := range []world.File{first.File, second.File} {
		for _, tr := range f.Transporters {
			tokens[tr.Token] = true
			for i, d := range tr.Drivers {
				tokens[d.Token] = true
				if d.ID == "" || tr.Vehicles[i].Number == "" {
					t.Fatalf("a hole in the file: %+v", tr)
				}
			}
		}
		for _, c := range f.Customers {
			tokens[c.Token] = true
		}
	}
	if len(tokens) != 2*41 {
		t.Errorf("%d different tokens", len(tokens))
	}
	if busy := second.Busy(); len(busy.Transporters) != 3 || len(busy.Customers) != 4 || busy.Customers[0] != second.File.Customers[2] {
		t.Errorf("busy: %d transporters, %d customers", len(busy.Transporters), len(busy.Customers))
	}
	s.fail = errors.New("disk full")
	if _, err := world.Seed(t.Context(), ports, world.Invent(world.DemoOptions(), now), ""); !errors.Is(err, s.fail) {
		t.Errorf("a failing store: %v", err)
	}
}

// TestFiles: what is written is what is read, and what is no world is refused.
func TestFiles(t *testing.T) {
	t.Parallel()
	f := world.File{
		BaseURL:      "http://x",
		Transporters: []world.FileTransporter{{ID: "t", Token: "tt", Vehicles: []world.FileVehicle{{ID: "v"}}, Drivers: []world.FilePerson{{ID: "d", Token: "dt"}}}},
		Customers:    []world.FilePerson{{ID: "c", Token: "ct"}},
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := world.ReadFile(bytes.NewReader(text))
	if diff := cmp.Diff(f, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{"", "[]", "{}", `{"transporters":[{"id":"x"}]}`} {
		if _, err := world.ReadFile(strings.NewReader(bad)); !errors.Is(err, world.ErrNoWorld) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	demo := world.Invent(world.DemoOptions(), now).Demo("http://x", "sms.jsonl")
	free := 0
	for _, c := range demo.Transporters {
		if c.Free {
			free++
		}
	}
	if free != 2 || demo.Transporters[0].Drivers[0].Phone != "9123456789" || len(demo.Customers) != 6 || demo.SMSFile != "sms.jsonl" {
		t.Errorf("%d free, %+v", free, demo.Transporters[0])
	}
}

// TestLanes: deterministic, as long as asked, inside India.
func TestLanes(t *testing.T) {
	t.Parallel()
	lanes, err := world.NewLanes(150, 700)
	if err != nil {
		t.Fatal(err)
	}
	india := geo.Bounds{MinLat: 6.5, MaxLat: 37, MinLng: 68, MaxLng: 97.5}
	different := map[string]bool{}
	for n := range uint64(300) {
		l := lanes.Pick(3, n)
		if l != lanes.Pick(3, n) {
			t.Fatal("the same lane came out different")
		}
		if km := l.LengthM() / 1000; km < 140 || km > 710 || !india.Contains(l.From.At) || !india.Contains(l.To.At) {
			t.Fatalf("%.0f km from %s to %s", km, l.From.City.Name, l.To.City.Name)
		}
		different[l.From.City.Name+l.To.City.Name] = true
	}
	if len(different) < 100 {
		t.Errorf("only %d different lanes", len(different))
	}
}
