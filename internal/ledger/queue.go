package ledger

import "slices"

// Limits bound a group-committing writer.
type Limits struct {
	MaxBatch int // transitions in one flush of the plain lane
	MaxBytes int // and their bytes; a single larger one goes by itself
	Flushes  int // plain flushes at a time
	Alone    int // transactions of one transition at a time; 0: such steps join the plain lane
	Queue    int // transitions waiting or in flight; one more is refused
}

// Item is a transition as the queue sees it.
type Item struct {
	ID    uint64 // chosen by the caller, each once
	Ref   Ref
	Bytes int
	Alone bool
}

// Input is one thing that happened to the queue: transitions were offered, or a flush was answered.
type Input struct {
	Offered []Item
	Done    uint64 // a Start.Flush; 0: none
}

// Start is a flush to begin now.
type Start struct {
	Flush uint64
	Alone bool
	Items []uint64
}

// Queue is the protocol core of a group-committing writer: what joins which flush, and when. There
// is no lingering: a flush starts whenever a connection is free and something waits, and whatever
// arrives meanwhile is collected for the next one. It has no goroutine, clock or I/O.
//
// Invariants: an aggregate is in at most one flush at a time; a lane starts in order of arrival but
// for items whose aggregate is in flight; limits hold; every offered item is started once or
// refused at once.
type Queue struct {
	limits  Limits
	plain   []Item
	alone   []Item
	flights map[uint64]flight
	busy    map[Ref]bool
	held    int // waiting and in flight
	next    uint64
	running [2]int // flushes by lane: plain, alone
}

type flight struct {
	lane  int
	items []Item
}

const (
	plainLane = iota
	aloneLane
)

// NewQueue makes an empty queue.
func NewQueue(l Limits) *Queue {
	return &Queue{limits: l, flights: make(map[uint64]flight), busy: make(map[Ref]bool)}
}

// Step takes one input and says which flushes start and which items are refused for want of room.
func (q *Queue) Step(in Input) (starts []Start, refused []uint64) {
	if f, ok := q.flights[in.Done]; ok {
		delete(q.flights, in.Done)
		q.running[f.lane]--
		q.held -= len(f.items)
		for _, item := range f.items {
			delete(q.busy, item.Ref)
		}
	}
	for _, item := range in.Offered {
		switch {
		case q.held >= q.limits.Queue:
			refused = append(refused, item.ID)
			continue
		case item.Alone && q.limits.Alone > 0:
			q.alone = append(q.alone, item)
		default:
			q.plain = append(q.plain, item)
		}
		q.held++
	}
	for q.running[aloneLane] < q.limits.Alone {
		s, ok := q.start(aloneLane, &q.alone, 1)
		if !ok {
			break
		}
		starts = append(starts, s)
	}
	for q.running[plainLane] < q.limits.Flushes {
		s, ok := q.start(plainLane, &q.plain, q.limits.MaxBatch)
		if !ok {
			break
		}
		starts = append(starts, s)
	}
	return starts, refused
}

// start takes what may fly together from the front of a lane.
func (q *Queue) start(lane int, waiting *[]Item, most int) (Start, bool) {
	var taken []Item
	bytes := 0
	rest := (*waiting)[:0]
	for i, item := range *waiting {
		if len(taken) == most || (len(taken) > 0 && bytes+item.Bytes > q.limits.MaxBytes) {
			rest = append(rest, (*waiting)[i:]...)
			break
		}
		if q.busy[item.Ref] {
			rest = append(rest, item)
			continue
		}
		q.busy[item.Ref] = true
		taken = append(taken, item)
		bytes += item.Bytes
	}
	clear((*waiting)[len(rest):])
	*waiting = rest
	if len(taken) == 0 {
		return Start{}, false
	}
	q.next++
	q.running[lane]++
	q.flights[q.next] = flight{lane: lane, items: taken}
	ids := make([]uint64, len(taken))
	for i, item := range taken {
		ids[i] = item.ID
	}
	return Start{Flush: q.next, Alone: lane == aloneLane, Items: ids}, true
}

// Waiting tells how many items wait for a flush.
func (q *Queue) Waiting() int { return len(q.plain) + len(q.alone) }

// InFlight lists the flushes that have not been answered, oldest first.
func (q *Queue) InFlight() []uint64 {
	ids := make([]uint64, 0, len(q.flights))
	for id := range q.flights {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
