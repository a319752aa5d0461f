package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/internal/ledger"
)

// Clients add with a key and retry until they are acknowledged, while tasks come and go (the old
// ones go on as zombies), commits lose their way to and from the disk, and commands panic. Then:
// every acknowledged add is in the row once, and no add is there twice.
func TestNoAcknowledgedLossNoDoubleEffect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, randomly) })
}

func randomly(t *rapid.T) {
	l := actortest.NewLedger()
	to := born(l, "a")
	faults := rapid.SliceOfN(rapid.SampledFrom([]actortest.Fault{
		actortest.NoFault, actortest.NoFault, actortest.NoFault, actortest.LostReply, actortest.LostWrite, actortest.Refused,
	}), 1, 120).Draw(t, "faults")
	n := 0
	l.Break(func(ledger.Transition) actortest.Fault {
		if n++; n < len(faults) {
			return faults[n]
		}
		return actortest.NoFault // storms end
	})

	var c cluster
	defer c.stop(t)
	c.grow(t, l, toys(ports(l), nil))

	acked := &acks{of: map[string]bool{}}
	steps := rapid.SliceOfN(rapid.SampledFrom([]string{"add", "add", "add", "add", "bomb", "restart", "pause", "letter"}), 5, 40).Draw(t, "steps")
	var clients sync.WaitGroup
	for i, step := range steps {
		id := fmt.Sprint(i)
		switch step {
		case "add":
			clients.Go(func() { c.persist(to, add{id: id, key: "k" + id, hash: id}, func() { acked.add(id) }) })
		case "letter":
			clients.Go(func() { c.persist(to, send{"m" + id, to.String()}, func() { acked.add("m" + id) }) })
		case "bomb":
			clients.Go(func() { _ = c.any(i).Tell(context.Background(), to, bomb{"b" + id}) })
		case "restart":
			c.grow(t, l, toys(ports(l), nil))
		case "pause":
			<-time.After(700 * time.Millisecond)
		}
	}
	clients.Wait()
	<-time.After(3 * time.Minute) // the relay's longest back-off, several times
	check(t, l, acked)
}

// cluster is several tasks over one ledger; clients find the last, and now and then an older one.
type cluster struct {
	mu     sync.Mutex
	tasks  []*actors.System
	cancel []context.CancelFunc
	runs   sync.WaitGroup
}

func (c *cluster) grow(t *rapid.T, l *actortest.Ledger, kind actors.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := actors.NewSystem(actors.Config{Node: fmt.Sprint("node-", len(c.tasks))}, kind)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.tasks, c.cancel = append(c.tasks, s), append(c.cancel, cancel)
	c.runs.Go(func() { _ = s.Run(ctx) })
	relay := &actors.Relay{Outbox: l, Router: s, Log: slog.New(slog.DiscardHandler)}
	c.runs.Go(func() { _ = relay.Run(ctx) })
}

// any is the newest task mostly, an older one now and then.
func (c *cluster) any(n int) *actors.System {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n%3 == 0 {
		return c.tasks[n%len(c.tasks)]
	}
	return c.tasks[len(c.tasks)-1]
}

// persist asks until it is answered, as a client with a key does.
func (c *cluster) persist(to actors.Address, cmd any, acked func()) {
	for n := range 200 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := c.any(n).Ask(ctx, to, cmd)
		cancel()
		if err == nil {
			acked()
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (c *cluster) stop(t *rapid.T) {
	for _, cancel := range c.cancel {
		cancel()
	}
	c.runs.Wait()
	for _, s := range c.tasks {
		actortest.Stop(t, s)
	}
}

type acks struct {
	mu sync.Mutex
	of map[string]bool
}

func (a *acks) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[id] = true
}

func check(t *rapid.T, l *actortest.Ledger, acked *acks) {
	row, _ := l.Row(ledger.Ref{Kind: ledger.Trip, ID: "a"})
	s, err := toyBehaviour{}.Load(row.State)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, id := range append(s.Ops, s.Letters...) {
		times[id]++
	}
	for id, n := range times {
		if n > 1 {
			t.Errorf("%s has %d effects", id, n)
		}
	}
	for id := range acked.of {
		if times[id] == 0 {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	if left := unsent(t, l); left != 0 {
		t.Errorf("%d durable messages never arrived", left)
	}
}
