package access

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// Positions gives last positions that need no look into history (presence.Positions).
type Positions interface {
	Last(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error)
}

// Fixes is what the track of a trip is read from (history.Store).
type Fixes interface {
	Fixes(ctx context.Context, driver fleet.UserID, after, to int64, limit int) ([]track.Fix, error)
	Newest(ctx context.Context, ws []history.Window, each int) ([][]track.Fix, error)
}

// Seen is a trip as somebody may see it, with the last position of its truck.
type Seen struct {
	Row
	Last    track.Fix // the newest believable fix of the trip
	HasLast bool      // false: none yet
}

// Reads answers who may see what. It is safe for concurrent use and holds no state.
type Reads struct {
	trips     Trips
	positions Positions
	fixes     Fixes
	rules     track.Rules
	now       func() time.Time
}

// New makes a Reads. The rules are those by which drivers' actors believe positions.
func New(trips Trips, positions Positions, fixes Fixes, rules track.Rules, now func() time.Time) *Reads {
	return &Reads{trips: trips, positions: positions, fixes: fixes, rules: rules, now: now}
}

// Principal names somebody to trips and orders: what his session says, and nothing else.
func Principal(who token.Identity) trip.By {
	by := trip.By{User: who.UserID, Role: who.Role}
	if who.Role == fleet.Driver {
		by.Fleet = who.TransporterID
	}
	return by
}

// May tells whether somebody may see a trip: it concerns him, or he follows a link to it.
func May(who token.Identity, s trip.State) bool {
	if who.Role == token.Viewer { // of a share link, which must be good besides
		return who.Trip != "" && who.Trip == s.ID
	}
	return s.Concerns(Principal(who))
}

// Trip gives a trip that the caller may see. Refuses with notFound for a foreign and for an unknown id.
func (r *Reads) Trip(ctx context.Context, who token.Identity, id string, notFound *fault.Error) (Row, error) {
	row, err := r.trips.Trip(ctx, id)
	switch {
	case errors.Is(err, ErrNoTrip):
		return Row{}, notFound
	case err != nil:
		return Row{}, err
	case !May(who, row.Trip):
		return Row{}, notFound
	}
	return row, nil
}

// Live gives the live trips of the caller: a driver's one, a transporter's or customer's all, and of
// ops everybody's. Newest first, at most MaxTrips.
func (r *Reads) Live(ctx context.Context, who token.Identity) ([]Row, error) {
	by := By{}
	switch who.Role {
	case fleet.Driver:
		by.Driver = who.UserID
	case fleet.Transporter:
		by.Transporter = who.UserID
	case fleet.Customer:
		by.Customer = who.UserID
	case fleet.Ops:
		by.Everybody = true
	}
	return r.mine(ctx, who, by)
}

// OfFleet gives every live trip of a transporter, one per driver: what his drivers and vehicles are
// busy with is derived from it, so that a trip left out would show a truck as free.
func (r *Reads) OfFleet(ctx context.Context, transporter fleet.UserID) ([]Row, error) {
	return r.trips.Live(ctx, By{Transporter: transporter}, fleet.MaxFleet)
}

// OfOrder gives the live trips of an order that the caller may see.
func (r *Reads) OfOrder(ctx context.Context, who token.Identity, order string) ([]Row, error) {
	return r.mine(ctx, who, By{Order: order})
}

// mine gives those of the live trips that the caller may see.
func (r *Reads) mine(ctx context.Context, who token.Identity, by By) ([]Row, error) {
	rows, err := r.trips.Live(ctx, by, MaxTrips)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(row Row) bool { return !May(who, row.Trip) }), nil
}

// ByID gives those of the trips that the caller may see, by their ids, with one look at the store.
func (r *Reads) ByID(ctx context.Context, who token.Identity, ids []string) (map[string]Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := r.trips.ByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]Row, len(rows))
	for _, row := range rows {
		if May(who, row.Trip) {
			seen[row.Trip.ID] = row
		}
	}
	return seen, nil
}

// OfDriver gives a page of the caller's own trips as a driver of the fleet that he is in.
func (r *Reads) OfDriver(ctx context.Context, driver fleet.Member, statuses []trip.Status, offset, limit int) ([]Row, int, error) {
	return r.trips.OfDriver(ctx, driver, statuses, offset, limit)
}

// Bounds of what is read from history to believe a position.
const (
	// judged is how many fixes are judged: enough that three which agree are among them, with a few bad ones.
	judged = 12
	// before is how long before the trip they may be taken. What a truck cannot have driven since is a jump;
	// in three hours it can have driven 750 km.
	before = 3 * time.Hour
)

// WithPosition adds the last believed position to each trip: what was reported last, which was judged then;
// else from history, which keeps what is not believed too and is therefore judged here, by the same rules.
// A store of positions that does not answer costs that look into history, not the answer.
func (r *Reads) WithPosition(ctx context.Context, rows []Row) ([]Seen, error) {
	seen := make([]Seen, len(rows))
	drivers := make([]fleet.UserID, 0, len(rows))
	for i, row := range rows {
		seen[i].Row = row
		if row.Trip.AcceptedMS != 0 {
			drivers = append(drivers, row.Trip.DriverID)
		}
	}
	if len(drivers) == 0 {
		return seen, nil
	}
	last, err := r.positions.Last(ctx, drivers, r.now())
	if err != nil {
		last = nil
	}
	var missing []int
	var windows []history.Window
	for i, row := range rows {
		fix, known := last[row.Trip.DriverID]
		switch {
		case row.Trip.AcceptedMS == 0:
		case known && !fix.Mock && shows(row.Trip, fix.TS):
			seen[i].Last, seen[i].HasLast = fix, true
		default:
			missing, windows = append(missing, i), append(windows, judgedWindow(row.Trip))
		}
	}
	found, err := r.fixes.Newest(ctx, windows, judged)
	if err != nil {
		return nil, fmt.Errorf("last positions of trips: %w", err)
	}
	for k, i := range missing {
		s := rows[i].Trip
		seen[i].Last, seen[i].HasLast = r.believed(s, last[s.DriverID], found[k])
	}
	return seen, nil
}

// Believed gives the newest fix of a trip that its track makes believable; ok is false when there is none.
// It is for whoever knows no last position and goes on from there.
func (r *Reads) Believed(ctx context.Context, s trip.State) (fix track.Fix, ok bool, err error) {
	if s.AcceptedMS == 0 {
		return track.Fix{}, false, nil
	}
	found, err := r.fixes.Newest(ctx, []history.Window{judgedWindow(s)}, judged)
	if err != nil {
		return track.Fix{}, false, fmt.Errorf("last position of trip %s: %w", s.ID, err)
	}
	fix, ok = r.believed(s, track.Fix{}, found[0])
	return fix, ok, nil
}

// shows tells whether a position of that time is the trip's to show. Its track takes fixes for some minutes after its
// end, for those that come late; where the truck drives next is nobody's who watched the trip.
func shows(s trip.State, tsMS int64) bool {
	return s.Covers(tsMS) && (s.EndedMS == 0 || tsMS <= s.EndedMS)
}

func judgedWindow(s trip.State) history.Window {
	w := windowOf(s)
	w.From -= before.Milliseconds()
	if s.EndedMS != 0 {
		w.To = s.EndedMS
	}
	return w
}

// believed is the newest of the fixes, sorted by time, that is believed, if it is of the trip. known is the
// driver's last believed position (TS 0: none is known); from before the trip it is where he came from.
func (r *Reads) believed(s trip.State, known track.Fix, fixes []track.Fix) (track.Fix, bool) {
	var live track.Live
	if from, _ := s.Window(); known.TS < from && !known.Mock {
		live = track.Resume(known)
	}
	fix, ok := live.Follow(fixes, r.rules).Position()
	if !ok || !shows(s, fix.TS) {
		return track.Fix{}, false
	}
	return fix, true
}

func windowOf(s trip.State) history.Window {
	from, to := s.Window()
	if to == 0 {
		to = math.MaxInt64
	}
	return history.Window{TripID: s.ID, Driver: s.DriverID, From: from, To: to}
}

// Page is a part of a trip's track, sorted by time.
type Page struct {
	Fixes []track.Fix
	After int64 // ts to go on after; 0 when there is no more
	More  bool
}

// Track gives up to limit fixes of the trip taken after a moment (ms; 0: from its start).
func (r *Reads) Track(ctx context.Context, s trip.State, after int64, limit int) (Page, error) {
	if s.AcceptedMS == 0 {
		return Page{}, nil
	}
	w := windowOf(s)
	fixes, err := r.fixes.Fixes(ctx, s.DriverID, max(after, w.From-1), w.To, limit+1)
	if err != nil {
		return Page{}, fmt.Errorf("track of trip %s: %w", s.ID, err)
	}
	if len(fixes) <= limit {
		return Page{Fixes: fixes}, nil
	}
	fixes = fixes[:limit]
	return Page{Fixes: fixes, After: fixes[limit-1].TS, More: true}, nil
}

// Welcome gives a driver's live trip ("" for none) and the ts of his newest fix in its history (0 for
// none): what his phone need not send again.
func (r *Reads) Welcome(ctx context.Context, driver token.Identity) (tripID string, lastFixMS int64, err error) {
	rows, err := r.Live(ctx, driver)
	if err != nil || len(rows) == 0 {
		return "", 0, err
	}
	s := rows[0].Trip
	if s.AcceptedMS == 0 {
		return s.ID, 0, nil
	}
	newest, err := r.fixes.Newest(ctx, []history.Window{windowOf(s)}, 1)
	if err != nil {
		return "", 0, fmt.Errorf("newest fix of driver: %w", err)
	}
	for _, fix := range newest[0] {
		lastFixMS = fix.TS
	}
	return s.ID, lastFixMS, nil
}
