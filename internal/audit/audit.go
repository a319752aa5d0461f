package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// Options says how an audit judges.
type Options struct {
	Now time.Time
	// Quiet: nothing is under way, so that overdue timers and waiting letters are breaches.
	Quiet bool
	// Keep bounds the breaches that the report lists; 0: 200. All are counted.
	Keep int
}

// Breach is an invariant that does not hold, by its number.
type Breach struct {
	Number int
	Ref    ledger.Ref
	How    string
}

// String says it in one line.
func (b Breach) String() string {
	return fmt.Sprintf("I%d %s %s: %s", b.Number, b.Ref.Kind, b.Ref.ID, b.How)
}

// Report is what an audit found.
type Report struct {
	Orders, LiveOrders int
	Trips, LiveTrips   int
	Lines              int // of history
	Offers             int
	Letters            int // that wait
	Count              int // of breaches
	Breaches           []Breach
	Bounded            string // what was not judged because there was too much of it; "": nothing
}

// OK tells whether every invariant holds.
func (r Report) OK() bool { return r.Count == 0 }

const (
	pageOf     = 50
	maxLetters = 10_000
	maxSpans   = 2_000_000
	// atRest is how late a timer or letter may be when nothing is under way.
	atRest = 10 * time.Second
)

// Run judges everything that is stored. An error means that it could not be read.
func Run(ctx context.Context, rows Rows, o Options) (Report, error) {
	if o.Keep == 0 {
		o.Keep = 200
	}
	a := &auditor{Options: o, searching: map[string]string{}, drivers: map[string][]span{}, vehicles: map[string][]span{}}
	if err := a.orders(ctx, rows); err != nil {
		return a.report, fmt.Errorf("audit orders: %w", err)
	}
	if err := a.trips(ctx, rows); err != nil {
		return a.report, fmt.Errorf("audit trips: %w", err)
	}
	if err := a.letters(ctx, rows); err != nil {
		return a.report, fmt.Errorf("audit letters: %w", err)
	}
	a.overlaps("driver", 8, a.drivers)
	a.overlaps("vehicle", 9, a.vehicles)
	return a.report, nil
}

// auditor is one audit in progress.
type auditor struct {
	Options
	report            Report
	searching         map[string]string // customer → his searching order
	drivers, vehicles map[string][]span
	spans             int
}

func (a *auditor) breach(b Breach) {
	a.report.Count++
	if len(a.report.Breaches) < a.Keep {
		a.report.Breaches = append(a.report.Breaches, b)
	}
}

func (a *auditor) orders(ctx context.Context, rows Rows) error {
	for after := ""; ; {
		page, err := rows.Orders(ctx, after, pageOf)
		if err != nil {
			return err
		}
		for _, o := range page {
			a.order(o)
			after = o.Ref.ID
		}
		if len(page) < pageOf {
			return nil
		}
	}
}

func (a *auditor) order(o Order) {
	a.report.Orders++
	a.report.Lines += len(o.History)
	a.report.Offers += len(o.Offers)
	for _, b := range CheckHistory(o.Aggregate) {
		a.breach(b)
	}
	s, err := order.Load(o.State)
	if err != nil {
		a.breach(Breach{5, o.Ref, err.Error()})
		return
	}
	if s.Live {
		a.report.LiveOrders++
	}
	for _, b := range CheckOrder(o, s, a.Options) {
		a.breach(b)
	}
	if customer := string(s.CustomerID); s.Searching {
		if other := a.searching[customer]; other != "" {
			a.breach(Breach{18, o.Ref, "its customer searches with order " + other + " too"})
		}
		a.searching[customer] = s.ID
	}
}

func (a *auditor) trips(ctx context.Context, rows Rows) error {
	for after := ""; ; {
		page, err := rows.Trips(ctx, after, pageOf)
		if err != nil {
			return err
		}
		for _, t := range page {
			a.trip(t)
			after = t.Ref.ID
		}
		if len(page) < pageOf {
			return nil
		}
	}
}

func (a *auditor) trip(t Aggregate) {
	a.report.Trips++
	a.report.Lines += len(t.History)
	for _, b := range CheckHistory(t) {
		a.breach(b)
	}
	s, err := trip.Load(t.State)
	if err != nil {
		a.breach(Breach{5, t.Ref, err.Error()})
		return
	}
	if s.Live {
		a.report.LiveTrips++
	}
	for _, b := range CheckTrip(t, s, a.Options) {
		a.breach(b)
	}
	if a.spans++; a.spans > maxSpans {
		a.report.Bounded = fmt.Sprintf("drivers and vehicles were judged over the first %d trips", maxSpans)
		return
	}
	on := span{trip: s.ID, from: s.AssignedMS, to: s.EndedMS}
	a.drivers[string(s.DriverID)] = append(a.drivers[string(s.DriverID)], on)
	a.vehicles[string(s.VehicleID)] = append(a.vehicles[string(s.VehicleID)], on)
}

// span is the time on one trip, Unix ms; to 0: it lives.
type span struct {
	trip     string
	from, to int64
}

// sameMoment is how far a birth may seem to lie before the end that made room for it: times are those
// of the decisions, and the index that keeps them apart judges at the commit.
const sameMoment = 5 * time.Second

// overlaps finds whom two trips had at one time.
func (a *auditor) overlaps(who string, number int, all map[string][]span) {
	for id, spans := range all {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.trip, b.trip)) })
		for i, s := range spans[1:] {
			before := spans[i]
			if before.to == 0 && s.to == 0 || before.to != 0 && s.from < before.to-sameMoment.Milliseconds() || before.to == 0 && s.to > before.from+sameMoment.Milliseconds() {
				a.breach(Breach{number, ledger.Ref{Kind: ledger.Trip, ID: s.trip}, fmt.Sprintf("%s %s was on trip %s at the same time", who, id, before.trip)})
			}
		}
	}
}

func (a *auditor) letters(ctx context.Context, rows Rows) error {
	waiting, err := rows.Letters(ctx, maxLetters)
	if err != nil {
		return err
	}
	a.report.Letters = len(waiting)
	if !a.Quiet {
		return nil
	}
	for _, l := range waiting {
		kind, id, _ := cutAddress(l.To)
		a.breach(Breach{21, ledger.Ref{Kind: kind, ID: id}, fmt.Sprintf("letter %s (%s) was not delivered in %d attempts", l.ID, l.Type, l.Attempts)})
	}
	return nil
}
