package order

import (
	"math"
	"time"

	"weelo/internal/trip"
)

// Wave is one radius step of a broadcast and how long it waits for the next.
type Wave struct {
	RadiusKM float64
	Window   time.Duration
}

// Policy holds the numbers of dispatch. Its waits are divided by TIME_SCALE, but for those that are for
// people.
type Policy struct {
	SearchFor      time.Duration // how long an order searches for trucks
	FirstExtension time.Duration // what the first accepted truck adds to the search
	NextExtension  time.Duration // what each further one adds
	Waves          []Wave        // radii rise
	LookAgainAfter time.Duration // the least time between the newest wave and another look within its radius
	Notify         int           // transporters that one wave is offered to at most
	OfferedMax     int           // transporters that one order is offered to at most
	SearchesMax    int           // how often an order may search, the first time included

	HoldFor        time.Duration
	HoldExtension  time.Duration
	HoldExtensions int           // how often one hold may be extended
	HoldMax        time.Duration // a hold and its extensions

	ScheduledLead  time.Duration // how long before its pickup a scheduled order begins to search
	ScheduledLate  time.Duration // how long after its pickup time it may still begin to
	ScheduledAhead time.Duration // how far ahead one may order; not scaled
	ScheduledMax   int           // scheduled orders of one customer that wait for their search at most

	RebookAfter         time.Duration // after a cancelled order, before the customer may book again
	RebookAfterRepeated time.Duration // the same after RepeatedCancels within RepeatedWithin
	RepeatedCancels     int
	RepeatedWithin      time.Duration

	DecideWithin  time.Duration // how long an order whose truck was lost waits for its customer, when nobody else was found
	DisputeWithin time.Duration // unanswered for this long, a dispute is handed over to people; a wait for people: not scaled
	Fees          Fees
	Trip          trip.Policy // trips are born and cancelled by it

	Push  bool // somebody sends push messages: they are written
	Texts bool // somebody sends texts, and the customer shall get them: they are written
}

// Fees is the cancel policy, in whole rupees (contract §3).
type Fees struct {
	Assigned         int           // a driver has accepted
	AtPickup         int           // a truck waits at the pickup
	Loading          int           // a truck is loaded; the least
	LoadingPercent   int           // of the loaded trucks' fare, for the platform
	DriverPercent    int           // the same, for the drivers
	FreeWaiting      time.Duration // at the pickup, before waiting costs; TIME_SCALE divides it
	WaitingPerMinute int
	Minute           time.Duration // what counts as a minute of waiting; TIME_SCALE divides it
}

// DefaultPolicy is the contract's (§1.5, §3).
func DefaultPolicy() Policy {
	const s = time.Second
	return Policy{
		SearchFor: 120 * s, FirstExtension: 60 * s, NextExtension: 30 * s,
		Waves:          []Wave{{5, 10 * s}, {10, 10 * s}, {15, 15 * s}, {30, 15 * s}, {60, 15 * s}, {100, 15 * s}},
		LookAgainAfter: 10 * s, Notify: 100, OfferedMax: 600, SearchesMax: 5,
		HoldFor: 90 * s, HoldExtension: 30 * s, HoldExtensions: 2, HoldMax: 130 * s,
		ScheduledLead: 2 * time.Hour, ScheduledLate: 30 * time.Minute, ScheduledAhead: 90 * 24 * time.Hour, ScheduledMax: 10,
		RebookAfter: 15 * s, RebookAfterRepeated: 120 * s, RepeatedCancels: 3, RepeatedWithin: time.Hour,
		DecideWithin: 30 * time.Minute, DisputeWithin: 48 * time.Hour,
		Fees: Fees{
			Assigned: 50, AtPickup: 100, Loading: 100, LoadingPercent: 30, DriverPercent: 15,
			FreeWaiting: 5 * time.Minute, WaitingPerMinute: 5, Minute: time.Minute,
		},
		Trip: trip.DefaultPolicy(),
	}
}

// Scaled divides every wait by scale; a scale below or equal to zero changes nothing.
func (p Policy) Scaled(scale float64) Policy {
	if scale <= 0 {
		return p
	}
	div := func(ds ...*time.Duration) {
		for _, d := range ds {
			*d = time.Duration(float64(*d) / scale)
		}
	}
	div(&p.SearchFor, &p.FirstExtension, &p.NextExtension, &p.HoldFor, &p.HoldExtension, &p.HoldMax,
		&p.LookAgainAfter, &p.DecideWithin,
		&p.ScheduledLead, &p.ScheduledLate, &p.RebookAfter, &p.RebookAfterRepeated, &p.RepeatedWithin,
		&p.Fees.FreeWaiting, &p.Fees.Minute)
	waves := make([]Wave, len(p.Waves))
	for i, w := range p.Waves {
		waves[i] = Wave{w.RadiusKM, time.Duration(float64(w.Window) / scale)}
	}
	p.Waves = waves
	p.Trip = p.Trip.Scaled(scale)
	return p
}

// step is the radius and window of the n-th wave, from 1 on. Beyond the last step it is the last.
func (p Policy) step(n int) Wave { return p.Waves[min(n, len(p.Waves))-1] }

// extension is what one more accepted truck adds to the search; earlier counts those before it.
func (p Policy) extension(earlier int) time.Duration {
	if earlier == 0 {
		return p.FirstExtension
	}
	return p.NextExtension
}

// seconds writes a wait for people: upwards, so that a countdown never ends early.
func seconds(d time.Duration) int { return max(0, int(math.Ceil(d.Seconds()))) }
