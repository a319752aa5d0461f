package ledger_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/ledger"
)

func item(id uint64, name string) ledger.Item {
	return ledger.Item{ID: id, Ref: ledger.Ref{Kind: ledger.Trip, ID: name}, Bytes: 100}
}

func TestQueueCollectsWhileAFlushRuns(t *testing.T) {
	t.Parallel()
	q := ledger.NewQueue(ledger.Limits{MaxBatch: 3, MaxBytes: 1000, Flushes: 1, Alone: 1, Queue: 100})
	starts, _ := q.Step(ledger.Input{Offered: []ledger.Item{item(1, "a")}})
	if diff := cmp.Diff([]ledger.Start{{Flush: 1, Items: []uint64{1}}}, starts); diff != "" {
		t.Fatalf("the first starts at once:\n%s", diff)
	}
	for i := uint64(2); i <= 5; i++ {
		if starts, _ := q.Step(ledger.Input{Offered: []ledger.Item{item(i, fmt.Sprint("x", i))}}); starts != nil {
			t.Fatalf("started %v while the only flush runs", starts)
		}
	}
	starts, _ = q.Step(ledger.Input{Done: 1})
	if diff := cmp.Diff([]ledger.Start{{Flush: 2, Items: []uint64{2, 3, 4}}}, starts); diff != "" {
		t.Errorf("a full batch in order of arrival:\n%s", diff)
	}
	starts, _ = q.Step(ledger.Input{Done: 2})
	if diff := cmp.Diff([]ledger.Start{{Flush: 3, Items: []uint64{5}}}, starts); diff != "" {
		t.Errorf("the rest:\n%s", diff)
	}
	if starts, _ := q.Step(ledger.Input{Done: 3}); starts != nil || q.Waiting() != 0 || len(q.InFlight()) != 0 {
		t.Errorf("an empty queue started %v", starts)
	}
	// An answer that comes twice, or for nothing, is ignored.
	if starts, _ := q.Step(ledger.Input{Done: 3}); starts != nil {
		t.Errorf("started %v", starts)
	}
}

func TestQueueLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		limits  ledger.Limits
		offered []ledger.Item
		starts  []ledger.Start
		refused []uint64
	}{
		{"bytes", ledger.Limits{MaxBatch: 10, MaxBytes: 250, Flushes: 1, Queue: 10},
			[]ledger.Item{item(1, "a"), item(2, "b"), item(3, "c")}, []ledger.Start{{Flush: 1, Items: []uint64{1, 2}}}, nil},
		{"a large one goes by itself", ledger.Limits{MaxBatch: 10, MaxBytes: 50, Flushes: 2, Queue: 10},
			[]ledger.Item{item(1, "a"), item(2, "b")}, []ledger.Start{{Flush: 1, Items: []uint64{1}}, {Flush: 2, Items: []uint64{2}}}, nil},
		{"room", ledger.Limits{MaxBatch: 1, MaxBytes: 1000, Flushes: 1, Queue: 2},
			[]ledger.Item{item(1, "a"), item(2, "b"), item(3, "c")}, []ledger.Start{{Flush: 1, Items: []uint64{1}}}, []uint64{3}},
		{"one flight per aggregate", ledger.Limits{MaxBatch: 10, MaxBytes: 1000, Flushes: 2, Queue: 10},
			[]ledger.Item{item(1, "a"), item(2, "a"), item(3, "b")}, []ledger.Start{{Flush: 1, Items: []uint64{1, 3}}}, nil},
		{"alone without a lane of its own", ledger.Limits{MaxBatch: 10, MaxBytes: 1000, Flushes: 1, Queue: 10},
			[]ledger.Item{{ID: 1, Ref: ledger.Ref{ID: "a"}, Alone: true}, item(2, "b")}, []ledger.Start{{Flush: 1, Items: []uint64{1, 2}}}, nil},
		{"alone", ledger.Limits{MaxBatch: 10, MaxBytes: 1000, Flushes: 1, Alone: 2, Queue: 10},
			[]ledger.Item{{ID: 1, Ref: ledger.Ref{ID: "a"}, Alone: true}, item(2, "b"), {ID: 3, Ref: ledger.Ref{ID: "c"}, Alone: true}, {ID: 4, Ref: ledger.Ref{ID: "d"}, Alone: true}},
			[]ledger.Start{{Flush: 1, Alone: true, Items: []uint64{1}}, {Flush: 2, Alone: true, Items: []uint64{3}}, {Flush: 3, Items: []uint64{2}}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			starts, refused := ledger.NewQueue(test.limits).Step(ledger.Input{Offered: test.offered})
			if diff := cmp.Diff(test.starts, starts); diff != "" {
				t.Errorf("starts:\n%s", diff)
			}
			if diff := cmp.Diff(test.refused, refused); diff != "" {
				t.Errorf("refused:\n%s", diff)
			}
		})
	}
}

// TestQueueProperties drives the queue with arbitrary arrivals and answers.
func TestQueueProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := ledger.Limits{
			MaxBatch: rapid.IntRange(1, 5).Draw(t, "batch"),
			MaxBytes: rapid.IntRange(1, 300).Draw(t, "bytes"),
			Flushes:  rapid.IntRange(1, 3).Draw(t, "flushes"),
			Alone:    rapid.IntRange(0, 2).Draw(t, "alone"),
			Queue:    rapid.IntRange(1, 20).Draw(t, "queue"),
		}
		w := &queueWorld{q: ledger.NewQueue(limits), limits: limits, items: map[uint64]ledger.Item{}, flying: map[uint64]ledger.Start{}}
		t.Repeat(map[string]func(*rapid.T){
			"offer": func(t *rapid.T) {
				var in ledger.Input
				for range rapid.IntRange(1, 6).Draw(t, "n") {
					w.next++
					i := ledger.Item{
						ID: w.next, Alone: rapid.Bool().Draw(t, "alone"), Bytes: rapid.IntRange(1, 150).Draw(t, "size"),
						Ref: ledger.Ref{Kind: ledger.Trip, ID: rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "ref")},
					}
					w.items[i.ID] = i
					in.Offered = append(in.Offered, i)
				}
				w.step(t, in)
			},
			"answer": func(t *rapid.T) {
				if flying := w.q.InFlight(); len(flying) > 0 {
					w.answer(t, rapid.SampledFrom(flying).Draw(t, "flush"))
				}
			},
		})
		for flying := w.q.InFlight(); len(flying) > 0; flying = w.q.InFlight() {
			w.answer(t, flying[0])
		}
		if w.q.Waiting() != 0 || len(w.items) != 0 {
			t.Fatalf("after every answer %d wait and %d were never started", w.q.Waiting(), len(w.items))
		}
	})
}

type queueWorld struct {
	q      *ledger.Queue
	limits ledger.Limits
	next   uint64
	items  map[uint64]ledger.Item // offered, neither answered nor refused
	flying map[uint64]ledger.Start
}

func (w *queueWorld) answer(t *rapid.T, flush uint64) {
	for _, id := range w.flying[flush].Items {
		delete(w.items, id)
	}
	delete(w.flying, flush)
	w.step(t, ledger.Input{Done: flush})
}

func (w *queueWorld) step(t *rapid.T, in ledger.Input) {
	starts, refused := w.q.Step(in)
	for _, id := range refused {
		delete(w.items, id)
	}
	for _, s := range starts {
		if _, ok := w.flying[s.Flush]; ok {
			t.Fatalf("flush %d started twice", s.Flush)
		}
		w.flying[s.Flush] = s
	}
	lanes := map[bool]int{}
	seen := map[ledger.Ref]bool{}
	held := 0
	for _, s := range w.flying {
		lanes[s.Alone]++
		bytes := 0
		for _, id := range s.Items {
			i, ok := w.items[id]
			if !ok {
				t.Fatalf("flush %d holds %d, which was answered, refused or never offered", s.Flush, id)
			}
			if seen[i.Ref] {
				t.Fatalf("aggregate %v is twice in flight", i.Ref)
			}
			seen[i.Ref] = true
			bytes += i.Bytes
			held++
			if w.limits.Alone > 0 && i.Alone != s.Alone {
				t.Fatalf("item %d flies in the wrong lane", id)
			}
		}
		switch {
		case len(s.Items) == 0:
			t.Fatal("an empty flush")
		case s.Alone && len(s.Items) > 1, len(s.Items) > w.limits.MaxBatch:
			t.Fatalf("a batch of %d", len(s.Items))
		case len(s.Items) > 1 && bytes > w.limits.MaxBytes:
			t.Fatalf("a batch of %d bytes", bytes)
		}
	}
	if lanes[false] > w.limits.Flushes || lanes[true] > w.limits.Alone {
		t.Fatalf("too many flushes: %v", lanes)
	}
	if held+w.q.Waiting() != len(w.items) || len(w.items) > w.limits.Queue {
		t.Fatalf("%d in flight and %d waiting of %d offered, room for %d", held, w.q.Waiting(), len(w.items), w.limits.Queue)
	}
	if w.q.Waiting() > 0 && len(w.flying) == 0 {
		t.Fatal("something waits and nothing flies")
	}
}
