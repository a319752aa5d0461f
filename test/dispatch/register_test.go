package dispatch

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"weelo/internal/audit"
)

// number is a setting of a long run; without it the short form's.
func number(t *testing.T, name string, short int64) int64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return short
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// play lets clients loose for a while. At the marks in between something happens to the town.
func play(t *testing.T, w *town, lasting time.Duration, mishaps ...func()) *day {
	t.Helper()
	seed := uint64(number(t, "SOAK_SEED", time.Now().UnixNano()))
	t.Logf("SOAK_SEED=%d", seed)
	d := newDay(w)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() { d.client(ctx, rand.New(rand.NewPCG(seed, uint64(c)))) })
	}
	for _, mishap := range append(mishaps, cancel) {
		<-time.After(lasting / time.Duration(len(mishaps)+1))
		mishap()
	}
	all.Wait()
	d.rest(t, rand.New(rand.NewPCG(seed, clients)))
	return d
}

// rest ends what lives and waits until nothing is under way.
func (d *day) rest(t *testing.T, random *rand.Rand) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		live, err := d.w.store.reads.Live(ctx, 1000)
		for _, s := range live {
			p := placed{id: s.ID, customer: s.CustomerID, ends: d.at(s.CreatedMS) + int64(d.w.policy.SearchFor)}
			for _, slot := range s.Slots {
				p.slots = append(p.slots, slot.ID)
			}
			d.cancelOrder(random, p)
		}
		if err == nil && len(live) == 0 {
			report, err := audit.Run(ctx, d.w.store.rows, audit.Options{Now: time.Now()})
			if err == nil && report.LiveTrips == 0 && report.Letters == 0 {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d orders live on: %v", len(live), err)
		case <-tick.C:
		}
	}
}

// audit gives what is wrong with the rows.
func (w *town) audit(quiet bool) audit.Report {
	w.t.Helper()
	report, err := audit.Run(w.t.Context(), w.store.rows, audit.Options{Now: time.Now(), Quiet: quiet})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// kinds counts the deeds of a history by how they ended.
func (d *day) kinds() string {
	var all []string
	for k, n := range d.seen {
		all = append(all, k+" "+strconv.Itoa(n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func unknowns(history []porcupine.Operation) int {
	n := 0
	for _, op := range history {
		if op.Output.(output).word == unknown {
			n++
		}
	}
	return n
}

// explained fails the test unless registers explain the history and nothing is wrong with the rows.
func (d *day) explained(t *testing.T) []porcupine.Operation {
	t.Helper()
	history := d.history()
	began := time.Now()
	result := check(history)
	report := d.w.audit(true)
	t.Logf("%d operations of %d requests, %d of unknown outcome: %v, in %v. %d orders, %d trips, %d breaches. %s",
		len(history), d.done, unknowns(history), result, time.Since(began).Round(time.Millisecond), report.Orders, report.Trips, report.Count, d.kinds())
	if result != porcupine.Ok {
		t.Errorf("no order of single holds, confirmations, answers and ends explains the history: %v", result)
		d.suspects(t, history)
	}
	for _, b := range report.Breaches {
		t.Errorf("audit: %v", b)
	}
	for _, o := range d.odd {
		t.Errorf("odd: %s", o)
	}
	for _, needed := range []string{"hold yes", "hold no", "confirm yes", "accept yes", "cancel yes"} {
		if d.seen[needed] == 0 {
			t.Errorf("the run saw no %q, so it proves little", needed)
		}
	}
	return history
}

// suspects prints the registers that nothing explains.
func (d *day) suspects(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	for _, part := range model.Partition(history) {
		if check(part) == porcupine.Ok {
			continue
		}
		t.Log(part[0].Input.(input).register)
		for i, op := range part {
			if i == 60 {
				break
			}
			t.Logf("  %8d..%8d µs %s", op.Call/1000, op.Return/1000, model.DescribeOperation(op.Input, op.Output))
		}
		return
	}
}

func (d *day) illegal(t *testing.T, found []audit.Breach, want ...string) {
	t.Helper()
	bad := map[string]int{}
	for _, part := range model.Partition(d.history()) {
		if check(part) == porcupine.Illegal {
			bad[strings.Fields(part[0].Input.(input).register)[0]]++
		}
	}
	breaches := map[int]int{}
	for _, b := range found {
		breaches[b.Number]++
	}
	t.Logf("illegal registers: %v; breaches by invariant: %v", bad, breaches)
	for _, kind := range want {
		if bad[kind] == 0 {
			t.Errorf("no register of a %s is illegal, so the checker proves nothing", kind)
		}
	}
}

// TestSlotRegisterThroughActors: holds, confirmations, drivers' answers, cancellations and all the timers
// between them, by many at once, through tasks that take over from one another while the old ones live on.
//
// Invariants: 8, 9, 10, 11.
func TestSlotRegisterThroughActors(t *testing.T) {
	t.Parallel()
	w := newTown(t, onSQLite(t), hasty(), 0.5)
	w.zombies = true
	lasting := time.Duration(number(t, "REGISTER_SECONDS", 6)) * time.Second
	history := play(t, w, lasting, w.start, w.start).explained(t)
	second := slices.IndexFunc(history, func(op porcupine.Operation) bool {
		return op.Input.(input).deed == doConfirm && op.Input.(input).slot() && op.Output.(output).word == yes
	})
	if second < 0 {
		t.Fatal("no confirmation to lie about")
	}
	op := history[second]
	in := op.Input.(input)
	in.of.hold = "HOLD_OF_A_LIE"
	op.Input, op.ClientId = in, len(history)
	if result := check(append(history, op)); result != porcupine.Illegal {
		t.Errorf("a slot was won twice and the checker says %v", result)
	}
}

// TestSlotRegisterThroughActorsOfAKilledServer: the same, and all of Postgres is killed.
//
// Invariants: 8, 9, 10, 11.
func TestSlotRegisterThroughActorsOfAKilledServer(t *testing.T) {
	t.Parallel()
	store := onPostgres(t)
	w := newTown(t, store, hasty(), 0.5)
	lasting := time.Duration(number(t, "REGISTER_SECONDS", 8)) * time.Second
	d := play(t, w, lasting, store.kill, w.restart, store.kill)
	if history := d.explained(t); unknowns(history) == 0 {
		t.Error("a killed server left nothing unknown")
	}
}

// TestCheckerSeesDoubleAssignments is the control: no unique index, and confirmations that are decided by
// what was so before. What the audit finds at one moment of it is a matter of luck: it has a control of its own.
func TestCheckerSeesDoubleAssignments(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(*testing.T) shelf{"SQLite": onSQLite, "Postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := on(t)
			for _, index := range []string{"one_live_trip_per_driver", "one_live_trip_per_vehicle", "one_live_trip_per_slot"} {
				if err := store.unindex(t.Context(), index); err != nil {
					t.Fatal(err)
				}
			}
			p := hasty() // but for drivers, so that the audit finds them at it
			p.Trip.AcceptWithin = 6 * time.Second
			w := newTown(t, store, p, 1)
			var found []audit.Breach
			d := play(t, w, 5*time.Second, func() { found = w.audit(false).Breaches })
			d.illegal(t, found, "driver", "vehicle")
		})
	}
}
