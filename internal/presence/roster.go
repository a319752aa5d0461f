package presence

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/track"
)

const (
	// rosterEvery is how often a task reads who is there (design §4).
	rosterEvery = 10 * time.Second
	// rosterLimit bounds one reading.
	rosterLimit = 5 * time.Second
	// kindsFresh is how long the kinds of vehicles of somebody are believed.
	kindsFresh = 60 * time.Second
	// missedRounds: whoever is missing in this many readings on end has gone. One is not enough, because
	// an emptied store is filled again by the beats of the next seconds.
	missedRounds = 2
	// rosterChunk bounds one question to a store.
	rosterChunk = 2000
)

// Roster keeps the grid of a task current with the people of all tasks: those whose heartbeats come
// here are placed by their actors at once, the others by the roster within ten seconds, from the
// shared presence and last positions.
//
// Invariants:
//   - Whoever left is off the grid within two readings, and nobody stays longer than his position lives.
//   - A store that was emptied, or does not answer, takes nobody off: positions age by themselves, and
//     for a life of presence nobody is taken for gone.
type Roster struct {
	Store interface {
		All(ctx context.Context, now time.Time) ([]Entry, error)
	}
	Positions interface {
		Last(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error)
	}
	Kinds interface { // fleet.Supply
		Keys(ctx context.Context, transporters []fleet.UserID) (map[fleet.UserID][]string, error)
	}
	Grid *fleet.Grid
	// Came hears of transporters that the grid did not know before, but not of those whom the first
	// reading finds. nil: nobody hears. It must not block.
	Came func(transporter fleet.UserID, at geo.Point, keys []string)
	Now  func() time.Time
	Log  *slog.Logger

	known     map[fleet.UserID]*listed
	rounds    int
	lostUntil time.Time // the store seems to have been emptied: nobody is taken for gone
}

// listed is a transporter whom a reading found.
type listed struct {
	missed  int
	keys    []string
	keysAt  time.Time
	keysOK  bool
	present bool // in the newest reading
}

// Run reads at once and then every ten seconds, until ctx ends.
func (r *Roster) Run(ctx context.Context) error {
	tick := time.NewTicker(rosterEvery)
	defer tick.Stop()
	for {
		r.Read(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Read is one reading. It must not run beside itself.
func (r *Roster) Read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rosterLimit)
	defer cancel()
	now := r.Now()
	defer r.Grid.Expire(now)
	entries, err := r.Store.All(ctx, now)
	if err != nil {
		r.Log.WarnContext(ctx, "presence not read; positions age by themselves", "error", err)
		return
	}
	ids := r.roll(entries, now)
	r.learnKinds(ctx, ids, now)
	r.place(ctx, ids, now)
	r.dismiss(now)
	r.rounds++
}

// roll marks who is there and gives the transporters among them.
func (r *Roster) roll(entries []Entry, now time.Time) []fleet.UserID {
	if r.known == nil {
		r.known = map[fleet.UserID]*listed{}
	}
	before := 0
	for _, l := range r.known {
		if l.present {
			before++
		}
		l.present = false
	}
	var ids []fleet.UserID
	for _, e := range entries {
		if e.Role != fleet.Transporter || !e.Live(now.UnixMilli()) {
			continue
		}
		l := r.known[e.User]
		if l == nil {
			l = &listed{}
			r.known[e.User] = l
		}
		l.present, l.missed = true, 0
		ids = append(ids, e.User)
	}
	if 2*len(ids) < before {
		r.lostUntil = now.Add(TransporterLife)
		r.Log.Warn("more than half of the transporters are gone at once; taking nobody off for a while", "before", before, "now", len(ids))
	}
	return ids
}

// learnKinds asks for the kinds of those whose are not known or old.
func (r *Roster) learnKinds(ctx context.Context, ids []fleet.UserID, now time.Time) {
	var ask []fleet.UserID
	for _, id := range ids {
		if l := r.known[id]; !l.keysOK || now.Sub(l.keysAt) >= kindsFresh {
			ask = append(ask, id)
		}
	}
	for chunk := range slices.Chunk(ask, rosterChunk) {
		kinds, err := r.Kinds.Keys(ctx, chunk)
		if err != nil {
			r.Log.WarnContext(ctx, "kinds of vehicles not read; the next reading does", "transporters", len(ask), "error", err)
			return
		}
		for _, id := range chunk {
			l := r.known[id]
			l.keys, l.keysAt, l.keysOK = kinds[id], now, true
		}
	}
}

// place puts people where they were last.
func (r *Roster) place(ctx context.Context, ids []fleet.UserID, now time.Time) {
	for chunk := range slices.Chunk(ids, rosterChunk) {
		spots, err := r.Positions.Last(ctx, chunk, now)
		if err != nil {
			r.Log.WarnContext(ctx, "last positions not read; the next reading does", "transporters", len(ids), "error", err)
			return
		}
		for _, id := range chunk {
			fix, ok := spots[id]
			l := r.known[id]
			if !ok || !l.keysOK || now.UnixMilli()-fix.ReceivedMS >= TransporterLife.Milliseconds() {
				continue
			}
			at := geo.Point{Lat: fix.Lat, Lng: fix.Lng}
			_, _, there := r.Grid.Where(id, now)
			if r.Grid.Put(id, at, l.keys, fix.ReceivedMS) && !there && r.rounds > 0 && r.Came != nil {
				r.Came(id, at, l.keys)
			}
		}
	}
}

// dismiss takes those off who are missing for long enough.
func (r *Roster) dismiss(now time.Time) {
	for id, l := range r.known {
		if l.present {
			continue
		}
		if l.missed++; l.missed >= missedRounds && !now.Before(r.lostUntil) {
			r.Grid.Remove(id, now.UnixMilli())
			delete(r.known, id)
		}
	}
}
