package trip_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/fault"
	"weelo/internal/track"
	"weelo/internal/trip"
)

// life is a trip under random commands, beside a model that knows only what the apps may see.
type life struct {
	state    trip.State
	events   []trip.Event // everything that was decided
	versions int64
	now      time.Time

	status  trip.Status // the model
	endedBy string
}

// TestLife plays random commands in random order against a naive model and checks after each that
// only edges of the table were taken, that the fold of all events is the state, that a terminal
// status has no successor, and that every live state has an armed timer.
func TestLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := &life{now: start, status: trip.Pending}
		d, err := trip.Born(assignment(), l.now, trip.DefaultPolicy())
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
	d, err := trip.Decide(l.state, c, l.now, trip.DefaultPolicy())
	after, _ := l.state.Snapshot()
	if string(snapshot) != string(after) || before != "" {
		rt.Fatalf("%T wrote to the state it was given", c)
	}
	again, errAgain := trip.Decide(l.state, c, l.now, trip.DefaultPolicy())
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
	trip.LoadingComplete: 4, trip.InTransit: 5, trip.ArrivedAtDrop: 6, trip.Completed: 7}

func (l *life) step(rt *rapid.T) {
	to := rapid.SampledFrom([]trip.Status{trip.EnRoutePickup, trip.AtPickup, trip.LoadingComplete,
		trip.InTransit, trip.ArrivedAtDrop, trip.Completed}).Draw(rt, "to")
	d, err := l.decide(rt, trip.ChangeStatus{By: people["driver"], To: to})
	at := place[l.status]
	switch {
	case l.status == to:
		mustReplay(rt, d, err)
	case at == 7:
		mustRefuse(rt, err, trip.ErrCompleted)
	case at == 0:
		mustRefuse(rt, err, trip.ErrNotActive)
	case place[to] > at:
		l.status = to
		mustHave(rt, d, err, to)
	default:
		mustRefuse(rt, err, fault.New(fault.FailedPrecondition, "INVALID_STATUS_TRANSITION", ""))
	}
	if l.status == trip.Completed {
		l.endedBy = "driver"
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
	case l.status == trip.Completed:
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
	d, err := l.decide(rt, trip.NoteFix{AtMS: l.now.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "age"))).UnixMilli()})
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
