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

func (w *world) shows(id string, version int64, open bool) {
	w.Offers([]protocol.OfferFrame{{Transporter: "o1", ID: id, Version: version, Open: open, Expires: time.Now().Add(time.Minute), Data: []byte(`{}`)}})
}

func TestOfferIsStateTheNewestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, p := w.connect(t, "o1", fleet.Transporter, "d", nil)
		_, tablet := w.connect(t, "o1", fleet.Transporter, "tablet", nil)
		w.shows("x", 1, true)
		synctest.Wait()
		equal(t, p.take(), "offer x v1 open")
		equal(t, tablet.take(), "offer x v1 open")
		equal(t, w.receipts.take(), lines("delivered o1 [x]", "delivered o1 [x]"))
		w.shows("x", 3, false)
		w.shows("x", 2, true) // overtaken
		w.shows("x", 3, false)
		synctest.Wait()
		equal(t, p.take(), "offer x v3 closed")
		if got := w.receipts.take(); got != "" {
			t.Errorf("a closed offer left a receipt: %s", got)
		}
	})
}

// TestOfferWaitsItsTurnAndOnlyTheNewest: while a connection takes nothing, versions take each other's
// place, but never the place before an event that was told in between.
func TestOfferWaitsItsTurnAndOnlyTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, p := w.connect(t, "o1", fleet.Transporter, "d", nil)
		p.hold(make(chan struct{}))
		w.Notify("o1", "stuck", 1)
		synctest.Wait()
		w.shows("x", 1, true)
		w.shows("y", 1, true)
		w.Deliver(delivery("o1", 1)) // says that x is closed, for instance
		w.shows("x", 2, false)
		w.shows("x", 3, true)
		close(p.waits())
		synctest.Wait()
		equal(t, p.take(), lines("event 0 stuck", "offer y v1 open", "event 1 trip_status", "offer x v3 open"))
		equal(t, w.receipts.take(), "delivered o1 [y x]")
	})
}

func TestOfferIsNeverLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.access.offers = []hub.Offer{{ID: "old", Version: 1, Open: true, Expires: time.Now()}}
		_, p := w.connect(t, "o1", fleet.Transporter, "d", nil)
		p.hold(make(chan struct{}))
		w.Notify("o1", "stuck", 1)
		synctest.Wait()
		w.Offers([]protocol.OfferFrame{{Transporter: "o1", ID: "x", Version: 1, Open: true, Expires: time.Now().Add(time.Second)}})
		wait(time.Second)
		close(p.waits())
		synctest.Wait()
		equal(t, p.take(), "event 0 stuck")
		if got := w.receipts.take(); got != "" {
			t.Errorf("receipts of what was not sent: %s", got)
		}
	})
}

// TestOpenOffersAreShownAgain: whoever begins gets what is open, after what he missed; what came live
// meanwhile is newer and stays.
func TestOpenOffersAreShownAgain(t *testing.T) {
	t.Parallel()
	open := func(id string, version int64) hub.Offer {
		return hub.Offer{ID: id, Version: version, Open: true, Expires: time.Now().Add(time.Minute), Data: []byte(`{}`)}
	}
	for name, test := range map[string]struct {
		resume *hub.Resume
		want   string
	}{
		"live": {nil, lines("offer closed v4 closed", "offer again v2 open replayed")},
		"replay": {
			&hub.Resume{Stream: "s1", Seq: 1},
			lines("event 2 trip_status replayed", "synced 2", "offer closed v4 closed", "offer again v2 open replayed"),
		},
		"resync": {
			&hub.Resume{Stream: "s0"},
			lines("trip t9 pending watch=", "offer again v2 open replayed", "synced 2", "offer closed v4 closed"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.inbox.add("o1", 1, 2)
				w.access.offers = []hub.Offer{open("again", 2), open("closed", 3)}
				p := newPipe()
				s := w.Attach(hub.Attachment{Identity: identity("o1", fleet.Transporter), Codec: words{join: 64}, Transport: p})
				defer w.Detach(s)
				plan, err := s.Plan(t.Context(), test.resume, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				w.shows("closed", 4, false)
				w.shows("closed", 2, true) // late
				synctest.Wait()
				equal(t, p.take(), "")
				if err := s.Begin(t.Context(), plan); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				// Of the state that a resync shows, what was still waiting gave way to the newer version.
				equal(t, strings.Replace(p.take(), "offer closed v3 open replayed\n", "", 1), test.want)
			})
		})
	}
}

func TestOnlyTransportersAreShownOffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.access.offers = []hub.Offer{{ID: "x", Version: 1, Open: true}}
		for _, role := range []fleet.Role{fleet.Customer, fleet.Driver, fleet.Ops} {
			s, p := w.connect(t, "u", role, string(role), nil)
			synctest.Wait()
			equal(t, p.take(), "")
			w.Detach(s)
		}
	})
}

// TestTooManyOffersBeforeTheBeginning ends the socket: what it would not be told could be a closing.
func TestTooManyOffersBeforeTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := newPipe()
		s := w.Attach(hub.Attachment{Identity: identity("o1", fleet.Transporter), Codec: words{join: 64}, Transport: p})
		defer w.Detach(s)
		for i := range hub.MaxQueued {
			w.shows(fmt.Sprint(i), 1, true)
		}
		synctest.Wait()
		if p.closeCode() != 0 {
			t.Fatalf("closed with %d", p.closeCode())
		}
		w.shows("more", 1, true)
		synctest.Wait()
		if p.closeCode() != hub.CodeSlow {
			t.Errorf("closed with %d", p.closeCode())
		}
	})
}

func TestSeenOffer(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, _ := w.connect(t, "o1", fleet.Transporter, "d", nil)
	s.SeenOffer("x")
	equal(t, w.receipts.take(), "seen o1 x")
}
