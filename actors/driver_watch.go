package actors

import (
	"context"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/access"
	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
)

// facts is what the stores know about a driver. What could not be read is left out.
type facts struct {
	asked    time.Time
	err      error
	user     *fleet.User
	present  *presence.Entry
	presence bool // present was read
	last     *track.Fix
	trip     *access.Row
	trips    bool // trip was read
}

// readFacts asks the stores. An outage of one costs what it knows and nothing else. placed: where he is, is known.
func readFacts(ctx context.Context, c *DriverConfig, id fleet.UserID, placed bool) *facts {
	ctx, cancel := context.WithTimeout(ctx, factsLimit)
	defer cancel()
	now := time.Now()
	f := &facts{asked: now}
	if u, err := c.Users.User(ctx, id); err == nil {
		f.user = &u
	} else {
		f.err = err
	}
	rows, err := c.Trips.Live(ctx, access.By{Driver: id}, 1)
	if err == nil {
		f.trips = true
		if len(rows) > 0 {
			f.trip = &rows[0]
		}
	} else {
		f.err = err
	}
	if c.Presence != nil {
		entries, err := c.Presence.Read(ctx, []fleet.UserID{id}, now)
		if f.presence = err == nil; f.presence {
			if e, ok := entries[id]; ok {
				f.present = &e
			}
		}
	}
	if c.Positions != nil {
		if spots, err := c.Positions.Last(ctx, []fleet.UserID{id}, now); err == nil {
			if fix, ok := spots[id]; ok {
				f.last = &fix
			}
		}
	}
	if f.last == nil && !placed && f.trip != nil && c.Tracks != nil { // without it the next fix would be believed, wherever it is
		if fix, ok, err := c.Tracks.Believed(ctx, f.trip.Trip); err == nil && ok {
			f.last = &fix
		}
	}
	return f
}

// ask reads the facts again, off the actor's turn.
func (d *driver) ask(ctx context.Context) {
	c, id := d.cfg, d.id
	_, placed := d.live.Position()
	d.refresh, d.asking = time.Now(), true
	d.self.Go(untraced(ctx), factsLimit+time.Second, func(ctx context.Context) any { return readFacts(ctx, c, id, placed) })
}

// know takes what the stores said, at activation and whenever they were asked again.
func (d *driver) know(f *facts) {
	now := time.Now()
	first := d.refresh.IsZero()
	d.refresh, d.asking = now, false
	if f.err != nil {
		d.self.Log().Warn("driver's facts not read; trying again", "error", f.err)
		d.refresh = now.Add(factsRetry - refreshEvery) // nextCheck sees to it
	}
	if f.user != nil {
		d.name = f.user.Name
		if !d.intentAt.After(f.asked) {
			d.available = f.user.Available
		}
		d.crew, d.crewKnown = f.user.TransporterID, true
		if d.crew != "" {
			d.fleet = d.crew
		}
	}
	if f.trips && !d.toldAt.After(f.asked) {
		d.knowTrip(f.trip)
	}
	if f.last != nil {
		if p, known := d.live.Position(); !known || f.last.TS > p.TS { // newer: his socket is with another task
			d.live = track.Resume(*f.last)
			d.alerts.heard()
		}
	}
	d.knowPresence(f, first, now)
	d.settle(now)
}

// knowTrip follows the rows: they are the truth, what the trip's actor says is quicker.
func (d *driver) knowTrip(row *access.Row) {
	if row == nil {
		if d.trip != nil {
			d.trip, d.tripVersion, d.alerts = nil, 0, alerts{}
		}
		return
	}
	if row.Trip.ID == d.leftTrip || (d.trip != nil && d.trip.TripID == row.Trip.ID && row.Version < d.tripVersion) {
		return
	}
	d.take(LiveTripOf(row.Trip), row.Version)
}

// knowPresence goes on where the last activation stopped, or settles whether somebody whom the store
// has lost is still there.
func (d *driver) knowPresence(f *facts, first bool, now time.Time) {
	if d.online && f.present != nil {
		if seen := time.UnixMilli(f.present.Seen); seen.After(d.seen) {
			d.seen = seen
		}
	}
	switch {
	case first && f.present != nil && d.available:
		d.online = true
		d.since, d.seen = time.UnixMilli(f.present.Since), time.UnixMilli(f.present.Seen)
	case first || !d.online || f.user == nil:
	case !d.available:
		d.leave(now) // he went offline by another task
	case f.presence && f.present == nil && d.cfg.Writer != nil && !d.gone(now):
		d.cfg.Writer.Enter(d.person()) // the store was emptied: put him back, nobody needs to hear of it
	}
}

// alerts remembers what was said about a silence.
type alerts struct {
	stale, offline     bool // said in this silence
	staleAt, offlineAt time.Time
}

// heard ends the silence.
func (a *alerts) heard() { a.stale, a.offline = false, false }

// onCheck looks at the clock: presence that ran out, a silence that people should know of, facts to
// be read again. Without a socket here he may be heard by another task: then what the stores say
// decides.
func (d *driver) onCheck(ctx context.Context) {
	d.check = nil
	now := time.Now()
	if (d.gone(now) || d.alertDue(now)) && d.sockets == 0 {
		if !d.asking {
			d.ask(ctx)
		}
		return
	}
	d.settle(now)
	if d.wantsRefresh() && now.Sub(d.refresh) >= refreshEvery {
		d.ask(ctx)
	}
}

// settle does what the silence asks for.
func (d *driver) settle(now time.Time) {
	if d.gone(now) {
		d.expired = now
		d.leave(now)
	}
	d.alert(now)
}

// gone says whether his presence ran out.
func (d *driver) gone(now time.Time) bool { return d.online && now.Sub(d.seen) >= presence.DriverLife }

func (d *driver) wantsRefresh() bool { return d.sockets > 0 || d.online }

// positioned is when his last believed position was received; zero: none is known. A phone that
// answers pings and has no position is silent to whoever watches the truck.
func (d *driver) positioned() time.Time {
	if fix, ok := d.live.Position(); ok {
		return time.UnixMilli(fix.ReceivedMS)
	}
	return time.Time{}
}

// quietSince is where the silence on his moving trip begins. Silence before that was another
// activation's to tell, or nobody's.
func (d *driver) quietSince() time.Time {
	if p := d.positioned(); p.After(d.moving) {
		return p
	}
	return d.moving
}

// alertDue says whether alert would say something.
func (d *driver) alertDue(now time.Time) bool {
	if d.trip == nil || !d.trip.Moving {
		return false
	}
	silence := now.Sub(d.quietSince())
	return (silence >= protocol.StaleAfter && !d.alerts.stale) || (silence >= protocol.OfflineAfter && !d.alerts.offline)
}

// alert tells the transporter after 60 s without a position on a moving trip and the customer after
// 120 s.
func (d *driver) alert(now time.Time) {
	if !d.alertDue(now) {
		return
	}
	silence := now.Sub(d.quietSince())
	if silence >= protocol.StaleAfter && !d.alerts.stale {
		d.alerts.stale = true
		if now.Sub(d.alerts.staleAt) >= alertPause {
			d.alerts.staleAt = now
			d.say(d.trip.Transporter, "driver_may_be_offline", silence, now)
		}
	}
	if silence >= protocol.OfflineAfter && !d.alerts.offline {
		d.alerts.offline = true
		if d.trip.Customer != "" && now.Sub(d.alerts.offlineAt) >= alertPause {
			d.alerts.offlineAt = now
			d.say(d.trip.Customer, "driver_connectivity_issue", silence, now)
		}
	}
}

// say tells one person. What is said is the age of the last position, where one is known.
func (d *driver) say(to fleet.UserID, kind string, silence time.Duration, now time.Time) {
	if p := d.positioned(); !p.IsZero() {
		silence = now.Sub(p)
	}
	data := protocol.ConnectivityData{
		Kind: kind, TripID: d.trip.TripID, AssignmentID: d.trip.TripID, DriverID: d.id, DriverName: d.name,
		VehicleNumber: d.trip.VehicleNumber, LastSeenSeconds: int64(silence / time.Second),
		Message: "There is no new position of " + d.name + " for a while.", Timestamp: now.UnixMilli(),
	}
	if fix, ok := d.live.Position(); ok {
		data.LastLatitude, data.LastLongitude = fix.Lat, fix.Lng
	}
	d.cfg.Publisher.Notify(to, "driver_connectivity", data)
}

// arm sets the one timer to the next thing that can happen without a message. A sign of life does
// not move it: it fires, finds that nothing is due, and is set again. So a frame costs no timer.
func (d *driver) arm(now time.Time) {
	next := d.nextCheck()
	if next.IsZero() || (d.check != nil && !next.Before(d.checkAt)) {
		return
	}
	if d.check != nil {
		d.check.Stop()
	}
	d.checkAt = next
	d.check = d.self.After(max(time.Millisecond, next.Sub(now)), checkDue{})
}

func (d *driver) nextCheck() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if d.online && !d.asking {
		sooner(d.seen.Add(presence.DriverLife))
	}
	if d.trip != nil && d.trip.Moving && !d.asking {
		if !d.alerts.stale {
			sooner(d.quietSince().Add(protocol.StaleAfter))
		}
		if !d.alerts.offline {
			sooner(d.quietSince().Add(protocol.OfflineAfter))
		}
	}
	if d.wantsRefresh() {
		sooner(d.refresh.Add(refreshEvery))
	}
	return next
}
