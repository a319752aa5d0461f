package ws_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/client"
	"weelo/internal/fleet"
	"weelo/internal/track"
)

// open starts the product's own client against the server.
func (s *server) session(t *testing.T, user string, role fleet.Role) *client.Session {
	t.Helper()
	c := client.NewSession(client.Config{
		BaseURL: "http://weelo.test", Device: "phone", HTTP: s.client(),
		Token: func(context.Context, bool) (string, error) { return s.login(user, role, time.Hour), nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range c.Frames() { // until it is closed
		}
		if err := <-done; err != nil {
			t.Errorf("session: %v", err)
		}
	})
	return c
}

// TestEventsArriveOnceAndInOrderOverAnyCut delivers events in changing order, loses some deliveries
// (the inbox has them), and cuts the connection again and again.
func TestEventsArriveOnceAndInOrderOverAnyCut(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server) {
				random := rand.New(rand.NewPCG(seed, 7))
				c := s.session(t, "C1", fleet.Customer)
				const events = 400
				go func() {
					var late []protocol.Delivery
					for n := int64(1); n <= events; n++ {
						wait(time.Duration(random.IntN(300)) * time.Millisecond)
						d := s.deliver(n)
						switch random.IntN(10) {
						case 0: // lost
						case 1, 2:
							late = append(late, d)
						default:
							s.hub.Deliver(append([]protocol.Delivery{d}, late...))
							late = nil
						}
						if random.IntN(20) == 0 {
							s.hub.Disconnect("C1", "", 1012, "cut")
						}
					}
					s.hub.Deliver([]protocol.Delivery{s.deliver(events + 1)}) // shows the last gap, if there is one
				}()
				var last int64
				cut := time.After(time.Hour)
				for last <= events {
					select {
					case f := <-c.Frames():
						switch {
						case f.Received == nil || f.T != "event":
							if f.Received != nil && f.T == "welcome" && f.Mode == "live" {
								last = f.Head
							}
						case f.Seq != last+1:
							t.Fatalf("event %d came after %d", f.Seq, last)
						default:
							last = f.Seq
						}
					case <-cut:
						t.Fatalf("event %d never came", last+1)
					}
				}
				if c.Connects() < 3 {
					t.Errorf("the connection was cut %d times only", c.Connects()-1)
				}
			}, unlimited)
		})
	}
}

func TestClientSendsBatchesAndWatches(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		driver := s.session(t, "D1", fleet.Driver)
		now := time.Now()
		ack, err := driver.Fixes(t.Context(), []track.Fix{{TS: now.UnixMilli(), Lat: 12.9, Lng: 77.5}}, "")
		if err != nil || ack.Accepted != 1 {
			t.Fatalf("%+v, %v", ack, err)
		}
		if !driver.Fix(t.Context(), track.Fix{TS: now.UnixMilli() + 1, Lat: 12.9, Lng: 77.5}, "trip-1") {
			t.Error("a fix was dropped")
		}
		synctest.Wait()
		if len(s.reported) != 2 {
			t.Errorf("reported %v", s.reported)
		}
		watcher := s.session(t, "C1", fleet.Customer)
		if err := watcher.Watch(t.Context(), "w", "trip", "trip-1"); err != nil {
			t.Fatal(err)
		}
		for f := range watcher.Frames() {
			if f.Received != nil && f.T == "trip" {
				break
			}
		}
		synctest.Wait()
		s.hub.Position(position(9))
		if f := <-watcher.Frames(); len(f.Positions) != 1 || f.Positions[0].Fix.N != 9 || f.Positions[0].Trip != "trip-1" {
			t.Errorf("%+v", f)
		}
	})
}
