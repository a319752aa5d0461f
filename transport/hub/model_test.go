package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/transport/hub"
)

// TestAnyTrafficKeepsThePromises drives one socket with any mix of events in any order, lost events,
// positions, pauses of the reader and replays, and checks what came out: numbered events in order and
// once (replayed ones aside), positions of a trip never going back, nothing lost in the end.
func TestAnyTrafficKeepsThePromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"event", "event", "late", "lost", "pos", "pos", "pos", "pause", "go", "wait", "replay"}), 1, 60).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			s, p := w.connect(t, "t1", fleet.Transporter, "d", nil)
			watch(t, s, "f", hub.Scope{Kind: hub.Fleet, ID: "fleet"})
			watch(t, s, "w", hub.Scope{Kind: hub.Trip, ID: "trip0"})
			wrote := play(t, w, s, p, steps)
			if problem := check(wrote, w.inbox.entries["t1"]); problem != "" {
				rt.Fatalf("%s after %v:\n%s", problem, steps, strings.Join(wrote, "\n"))
			}
		})
	})
}

// play makes the steps happen and gives everything that was written.
func play(t *testing.T, w *world, s *hub.Socket, p *pipe, steps []string) []string {
	var (
		seq  int64
		n    int64
		late []int64
		gate chan struct{}
	)
	open := func() {
		if gate != nil {
			close(gate)
			gate = nil
			synctest.Wait()
			p.hold(nil)
		}
	}
	for _, step := range steps {
		switch step {
		case "event", "late", "lost":
			seq++
			w.inbox.add("t1", seq)
			switch step {
			case "event":
				w.Deliver(delivery("t1", append([]int64{seq}, late...)...))
				late = nil
			case "late":
				late = append(late, seq)
			}
		case "pos":
			n++
			w.Position(pos(fmt.Sprint("trip", n%3), n))
		case "pause":
			synctest.Wait()
			if gate == nil {
				gate = make(chan struct{})
				p.hold(gate)
			}
		case "go":
			open()
		case "wait":
			wait(60 * time.Millisecond)
		case "replay":
			if seq > 0 {
				_ = s.Replay(t.Context(), 1) // may be refused: a gap is open, or nothing was sent
			}
		}
	}
	open()
	seq++
	w.inbox.add("t1", seq)
	w.Deliver(delivery("t1", seq)) // shows the last gap
	wait(10 * time.Second)
	synctest.Wait()
	return strings.Split(p.take(), "\n")
}

// check names the first promise that was broken.
func check(wrote []string, inbox []ledger.InboxEntry) string {
	var last int64
	newest := map[string]int64{}
	for _, line := range wrote {
		switch {
		case strings.HasPrefix(line, "event ") && !strings.HasSuffix(line, "replayed"):
			var seq int64
			if _, err := fmt.Sscanf(line, "event %d", &seq); err != nil || seq != last+1 {
				return fmt.Sprintf("event %d came after %d", seq, last)
			}
			last = seq
		case strings.HasPrefix(line, "pos "):
			for _, one := range strings.Split(line, " + ") {
				var n int64
				trip, number, _ := strings.Cut(strings.TrimPrefix(one, "pos "), "/")
				if _, err := fmt.Sscan(number, &n); err != nil || n <= newest[trip] {
					return fmt.Sprintf("position %d of %s came after %d", n, trip, newest[trip])
				}
				newest[trip] = n
			}
		}
	}
	if last != int64(len(inbox)) {
		return fmt.Sprintf("%d of %d events came", last, len(inbox))
	}
	return ""
}
