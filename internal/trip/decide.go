package trip

import (
	"fmt"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// Decision is what a command leads to. It changes nothing until it is committed.
type Decision struct {
	Events []Event // empty: nothing to write, the answer stands as it is
	State  State   // the state after Events
	// Replayed: the trip already was where the command wanted it.
	Replayed bool

	before State
	at     time.Time
	push   bool // Policy.Push
}

// Ended tells whether the decision takes the trip into a terminal status.
func (d Decision) Ended() bool { return len(d.Events) > 0 && d.before.Live && !d.State.Live }

// Decide says what a command does to a trip, or refuses with a *fault.Error. A timer with another
// number than the armed one is ErrStaleTimer.
func Decide(s State, c Command, now time.Time, p Policy) (Decision, error) {
	d, err := decide(s, c, now, p)
	d.push = p.Push
	return d, err
}

func decide(s State, c Command, now time.Time, p Policy) (Decision, error) {
	switch c := c.(type) {
	case Accept:
		return accept(s, c, now, p)
	case Decline:
		return decline(s, c, now)
	case ChangeStatus:
		return changeStatus(s, c, now, p)
	case BreakDown:
		return breakDown(s, c, now)
	case Cancel:
		return cancel(s, c, now)
	case TimerFired:
		return timerFired(s, c, now, p)
	case NoteFix:
		return noteFix(s, c, now, p)
	case AddTrack:
		return addTrack(s, c, now)
	default:
		return Decision{}, fmt.Errorf("trip: unknown command %T", c)
	}
}

func accept(s State, c Accept, now time.Time, p Policy) (Decision, error) {
	if !s.drivenBy(c.By) {
		return Decision{}, ErrNotFound
	}
	switch {
	case s.Status == Cancelled || s.Status == DriverDeclined:
		return Decision{}, ErrStateChanged
	case s.Status != Pending:
		return replay(s, now), nil
	case now.UnixMilli() > s.Timers[AcceptTimer].DueMS+p.AcceptGrace.Milliseconds():
		return Decision{}, ErrStateChanged
	}
	return decided(s, now, Event{
		What: Accepted, AtMS: now.UnixMilli(), To: DriverAccepted, By: string(fleet.Driver),
		Timers: []TimerSet{s.cancelTimer(AcceptTimer), s.armSilence(DriverAccepted, now, p)},
	})
}

func decline(s State, c Decline, now time.Time) (Decision, error) {
	if !s.drivenBy(c.By) {
		return Decision{}, ErrNotFound
	}
	switch {
	case s.Status == DriverDeclined && s.EndedBy == string(fleet.Driver):
		return replay(s, now), nil
	case s.Status == DriverDeclined || s.Status == Cancelled:
		return Decision{}, ErrStateChanged
	case s.Status != Pending:
		return Decision{}, ErrStatus
	}
	if len([]rune(c.Reason)) > 500 {
		return Decision{}, fault.Invalid("reason", "The reason may have at most 500 characters.")
	}
	return decided(s, now, Event{
		What: Declined, AtMS: now.UnixMilli(), To: DriverDeclined, By: string(fleet.Driver), Reason: c.Reason,
		Timers: []TimerSet{s.cancelTimer(AcceptTimer)},
	})
}

func changeStatus(s State, c ChangeStatus, now time.Time, p Policy) (Decision, error) {
	if !s.drivenBy(c.By) {
		return Decision{}, ErrNotFound
	}
	switch {
	case s.Status == c.To:
		return replay(s, now), nil
	case s.Status == Completed || s.Status == PartialDelivery:
		return Decision{}, ErrCompleted
	case !s.Status.Moving():
		return Decision{}, ErrNotActive
	case !s.Status.CanBecome(c.To) || c.To == Cancelled:
		return Decision{}, refuseStep(s.Status, c.To)
	}
	if err := checkStep(s, c, now, p); err != nil {
		return Decision{}, err
	}
	if s.Delivery != nil && c.To.Terminal() && c.Code != s.Delivery.Code {
		return wrongCode(s, now, p)
	}
	e := Event{What: StepReached, AtMS: now.UnixMilli(), To: c.To, By: string(fleet.Driver), Reason: c.Reason}
	if p.PODCode && c.To.Carrying() && s.Delivery == nil {
		e.Code = c.NewCode
	}
	if c.To.Terminal() {
		e.Timers = []TimerSet{s.cancelTimer(SilenceTimer)}
	} else {
		e.Timers = []TimerSet{s.armSilence(c.To, now, p)}
	}
	return decided(s, now, e)
}

// cancel is open to the trip's customer and transporter, to ops and to the order. Whether a
// customer may still cancel, and for how much, is the order's policy.
func cancel(s State, c Cancel, now time.Time) (Decision, error) {
	by := "order"
	if c.By.User != "" {
		by = string(c.By.Role)
		if c.By.Role == fleet.Driver || !s.Concerns(c.By) {
			return Decision{}, ErrNotFound
		}
	}
	switch {
	case s.Status == Cancelled:
		return replay(s, now), nil
	case s.Status == Completed || s.Status == PartialDelivery:
		return Decision{}, ErrCompleted
	case !s.Live:
		return Decision{}, ErrStateChanged
	}
	return decided(s, now, Event{
		What: WasCancelled, AtMS: now.UnixMilli(), To: Cancelled, By: by, Reason: c.Reason, Rupees: c.CompensationRupees,
		Timers: s.cancelAll(),
	})
}

func timerFired(s State, c TimerFired, now time.Time, p Policy) (Decision, error) {
	armed, ok := s.Timers[c.Name]
	if !ok || armed.Number != c.Number {
		return Decision{}, ErrStaleTimer
	}
	if c.Name == AcceptTimer {
		return decided(s, now, Event{
			What: TimedOut, AtMS: now.UnixMilli(), To: DriverDeclined, By: "timer", Reason: "timeout",
			Timers: []TimerSet{s.cancelTimer(AcceptTimer)},
		})
	}
	heard := max(s.HeardMS, c.HeardMS)
	due := time.UnixMilli(max(heard, s.StatusMS)).Add(p.silence(s.Status))
	if due.After(now) { // heard from since the timer was armed: it moves, nobody is told
		return decided(s, now, Event{
			What: Heard, AtMS: now.UnixMilli(), HeardMS: heard,
			Timers: []TimerSet{s.armSilenceAt(due)},
		})
	}
	return decided(s, now, Event{
		What: WentSilent, AtMS: now.UnixMilli(), HeardMS: heard,
		Timers: []TimerSet{s.armSilence(s.Status, now, p)},
	})
}

func noteFix(s State, c NoteFix, now time.Time, p Policy) (Decision, error) {
	fresh := c.AtMS >= s.HeardMS+p.HeardEvery.Milliseconds() || (s.FlaggedMS != 0 && c.AtMS > s.HeardMS)
	var events []Event
	if s.Status.Moving() && fresh {
		due := time.UnixMilli(max(c.AtMS, s.StatusMS)).Add(p.silence(s.Status))
		events = append(events, Event{
			What: Heard, AtMS: now.UnixMilli(), HeardMS: c.AtMS,
			Timers: []TimerSet{s.armSilenceAt(due)},
		})
	}
	if e, near := s.near(c, now, p); near {
		events = append(events, e)
	}
	if len(events) == 0 {
		return replay(s, now), nil
	}
	return decided(s, now, events...)
}

func addTrack(s State, c AddTrack, now time.Time) (Decision, error) {
	if s.AcceptedMS == 0 || s.Track.Equal(c.Track) {
		return replay(s, now), nil
	}
	return decided(s, now, Event{What: TrackFolded, AtMS: now.UnixMilli(), Track: &c.Track})
}

func decided(s State, now time.Time, events ...Event) (Decision, error) {
	d := Decision{Events: events, before: s, State: s, at: now}
	for _, e := range events {
		d.State = Apply(d.State, e)
	}
	return d, nil
}

func replay(s State, now time.Time) Decision {
	return Decision{State: s, Replayed: true, before: s, at: now}
}

// armSilenceAt arms the silence timer under the next number of the trip. Numbers rise over all timers:
// the count of events so far is one that no earlier event used.
func (s State) armSilenceAt(due time.Time) TimerSet {
	return TimerSet{Name: SilenceTimer, Number: s.Count + 1, DueMS: due.UnixMilli()}
}

func (s State) armSilence(in Status, now time.Time, p Policy) TimerSet {
	return s.armSilenceAt(now.Add(p.silence(in)))
}

func (s State) cancelTimer(name string) TimerSet {
	return TimerSet{Name: name, Number: s.Timers[name].Number}
}

func (s State) cancelAll() []TimerSet {
	var sets []TimerSet
	for _, name := range []string{AcceptTimer, SilenceTimer} {
		if _, armed := s.Timers[name]; armed {
			sets = append(sets, s.cancelTimer(name))
		}
	}
	return sets
}
