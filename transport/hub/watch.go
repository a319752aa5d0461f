package hub

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// watch is one watch of one socket. While it is not ready (Access has not answered yet) positions
// are kept aside: none is lost between the answer and the subscription, none is shown before it.
type watch struct {
	id     string
	scope  Scope
	socket *Socket
	place  int // in the topic's list, under the topic shard's lock

	ready bool // under the socket's lock
	early waiting
}

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
// and unknown alike), TOO_MANY_WATCHES, WATCH_EXISTS.
func (s *Socket) Watch(ctx context.Context, id string, scope Scope) error {
	w, fresh, err := s.reserve(id, scope)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	if fresh {
		s.hub.join(w)
	}
	views, err := s.allowed(ctx, scope)
	if err != nil {
		if fresh {
			s.Unwatch(id)
		}
		return fmt.Errorf("watch: %w", err)
	}
	for i := range views {
		if err := s.sendWaiting(ctx, s.codec.Trip(&views[i], id)); err != nil {
			return err
		}
	}
	s.makeReady(w)
	if scope.Kind == Trip && len(views) == 1 && views[0].EndedMS != 0 {
		s.unwatched(w, "ended")
	}
	return nil
}

// allowed asks Access who may see what is in the scope. A customer's own trips are his by definition;
// anybody else's are not found.
func (s *Socket) allowed(ctx context.Context, scope Scope) ([]protocol.TripView, error) {
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

// makeReady lets positions through, and those that came early.
func (s *Socket) makeReady(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.ready = true
	now := time.Now()
	for _, p := range w.early.list {
		if s.positionLocked(p.trip, p.message, now, s.loneLocked()) {
			go s.write()
		}
	}
	w.early = waiting{}
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
	delete(s.watches, w.id)
	if w.scope.Kind == Trip {
		if last := s.pending.takeTrip(w.scope.ID); last != nil && reason == "ended" {
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
