package trip_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fault"
	"weelo/internal/geo"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// life is a trip under random commands, beside a model that knows only what the apps may see.
type life struct {
	state    trip.State
	events   []trip.Event // everything that was decided
	versions int64
	now      time.Time
	policy   trip.Policy

	status  trip.Status // the model
	endedBy string
}

// TestLife plays random commands in random order against a naive model and checks after each that
// only edges of the table were taken, that the fold of all events is the state, that a terminal
// status has no successor, and that every live state has an armed timer.
func TestLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := &life{now: start, status: trip.Pending, policy: trip.DefaultPolicy()}
		l.policy.PODCode = rapid.Bool().Draw(rt, "delivery codes")
		d, err := trip.Born(assignment(), l.now, l.policy)
		l.take(rt, d, err)
		rt.Repeat(map[string]func(*rapid.T){
			"": l.invariants,
			"wait": func(rt *rapid.T) {
				l.now = l.now.Add(time.Duration(rapid.Int64Range(0, int64(8*time.Hour)).Draw(rt, "wait")))
			},
			"blink": func(rt *rapid.T) {
				l.now = l.now.Add(time.Duration(rapid.Int64Range(0, int64(30*time.Second)).Draw(rt, "blink")))
			},
			"accept":  l.accept,
			"decline": l.decline,
			"step":    l.step,
			"broken":  l.breakDown,
			"cancel":  l.cancel,
			"timer":   l.timer,
			"fix":     l.fix,
			"track":   l.track,
		})
	})
}

func (l *life) decide(rt *rapid.T, c trip.Command) (trip.Decision, error) {
	before := cmp.Diff(l.state, l.state) // touches every field: a decision must not write to its input
	snapshot, _ := l.state.Snapshot()
	d, err := trip.Decide(l.state, c, l.now, l.policy)
	after, _ := l.state.Snapshot()
	if string(snapshot) != string(after) || before != "" {
		rt.Fatalf("%T wrote to the state it was given", c)
	}
	again, errAgain := trip.Decide(l.state, c, l.now, l.policy)
	if (err == nil) != (errAgain == nil) || cmp.Diff(d.Events, again.Events) != "" {
		rt.Fatalf("%T decided differently the second time", c)
	}
	return d, err
}

func (l *life) take(rt *rapid.T, d trip.Decision, err error) {
	if err != nil {
		var refusal *fault.Error
		if !errors.As(err, &refusal) && !errors.Is(err, trip.ErrStaleTimer) {
			rt.Fatalf("not a refusal: %v", err)
		}
		return
	}
	if d.Replayed != (len(d.Events) == 0) {
		rt.Fatalf("replayed %v with %d events", d.Replayed, len(d.Events))
	}
	tr, ok, err := d.Transition(l.versions, 1)
	if err != nil || ok != !d.Replayed {
		rt.Fatalf("transition: %v %v", ok, err)
	}
	if ok {
		if len(tr.Events) == 0 {
			rt.Fatal("a transition without a line of history leaves a gap")
		}
		l.versions++
	}
	for _, e := range d.Events {
		if e.To != "" && e.What != trip.Assigned && !l.state.Status.CanBecome(e.To) {
			rt.Fatalf("%s → %s is not in the table", l.state.Status, e.To)
		}
	}
	if d.Ended() != (l.state.Live && !d.State.Live) {
		rt.Fatal("Ended is wrong")
	}
	l.events = append(l.events, d.Events...)
	l.state = d.State
}

func (l *life) accept(rt *rapid.T) {
	late := l.now.Sub(time.UnixMilli(l.state.Timers[trip.AcceptTimer].DueMS)) > 2*time.Second
	d, err := l.decide(rt, trip.Accept{By: people["driver"]})
	switch {
	case l.status == trip.Pending && !late:
		l.status = trip.DriverAccepted
		mustHave(rt, d, err, l.status)
	case l.status == trip.Pending, l.status == trip.Cancelled, l.status == trip.DriverDeclined:
		mustRefuse(rt, err, trip.ErrStateChanged)
	default:
		mustReplay(rt, d, err)
	}
	l.take(rt, d, err)
}

func (l *life) decline(rt *rapid.T) {
	d, err := l.decide(rt, trip.Decline{By: people["driver"], Reason: "no"})
	switch {
	case l.status == trip.Pending:
		l.status, l.endedBy = trip.DriverDeclined, "driver"
		mustHave(rt, d, err, l.status)
	case l.status == trip.DriverDeclined && l.endedBy == "driver":
		mustReplay(rt, d, err)
	case l.status == trip.DriverDeclined, l.status == trip.Cancelled:
		mustRefuse(rt, err, trip.ErrStateChanged)
	default:
		mustRefuse(rt, err, trip.ErrStatus)
	}
	l.take(rt, d, err)
}

// place is the model's whole knowledge of the order of steps.
var place = map[trip.Status]int{trip.DriverAccepted: 1, trip.EnRoutePickup: 2, trip.AtPickup: 3,
	trip.LoadingComplete: 4, trip.InTransit: 5, trip.ArrivedAtDrop: 6, trip.Completed: 7, trip.PartialDelivery: 7}

const theCode = "4821"

func (l *life) step(rt *rapid.T) {
	to := rapid.SampledFrom([]trip.Status{trip.EnRoutePickup, trip.AtPickup, trip.LoadingComplete,
		trip.InTransit, trip.ArrivedAtDrop, trip.Completed, trip.PartialDelivery}).Draw(rt, "to")
	c := trip.ChangeStatus{By: people["driver"], To: to, NewCode: theCode, Reason: "rain", Code: rapid.SampledFrom([]string{"", "1", theCode, theCode}).Draw(rt, "code")}
	near := true
	if away := rapid.SampledFrom([]float64{-1, 0, 0.02}).Draw(rt, "degrees away"); away >= 0 {
		at := l.state.Pickup
		if place[to] >= 6 {
			at = l.state.Drop
		}
		near = away == 0
		c.Fix = &track.Fix{TS: l.now.UnixMilli(), ReceivedMS: l.now.UnixMilli(), Lat: at.Latitude + away, Lng: at.Longitude}
	}
	coded, tries := l.state.Delivery != nil, 0
	if coded {
		tries = l.state.Delivery.Tries
	}
	d, err := l.decide(rt, c)
	at := place[l.status]
	switch {
	case l.status != to && at > 0 && at < 7 && place[to] > at && (to != trip.PartialDelivery || at >= 5):
		l.mayStep(rt, c, d, err, near, coded, tries)
	case l.status == to:
		mustReplay(rt, d, err)
	case at == 7:
		mustRefuse(rt, err, trip.ErrCompleted)
	case at == 0:
		mustRefuse(rt, err, trip.ErrNotActive)
	default:
		mustRefuse(rt, err, fault.New(fault.FailedPrecondition, "INVALID_STATUS_TRANSITION", ""))
	}
	if place[l.status] == 7 {
		l.endedBy = "driver"
	}
	l.take(rt, d, err)
}

// mayStep is what a step leads to that the order of steps allows.
func (l *life) mayStep(rt *rapid.T, c trip.ChangeStatus, d trip.Decision, err error, near, coded bool, tries int) {
	ends := place[c.To] == 7
	switch locked := coded && l.state.Delivery.UntilMS > l.now.UnixMilli(); {
	case !near && c.To == trip.AtPickup:
		mustRefuse(rt, err, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_PICKUP", ""))
	case !near && (c.To == trip.ArrivedAtDrop || c.To == trip.Completed):
		mustRefuse(rt, err, fault.New(fault.FailedPrecondition, "TOO_FAR_FROM_DROP", ""))
	case ends && locked:
		mustRefuse(rt, err, trip.ErrCodeLocked)
	case ends && coded && c.Code == "":
		mustRefuse(rt, err, trip.ErrCodeNeeded)
	case ends && coded && c.Code != theCode:
		mustHave(rt, d, err, l.status) // counted, and nothing else
		if now := d.State.Delivery; now.Tries != (tries+1)%5 || (now.Tries == 0) != (now.UntilMS > l.now.UnixMilli()) {
			rt.Fatalf("%d tries became %+v", tries, *now)
		}
		mustRefuse(rt, d.State.RefusedCode(c.To), trip.ErrCodeWrong)
	default:
		l.status = c.To
		mustHave(rt, d, err, c.To)
		if err := d.State.RefusedCode(c.To); err != nil {
			rt.Fatal(err)
		}
		if l.policy.PODCode && (c.To == trip.InTransit || c.To == trip.ArrivedAtDrop) && (d.State.Delivery == nil || d.State.Delivery.Code != theCode) {
			rt.Fatalf("%s without a code", c.To)
		}
	}
}

func (l *life) breakDown(rt *rapid.T) {
	by := rapid.SampledFrom([]string{"driver", "transporter", "customer", "ops", "order"}).Draw(rt, "by")
	d, err := l.decide(rt, trip.BreakDown{By: people[by]})
	switch {
	case by != "driver" && by != "transporter":
		mustRefuse(rt, err, trip.ErrNotFound)
	case l.status == trip.Cancelled && l.state.Reason == trip.BrokenDown:
		mustReplay(rt, d, err)
	case place[l.status] == 7:
		mustRefuse(rt, err, trip.ErrCompleted)
	case place[l.status] == 0:
		mustRefuse(rt, err, trip.ErrNotActive)
	default:
		l.status, l.endedBy = trip.Cancelled, by
		mustHave(rt, d, err, trip.Cancelled)
	}
	l.take(rt, d, err)
}

func (l *life) cancel(rt *rapid.T) {
	by := rapid.SampledFrom([]string{"customer", "transporter", "ops", "order", "stranger", "driver"}).Draw(rt, "by")
	d, err := l.decide(rt, trip.Cancel{By: people[by]})
	switch {
	case by == "stranger" || by == "driver":
		mustRefuse(rt, err, trip.ErrNotFound)
	case l.status == trip.Cancelled:
		mustReplay(rt, d, err)
	case place[l.status] == 7:
		mustRefuse(rt, err, trip.ErrCompleted)
	case l.status == trip.DriverDeclined:
		mustRefuse(rt, err, trip.ErrStateChanged)
	default:
		l.status, l.endedBy = trip.Cancelled, by
		mustHave(rt, d, err, l.status)
	}
	l.take(rt, d, err)
}

func (l *life) timer(rt *rapid.T) {
	name := rapid.SampledFrom([]string{trip.AcceptTimer, trip.SilenceTimer}).Draw(rt, "name")
	armed, ok := l.state.Timers[name]
	number := armed.Number + rapid.Int64Range(0, 1).Draw(rt, "off")
	d, err := l.decide(rt, trip.TimerFired{Name: name, Number: number})
	switch {
	case !ok || number != armed.Number:
		if !errors.Is(err, trip.ErrStaleTimer) {
			rt.Fatalf("stale timer answered %v", err)
		}
	case name == trip.AcceptTimer:
		l.status, l.endedBy = trip.DriverDeclined, "timer"
		mustHave(rt, d, err, l.status)
	default: // silence never changes the status
		mustHave(rt, d, err, l.status)
	}
	l.take(rt, d, err)
}

func (l *life) fix(rt *rapid.T) {
	c := trip.NoteFix{AtMS: l.now.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "age"))).UnixMilli()}
	if away := rapid.SampledFrom([]float64{-1, 0.001, 0.02}).Draw(rt, "degrees away"); away >= 0 {
		c.Place = &geo.Point{Lat: l.state.Pickup.Latitude + away, Lng: l.state.Pickup.Longitude}
	}
	told := l.state.NearMS
	d, err := l.decide(rt, c)
	near := told == 0 && c.Place != nil && c.Place.Lat < l.state.Pickup.Latitude+0.01 && (place[l.status] == 1 || place[l.status] == 2)
	if err == nil && (d.State.NearMS != told) != near {
		rt.Fatalf("told the customer that the truck is near: %v; in %s, %+v", d.State.NearMS != told, l.status, c.Place)
	}
	l.take(rt, d, err)
}

func (l *life) track(rt *rapid.T) {
	d, err := l.decide(rt, trip.AddTrack{Track: track.Track{Whole: track.Fold{Meters: float64(rapid.IntRange(0, 3).Draw(rt, "metres"))}}})
	l.take(rt, d, err)
}

func (l *life) invariants(rt *rapid.T) {
	var folded trip.State
	for _, e := range l.events {
		folded = trip.Apply(folded, e)
	}
	if diff := cmp.Diff(l.state, folded); diff != "" {
		rt.Fatalf("the fold of the events is not the state:\n%s", diff)
	}
	if l.state.Status != l.status || l.state.EndedBy != l.endedBy {
		rt.Fatalf("is %s by %q, the model says %s by %q", l.state.Status, l.state.EndedBy, l.status, l.endedBy)
	}
	if l.state.Live == l.state.Status.Terminal() || (l.state.EndedMS != 0) == l.state.Live {
		rt.Fatalf("live %v, ended %d in %s", l.state.Live, l.state.EndedMS, l.state.Status)
	}
	if l.state.Live != (len(l.state.Timers) == 1) {
		rt.Fatalf("%s waits with timers %v", l.state.Status, l.state.Timers)
	}
	snapshot, err := l.state.Snapshot()
	if err != nil {
		rt.Fatal(err)
	}
	loaded, err := trip.Load(json.RawMessage(snapshot))
	if err != nil || cmp.Diff(l.state, loaded) != "" {
		rt.Fatalf("the snapshot is not the state: %v %s", err, cmp.Diff(l.state, loaded))
	}
}

func mustHave(rt *rapid.T, d trip.Decision, err error, want trip.Status) {
	if err != nil || d.Replayed || d.State.Status != want {
		rt.Fatalf("got %s, replayed %v, %v; want %s", d.State.Status, d.Replayed, err, want)
	}
}

func mustReplay(rt *rapid.T, d trip.Decision, err error) {
	if err != nil || !d.Replayed {
		rt.Fatalf("got %d events, %v; want a replay", len(d.Events), err)
	}
}

func mustRefuse(rt *rapid.T, err, want error) {
	if !errors.Is(err, want) {
		rt.Fatalf("got %v; want %v", err, want)
	}
}
