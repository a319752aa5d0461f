package actors_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/audit"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/trip"
	"weelo/store/sqlite"
)

// Customers, transporters, drivers, timers, crashes, zombies and a store that loses answers, all at once.
// Then: what was acknowledged has happened, every order ends, and the store keeps every invariant of
// docs/invariants.md. The seed is the test's name; SOAK_SEED=N begins at that one and plays five times as
// many.
func TestOrdersUnderChance(t *testing.T) {
	t.Parallel()
	first, seeds := uint64(0), uint64(12)
	if testing.Short() {
		seeds = 4
	}
	if text := os.Getenv("SOAK_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("SOAK_SEED: %v", err)
		}
		first, seeds = n, 60
		t.Logf("seeds %d to %d", first, first+seeds-1)
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			in(t, func(t *testing.T) { newStroll(t, seed).walk() })
		})
	}
}

// stroll is one random walk, and what was acknowledged on it.
type stroll struct {
	*market
	rng    *rand.Rand
	keys   int
	orders []string
	holds  []heldBy
	trips  map[string]trip.By     // confirmed ones and their drivers
	acked  map[string]trip.Status // the furthest a driver was told
	gone   map[string]bool        // orders whose cancellation was acknowledged
}

type heldBy struct {
	id       string
	by       order.By
	quantity int
}

func newStroll(t *testing.T, seed uint64) *stroll {
	s := &stroll{
		market: newMarket(t), rng: rand.New(rand.NewPCG(seed, 42)),
		trips: map[string]trip.By{}, acked: map[string]trip.Status{}, gone: map[string]bool{},
	}
	s.stands("T2", 4)
	return s
}

func (s *stroll) walk() {
	faults := rand.New(rand.NewPCG(s.rng.Uint64(), 1)) // asked by many, one at a time
	s.ledger.Break(func(ledger.Transition) actortest.Fault {
		if faults.IntN(12) != 0 {
			return actortest.NoFault
		}
		return []actortest.Fault{actortest.LostReply, actortest.LostWrite, actortest.Refused}[faults.IntN(3)]
	})
	for range 60 {
		s.step()
	}
	s.ledger.Break(nil)
	s.restart()
	<-time.After(4 * time.Minute) // holds, searches and acceptances have run out
	s.driveHome()
	<-time.After(time.Minute)
	s.check()
}

func (s *stroll) step() {
	switch s.rng.IntN(14) {
	case 0, 1:
		s.book()
	case 2, 3, 4:
		s.bid()
	case 5, 6, 7:
		s.assign()
	case 8, 9:
		s.answer()
	case 10:
		s.changeMind()
	case 11:
		if s.rng.IntN(3) == 0 {
			s.sys = nil // the task before lives on, a zombie
		}
		s.restart()
	default:
		<-time.After(time.Duration(1+s.rng.IntN(20)) * time.Second)
	}
	if s.rng.IntN(2) == 0 {
		synctest.Wait()
	}
}

// again does something as the apps do it: with one key, and once more while the answer is no answer.
func (s *stroll) again(do func(protocol.Repeat) error) error {
	s.keys++
	r := protocol.Repeat{Key: fmt.Sprint("key-", s.keys), Hash: "h"}
	for try := 0; ; try++ {
		err := do(r)
		if err == nil || try == 3 || !fault.From(err).Retryable() || errors.Is(err, order.ErrRebook) {
			return err
		}
		<-time.After(time.Second)
	}
}

func (s *stroll) book() {
	wish := asks(1+s.rng.IntN(3), "")
	_ = s.again(func(r protocol.Repeat) error {
		wish.Repeat = r
		reply, err := s.market.orders.Create(context.Background(), wish)
		if err == nil {
			s.orders = append(s.orders, reply.State.ID)
		}
		return err
	})
}

func (s *stroll) somebody() order.By {
	return []order.By{first, second}[s.rng.IntN(2)]
}

func (s *stroll) bid() {
	if len(s.orders) == 0 {
		return
	}
	by, quantity := s.somebody(), 1+s.rng.IntN(2)
	_ = s.again(func(r protocol.Repeat) error {
		reply, err := s.market.orders.Hold(context.Background(), protocol.HoldRequest{
			OrderID: s.orders[len(s.orders)-1], By: by, Type: "open", Subtype: "17 Feet", Quantity: quantity, Repeat: r,
		})
		if err == nil {
			s.holds = append(s.holds, heldBy{reply.Hold.ID, by, quantity})
		}
		return err
	})
}

// assign confirms, extends or gives up a hold.
func (s *stroll) assign() {
	if len(s.holds) == 0 {
		return
	}
	h := s.holds[s.rng.IntN(len(s.holds))]
	change := protocol.HoldChange{HoldID: h.id, By: h.by}
	switch s.rng.IntN(6) {
	case 0:
		_ = s.again(func(r protocol.Repeat) error {
			change.Repeat = r
			_, err := s.market.orders.ReleaseHold(context.Background(), change)
			return err
		})
		return
	case 1:
		_ = s.again(func(r protocol.Repeat) error {
			change.Repeat = r
			_, err := s.market.orders.ExtendHold(context.Background(), change)
			return err
		})
		return
	}
	crew := pick("V3", "D3")
	if h.by == first {
		crew = pick("V1", "D1", "V2", "D2")
		if s.rng.IntN(2) == 0 {
			crew = pick("V2", "D2", "V1", "D1")
		}
	}
	crew = crew[:min(h.quantity, len(crew))]
	_ = s.again(func(r protocol.Repeat) error {
		reply, err := s.market.orders.Confirm(context.Background(), protocol.ConfirmRequest{HoldID: h.id, By: h.by, Picks: crew, Repeat: r})
		if err == nil {
			for i, id := range reply.Hold.TripIDs {
				s.trips[id] = trip.By{User: crew[i].DriverID, Role: fleet.Driver, Fleet: h.by.User}
			}
		}
		return err
	})
}

// answer lets a driver accept, decline or go on.
func (s *stroll) answer() {
	for id, by := range s.trips { // any one
		var c trip.Command = trip.Accept{By: by}
		to := trip.DriverAccepted
		switch s.rng.IntN(5) {
		case 0:
			c, to = trip.Decline{By: by}, trip.DriverDeclined
		case 1:
			c, to = trip.ChangeStatus{By: by, To: trip.InTransit}, trip.InTransit
		}
		if _, err := s.sys.Ask(context.Background(), protocol.TripAddress(id), &protocol.TripCommand{Do: c}); err == nil {
			s.acked[id] = to
		}
		return
	}
}

// changeMind cancels now and then.
func (s *stroll) changeMind() {
	if len(s.orders) == 0 || s.rng.IntN(3) != 0 {
		return
	}
	id := s.orders[len(s.orders)-1]
	_ = s.again(func(r protocol.Repeat) error {
		_, err := s.market.orders.Cancel(context.Background(), protocol.OrderRequest{OrderID: id, By: asha, Reason: "no", Repeat: r})
		s.gone[id] = s.gone[id] || err == nil
		return err
	})
}

// driveHome completes every trip that is still under way.
func (s *stroll) driveHome() {
	for _, id := range s.orders {
		for _, slot := range s.stored(id).Slots {
			if slot.Status.OnTrip() {
				s.must(s.drive(slot.TripID, trip.ChangeStatus{By: trip.By{User: slot.DriverID, Role: fleet.Driver, Fleet: slot.TransporterID}, To: trip.Completed}))
			}
		}
	}
}

func (s *stroll) check() {
	for _, id := range s.orders {
		o := s.stored(id)
		if o.Live || len(o.Timers) != 0 {
			s.t.Errorf("order %s is %s for ever, timers %v", id, o.Status, o.Timers)
		}
		if s.gone[id] && o.Status != order.Cancelled {
			s.t.Errorf("order %s was cancelled and is %s", id, o.Status)
		}
	}
	for id, status := range s.acked {
		if got := s.trip(id); got.Reached[status] == 0 {
			s.t.Errorf("trip %s: %s was acknowledged and has not happened: %v", id, status, got.Reached)
		}
	}
	for id := range s.trips {
		if got := s.trip(id); got.Live {
			s.t.Errorf("trip %s is still %s", id, got.Status)
		}
	}
	report, err := audit.Run(context.Background(), sqlite.NewAudit(s.db), audit.Options{Now: time.Now(), Quiet: true})
	s.must(err)
	for _, b := range report.Breaches {
		s.t.Errorf("audit: %v", b)
	}
}
