package fleet

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"weelo/internal/geo"
)

// Wanted is what a wave of an order looks for.
type Wanted struct {
	Slots    map[string]int // open slots by kind of vehicle (Key); kinds with none are ignored
	At       geo.Point      // the pickup
	RadiusKM float64
	Offered  func(UserID) bool // who was offered the order before; nil: nobody
	// Only asks about one transporter, who came online or got a vehicle free; empty: everybody around.
	Only UserID
	Now  time.Time
}

// Matcher finds whom an order could be offered. It reads; the order decides. One wave costs one
// question to each of its ports, whatever the number of candidates.
type Matcher struct {
	Locator Locator
	Supply  Supply
	Users   UserReader
	Offers  OfferCounter // nil: nobody has too many
	Records RecordReader // nil: nothing is known of anybody
	ETA     RoadETA      // nil or failing: StraightETA
	Rules   MatchRules
}

// UserReader reads users: People.
type UserReader interface {
	// Users gives those of ids that exist, in no order.
	Users(ctx context.Context, ids []UserID) ([]User, error)
}

// OfferCounter counts the open offers of transporters. Who has none may be missing.
type OfferCounter func(ctx context.Context, transporters []UserID) (map[UserID]int, error)

// RecordReader gives how transporters dealt with earlier offers. Unknown ones are missing.
type RecordReader func(ctx context.Context, transporters []UserID) (map[UserID]Record, error)

// MatchRules is the policy of a Matcher.
type MatchRules struct {
	Ranking    Ranking
	RequireKYC bool
	OpenOffers int           // a transporter with this many open offers gets no further one; 0: no limit
	ETALimit   time.Duration // how long a road engine may take; 0: DefaultETALimit
}

// DefaultETALimit is how long a wave waits for a road engine before it estimates.
const DefaultETALimit = 800 * time.Millisecond

// DefaultMatchRules is the apps' contract §3, without KYC.
func DefaultMatchRules() MatchRules {
	return MatchRules{Ranking: DefaultRanking(), OpenOffers: DefaultOpenOffers, ETALimit: DefaultETALimit}
}

// Candidates gives the table of a wave, ranked: those without Skipped are to be offered, best first.
// An empty table means that nobody of the kind is around. At most MaxNearest lines.
func (m *Matcher) Candidates(ctx context.Context, w Wanted) ([]Candidate, error) {
	found := m.around(w)
	if len(found) == 0 {
		return nil, nil
	}
	table, err := m.judge(ctx, w, found)
	if err != nil {
		return nil, err
	}
	if err := m.estimate(ctx, w, found, table); err != nil {
		return nil, err
	}
	return Rank(table, m.Rules.Ranking), nil
}

// keys gives the kinds with open slots, sorted.
func (w Wanted) keys() []string {
	keys := slices.Sorted(maps.Keys(w.Slots))
	return slices.DeleteFunc(keys, func(k string) bool { return w.Slots[k] <= 0 })
}

// around gives the nearest of every wanted kind: those who were not offered the order yet, and where
// room is left in the table, those who were.
func (m *Matcher) around(w Wanted) []Located {
	if w.Only != "" {
		return m.alone(w)
	}
	if w.Offered == nil {
		return m.nearest(w, MaxNearest, nil)
	}
	fresh := m.nearest(w, MaxNearest, w.Offered)
	if len(fresh) >= MaxNearest {
		return fresh
	}
	known := m.nearest(w, MaxNearest-len(fresh), func(id UserID) bool { return !w.Offered(id) })
	return append(fresh, known...)
}

// alone gives the one transporter who is asked about, if he is within the radius with a wanted kind. It
// looks where he is and at nobody else: whoever comes online asks so about many orders at once.
func (m *Matcher) alone(w Wanted) []Located {
	at, keys, known := m.Locator.Where(w.Only, w.Now)
	if !known || !w.At.Valid() || !slices.ContainsFunc(keys, func(k string) bool { return w.Slots[k] > 0 }) {
		return nil
	}
	metres := geo.Distance(w.At, at)
	if !(metres <= w.RadiusKM*1000+edge*geo.EarthRadiusM) { // as Nearest counts the edge
		return nil
	}
	return []Located{{Transporter: w.Only, At: at, DistanceM: metres}}
}

// nearest unites the kinds and keeps the nearest limit transporters.
func (m *Matcher) nearest(w Wanted, limit int, skip func(UserID) bool) []Located {
	var found []Located
	seen := map[UserID]bool{}
	for _, key := range w.keys() {
		for _, l := range m.Locator.Nearest(Query{Key: key, At: w.At, RadiusKM: w.RadiusKM, Limit: limit, Skip: skip, Now: w.Now}) {
			if !seen[l.Transporter] {
				seen[l.Transporter] = true
				found = append(found, l)
			}
		}
	}
	slices.SortFunc(found, func(a, b Located) int {
		if a.DistanceM != b.DistanceM {
			if a.DistanceM < b.DistanceM {
				return -1
			}
			return 1
		}
		return compareIDs(a.Transporter, b.Transporter)
	})
	return found[:min(limit, len(found))]
}

func compareIDs(a, b UserID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// judge fills in the facts and says who cannot be offered the order, and why.
func (m *Matcher) judge(ctx context.Context, w Wanted, found []Located) ([]Candidate, error) {
	ids := make([]UserID, len(found))
	for i, l := range found {
		ids[i] = l.Transporter
	}
	stocks, err := m.Supply.Free(ctx, ids, w.keys())
	if err != nil {
		return nil, fmt.Errorf("match: supply: %w", err)
	}
	users, err := m.Users.Users(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("match: users: %w", err)
	}
	byID := make(map[UserID]User, len(users))
	for _, u := range users {
		byID[u.ID] = u
	}
	open, records, err := m.history(ctx, ids)
	if err != nil {
		return nil, err
	}
	table := make([]Candidate, len(found))
	for i, l := range found {
		c := Candidate{Transporter: l.Transporter, DistanceM: int(math.Round(l.DistanceM)), Stocks: stocks[l.Transporter], Record: records[l.Transporter]}
		for _, s := range c.Stocks {
			c.Free += s.Free
			c.Total += s.Total
		}
		c.Skipped = m.reason(w, c, byID, open[l.Transporter])
		table[i] = c
	}
	return table, nil
}

func (m *Matcher) history(ctx context.Context, ids []UserID) (open map[UserID]int, records map[UserID]Record, err error) {
	if m.Offers != nil && m.Rules.OpenOffers > 0 {
		if open, err = m.Offers(ctx, ids); err != nil {
			return nil, nil, fmt.Errorf("match: open offers: %w", err)
		}
	}
	if m.Records != nil && m.Rules.Ranking.Scoring {
		if records, err = m.Records(ctx, ids); err != nil {
			return nil, nil, fmt.Errorf("match: records: %w", err)
		}
	}
	return open, records, nil
}

// reason says why a candidate is not offered the order; the first that holds.
func (m *Matcher) reason(w Wanted, c Candidate, users map[UserID]User, open int) string {
	u, known := users[c.Transporter]
	switch {
	case w.Offered != nil && w.Offered(c.Transporter):
		return SkipOffered
	case !known || !u.Available || u.Role != Transporter:
		return SkipOffline
	case u.Suspended:
		return SkipSuspended
	case m.Rules.RequireKYC && u.KYC != KYCVerified:
		return SkipKYC
	case c.Free == 0:
		return SkipNoVehicle
	case m.Rules.OpenOffers > 0 && open >= m.Rules.OpenOffers:
		return SkipBusy
	}
	return ""
}

// estimate sets the time to the pickup. A road engine that fails or is late costs precision only.
func (m *Matcher) estimate(ctx context.Context, w Wanted, found []Located, table []Candidate) error {
	from := make([]geo.Point, len(found))
	for i, l := range found {
		from[i] = l.At
	}
	times, ok := m.byRoad(ctx, from, w.At)
	if !ok {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("match: %w", err)
		}
	}
	for i := range table {
		eta := StraightTime(found[i].DistanceM)
		if ok {
			eta = times[i]
		}
		table[i].ETASeconds = int(math.Ceil(eta.Seconds()))
	}
	return nil
}

func (m *Matcher) byRoad(ctx context.Context, from []geo.Point, to geo.Point) ([]time.Duration, bool) {
	if m.ETA == nil {
		return nil, false
	}
	limit := m.Rules.ETALimit
	if limit <= 0 {
		limit = DefaultETALimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	times, err := m.ETA.ETA(ctx, from, to)
	return times, err == nil && len(times) == len(from)
}
