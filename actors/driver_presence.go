package actors

import (
	"context"
	"time"

	"weelo/actors/protocol"
)

// onBeat is a sign of life. It renews presence; only over a socket, and only for somebody who wants
// to be available, does it bring him back after his presence ran out.
func (d *driver) onBeat(now time.Time, socket bool) {
	d.seen = now
	switch {
	case d.online:
		if d.cfg.Writer != nil && now.Sub(d.renewed) >= renewEvery {
			d.renewed = now
			d.cfg.Writer.Beat(d.person())
		}
	case socket && d.available:
		d.enter(now)
	}
}

func (d *driver) onAttached(ctx context.Context, m *protocol.SocketAttached) {
	if m.Driver != d.id {
		return
	}
	now := time.Now()
	d.sockets++ // its end is told too, whatever is made of the session
	if !d.hears(ctx, m.Driver, m.Transporter) {
		return
	}
	d.seen = now
	if m.Transporter != "" {
		d.fleet = m.Transporter
	}
	if d.available && !d.online {
		d.enter(now)
	}
}

// onAvailable follows the stored intent. Going offline is final until he says otherwise: whatever
// beats are still on their way find him unavailable.
func (d *driver) onAvailable(m protocol.DriverAvailable, reply Reply) {
	if m.Driver != d.id {
		reply.Refuse(errNotHis)
		return
	}
	now := time.Now()
	d.available, d.intentAt = m.Available, now
	switch {
	case m.Available && !d.online:
		d.seen = now
		d.enter(now)
	case !m.Available && d.online:
		d.leave(now)
	case !m.Available && d.cfg.Writer != nil:
		d.cfg.Writer.Leave(d.person()) // present by another task, perhaps
	}
	reply.Answer(nil)
}

// onPresenceLost: the store does not know him. Either it was emptied, or he went offline by another
// task; his stored intent tells.
func (d *driver) onPresenceLost(ctx context.Context) {
	if d.online {
		d.ask(ctx)
	}
}

func (d *driver) enter(now time.Time) {
	action := "online"
	if !d.expired.IsZero() && now.Sub(d.expired) < reconnectWithin {
		action = "reconnected"
	}
	d.online, d.since, d.expired = true, now, time.Time{}
	if d.cfg.Writer != nil {
		d.cfg.Writer.Enter(d.person())
	}
	d.announce(action, now)
}

func (d *driver) leave(now time.Time) {
	d.online, d.since = false, time.Time{}
	if d.cfg.Writer != nil {
		d.cfg.Writer.Leave(d.person())
	}
	d.announce("offline", now)
}

// announce tells his transporter.
func (d *driver) announce(action string, now time.Time) {
	if d.fleet == "" {
		return
	}
	d.cfg.Publisher.Notify(d.fleet, "driver_status", protocol.DriverStatusData{
		DriverID: d.id, DriverName: d.name, IsOnline: d.online, Action: action, Timestamp: now.UnixMilli(),
	})
	_ = d.self.Router().Tell(context.Background(), protocol.TransporterAddress(d.fleet), &protocol.FleetDriver{
		Driver: d.id, Name: d.name, Online: d.online, Action: action, AtMS: now.UnixMilli(),
	})
}
