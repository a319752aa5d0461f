package hub

import (
	"context"
	"slices"
)

// queued is one thing in a socket's queue: a complete message or, with offer set, an offer, which is
// encoded when its turn comes: by then it may have run out.
type queued struct {
	message []byte
	offer   *Offer
}

func (q *queued) size() int {
	if q.offer != nil {
		return len(q.offer.Data)
	}
	return len(q.message)
}

// shown is what a socket knows of offers. Its fields belong to the socket's lock.
type shown struct {
	versions map[string]int64 // the newest that came, by offer; at most maxOffers
	early    []Offer          // those that came before the socket had begun, each once; at most MaxQueued
}

// maxOffers is how many offers a socket remembers the version of: far more than can be open at once.
const maxOffers = 1024

// newer tells whether a version is news, and remembers it. A publisher that was overtaken comes late.
func (k *shown) newer(o *Offer) bool {
	if o.Version <= k.versions[o.ID] {
		return false
	}
	if k.versions == nil || len(k.versions) >= maxOffers {
		k.versions = make(map[string]int64)
	}
	k.versions[o.ID] = o.Version
	return true
}

// offer shows the state of a committed offer, in its place among the events.
func (s *Socket) offer(o Offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.numbers.holding {
		s.offerLocked(o)
		s.startLocked()
		return
	}
	k := &s.offers
	if i := slices.IndexFunc(k.early, func(e Offer) bool { return e.ID == o.ID }); i >= 0 {
		if o.Version > k.early[i].Version {
			k.early[i] = o
		}
		return
	}
	if len(k.early) >= MaxQueued { // as for a queue that is full
		if s.killLocked() {
			s.closeTransport(CodeSlow, "too slow")
		}
		return
	}
	if !s.dead {
		k.early = append(k.early, o)
	}
}

// showEarlyLocked sends the offers that came before the socket had begun.
func (s *Socket) showEarlyLocked() {
	early := s.offers.early
	s.offers.early = nil
	for _, o := range early {
		s.offerLocked(o)
	}
}

// offerLocked queues an offer unless it is known; an older version that still waits goes. It tells
// whether the socket goes on.
func (s *Socket) offerLocked(o Offer) bool {
	if s.dead {
		return false
	}
	if !s.offers.newer(&o) {
		return true
	}
	if i := slices.IndexFunc(s.queue, func(q queued) bool { return q.offer != nil && q.offer.ID == o.ID }); i >= 0 {
		s.bytes -= s.queue[i].size()
		s.queue = slices.Delete(s.queue, i, i+1)
		s.hub.observer.Frames(s.format, "coalesced", 1)
	}
	return s.enqueueLocked(queued{offer: &o})
}

// showAll sends the offers of a plan, as fast as the client reads them. What came live meanwhile is
// newer and stays.
func (s *Socket) showAll(ctx context.Context, offers []Offer) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for _, o := range offers {
		if err := s.waitForRoom(ctx, len(o.Data), func() bool { return s.offerLocked(o) }); err != nil {
			return err
		}
	}
	return nil
}

// appendLocked appends what a thing in the queue is now. An open offer whose time is up is nothing.
func (s *Socket) appendLocked(batch [][]byte, q *queued) [][]byte {
	o := q.offer
	if o == nil {
		return append(batch, q.message)
	}
	if o.Open && !o.Expires.IsZero() && !s.hub.now().Before(o.Expires) {
		s.hub.observer.Frames(s.format, "dropped", 1)
		return batch
	}
	messages := s.codec.Offer(*o)
	if o.Open && len(messages) > 0 {
		s.handed = append(s.handed, o.ID)
	}
	return append(batch, messages...)
}

// reportHanded says which offers the connection took. It is the writer's.
func (s *Socket) reportHanded() {
	if len(s.handed) == 0 {
		return
	}
	s.hub.receipts.Delivered(s.who.UserID, s.handed, s.hub.now())
	s.handed = nil // the receiver keeps it
}

// SeenOffer is the client's word that it shows an offer; any id is taken, a foreign one comes to nothing.
func (s *Socket) SeenOffer(offerID string) {
	s.hub.receipts.Seen(s.who.UserID, offerID, s.hub.now())
}
