package world

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"weelo/internal/fleet"
)

// Users enrols people; session.Users of the stores satisfies it.
type Users interface {
	// Enrol gives the user with u's phone and role, and stores u when there is none.
	Enrol(ctx context.Context, u fleet.User) (stored fleet.User, isNew bool, err error)
}

// Vehicles registers trucks; fleet.Vehicles of the stores satisfies it.
type Vehicles interface {
	Upsert(ctx context.Context, v fleet.Vehicle) (stored fleet.Vehicle, isNew bool, err error)
}

// Sessions opens a session for a user and gives a fresh access token. It opens SessionID(user) when
// it can, so that a second run adds nothing.
type Sessions interface {
	Token(ctx context.Context, u fleet.User) (string, error)
}

// Ports are where seeding writes.
type Ports struct {
	Users    Users
	Vehicles Vehicles
	Sessions Sessions
}

// Seeded is what seeding found and did.
type Seeded struct {
	People   People // as stored: somebody who was there before keeps his id
	File     File   // with fresh tokens
	New      int    // users and vehicles that were not there before
	Existing int
}

// Busy is the part of the file that the simulation may use: everybody who is not free.
func (s Seeded) Busy() File {
	busy := File{BaseURL: s.File.BaseURL}
	for i, t := range s.People.Transporters {
		if !t.Free {
			busy.Transporters = append(busy.Transporters, s.File.Transporters[i])
		}
	}
	for i, c := range s.People.Customers {
		if !c.Free {
			busy.Customers = append(busy.Customers, s.File.Customers[i])
		}
	}
	return busy
}

// Seed stores the people and opens a session for each. It may be run again at any time, beside a
// running server or not: what is there is kept. It writes eight at a time.
func Seed(ctx context.Context, ports Ports, people People, baseURL string) (Seeded, error) {
	s := seeder{ports: ports, out: Seeded{People: people}}
	f := File{BaseURL: baseURL, Transporters: make([]FileTransporter, len(people.Transporters)), Customers: make([]FilePerson, len(people.Customers))}
	group, groupCtx := errgroup.WithContext(ctx)
	s.group = group
	s.group.SetLimit(8)
	for i := range people.Customers {
		s.user(groupCtx, &people.Customers[i].User, &f.Customers[i])
	}
	owners := make([]FilePerson, len(people.Transporters))
	for i := range people.Transporters {
		s.user(groupCtx, &people.Transporters[i].User, &owners[i])
	}
	// Drivers belong to stored transporters, whose ids may be older than this world.
	if err := s.group.Wait(); err != nil {
		return Seeded{}, err
	}
	s.group, groupCtx = errgroup.WithContext(ctx)
	s.group.SetLimit(8)
	for i := range people.Transporters {
		t, out := &people.Transporters[i], &f.Transporters[i]
		*out = FileTransporter{
			ID: owners[i].ID, Phone: owners[i].Phone, Token: owners[i].Token,
			Vehicles: make([]FileVehicle, len(t.Vehicles)), Drivers: make([]FilePerson, len(t.Drivers)),
		}
		for j := range t.Drivers {
			t.Drivers[j].TransporterID = t.User.ID
			s.user(groupCtx, &t.Drivers[j], &out.Drivers[j])
		}
		for j := range t.Vehicles {
			t.Vehicles[j].TransporterID = t.User.ID
			s.vehicle(groupCtx, &t.Vehicles[j], &out.Vehicles[j])
		}
	}
	if err := s.group.Wait(); err != nil {
		return Seeded{}, err
	}
	s.out.New, s.out.Existing = s.count()
	s.out.File = f
	return s.out, nil
}

// seeder runs the writes of one Seed. Each writes only to what it was given, so they share nothing
// but the counters.
type seeder struct {
	ports Ports
	out   Seeded
	group *errgroup.Group
	news  atomic.Int64
	olds  atomic.Int64
}

func (s *seeder) user(ctx context.Context, u *fleet.User, out *FilePerson) {
	s.group.Go(func() error {
		stored, isNew, err := s.ports.Users.Enrol(ctx, *u)
		if err != nil {
			return fmt.Errorf("seed a %s: %w", u.Role, err)
		}
		s.note(isNew)
		*u = stored
		token, err := s.ports.Sessions.Token(ctx, stored)
		if err != nil {
			return fmt.Errorf("open a session of a %s: %w", u.Role, err)
		}
		*out = FilePerson{ID: string(stored.ID), Phone: digits(stored.Phone), Token: token}
		return nil
	})
}

func (s *seeder) vehicle(ctx context.Context, v *fleet.Vehicle, out *FileVehicle) {
	s.group.Go(func() error {
		stored, isNew, err := s.ports.Vehicles.Upsert(ctx, *v)
		if err != nil {
			return fmt.Errorf("seed vehicle %s: %w", v.Number, err)
		}
		s.note(isNew)
		*v = stored
		*out = FileVehicle{ID: string(stored.ID), Number: stored.Number, Type: stored.Type, Subtype: stored.Subtype}
		return nil
	})
}

func (s *seeder) note(isNew bool) {
	if isNew {
		s.news.Add(1)
		return
	}
	s.olds.Add(1)
}

func (s *seeder) count() (isNew, existing int) { return int(s.news.Load()), int(s.olds.Load()) }
