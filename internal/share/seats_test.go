package share

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bench is Seats in memory.
type bench struct {
	mu    sync.Mutex
	away  bool
	late  bool // what is asked for is done, and not answered
	links map[string]map[Seat]time.Time
}

func (b *bench) Renew(_ context.Context, link string, here, left []Seat, most int, hold time.Duration) (over []Seat, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, errors.New("away")
	}
	seats := b.links[link]
	if seats == nil {
		seats = map[Seat]time.Time{}
		b.links[link] = seats
	}
	for s, until := range seats {
		if !until.After(time.Now()) || slices.Contains(left, s) {
			delete(seats, s)
		}
	}
	var all []Seat
	for _, s := range here {
		seats[s] = time.Now().Add(hold)
	}
	for s := range seats {
		all = append(all, s)
	}
	slices.Sort(all)
	for len(all) > most {
		over, all = append(over, all[0]), all[1:]
		delete(seats, over[len(over)-1])
	}
	if b.late {
		return nil, errors.New("no answer")
	}
	return over, nil
}

func (b *bench) set(away bool) { b.mu.Lock(); defer b.mu.Unlock(); b.away = away }

// hall is one task's viewers of one link.
type hall struct {
	mu    sync.Mutex
	names []string
}

func (h *hall) enter(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = append(h.names, names...)
}

func (h *hall) leave(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = slices.DeleteFunc(h.names, func(n string) bool { return n == name })
}

func (h *hall) inside() []string { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.names) }

func (h *hall) viewers() map[string][]Viewer {
	links := map[string][]Viewer{}
	for _, name := range h.inside() {
		links["link"] = append(links["link"], Viewer{Name: name, End: func() { h.leave(name) }})
	}
	return links
}

// named gives names from a number on.
func named(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(prefix, i)
	}
	return list
}

// tasks opens the halls of two tasks on one bench, in a bubble.
func tasks(t *testing.T) (one, two *hall, b *bench) {
	t.Helper()
	one, two, b = &hall{}, &hall{}, &bench{links: map[string]map[Seat]time.Time{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, h := range []*hall{one, two} {
		running.Go(func() { _ = NewUsher(b, 20, h.viewers, time.Now, slog.New(slog.DiscardHandler)).Run(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	return one, two, b
}

// after lets time pass in the bubble.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestViewersAreCountedOverTasks: the oldest of too many go, wherever they are, and no others.
func TestViewersAreCountedOverTasks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two, _ := tasks(t)
		one.enter(named("a", 15)...)
		after(10 * time.Second)
		two.enter(named("b", 5)...)
		after(10 * time.Second)
		if len(one.inside()) != 15 || len(two.inside()) != 5 {
			t.Fatalf("twenty viewers: %v, %v", one.inside(), two.inside())
		}
		two.enter("late1", "late2")
		after(10 * time.Second)
		if got := one.inside(); !slices.Equal(got, named("a", 15)[2:]) || len(two.inside()) != 7 {
			t.Errorf("after two more: %v, %v", got, two.inside())
		}
		// Who left makes room.
		two.leave("b0")
		after(10 * time.Second)
		one.enter("later")
		after(time.Minute)
		if a, b := len(one.inside()), len(two.inside()); a != 14 || b != 6 {
			t.Errorf("one left and one came: %d and %d", a, b)
		}
	})
}

// TestViewersWhileTheSeatsAreAway stay, and are counted when the seats are back, those from before the loss too.
func TestViewersWhileTheSeatsAreAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two, b := tasks(t)
		one.enter(named("a", 15)...)
		after(10 * time.Second)
		b.set(true)
		two.enter(named("b", 15)...)
		after(time.Minute)
		if len(one.inside()) != 15 || len(two.inside()) != 15 {
			t.Errorf("while they are away: %v, %v", one.inside(), two.inside())
		}
		b.set(false)
		after(10 * time.Second)
		if a, b := one.inside(), two.inside(); !slices.Equal(a, named("a", 15)[10:]) || len(b) != 15 {
			t.Errorf("when they are back: %v, %v", a, b)
		}
	})
}

// TestALostAnswerCostsNobodyHisSeat: who was counted without the task hearing of it is not counted twice.
func TestALostAnswerCostsNobodyHisSeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two, b := tasks(t)
		one.enter(named("a", 8)...)
		after(10 * time.Second)
		b.mu.Lock()
		b.late = true
		b.mu.Unlock()
		two.enter(named("b", 12)...)
		after(4 * time.Second)
		two.leave("b11")
		after(4 * time.Second)
		two.enter("c")
		b.mu.Lock()
		b.late = false
		b.mu.Unlock()
		after(time.Minute)
		if a, b := one.inside(), two.inside(); len(a) != 8 || len(b) != 12 {
			t.Errorf("%v, %v", a, b)
		}
	})
}

// TestSeatsOfADeadTask are not held against those who come after, and end by themselves.
func TestSeatsOfADeadTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, _, b := tasks(t)
		var dead []Seat
		for i := range 18 {
			dead = append(dead, seatOf(fmt.Sprint("dead", i), time.Now()))
		}
		if _, err := b.Renew(t.Context(), "link", dead, nil, 20, seatsHold); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		one.enter(named("a", 20)...)
		after(10 * time.Second)
		if got := len(one.inside()); got != 20 {
			t.Errorf("%d are there", got)
		}
	})
}
