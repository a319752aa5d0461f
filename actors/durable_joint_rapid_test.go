package actors_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/internal/ledger"
)

// Three toys are stepped by themselves and in pairs, each by its own actor, which writes the other's row
// behind its owner's back. Tasks come and go, commits lose their way, preparations are late. Then: a pair's
// effect is on both or on neither, once, and on both if it was acknowledged.
//
// Invariants: 1, 3.
func TestPairsAreWholeOnceAndKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, randomPairs) })
}

func randomPairs(t *rapid.T) {
	l := actortest.NewLedger()
	toys := []actors.Address{born(l, "a"), born(l, "b"), born(l, "c")}
	faults := rapid.SliceOfN(rapid.SampledFrom([]actortest.Fault{
		actortest.NoFault, actortest.NoFault, actortest.NoFault, actortest.LostReply, actortest.LostWrite, actortest.Refused,
	}), 1, 80).Draw(t, "faults")
	var mu sync.Mutex
	n := 0
	l.Break(func(ledger.Transition) actortest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if n++; n < len(faults) {
			return faults[n]
		}
		return actortest.NoFault // storms end
	})
	late := func(b *pairs) {
		look := b.look
		b.look = func(ctx context.Context, p pair) (paired, error) {
			looked, err := look(ctx, p)
			<-time.After(time.Duration(len(p.op)) * 7 * time.Millisecond) // others write meanwhile
			return looked, err
		}
	}
	var c cluster
	defer c.stop(t)
	c.grow(t, l, pairKind(l, late))

	acked := &acks{of: map[string]bool{}}
	with := map[string][2]string{} // the pairs: op, and its two toys
	steps := rapid.SliceOfN(rapid.SampledFrom([]string{"pair", "pair", "pair", "add", "restart", "pause"}), 5, 30).Draw(t, "steps")
	var clients sync.WaitGroup
	for i, step := range steps {
		id := fmt.Sprintf("%0*d", 1+i%3, i)
		to, other := toys[i%3], toys[(i+1+i/3%2)%3]
		switch step {
		case "pair":
			with[id] = [2]string{to.ID, other.ID}
			clients.Go(func() {
				c.persist(to, pair{op: id, other: other.ID, key: "k" + id, hash: id}, func() { acked.add(id) })
			})
		case "add":
			with[id] = [2]string{to.ID, to.ID}
			clients.Go(func() { c.persist(to, add{id: id, key: "k" + id, hash: id}, func() { acked.add(id) }) })
		case "restart":
			c.grow(t, l, pairKind(l, late))
		case "pause":
			<-time.After(100 * time.Millisecond)
		}
	}
	clients.Wait()
	checkPairs(t, l, with, acked)
}

func checkPairs(t *rapid.T, l *actortest.Ledger, with map[string][2]string, acked *acks) {
	ops := map[string][]string{}
	for _, id := range []string{"a", "b", "c"} {
		row, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: id})
		s, err := toyBehaviour{}.Load(row.State)
		if err != nil {
			t.Fatal(err)
		}
		ops[id] = s.Ops
	}
	for op, of := range with {
		here, there := slices.Contains(ops[of[0]], op), slices.Contains(ops[of[1]], op)
		if here != there {
			t.Errorf("%s is on one of %v alone", op, of)
		}
		if acked.of[op] && !here {
			t.Errorf("%s was acknowledged and is lost", op)
		}
	}
	for id, done := range ops {
		slices.Sort(done)
		if once := slices.Compact(slices.Clone(done)); len(once) != len(done) {
			t.Errorf("an op is on %s twice: %v", id, done)
		}
	}
}
