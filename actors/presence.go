package actors

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
)

const (
	// spotsEvery is how often last positions are written: at most once a second for each driver.
	spotsEvery = time.Second
	// beatsEvery is how often presence is renewed, well inside its shortest life of 36 s.
	beatsEvery    = 8 * time.Second
	presenceLimit = 3 * time.Second
	// maxMoves bounds the arrivals and departures that wait for a slow store.
	maxMoves = 10_000
	// movesAtOnce bounds one round trip.
	movesAtOnce = 500
)

// PresenceWriter keeps the shared store of who is there and where current, for all actors of a task:
// positions and renewals are collected and written in one round trip, so nothing of it is in the
// path of a frame. Losing the store costs nothing but freshness.
type PresenceWriter struct {
	store     presence.Store
	positions presence.Positions
	lost      func(presence.Person) // a renewal found nobody there
	now       func() time.Time
	log       *slog.Logger

	mu    sync.Mutex
	moves []presence.Move // arrivals and departures, in order
	beats map[fleet.UserID]presence.Person
	spots map[fleet.UserID]track.Fix
	wake  chan struct{} // one token: moves wait
}

// NewPresenceWriter makes one. lost is told, off every actor's turn, of people who should be there
// and are not: the store was emptied, or they left by another task. now nil: time.Now.
func NewPresenceWriter(store presence.Store, positions presence.Positions, lost func(presence.Person), now func() time.Time, log *slog.Logger) *PresenceWriter {
	if now == nil {
		now = time.Now
	}
	return &PresenceWriter{
		store: store, positions: positions, lost: lost, now: now, log: log.With("component", "presence"),
		beats: map[fleet.UserID]presence.Person{}, spots: map[fleet.UserID]track.Fix{}, wake: make(chan struct{}, 1),
	}
}

// LostTo tells the actors of people whom the store has lost. It is what NewPresenceWriter wants.
func LostTo(r Router) func(presence.Person) {
	return func(who presence.Person) {
		_ = r.Tell(context.Background(), Address{Kind: string(who.Role), ID: string(who.User)}, presenceLost{})
	}
}

// presenceLost tells an actor that the store does not know its person as present.
type presenceLost struct{}

// Enter makes a person present.
func (w *PresenceWriter) Enter(who presence.Person) { w.move(presence.Move{Who: who}) }

// Leave removes a person. A renewal that waits is dropped, so it cannot come after.
func (w *PresenceWriter) Leave(who presence.Person) { w.move(presence.Move{Who: who, Leave: true}) }

func (w *PresenceWriter) move(m presence.Move) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.beats, m.Who.User)
	if len(w.moves) >= maxMoves { // the renewals will find out who is missing
		w.moves = w.moves[1:]
	}
	w.moves = append(w.moves, m)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Beat renews a person's presence with the next round.
func (w *PresenceWriter) Beat(who presence.Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beats[who.User] = who
}

// Position keeps a person's last position with the next round; a newer one takes its place.
func (w *PresenceWriter) Position(user fleet.UserID, fix track.Fix) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spots[user] = fix
}

// Run writes until ctx ends, and once more then.
func (w *PresenceWriter) Run(ctx context.Context) error {
	spots, beats := time.NewTicker(spotsEvery), time.NewTicker(beatsEvery)
	defer spots.Stop()
	defer beats.Stop()
	for {
		select {
		case <-ctx.Done():
			last := context.WithoutCancel(ctx)
			w.writeMoves(last)
			w.writeSpots(last)
			return nil
		case <-w.wake:
			w.writeMoves(ctx)
		case <-spots.C:
			w.writeMoves(ctx)
			w.writeSpots(ctx)
		case <-beats.C:
			w.writeBeats(ctx)
		}
	}
}

// writeMoves writes arrivals and departures in order, in round trips of many and within one limit for
// all. What cannot be written goes on from there a second later.
func (w *PresenceWriter) writeMoves(ctx context.Context) {
	w.mu.Lock()
	moves := w.moves
	w.moves = nil
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, presenceLimit)
	defer cancel()
	for len(moves) > 0 {
		n := min(len(moves), movesAtOnce)
		if err := w.store.Move(ctx, moves[:n], w.now()); err != nil {
			w.log.WarnContext(ctx, "presence not written; trying again", "waiting", len(moves), "error", err)
			w.giveBack(moves)
			return
		}
		moves = moves[n:]
	}
}

// giveBack puts moves before those that came meanwhile; of too many the oldest go.
func (w *PresenceWriter) giveBack(moves []presence.Move) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moves = append(moves[:len(moves):len(moves)], w.moves...)
	w.moves = w.moves[max(0, len(w.moves)-maxMoves):]
}

func (w *PresenceWriter) writeBeats(ctx context.Context) {
	w.mu.Lock()
	who := make([]presence.Person, 0, len(w.beats))
	for _, p := range w.beats {
		who = append(who, p)
	}
	clear(w.beats)
	w.mu.Unlock()
	if len(who) == 0 {
		return
	}
	once, cancel := context.WithTimeout(ctx, presenceLimit)
	defer cancel()
	present, err := w.store.Beat(once, who, w.now())
	if err != nil {
		w.log.WarnContext(ctx, "presence not renewed; the next round does", "people", len(who), "error", err)
		return
	}
	for i, p := range who {
		if !present[i] {
			w.lost(p)
		}
	}
}

func (w *PresenceWriter) writeSpots(ctx context.Context) {
	w.mu.Lock()
	spots := make([]presence.Spot, 0, len(w.spots))
	for user, fix := range w.spots {
		spots = append(spots, presence.Spot{User: user, Fix: fix})
	}
	clear(w.spots)
	w.mu.Unlock()
	if len(spots) == 0 {
		return
	}
	once, cancel := context.WithTimeout(ctx, presenceLimit)
	defer cancel()
	if err := w.positions.Put(once, spots); err != nil {
		w.log.WarnContext(ctx, "last positions not written; newer ones follow", "drivers", len(spots), "error", err)
	}
}
