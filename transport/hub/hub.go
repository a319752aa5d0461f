package hub

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/token"
)

// Close codes that the hub uses (design §7).
const (
	CodeRestart      = 1012 // reconnect with resume
	CodeOverloaded   = 1013 // reconnect with resume
	CodeUnauthorized = 4401 // the session is over; reconnect with a new token
	CodeReplaced     = 4409 // a newer socket took its place; do not reconnect by itself
	CodeSlow         = 4410 // reconnect with resume
)

// Bounds of one socket.
const (
	MaxQueued      = 256       // messages waiting in a socket's queue
	MaxQueuedBytes = 256 << 10 // bytes waiting in a socket's queue
	MaxWatches     = 50        // watches of one socket
	MaxViewers     = 20        // sockets of one share link
	MaxReplay      = 500       // events; more is a resync
	MaxHeld        = 256       // events held while a gap is filled or a replay runs
	maxWaiting     = 4096      // trips whose newest position waits
	maxSoft        = 32        // soft messages held before a socket has begun
)

// Waits of one socket.
const (
	Tick      = 100 * time.Millisecond // positions of several trips are joined for at most this long
	GapWait   = 250 * time.Millisecond // a gap in the numbers waits this long, then is read from the inbox
	WriteWait = 5 * time.Second        // a write that takes longer ends the socket
	ReplayAge = 24 * time.Hour         // older events are not replayed
	readWait  = 5 * time.Second        // bound of one read from the inbox or from Access
	startWait = 30 * time.Second       // bound of sending the state that a watch begins with
	// AskAgain is how often the sessions of all sockets are asked about: a revocation that nobody
	// told the hub of, or told it too early, takes effect after this at the latest (design §8).
	AskAgain = 10 * time.Second
)

// Config is what a hub needs. Inbox and Access are required.
type Config struct {
	Inbox    ledger.Inbox
	Access   Access
	Observer Observer     // nil: nothing is counted
	Receipts Receipts     // nil: nobody wants to know
	Log      *slog.Logger // nil: slog.Default
	// Revoked tells, without I/O, whether a session is known to be over (session.Watch); nil: none is.
	Revoked func(sessionID string) bool
	// Witness is told what operators watch; nil: nobody is.
	Witness Witness
	// Unlimited lifts the number of sockets per user (LIMITS=off, benches and simulations only).
	Unlimited bool
	// Now is the clock that offers run out by, the one they were made with; nil: time.Now.
	Now func() time.Time
}

const shards = 64

// Hub holds the sockets and watchers of this task. Make it with New, run Run beside it.
type Hub struct {
	inbox     ledger.Inbox
	access    Access
	observer  Observer
	receipts  Receipts
	log       *slog.Logger
	revoked   func(sessionID string) bool
	witness   Witness
	unlimited bool
	now       func() time.Time
	seed      maphash.Seed
	draining  atomic.Bool

	users    [shards]userShard
	watchers [shards]topicShard
}

var _ protocol.Publisher = (*Hub)(nil)

type userShard struct {
	mu    sync.RWMutex
	users map[fleet.UserID][]*Socket
}

// New makes a hub.
func New(c Config) *Hub {
	h := &Hub{
		inbox: c.Inbox, access: c.Access, observer: c.Observer, log: c.Log, revoked: c.Revoked, witness: c.Witness,
		unlimited: c.Unlimited, seed: maphash.MakeSeed(),
	}
	if h.observer == nil {
		h.observer = unobserved{}
	}
	h.receipts = c.Receipts
	if h.receipts == nil {
		h.receipts = noReceipts{}
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	h.now = c.Now
	if h.now == nil {
		h.now = time.Now
	}
	if h.revoked == nil {
		h.revoked = func(string) bool { return false }
	}
	h.log = h.log.With("component", "hub")
	for i := range shards {
		h.users[i].users = make(map[fleet.UserID][]*Socket)
		h.watchers[i].topics = make(map[Scope]*watchers)
	}
	return h
}

// Run does what needs a clock: it ends sockets whose write is stuck or whose session is over. It returns
// when ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	again := time.NewTicker(AskAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-sweep.C:
			h.sweep(now)
		case <-again.C:
			h.each(h.endRevoked)
		}
	}
}

// Attachment describes a new, authenticated socket.
type Attachment struct {
	Identity  token.Identity
	Device    string // "" falls back to the identity's device, then to its session
	Conn      string // an id for logs and for presence
	Codec     Codec
	Transport Transport
}

// Attach makes a socket known. It starts holding back events at once; nothing is sent until Begin.
// An older socket of the same user and device is closed with 4409, and so is the oldest one of a
// user who has too many. A socket whose session was revoked since its token was checked is closed with
// 4401. The caller must Detach it when the connection ends.
func (h *Hub) Attach(a Attachment) *Socket {
	s := newSocket(h, a)
	sh := h.userShard(s.who.UserID)
	sh.mu.Lock()
	list := sh.users[s.who.UserID]
	replaced := h.replacedBy(s, list)
	kept := make([]*Socket, 0, len(list)+1)
	for _, o := range list {
		if !contains(replaced, o) {
			kept = append(kept, o)
		}
	}
	sh.users[s.who.UserID] = append(kept, s)
	sh.mu.Unlock()

	for _, o := range replaced {
		o.Kill(CodeReplaced, "replaced by a newer connection")
	}
	h.observer.Sockets(s.format, string(s.who.Role), 1)
	h.endRevoked(s) // Disconnect did not find it while it was on its way
	return s
}

// endRevoked ends a socket whose session is over.
func (h *Hub) endRevoked(s *Socket) {
	if h.revoked(s.who.SessionID) {
		s.Kill(CodeUnauthorized, "session is over")
	}
}

// replacedBy picks the sockets of the user that have to go for s.
func (h *Hub) replacedBy(s *Socket, list []*Socket) []*Socket {
	var gone []*Socket
	for _, o := range list {
		if o.device == s.device && o.format == s.format {
			gone = append(gone, o)
		}
	}
	if h.unlimited {
		return gone
	}
	for _, o := range list {
		if len(list)-len(gone) < maxSockets(s.who.Role) {
			break
		}
		if !contains(gone, o) {
			gone = append(gone, o) // the list is in order of arrival
		}
	}
	return gone
}

func maxSockets(role fleet.Role) int {
	switch role {
	case fleet.Driver:
		return 2
	case fleet.Customer:
		return 5
	case fleet.Transporter, fleet.Ops:
		return 10
	case token.Viewer:
		return MaxViewers
	}
	return 1
}

func contains(list []*Socket, s *Socket) bool {
	for _, o := range list {
		if o == s {
			return true
		}
	}
	return false
}

// Detach forgets a socket: its watches, its place among the user's sockets and what waits in it. The
// transport is not touched. Harmless when repeated.
func (h *Hub) Detach(s *Socket) {
	if !s.forget() {
		return
	}
	sh := h.userShard(s.who.UserID)
	sh.mu.Lock()
	list := sh.users[s.who.UserID]
	kept := make([]*Socket, 0, len(list))
	for _, o := range list {
		if o != s {
			kept = append(kept, o)
		}
	}
	if len(kept) == 0 {
		delete(sh.users, s.who.UserID)
	} else {
		sh.users[s.who.UserID] = kept
	}
	sh.mu.Unlock()
	h.observer.Sockets(s.format, string(s.who.Role), -1)
}

// Sockets gives the sockets of a user at this moment. The slice is shared and must not be changed.
func (h *Hub) Sockets(user fleet.UserID) []*Socket {
	sh := h.userShard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.users[user] // never changed in place: Attach and Detach replace it
}

// Sessions gives the sessions that hold sockets on this task, with their users. Viewers of share links have
// none. The map is the caller's.
func (h *Hub) Sessions() map[string]fleet.UserID {
	held := make(map[string]fleet.UserID)
	h.each(func(s *Socket) {
		if s.who.Role != token.Viewer {
			held[s.who.SessionID] = s.who.UserID
		}
	})
	return held
}

// Count is the number of sockets on this task.
func (h *Hub) Count() int {
	n := 0
	h.each(func(*Socket) { n++ })
	return n
}

// each calls f for every socket, outside the locks.
func (h *Hub) each(f func(*Socket)) {
	for i := range shards {
		sh := &h.users[i]
		sh.mu.RLock()
		var list []*Socket
		for _, sockets := range sh.users {
			list = append(list, sockets...)
		}
		sh.mu.RUnlock()
		for _, s := range list {
			f(s)
		}
	}
}

func (h *Hub) sweep(now time.Time) {
	h.each(func(s *Socket) {
		if s.stuck(now) {
			s.Kill(CodeSlow, "too slow")
		}
	})
}

func (h *Hub) userShard(user fleet.UserID) *userShard {
	return &h.users[maphash.String(h.seed, string(user))%shards]
}
