package actors

import (
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/presence"
)

// onBeat renews presence. His app beats over HTTP, so a beat may also bring him back after his
// presence ran out, but only when his stored intent, read then, says so: one that was on its way
// when he went offline changes nothing.
func (t *transporter) onBeat(now time.Time) {
	t.seen = now
	switch {
	case t.online:
		if t.cfg.Writer != nil && now.Sub(t.renewed) >= renewEvery {
			t.renewed = now
			t.cfg.Writer.Beat(t.person())
		}
	case now.Sub(t.asked) >= renewEvery:
		t.ask(now)
	}
}

func (t *transporter) onAttached(now time.Time) {
	t.sockets++
	t.seen = now
	if t.available && !t.online {
		t.enter(now)
	}
}

func (t *transporter) onAvailable(m protocol.TransporterAvailable, reply Reply) {
	if m.By != t.id {
		reply.Refuse(errNotHis)
		return
	}
	now := time.Now()
	t.available, t.intentAt = m.Available, now
	switch {
	case m.Available && !t.online:
		t.seen = now
		t.enter(now)
	case !m.Available && t.online:
		t.leave()
	case !m.Available && t.cfg.Writer != nil:
		t.cfg.Writer.Leave(t.person())
	}
	reply.Answer(nil)
}

func (t *transporter) onPresenceLost() {
	if t.online {
		t.ask(time.Now())
	}
}

// onCheck ends a presence that ran out.
func (t *transporter) onCheck(now time.Time) {
	t.check = nil
	if t.online && now.Sub(t.seen) >= presence.TransporterLife {
		t.leave()
	}
	t.arm(now)
}

func (t *transporter) enter(now time.Time) {
	t.online, t.since, t.came = true, now, false
	if t.cfg.Writer != nil {
		t.cfg.Writer.Enter(t.person())
	}
	t.arm(now)
	t.settle(now)
}

func (t *transporter) leave() {
	t.online, t.since = false, time.Time{}
	if t.cfg.Writer != nil {
		t.cfg.Writer.Leave(t.person())
	}
	if t.cfg.Grid != nil {
		t.cfg.Grid.Remove(t.id, time.Now().UnixMilli())
	}
}

// arm sets the timer to the end of presence; a beat does not move it, it is set again when it fires.
func (t *transporter) arm(now time.Time) {
	if t.online && t.check == nil {
		t.check = t.self.After(max(time.Millisecond, t.seen.Add(presence.TransporterLife).Sub(now)), checkDue{})
	}
}

func (t *transporter) person() presence.Person {
	return presence.Person{User: t.id, Role: fleet.Transporter}
}
