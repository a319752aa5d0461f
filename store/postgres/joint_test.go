package postgres_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/ledger"
	"weelo/internal/servertest"
	"weelo/store/postgres"
)

// jointLoad is a small hot table: trips that everybody steps, in batches and together with their order,
// and a few drivers and vehicles that everybody gives trips to, in crossed pairs.
type jointLoad struct {
	orders []ledger.Ref // shared, with tripsOf each
	trips  map[ledger.Ref][]ledger.Ref
	strict bool
}

const (
	hotOrders  = 3
	tripsOf    = 6
	hotDrivers = 5
	hotRounds  = 50
)

func newJointLoad(t *testing.T, w ledger.Writer, strict bool) *jointLoad {
	t.Helper()
	l := &jointLoad{trips: map[ledger.Ref][]ledger.Ref{}, strict: strict}
	for range hotOrders {
		order := bornOrder(t, w)
		l.orders = append(l.orders, order)
		for range tripsOf {
			l.trips[order] = append(l.trips[order], bornTrip(t, w))
		}
	}
	return l
}

func bornOrder(t *testing.T, w ledger.Writer) ledger.Ref {
	t.Helper()
	ref := ledger.Ref{Kind: ledger.Order, ID: uuid.NewString()}
	if o := w.Commit(t.Context(), []ledger.Transition{transition(ref, 0, 0)})[0]; o.Status != ledger.Committed {
		t.Fatalf("birth: %v (%v)", o.Status, o.Err)
	}
	return ref
}

// check looks at outcomes. A version and epoch that were guessed may become true between the look at the
// row and the look for the reason: Broken, which no owner can meet.
func (l *jointLoad) check(t *testing.T, outcomes []ledger.Outcome) bool {
	for _, o := range outcomes {
		if o.Status == ledger.Unknown || (o.Status == ledger.Failed && l.strict) {
			t.Errorf("%v (%v)", o.Status, o.Err)
		}
	}
	return outcomes[0].Status == ledger.Committed
}

// plain steps trips and orders in batches, in any order.
func (l *jointLoad) plain(t *testing.T, w postgres.Writer, claimer ledger.Claimer, random *rand.Rand) {
	for range hotRounds {
		var batch []ledger.Transition
		for _, order := range l.orders {
			for _, ref := range slices.Concat(l.trips[order], []ledger.Ref{order}) {
				if random.IntN(4) > 0 {
					tr := transition(ref, 1+random.Int64N(8), random.Int64N(3))
					tr.Events[0].Recipients = []string{fmt.Sprint("r", random.IntN(3)), fmt.Sprint("r", random.IntN(3))}
					batch = append(batch, tr)
				}
			}
		}
		random.Shuffle(len(batch), func(i, k int) { batch[i], batch[k] = batch[k], batch[i] })
		l.check(t, w.Commit(t.Context(), batch))
		ref := batch[random.IntN(len(batch))].Ref
		if _, err := claimer.Claim(t.Context(), ref, "n"); err != nil && l.strict {
			t.Error(err)
		}
	}
}

// cancels steps an order together with all its trips, named in any order.
func (l *jointLoad) cancels(t *testing.T, w postgres.Writer, random *rand.Rand) {
	for range hotRounds {
		order := l.orders[random.IntN(len(l.orders))]
		ts := []ledger.Transition{transition(order, 1+random.Int64N(4), random.Int64N(3))}
		for _, i := range random.Perm(tripsOf) {
			ts = append(ts, transition(l.trips[order][i], 1+random.Int64N(4), random.Int64N(3)))
		}
		for i := range ts {
			ts[i].Events[0].Recipients = []string{fmt.Sprint("r", random.IntN(3)), fmt.Sprint("r", random.IntN(3))}
		}
		l.check(t, w.CommitTogether(t.Context(), ts))
	}
}

// confirms gives birth to trips of drivers and vehicles in crossed pairs, with an order of its own that is
// offered to people who answer meanwhile, and ends them again.
func (l *jointLoad) confirms(t *testing.T, w postgres.Writer, offers ledger.Offers, random *rand.Rand) {
	order := bornOrder(t, w)
	version := int64(1)
	for range hotRounds {
		drivers, vehicles := random.Perm(hotDrivers), random.Perm(hotDrivers)
		ts := []ledger.Transition{transition(order, version, 0)}
		var receipts []ledger.OfferReceipt
		for i := range 4 {
			id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(order.ID+fmt.Sprint(i))).String()
			ts[0].Offers = append(ts[0].Offers, ledger.OfferChange{ID: id, Recipient: fmt.Sprint("r", i), Open: true, Expires: time.Now(), Data: json.RawMessage(`{}`)})
			receipts = append(receipts, ledger.OfferReceipt{ID: id, Recipient: fmt.Sprint("r", i), Seen: time.Now()})
		}
		if random.IntN(2) == 0 {
			ts[0].CloseOffers, ts[0].Offers = &ledger.OfferClosing{Reason: "x"}, ts[0].Offers[2:]
		}
		for i := range 3 {
			tr := transition(ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, 0, 0)
			tr.State = json.RawMessage(fmt.Sprintf(`{"live":true,"driverId":"d%d","vehicleId":"v%d"}`, drivers[i], vehicles[i]))
			tr.Events[0].Recipients = []string{fmt.Sprint("r", random.IntN(3)), fmt.Sprint("r", random.IntN(3))}
			ts = append(ts, tr)
		}
		if err := offers.Receipt(t.Context(), receipts); err != nil && l.strict {
			t.Error(err)
		}
		if !l.check(t, w.CommitTogether(t.Context(), ts)) {
			continue
		}
		version++
		end := []ledger.Transition{transition(order, version, 0)}
		for _, born := range ts[1:] {
			tr := transition(born.Ref, 1, 0)
			tr.State = json.RawMessage(`{"live":false}`)
			end = append(end, tr)
		}
		for !l.check(t, w.CommitTogether(t.Context(), end)) { // only a deadlock too many can refuse it
			if l.strict || t.Context().Err() != nil {
				t.Error("an end that nobody contests was refused")
				return
			}
		}
		version++
	}
}

// jointDeadlocks lets two tasks work on the hot table with every lane at once, and counts deadlocks.
func jointDeadlocks(t *testing.T, writer func(*postgres.DB) postgres.Writer, strict bool) int {
	t.Helper()
	server := servertest.PrivatePostgres(t, "deadlock_timeout=20ms", "fsync=off")
	url := server.Database(t)
	var lanes sync.WaitGroup
	var load *jointLoad
	for task := range uint64(2) {
		db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		w := writer(db)
		if load == nil {
			load = newJointLoad(t, w, strict)
		}
		random := func(lane uint64) *rand.Rand { return rand.New(rand.NewPCG(task, lane)) }
		lanes.Go(func() { load.plain(t, w, postgres.NewClaimer(db), random(1)) })
		lanes.Go(func() { load.cancels(t, w, random(2)) })
		lanes.Go(func() { load.confirms(t, w, postgres.NewOffers(db), random(3)) })
		lanes.Go(func() { load.confirms(t, w, postgres.NewOffers(db), random(4)) })
	}
	lanes.Wait()
	return countDeadlocks(t, server)
}

func TestJointTransactionsHaveNoDeadlocks(t *testing.T) {
	t.Parallel()
	if n := jointDeadlocks(t, full, true); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// TestJointDeadlocksWithoutOrder is the control: the same load without one of the mechanisms.
func TestJointDeadlocksWithoutOrder(t *testing.T) {
	t.Parallel()
	for name, writer := range map[string]func(*postgres.DB) postgres.Writer{
		"rows as they come": postgres.NewWriterAsTheyCome,
		"births unannounced": func(db *postgres.DB) postgres.Writer {
			return postgres.NewWriterWithout(db, postgres.Options{}, "announced births")
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 { // a busy machine may spare one
				if jointDeadlocks(t, writer, false) > 0 {
					return
				}
			}
			t.Error("there was no deadlock, so the test proves nothing")
		})
	}
}
