package hub_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/transport/hub"
)

func equal(t *testing.T, got, want string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("wrote (-want +got):\n%s", d)
	}
}

func lines(ls ...string) string { return strings.Join(ls, "\n") }

func TestEventsLeaveByNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.inbox.add("c1", 1, 2)
		_, p := w.connect(t, "c1", fleet.Customer, "d", nil)

		w.Deliver(delivery("c1", 4))
		w.Deliver(delivery("c1", 5))
		synctest.Wait()
		equal(t, p.take(), "")
		w.Deliver(delivery("c1", 3))
		w.Deliver(delivery("c1", 4)) // twice
		synctest.Wait()
		equal(t, p.take(), lines("event 3 trip_status", "event 4 trip_status", "event 5 trip_status"))
		wait(time.Minute)
		if w.inbox.reads != 0 {
			t.Errorf("the inbox was read %d times for a gap that closed by itself", w.inbox.reads)
		}
	})
}

func TestGapIsReadFromTheInboxAfterItsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		w.inbox.add("c1", 1, 2, 3)
		w.Deliver(delivery("c1", 3))
		wait(hub.GapWait - time.Millisecond)
		synctest.Wait()
		equal(t, p.take(), "")
		wait(2 * time.Millisecond)
		synctest.Wait()
		equal(t, p.take(), lines("event 1 trip_status", "event 2 trip_status", "event 3 trip_status"))
	})
}

func TestGapSurvivesAFailingInbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		w.inbox.add("c1", 1, 2)
		w.inbox.failures = 3
		w.Deliver(delivery("c1", 2))
		wait(30 * time.Second)
		synctest.Wait()
		equal(t, p.take(), lines("event 1 trip_status", "event 2 trip_status"))
	})
}

func TestGapThatCannotBeReadEndsTheSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		w.inbox.failures = 1000
		w.Deliver(delivery("c1", 2))
		wait(time.Minute)
		synctest.Wait()
		equal(t, p.take(), "")
		if p.closeCode() != hub.CodeOverloaded {
			t.Errorf("close code %d, want %d", p.closeCode(), hub.CodeOverloaded)
		}
	})
}

func TestLiveEventsWaitForTheReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.inbox.add("c1", 1, 2, 3)
		p := newPipe()
		s := w.Attach(hub.Attachment{Identity: identity("c1", fleet.Customer), Codec: words{join: 64}, Transport: p})
		defer w.Detach(s)
		w.Deliver(delivery("c1", 3)) // before the plan: part of the replay
		plan, err := s.Plan(t.Context(), &hub.Resume{Stream: "s1", Seq: 1}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if plan.Mode != hub.Replay || plan.Head != 3 {
			t.Fatalf("plan %+v", plan)
		}
		w.Deliver(delivery("c1", 4)) // after it: live
		w.Notify("c1", "driver_connectivity", map[string]any{"online": true})
		if err := s.Begin(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		equal(t, p.take(), lines("event 2 trip_status replayed", "event 3 trip_status replayed", "synced 3",
			"event 4 trip_status", "event 0 driver_connectivity"))
	})
}

func TestResume(t *testing.T) {
	t.Parallel()
	resync := lines("trip t9 pending watch=", "synced 600")
	tests := []struct {
		name   string
		resume *hub.Resume
		age    time.Duration
		pruned int64 // entries up to here are gone
		mode   hub.Mode
		last   string
		count  int
	}{
		{name: "no resume asked for", mode: hub.Live},
		{name: "nothing missed", resume: &hub.Resume{Stream: "s1", Seq: 600}, mode: hub.Replay, last: "synced 600", count: 1},
		{name: "the most that is replayed", resume: &hub.Resume{Stream: "s1", Seq: 100}, mode: hub.Replay, last: "synced 600", count: 501},
		{name: "one more", resume: &hub.Resume{Stream: "s1", Seq: 99}, mode: hub.Resync, last: resync, count: 2},
		{name: "another stream", resume: &hub.Resume{Stream: "s0", Seq: 600}, mode: hub.Resync, last: resync, count: 2},
		{name: "a format without streams", resume: &hub.Resume{Seq: 598}, mode: hub.Replay, last: "synced 600", count: 3},
		{name: "ahead of the head", resume: &hub.Resume{Stream: "s1", Seq: 601}, mode: hub.Resync, last: resync, count: 2},
		{name: "pruned", resume: &hub.Resume{Stream: "s1", Seq: 500}, pruned: 550, mode: hub.Resync, last: resync, count: 2},
		{name: "a day old", resume: &hub.Resume{Stream: "s1", Seq: 590}, age: 24 * time.Hour, mode: hub.Replay, last: "synced 600", count: 11},
		{name: "older", resume: &hub.Resume{Stream: "s1", Seq: 590}, age: 24*time.Hour + time.Second, mode: hub.Resync, last: resync, count: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				for n := tt.pruned + 1; n <= 600; n++ {
					w.inbox.add("c1", n)
				}
				wait(tt.age)
				p := newPipe()
				s := w.Attach(hub.Attachment{Identity: identity("c1", fleet.Customer), Codec: words{join: 64}, Transport: p})
				defer w.Detach(s)
				plan, err := s.Plan(t.Context(), tt.resume, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				if plan.Mode != tt.mode || plan.Head != 600 || plan.Stream != "s1" {
					t.Errorf("plan %s head %d stream %s", plan.Mode, plan.Head, plan.Stream)
				}
				if err := s.Begin(t.Context(), plan); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				got := p.take()
				if !strings.HasSuffix(got, tt.last) {
					t.Errorf("wrote %q, want it to end with %q", got, tt.last)
				}
				if n := len(strings.Fields(strings.ReplaceAll(got, " ", "_"))); n != tt.count {
					t.Errorf("wrote %d messages, want %d", n, tt.count)
				}
			})
		})
	}
}

func TestReplayOnDemand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.inbox.add("c1", 1, 2, 3)
		s, p := w.connect(t, "c1", fleet.Customer, "d", nil)
		if err := s.Replay(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		w.Deliver(delivery("c1", 4))
		synctest.Wait()
		equal(t, p.take(), lines("event 2 trip_status replayed", "event 3 trip_status replayed", "synced 3", "event 4 trip_status"))
		if err := s.Replay(t.Context(), 99); err == nil {
			t.Error("a replay from the future was accepted")
		}
		w.Deliver(delivery("c1", 5))
		synctest.Wait()
		equal(t, p.take(), "event 5 trip_status")
	})
}

// wait lets d pass on the clock of the synctest bubble.
func wait(d time.Duration) { <-time.After(d) }
