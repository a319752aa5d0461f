package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"weelo/internal/phone"
)

// File is world.json: identities with ready sessions, for simulate and bench. Phones are ten digits.
type File struct {
	BaseURL      string            `json:"baseUrl"`
	Transporters []FileTransporter `json:"transporters"`
	Customers    []FilePerson      `json:"customers"`
}

// FileTransporter is a transporter of a File.
type FileTransporter struct {
	ID       string        `json:"id"`
	Phone    string        `json:"phone"`
	Token    string        `json:"token"`
	Vehicles []FileVehicle `json:"vehicles"`
	Drivers  []FilePerson  `json:"drivers"`
}

// FilePerson is somebody with a session.
type FilePerson struct {
	ID    string `json:"id"`
	Phone string `json:"phone"`
	Token string `json:"token"`
}

// FileVehicle is a truck.
type FileVehicle struct {
	ID      string `json:"id"`
	Number  string `json:"number"`
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
}

// Demo is demo.json: who is in the demo world, for scripts and people. No tokens: they log in.
type Demo struct {
	BaseURL      string            `json:"baseUrl"`
	SMSFile      string            `json:"smsFile"`
	Customers    []DemoCustomer    `json:"customers"`
	Transporters []DemoTransporter `json:"transporters"`
}

// DemoCustomer is a customer of a Demo. Free: the simulation leaves him alone.
type DemoCustomer struct {
	ID    string `json:"id"`
	Phone string `json:"phone"`
	Name  string `json:"name"`
	Free  bool   `json:"free"`
}

// DemoTransporter is a transporter of a Demo with his trucks and drivers.
type DemoTransporter struct {
	DemoCustomer
	Vehicles []FileVehicle `json:"vehicles"`
	Drivers  []DemoDriver  `json:"drivers"`
}

// DemoDriver is a driver of a Demo.
type DemoDriver struct {
	ID    string `json:"id"`
	Phone string `json:"phone"`
	Name  string `json:"name"`
}

// Demo is the people as demo.json has them.
func (p People) Demo(baseURL, smsFile string) Demo {
	d := Demo{BaseURL: baseURL, SMSFile: smsFile, Customers: []DemoCustomer{}, Transporters: []DemoTransporter{}}
	for _, c := range p.Customers {
		d.Customers = append(d.Customers, DemoCustomer{ID: string(c.User.ID), Phone: digits(c.User.Phone), Name: c.User.Name, Free: c.Free})
	}
	for _, t := range p.Transporters {
		out := DemoTransporter{DemoCustomer: DemoCustomer{ID: string(t.User.ID), Phone: digits(t.User.Phone), Name: t.User.Name, Free: t.Free}}
		for _, v := range t.Vehicles {
			out.Vehicles = append(out.Vehicles, FileVehicle{ID: string(v.ID), Number: v.Number, Type: v.Type, Subtype: v.Subtype})
		}
		for _, u := range t.Drivers {
			out.Drivers = append(out.Drivers, DemoDriver{ID: string(u.ID), Phone: digits(u.Phone), Name: u.Name})
		}
		d.Transporters = append(d.Transporters, out)
	}
	return d
}

func digits(canonical string) string { return phone.Number(canonical).National() }

// maxFile bounds a world file: 100,000 drivers need about 60 MB.
const maxFile = 256 << 20

// ErrNoWorld: the file is not a world that anything can be driven with.
var ErrNoWorld = errors.New("world: not a world file")

// ReadFile reads a world.json.
func ReadFile(r io.Reader) (File, error) {
	var f File
	if err := json.NewDecoder(io.LimitReader(r, maxFile)).Decode(&f); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrNoWorld, err)
	}
	if len(f.Transporters) == 0 {
		return File{}, fmt.Errorf("%w: it has no transporters", ErrNoWorld)
	}
	for _, t := range f.Transporters {
		if t.ID == "" || t.Token == "" {
			return File{}, fmt.Errorf("%w: a transporter without id or token", ErrNoWorld)
		}
	}
	return f, nil
}

// Halves deals the crews of every transporter out to two worlds of the same people, so that two
// simulations can share it: the first half of his drivers and vehicles, and the rest.
func (f File) Halves() (first, rest File) {
	first = File{BaseURL: f.BaseURL, Customers: f.Customers}
	rest = File{BaseURL: f.BaseURL, Customers: f.Customers}
	for _, t := range f.Transporters {
		a, b := t, t
		crews := min(len(t.Drivers), len(t.Vehicles))
		half := crews / 2
		a.Drivers, a.Vehicles = t.Drivers[:half], t.Vehicles[:half]
		b.Drivers, b.Vehicles = t.Drivers[half:crews], t.Vehicles[half:crews]
		first.Transporters, rest.Transporters = append(first.Transporters, a), append(rest.Transporters, b)
	}
	return first, rest
}
