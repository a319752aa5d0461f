package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/store/sqlite"
)

func TestTripCommandIsRepeatableByKey(t *testing.T) {
	each(t, func(t *testing.T, l *actortest.Ledger) {
		r := newRoad(t, l)
		id := r.assign(wanted())
		accept := &protocol.TripCommand{Do: trip.Accept{By: ravi}, Key: "k1"}
		first, err := r.command(id, accept)
		if err != nil {
			t.Fatal(err)
		}
		r.must(id, trip.ChangeStatus{By: ravi, To: trip.InTransit})
		r.restart()
		again, err := r.command(id, accept)
		// The trip has moved on, and the answer is the first one all the same.
		if err != nil || !again.Replayed || again.Version != first.Version || again.State.Status != first.State.Status {
			t.Fatalf("again = %+v, %v", again, err)
		}
		if got := r.stored(id); got.Status != trip.InTransit {
			t.Fatalf("stored = %s", got.Status)
		}
		for _, other := range []trip.Command{trip.ChangeStatus{By: ravi, To: trip.Completed}, trip.ChangeStatus{By: ravi, To: trip.ArrivedAtDrop}} {
			_, err = r.command(id, &protocol.TripCommand{Do: other, Key: "k1"})
			wantErr(t, err, actors.ErrKeyReused)
		}
	})
}

// struck is a store of strikes.
type struck struct {
	mu       sync.Mutex
	of       map[ledger.Ref][]ledger.Struck
	releases []ledger.Release
	down     bool
}

func (s *struck) Strike(_ context.Context, h ledger.Harm) (ledger.Struck, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.of[h.Ref] {
		if c.CommandID == h.CommandID {
			c.Strikes, c.Last = c.Strikes+1, h.At
			s.of[h.Ref][i] = c
			return c, nil
		}
	}
	c := ledger.Struck{CommandID: h.CommandID, Strikes: 1, Last: h.At}
	s.of[h.Ref] = append(s.of[h.Ref], c)
	return c, nil
}

func (s *struck) Released(_ context.Context, since time.Time) (list []ledger.Release, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errors.New("planted: the store is down")
	}
	for _, r := range s.releases {
		if !r.At.Before(since) {
			list = append(list, r)
		}
	}
	return list, nil
}

func (s *struck) Strikes(_ context.Context, ref ledger.Ref) ([]ledger.Struck, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errors.New("planted: the store is down")
	}
	return slices.Clone(s.of[ref]), nil
}

// A restart does not forgive, nor does time: a command that was quarantined before never reaches the
// actor again, and others do. When the store cannot be asked the actor starts all the same.
func TestStrikesOutliveTheTask(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		to := born(l, "a")
		kept := &struck{of: map[ledger.Ref][]ledger.Struck{}}
		for task, asked := range []int{3, 1, 1} {
			s := actortest.Start(t, actors.Config{Quarantine: kept}, toys(ports(l), nil))
			var err error
			for range asked {
				_, err = ask(t, s, to, bomb{"b"})
				synctest.Wait()
			}
			wantErr(t, err, actors.ErrPoisoned)
			if got := kept.of[ledger.Ref{Kind: ledger.Trip, ID: "a"}]; len(got) != 1 || got[0].Strikes != 3 {
				t.Fatalf("strikes after task %d: %+v, want three", task+1, got)
			}
			if got := must[toyReply](t)(ask(t, s, to, add{id: "fine"})); got.Ops != task+1 {
				t.Fatalf("another command = %+v", got)
			}
			<-time.After(time.Hour)
			_, err = ask(t, s, to, bomb{"b"})
			wantErr(t, err, actors.ErrPoisoned)
		}
		kept.down = true
		s := actortest.Start(t, actors.Config{Quarantine: kept}, toys(ports(l), nil))
		if got := must[toyReply](t)(ask(t, s, to, add{id: "fine"})); got.Ops != 4 {
			t.Fatalf("with the store down = %+v", got)
		}
	})
}

// A release reaches the actors of every task within seconds, however many strikes they remember. The
// command may break its actor three times more before it is kept from it again.
func TestAReleasedCommandIsTriedAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		to := born(l, "a")
		kept := &struck{of: map[ledger.Ref][]ledger.Struck{}}
		s := actortest.Start(t, actors.Config{Quarantine: kept}, toys(ports(l), nil))
		run(t, s.WatchQuarantine)
		breaks := func(id string, want ...*fault.Error) {
			t.Helper()
			for _, want := range want {
				_, err := ask(t, s, to, bomb{id})
				wantErr(t, err, want)
				synctest.Wait()
			}
		}
		again, out := actors.ErrInterrupted, actors.ErrPoisoned
		breaks("b", again, again, out, out)
		breaks("c", again, again, out)
		<-time.After(time.Hour)
		ref := ledger.Ref{Kind: ledger.Trip, ID: "a"}
		kept.mu.Lock()
		kept.down = true // the store is away for a while, as it happens
		kept.of[ref][0].Strikes, kept.of[ref][0].Releases = 0, 1
		kept.releases = []ledger.Release{{Ref: ref, CommandID: "b", Releases: 1, At: time.Now()}}
		kept.mu.Unlock()
		<-time.After(10 * time.Minute)
		breaks("b", out)
		kept.mu.Lock()
		kept.down = false
		kept.mu.Unlock()
		<-time.After(3 * time.Second)
		breaks("b", again, again, out, out)
		breaks("c", out) // nobody released that one
		<-time.After(3 * time.Second)
		breaks("b", out) // the same release is no news
		kept.mu.Lock()
		defer kept.mu.Unlock()
		if got := kept.of[ref][0]; got.Strikes != 3 || got.Releases != 1 {
			t.Errorf("stored %+v", got)
		}
	})
}

// A message without an id is nobody's to refuse for ever: after a while it is tried again.
func TestNamelessStrikesAreForgotten(t *testing.T) {
	in(t, func(t *testing.T) {
		l := actortest.NewLedger()
		to := born(l, "a")
		kept := &struck{of: map[ledger.Ref][]ledger.Struck{}}
		s := actortest.Start(t, actors.Config{Quarantine: kept}, toys(ports(l), nil))
		for _, want := range []*fault.Error{actors.ErrInterrupted, actors.ErrInterrupted, actors.ErrPoisoned, actors.ErrPoisoned} {
			_, err := ask(t, s, to, bomb{})
			wantErr(t, err, want)
		}
		<-time.After(11 * time.Minute)
		_, err := ask(t, s, to, bomb{})
		wantErr(t, err, actors.ErrInterrupted)
		if len(kept.of) != 0 {
			t.Fatalf("stored %+v", kept.of)
		}
	})
}

// A batch that a phone uploads goes through the recorder into history and from there into the
// odometer, on the store that weelo dev runs on.
func TestBatchReachesTheOdometer(t *testing.T) {
	in(t, func(t *testing.T) {
		l, db := sqliteStore(t)
		r := newRoad(t, l)
		fixes := sqlite.NewFixes(db)
		r.tracks = fixes
		r.restart()
		recorder, err := history.NewRecorder(fixes, sqlite.NewTripReads(db), time.Now, slog.New(slog.DiscardHandler), history.Config{Rules: track.DefaultRules()})
		if err != nil {
			t.Fatal(err)
		}
		run(t, recorder.Run)
		batches := &actors.TrackRecorder{Recorder: recorder, Router: r.sys}

		id := r.assign(wanted())
		r.must(id, trip.Accept{By: ravi})
		var all []track.Fix
		for step := range 6 {
			<-time.After(10 * time.Second)
			f := fixAt(time.Now(), 12.97+float64(step)*0.001, 77.59)
			all = append(all, f)
		}
		result, err := batches.Record(t.Context(), fleet.Member{Driver: "D1", Fleet: "T1"}, id, all)
		if err != nil || result.TripID != id || result.Accepted != 6 {
			t.Fatalf("recorded %+v, %v", result, err)
		}
		<-time.After(31 * time.Second)
		got, err := r.command(id, &protocol.GetTrip{})
		want := track.Track{}.Extend(all, track.DefaultRules())
		if err != nil || got.State.Track.Whole.OdometerM() != want.Whole.OdometerM() {
			t.Fatalf("odometer = %d m, %v, want %d m", got.State.Track.Whole.OdometerM(), err, want.Whole.OdometerM())
		}
	})
}

// The task dies between the end of a trip and the last fold of its track: the fold is a timer row.
func TestLastFoldOutlivesTheTask(t *testing.T) {
	for name, drive := range map[string]int{"driven": 10, "not driven": 0} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, l *actortest.Ledger) {
				r := newRoad(t, l)
				id := r.assign(wanted())
				r.must(id, trip.Accept{By: ravi})
				var all []track.Fix
				for step := range drive {
					<-time.After(10 * time.Second)
					f := fixAt(time.Now(), 12.97+float64(step)*0.001, 77.59)
					all = append(all, f)
					r.fixes.Add("D1", f) // and nobody tells the trip
				}
				<-time.After(10 * time.Second)
				r.must(id, trip.ChangeStatus{By: ravi, To: trip.Completed})
				r.restart()
				run(t, (&actors.Sweeper{Timers: l, Router: r.sys, Log: slog.New(slog.DiscardHandler)}).Run)
				<-time.After(20 * time.Second)
				want := track.Track{}.Extend(all, track.DefaultRules())
				if got := r.stored(id).Track; got.Whole.OdometerM() != want.Whole.OdometerM() || (drive > 0 && got.Whole.OdometerM() == 0) {
					t.Fatalf("odometer = %d m, want %d m", got.Whole.OdometerM(), want.Whole.OdometerM())
				}
				if left, err := l.Overdue(t.Context(), time.Now().Add(100*time.Hour), ledger.Timer{}, 10); err != nil || len(left) != 0 {
					t.Fatalf("timers left: %v, %v", left, err)
				}
			})
		})
	}
}
