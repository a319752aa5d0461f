package hub

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// watch is one watch of one socket. While it is not ready (Access has not answered yet, or its answer
// is being sent) positions, changes and the end are kept aside: none is lost between the answer and
// the subscription, none is shown before it.
type watch struct {
	id     string
	scope  Scope
	socket *Socket
	place  int // in the topic's list, under the topic shard's lock

	// Under the socket's lock, until ready.
	ready   bool
	early   waiting
	changed map[string]change // by trip; at most maxChanged
	crowded bool              // more trips changed than that
	over    string            // why the watch is to end
}

// change is the newest state of a trip that changed while its watch was not ready.
type change struct {
	version  int64
	messages [][]byte
}

// maxChanged is how many trips may change while a watch starts: as many as one answer of Access has.
const maxChanged = 500

type topicShard struct {
	mu     sync.RWMutex
	topics map[Scope]*watchers
}

type watchers struct{ list []*watch }

func (h *Hub) topicShard(t Scope) *topicShard {
	return &h.watchers[maphash.String(h.seed, t.ID)%shards]
}

func (h *Hub) join(w *watch) {
	sh := h.topicShard(w.scope)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ws := sh.topics[w.scope]
	if ws == nil {
		ws = &watchers{}
		sh.topics[w.scope] = ws
	}
	w.place = len(ws.list)
	ws.list = append(ws.list, w)
}

// leave takes a watch out of its topic; harmless when repeated.
func (h *Hub) leave(w *watch) {
	sh := h.topicShard(w.scope)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ws := sh.topics[w.scope]
	if ws == nil || w.place < 0 {
		return
	}
	last := len(ws.list) - 1
	ws.list[w.place] = ws.list[last]
	ws.list[w.place].place = w.place
	ws.list[last] = nil
	ws.list = ws.list[:last]
	w.place = -1
	if last == 0 {
		delete(sh.topics, w.scope)
	}
}

// watching gives the watches of a topic as they are now.
func (h *Hub) watching(t Scope) []*watch {
	sh := h.topicShard(t)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if ws := sh.topics[t]; ws != nil {
		return append([]*watch(nil), ws.list...)
	}
	return nil
}

// Watch starts a watch under an id of the client's choice and sends the state of each live trip in
// its scope. The same id with the same scope only sends the state again. Refusals: NOT_FOUND (foreign
// and unknown alike), TOO_MANY_WATCHES, WATCH_EXISTS, UNAVAILABLE.
func (s *Socket) Watch(ctx context.Context, id string, scope Scope) error {
	w, fresh, err := s.reserve(id, scope)
	if err != nil {
		return err
	}
	if fresh {
		s.hub.join(w)
	}
	views, err := s.allowed(ctx, scope)
	if err == nil && fresh {
		err = s.witnessed(scope)
	}
	if err != nil {
		if fresh {
			s.Unwatch(id)
		}
		return fmt.Errorf("watch: %w", err)
	}
	if err := s.start(ctx, w, views); err != nil {
		s.Unwatch(id) // or the client believes that it failed while it waits for ever to be ready
		return unavailable(err)
	}
	return nil
}

// start sends the answer of Access, then lets the watch live. A slow reader has WriteWait for each
// message and startWait for all.
func (s *Socket) start(ctx context.Context, w *watch, views []protocol.TripView) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	shown := make(map[string]int64, len(views))
	for i := range views {
		if err := s.sendWaiting(ctx, s.codec.Trip(&views[i], w.id)); err != nil {
			return err
		}
		shown[views[i].TripID] = views[i].Version
	}
	if err := s.showOrders(ctx, w); err != nil {
		return err
	}
	if err := s.catchUp(ctx, w, shown); err != nil {
		return err
	}
	if over := s.makeReady(w, shown); over != "" {
		s.unwatched(w, over)
	}
	if w.scope.Kind == Trip && len(views) == 1 && views[0].EndedMS != 0 {
		s.unwatched(w, protocol.WatchEnded)
	}
	return nil
}

// showOrders sends how the live orders stand to whoever watches everything. An order that changes
// meanwhile may be shown before: the greater orderLifecycleVersion counts.
func (s *Socket) showOrders(ctx context.Context, w *watch) error {
	source, ok := s.hub.access.(OrderViews)
	if !ok || w.scope.Kind != All {
		return nil
	}
	reading, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	views, err := source.OrderViews(reading, s.who)
	if err != nil {
		return fmt.Errorf("live orders: %w", err)
	}
	for _, v := range views {
		e, err := orderEvent(v)
		if err != nil {
			return err
		}
		if err := s.sendWaiting(ctx, s.codec.Event(e)); err != nil {
			return err
		}
	}
	return nil
}

// catchUp sends the changes that came while the state was sent, as slowly as the client reads them.
// What comes after that is left to makeReady.
func (s *Socket) catchUp(ctx context.Context, w *watch, shown map[string]int64) error {
	s.mu.Lock()
	changed, crowded := w.changed, w.crowded
	w.changed = nil
	s.mu.Unlock()
	if crowded {
		return errCrowded
	}
	for trip, c := range changed {
		if known, ok := shown[trip]; ok && c.version <= known {
			continue
		}
		if err := s.sendWaiting(ctx, c.messages); err != nil {
			return err
		}
		shown[trip] = c.version
	}
	return nil
}

var errCrowded = errors.New("more trips changed than a starting watch keeps")

// allowed asks Access who may see what is in the scope. A customer's own trips are his by definition;
// anybody else's are not found.
func (s *Socket) allowed(ctx context.Context, scope Scope) ([]protocol.TripView, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	if scope.Kind != Own {
		return s.hub.access.Watch(ctx, s.who, scope)
	}
	if s.who.Role != fleet.Customer || scope.ID != string(s.who.UserID) {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "There is no such trip.")
	}
	return s.hub.access.Live(ctx, s.who)
}

func (s *Socket) reserve(id string, scope Scope) (w *watch, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, false, errClosed
	}
	if w := s.watches[id]; w != nil {
		if w.scope != scope {
			return nil, false, fault.New(fault.Conflict, "WATCH_EXISTS", "This watch id is in use.")
		}
		return w, false, nil
	}
	if len(s.watches) >= MaxWatches {
		return nil, false, fault.Newf(fault.FailedPrecondition, "TOO_MANY_WATCHES", "At most %d watches per connection.", MaxWatches)
	}
	if s.watches == nil {
		s.watches = make(map[string]*watch)
	}
	w = &watch{id: id, scope: scope, socket: s}
	s.watches[id] = w
	return w, true, nil
}

// makeReady lets changes and positions through, and those that came early. It tells why the watch has
// to end, if it has to.
func (s *Socket) makeReady(w *watch, shown map[string]int64) (over string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.ready = true
	for trip, c := range w.changed {
		if known, ok := shown[trip]; !ok || c.version > known {
			s.pushAllLocked(c.messages)
		}
	}
	w.changed = nil
	s.startLocked()
	now := time.Now()
	for _, p := range w.early.list {
		if s.positionLocked(p.trip, p.message, now, s.loneLocked()) {
			go s.write()
		}
	}
	w.early = waiting{}
	return w.over
}

// changeLocked keeps a change for later.
func (w *watch) changeLocked(v *protocol.TripView) {
	old, ok := w.changed[v.TripID]
	switch {
	case ok && old.version >= v.Version:
	case !ok && len(w.changed) >= maxChanged:
		w.crowded = true
	default:
		if w.changed == nil {
			w.changed = make(map[string]change)
		}
		w.changed[v.TripID] = change{v.Version, w.socket.codec.Trip(v, w.id)}
	}
}

// Unwatch ends a watch without a word; false when there is none.
func (s *Socket) Unwatch(id string) bool {
	s.mu.Lock()
	w := s.watches[id]
	delete(s.watches, id)
	s.mu.Unlock()
	if w == nil {
		return false
	}
	s.hub.leave(w)
	return true
}

// unwatched ends a watch and says why, after the last position it was shown.
func (s *Socket) unwatched(w *watch, reason string) {
	s.mu.Lock()
	if s.watches[w.id] != w {
		s.mu.Unlock()
		return
	}
	if !w.ready {
		w.over = reason // after the state that it is about
		s.mu.Unlock()
		return
	}
	delete(s.watches, w.id)
	if w.scope.Kind == Trip {
		if last := s.pending.takeTrip(w.scope.ID); last != nil && reason != protocol.WatchForbidden {
			s.pushLocked(last)
		}
	}
	s.pushAllLocked(s.codec.Unwatched(w.id, reason))
	s.startLocked()
	s.mu.Unlock()
	s.hub.leave(w)
}

// watchesLocked tells whether the socket has a ready watch on the scope.
func (s *Socket) watchesLocked(scope Scope) bool {
	for _, w := range s.watches {
		if w.ready && w.scope == scope {
			return true
		}
	}
	return false
}
