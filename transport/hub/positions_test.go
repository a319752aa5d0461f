package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/transport/hub"
)

func watch(t *testing.T, s *hub.Socket, id string, scope hub.Scope) {
	t.Helper()
	if err := s.Watch(t.Context(), id, scope); err != nil {
		t.Fatalf("watch %s: %v", id, err)
	}
}

func TestLoneWatcherIsNotDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		watch(t, s, "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		synctest.Wait()
		equal(t, p.take(), "trip a in_transit watch=w")
		for n := range int64(3) {
			w.Position(pos("a", n))
			synctest.Wait()
			equal(t, p.take(), fmt.Sprintf("pos a/%d", n))
		}
		w.Position(pos("b", 1))
		synctest.Wait()
		equal(t, p.take(), "")
	})
}

func TestPositionsOfSeveralTripsAreJoinedPerTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "t1", fleet.Transporter, "d", nil)
		watch(t, s, "f", hub.Scope{Kind: hub.Fleet, ID: "fleet"})
		synctest.Wait()
		wait(time.Second)
		w.Position(pos("a", 1))
		synctest.Wait()
		equal(t, p.take(), "pos a/1") // the first after a pause goes at once
		w.Position(pos("a", 2))
		w.Position(pos("b", 1))
		w.Position(pos("a", 3))
		wait(hub.Tick - time.Millisecond)
		synctest.Wait()
		equal(t, p.take(), "")
		wait(2 * time.Millisecond)
		synctest.Wait()
		equal(t, p.take(), "pos a/3 + pos b/1")
	})
}

func TestAtMost64PositionsAFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "t1", fleet.Transporter, "d", nil)
		watch(t, s, "f", hub.Scope{Kind: hub.Fleet, ID: "fleet"})
		w.Position(pos("x", 1))
		synctest.Wait()
		p.take()
		for n := range 150 {
			w.Position(pos(fmt.Sprint("t", n), 1))
			w.Position(pos(fmt.Sprint("t", n), 2))
		}
		wait(time.Second)
		synctest.Wait()
		var sizes []int
		for _, frame := range strings.Split(p.take(), "\n") {
			sizes = append(sizes, 1+strings.Count(frame, " + "))
			if strings.Contains(frame, "/1") {
				t.Errorf("an older position was sent: %s", frame)
			}
		}
		equal(t, fmt.Sprint(sizes), "[64 64 22]")
	})
}

func TestASocketSeesAPositionOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "t1", fleet.Transporter, "d", nil)
		watch(t, s, "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		watch(t, s, "o", hub.Scope{Kind: hub.Order, ID: "order"})
		watch(t, s, "f", hub.Scope{Kind: hub.Fleet, ID: "fleet"})
		wait(time.Second)
		synctest.Wait()
		p.take()
		w.Position(pos("a", 1))
		wait(time.Second)
		synctest.Wait()
		equal(t, p.take(), "pos a/1")
		w.Position(pos("b", 1))
		wait(time.Second)
		synctest.Wait()
		equal(t, p.take(), "pos b/1")
	})
}

func TestSlowReaderSeesTheNewestOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		watch(t, s, "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		synctest.Wait()
		p.take()
		p.hold(make(chan struct{}))
		for n := range int64(1000) {
			w.Position(pos("a", n))
			if n == 0 {
				synctest.Wait()
			}
		}
		close(p.waits())
		synctest.Wait()
		equal(t, p.take(), lines("pos a/0", "pos a/999"))
	})
}

func TestStuckWriterIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		go func() { _ = w.Run(t.Context()) }()
		s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		synctest.Wait()
		p.hold(make(chan struct{}))
		s.Send([]byte("one"))
		wait(hub.WriteWait)
		if p.closeCode() != 0 {
			t.Fatal("closed too early")
		}
		wait(3 * time.Second)
		synctest.Wait()
		if p.closeCode() != hub.CodeSlow {
			t.Errorf("close code %d", p.closeCode())
		}
	})
}

func TestFullQueueEndsTheSocket(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		size    int
		fitting int
	}{
		{"by number", 1, hub.MaxQueued},
		{"by bytes", 64 << 10, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
				p.hold(make(chan struct{}))
				s.Send([]byte("in the writer's hands"))
				synctest.Wait()
				for n := range tt.fitting {
					if !s.Send(make([]byte, tt.size)) {
						t.Fatalf("message %d was refused", n+1)
					}
				}
				if s.Send([]byte("x")) {
					t.Error("one more was accepted")
				}
				synctest.Wait()
				if p.closeCode() != hub.CodeSlow {
					t.Errorf("close code %d", p.closeCode())
				}
			})
		})
	}
}

func TestNothingIsShownBeforeAccessAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		w.access.hold = make(chan struct{})
		w.access.forbid("c1", "b")
		errs := make(chan error, 2)
		go func() { errs <- s.Watch(t.Context(), "w", hub.Scope{Kind: hub.Trip, ID: "a"}) }()
		synctest.Wait()
		w.Position(pos("a", 1))
		w.Position(pos("a", 2))
		w.TripChanged(protocol.TripView{TripID: "a", Status: "completed"})
		synctest.Wait()
		equal(t, p.take(), "")
		w.access.hold <- struct{}{}
		synctest.Wait()
		equal(t, p.take(), lines("trip a in_transit watch=w", "pos a/2"))

		go func() { errs <- s.Watch(t.Context(), "v", hub.Scope{Kind: hub.Trip, ID: "b"}) }()
		synctest.Wait()
		w.Position(pos("b", 1))
		w.access.hold <- struct{}{}
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		if err := <-errs; err == nil {
			t.Error("a forbidden watch was allowed")
		}
		w.Position(pos("b", 2))
		wait(time.Second)
		synctest.Wait()
		equal(t, p.take(), "")
	})
}

func TestWatchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, _ := w.connect(t, "c1", fleet.Customer, "d", nil)
		for n := range hub.MaxWatches {
			watch(t, s, fmt.Sprint(n), hub.Scope{Kind: hub.Trip, ID: fmt.Sprint(n)})
			synctest.Wait()
		}
		if err := s.Watch(t.Context(), "more", hub.Scope{Kind: hub.Trip, ID: "more"}); err == nil {
			t.Error("one more was allowed")
		}
		watch(t, s, "7", hub.Scope{Kind: hub.Trip, ID: "7"})
		if err := s.Watch(t.Context(), "7", hub.Scope{Kind: hub.Trip, ID: "8"}); err == nil {
			t.Error("an id was used for another trip")
		}
		if !s.Unwatch("7") || s.Unwatch("7") {
			t.Error("unwatch did not work once")
		}
		watch(t, s, "more", hub.Scope{Kind: hub.Trip, ID: "more"})
	})
}

func TestTripEndedLetsWatchersGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		go func() { _ = w.Run(t.Context()) }()
		old, oldPipe := w.connect(t, "d1", fleet.Driver, "d", nil)
		customer, pipe := w.connect(t, "c1", fleet.Customer, "d", nil)
		watch(t, old, "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		watch(t, customer, "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		synctest.Wait()
		oldPipe.take()
		pipe.take()

		w.TripChanged(protocol.TripView{TripID: "a", Status: "in_transit", Driver: protocol.Person{ID: "d2"}})
		synctest.Wait()
		equal(t, oldPipe.take(), "unwatched w forbidden")
		equal(t, pipe.take(), "trip a in_transit watch=w")
		w.Position(pos("a", 1))
		synctest.Wait()
		equal(t, oldPipe.take(), "")
		equal(t, pipe.take(), "pos a/1")

		w.TripChanged(protocol.TripView{TripID: "a", Status: "completed", EndedMS: 1})
		w.TripEnded(protocol.TripEnded{TripID: "a", Reason: "ended"})
		w.Position(pos("a", 2))
		synctest.Wait()
		equal(t, pipe.take(), lines("trip a completed watch=w", "unwatched w ended"))
	})
}

// TestATripThatComesToNothingSaysSo: everybody is let go, after the last position, and told that another
// truck is looked for.
func TestATripThatComesToNothingSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		go func() { _ = w.Run(t.Context()) }()
		pipes := map[string]*pipe{}
		for user, role := range map[string]fleet.Role{"d1": fleet.Driver, "c1": fleet.Customer, "t1": fleet.Transporter, "o1": fleet.Ops} {
			s, p := w.connect(t, user, role, "d", nil)
			watch(t, s, "w", hub.Scope{Kind: hub.Trip, ID: "a"})
			pipes[user] = p
		}
		synctest.Wait()
		for _, p := range pipes {
			p.take()
		}
		w.Position(pos("a", 1))
		w.TripEnded(protocol.TripEnded{TripID: "a", Reason: protocol.WatchReassigned})
		w.Position(pos("a", 2))
		synctest.Wait()
		for user, p := range pipes {
			if got, want := p.take(), lines("pos a/1", "unwatched w reassigned"); got != want {
				t.Errorf("%s got %q", user, got)
			}
		}
	})
}

// TestTheNewestStateLetsOthersGo: a trip that names somebody else in a watcher's place is not shown to him
// any more, from that very state on.
func TestTheNewestStateLetsOthersGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		pipes := map[string]*pipe{}
		sockets := map[string]*hub.Socket{}
		for user, role := range map[string]fleet.Role{
			"d1": fleet.Driver, "d2": fleet.Driver, "c1": fleet.Customer, "c2": fleet.Customer, "t1": fleet.Transporter, "t2": fleet.Transporter, "o1": fleet.Ops,
		} {
			sockets[user], pipes[user] = w.connect(t, user, role, "d", nil)
			watch(t, sockets[user], "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		}
		former := identity("d1", fleet.Driver) // d1, who drives for another by now
		former.TransporterID = "t2"
		sockets["f2"], pipes["f2"] = w.connectAs(t, former, "his other phone", nil)
		watch(t, sockets["f2"], "w", hub.Scope{Kind: hub.Trip, ID: "a"})
		synctest.Wait()
		for _, p := range pipes {
			p.take()
		}
		w.TripChanged(protocol.TripView{TripID: "a", Status: "in_transit", Customer: "c1", Transporter: "t1", Driver: protocol.Person{ID: "d1"}})
		w.Position(pos("a", 1))
		synctest.Wait()
		for user, p := range pipes {
			want := lines("trip a in_transit watch=w", "pos a/1")
			if user[1] == '2' {
				want = "unwatched w forbidden"
			}
			if got := p.take(); got != want {
				t.Errorf("%s got %q", user, got)
			}
			if there := sockets[user].Unwatch("w"); there != (user[1] != '2') {
				t.Errorf("%s still watches: %v", user, there)
			}
		}
	})
}

// TestAStateThatNamesOthersWhileAWatchStarts: the answer of Access is older than the state.
func TestAStateThatNamesOthersWhileAWatchStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, p := w.connect(t, "d2", fleet.Driver, "d", nil)
		w.access.hold = make(chan struct{})
		done := make(chan error, 1)
		go func() { done <- s.Watch(t.Context(), "w", hub.Scope{Kind: hub.Trip, ID: "a"}) }()
		synctest.Wait()
		w.TripChanged(protocol.TripView{TripID: "a", Status: "at_pickup", Version: 9, Driver: protocol.Person{ID: "d1"}})
		w.Position(pos("a", 1))
		w.access.hold <- struct{}{}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := p.take(); strings.Contains(got, "at_pickup") || strings.Contains(got, "pos") || !strings.HasSuffix(got, "unwatched w forbidden") {
			t.Errorf("got %q", got)
		}
		if s.Unwatch("w") {
			t.Error("the watch is still there")
		}
	})
}

func TestWatchOfAnEndedTripEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		scope := hub.Scope{Kind: hub.Trip, ID: "a"}
		w.access.views[scope] = []protocol.TripView{{TripID: "a", Status: "completed", EndedMS: 1}}
		s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		watch(t, s, "w", scope)
		synctest.Wait()
		equal(t, p.take(), lines("trip a completed watch=w", "unwatched w ended"))
	})
}

func TestSocketsPerUser(t *testing.T) {
	t.Parallel()
	for role, most := range map[fleet.Role]int{fleet.Driver: 2, fleet.Customer: 5, fleet.Transporter: 10, fleet.Ops: 10} {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var pipes []*pipe
				for n := range most {
					_, p := w.connect(t, "u", role, fmt.Sprint(n), nil)
					pipes = append(pipes, p)
				}
				_, again := w.connect(t, "u", role, "1", nil) // same device: its old one goes
				_, more := w.connect(t, "u", role, "more", nil)
				synctest.Wait()
				for n, p := range pipes {
					want := 0
					if n == 0 || n == 1 { // the oldest, and the same device
						want = hub.CodeReplaced
					}
					if p.closeCode() != want {
						t.Errorf("socket %d: close code %d, want %d", n, p.closeCode(), want)
					}
				}
				if again.closeCode() != 0 || more.closeCode() != 0 || w.Count() != most {
					t.Errorf("close codes %d %d, %d sockets", again.closeCode(), more.closeCode(), w.Count())
				}
			})
		})
	}
}

func TestDrainIsSpreadOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var pipes []*pipe
		for n := range 100 {
			_, p := w.connect(t, fmt.Sprint("c", n), fleet.Customer, "d", nil)
			pipes = append(pipes, p)
		}
		done := make(chan error, 1)
		go func() { done <- w.Drain(t.Context(), 10*time.Second, 2*time.Second) }()
		closed := func() (n int) {
			for _, p := range pipes {
				if p.closeCode() == hub.CodeRestart {
					n++
				}
			}
			return n
		}
		wait(5 * time.Second)
		synctest.Wait()
		if n := closed(); n < 45 || n > 55 {
			t.Errorf("%d of 100 closed at half time", n)
		}
		wait(6 * time.Second)
		synctest.Wait()
		if err := <-done; err != nil || closed() != 100 || !w.Draining() {
			t.Errorf("%d of 100 closed, %v", closed(), err)
		}
		equal(t, pipes[0].take(), "goaway 2s")
	})
}
