package access_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors/protocol"
	reads "weelo/internal/access"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/order"
	"weelo/internal/presence"
	"weelo/internal/token"
	"weelo/internal/track"
	"weelo/internal/trip"
	"weelo/store/memory"
	"weelo/store/sqlite"
	"weelo/transport/access"
	"weelo/transport/hub"
)

const (
	driver1 = fleet.UserID("0b7f2a30-7c0e-4e0f-8d53-0000000000d1")
	driver2 = fleet.UserID("0b7f2a30-7c0e-4e0f-8d53-0000000000d2")
)

// stage is two live trips and an ended one of t1, and a live one of t2, all of customer c1 but the last.
type stage struct {
	*access.Access
	t         *testing.T
	db        *sqlite.DB
	positions *memory.Positions
	fixes     *sqlite.Fixes
	now       time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "weelo.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, db: db, positions: memory.NewPositions(), fixes: sqlite.NewFixes(db), now: time.Now()}
	clock := func() time.Time { return s.now }
	s.Access = access.New(reads.New(sqlite.NewTripReads(db), s.positions, s.fixes, track.DefaultRules(), clock)).WithOrders(access.Orders{
		Reads: sqlite.NewOrderReads(db), Live: sqlite.NewOrderReads(db), Waves: order.DefaultPolicy().Waves, Offers: sqlite.NewOffers(db), Now: clock,
	})
	s.put("moving", driver1, "t1", "c1", "o1", trip.InTransit, 3*time.Hour)
	s.put("pending", driver2, "t1", "c1", "o1", trip.Pending, time.Minute)
	s.put("ended", driver2, "t1", "c1", "o1", trip.Completed, 5*time.Hour)
	s.put("rival", "d9", "t2", "c2", "o2", trip.AtPickup, 2*time.Hour)
	s.order("o3", "c1", order.Active)
	s.order("o4", "c1", order.Expired)
	return s
}

func (s *stage) put(id string, driver, transporter, customer fleet.UserID, order string, status trip.Status, ago time.Duration) {
	s.t.Helper()
	born := s.now.Add(-ago)
	state := trip.State{ID: id, Status: status, Live: !status.Terminal(), DriverID: driver, VehicleID: fleet.VehicleID("v-" + id),
		TransporterID: transporter, CustomerID: customer, OrderID: order, AssignedMS: born.UnixMilli(), StatusMS: born.UnixMilli(),
		Names: trip.Names{Driver: "Ravi", DriverPhone: "+919123456781"}, Reached: map[trip.Status]int64{}, Timers: map[string]trip.Timer{}}
	if status != trip.Pending {
		state.AcceptedMS = born.Add(time.Minute).UnixMilli()
	}
	if status.Terminal() {
		state.EndedMS = born.Add(time.Hour).UnixMilli()
	}
	snapshot, err := state.Snapshot()
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.db.Write.ExecContext(s.t.Context(), `INSERT INTO trip (id, version, state, created_at, updated_at) VALUES (?1, 3, ?2, ?3, ?3)`,
		id, string(snapshot), born.UnixMicro()); err != nil {
		s.t.Fatal(err)
	}
}

// order puts an order without trips.
func (s *stage) order(id string, customer fleet.UserID, status order.Status) {
	s.t.Helper()
	state := order.State{ID: id, Status: status, Live: !status.Terminal(), CustomerID: customer, CreatedMS: s.now.UnixMilli()}
	snapshot, err := state.Snapshot()
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.db.Write.ExecContext(s.t.Context(), `INSERT INTO customer_order (id, version, state, created_at, updated_at) VALUES (?1, 1, ?2, ?3, ?3)`,
		id, string(snapshot), s.now.UnixMicro()); err != nil {
		s.t.Fatal(err)
	}
}

// offer puts an offer of o3.
func (s *stage) offer(id string, to fleet.UserID, open bool, expires time.Time) {
	s.t.Helper()
	closed := any(nil)
	if !open {
		closed = s.now.UnixMicro()
	}
	if _, err := s.db.Write.ExecContext(s.t.Context(), `INSERT INTO offer (id, order_id, recipient, wave, version, open, expires, data, reason, offered_at, closed_at)
		VALUES (?1, ?1, ?2, 1, 4, ?3, ?4, '{"orderId":"o3"}', '', ?5, ?6)`, id, to, open, expires.UnixMicro(), s.now.UnixMicro(), closed); err != nil {
		s.t.Fatal(err)
	}
}

func who(role fleet.Role, id fleet.UserID) token.Identity {
	return token.Identity{UserID: id, Role: role}
}

// of is a driver as one of a fleet.
func of(transporter, driver fleet.UserID) token.Identity {
	return token.Identity{UserID: driver, Role: fleet.Driver, TransporterID: transporter}
}

func trips(views []protocol.TripView) (list []string) {
	for _, v := range views {
		list = append(list, v.TripID)
	}
	return list
}

func TestWhoMayWatchWhat(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	people := map[string]token.Identity{
		"driver": of("t1", driver1), "driver2": of("t1", driver2), "transporter": who(fleet.Transporter, "t1"), "customer": who(fleet.Customer, "c1"),
		"rival": who(fleet.Transporter, "t2"), "stranger": who(fleet.Customer, "c2"), "ops": who(fleet.Ops, "o"), "nobody": {},
		"impostor": who(fleet.Customer, "t1"),                                                                  // the transporter's id in another role
		"former":   of("t2", driver1), "former2": of("t2", driver2), "of no fleet": who(fleet.Driver, driver1), // they drove for t1
	}
	scope := func(kind hub.ScopeKind, id string) hub.Scope { return hub.Scope{Kind: kind, ID: id} }
	for _, c := range []struct {
		scope hub.Scope
		may   map[string][]string // everybody else is refused
	}{
		{scope(hub.Trip, "moving"), map[string][]string{"driver": {"moving"}, "transporter": {"moving"}, "customer": {"moving"}, "ops": {"moving"}}},
		{scope(hub.Trip, "ended"), map[string][]string{"driver2": {"ended"}, "transporter": {"ended"}, "customer": {"ended"}, "ops": {"ended"}}},
		{scope(hub.Trip, "unknown"), nil},
		{scope(hub.Order, "o1"), map[string][]string{"customer": {"pending", "moving"}, "ops": {"pending", "moving"}}},
		{scope(hub.Order, "o3"), map[string][]string{"customer": nil, "ops": nil}},
		{scope(hub.Order, "unknown"), nil},
		{scope(hub.Fleet, "t1"), map[string][]string{"transporter": {"pending", "moving"}}},
		{scope(hub.Own, "c1"), map[string][]string{"customer": {"pending", "moving"}}},
		{scope(hub.All, ""), map[string][]string{"ops": {"pending", "rival", "moving"}}},
		{scope(0, ""), nil},
	} {
		for name, identity := range people {
			views, err := s.Watch(t.Context(), identity, c.scope)
			want, may := c.may[name]
			if !may {
				if e := fault.From(err); err == nil || e.Code != fault.NotFound || e.Reason != "NOT_FOUND" {
					t.Errorf("%s watches %+v: %v, %v; want NOT_FOUND", name, c.scope, trips(views), err)
				}
				continue
			}
			if diff := cmp.Diff(want, trips(views)); err != nil || diff != "" {
				t.Errorf("%s watches %+v: %v (-want +got):\n%s", name, c.scope, err, diff)
			}
		}
	}
}

func TestAViewMasksThePhone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	views, err := s.Live(t.Context(), who(fleet.Customer, "c1"))
	if err != nil {
		t.Fatal(err)
	}
	if p := views[0].Driver.Phone; p != "+91******6781" || views[0].Version != 3 || views[0].Status != "pending" {
		t.Errorf("view %+v", views[0])
	}
}

func TestOpenOffersOfATransporter(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	later := s.now.Add(time.Minute).Truncate(time.Millisecond)
	s.offer("open", "t1", true, later)
	s.offer("late", "t1", true, s.now.Add(-time.Second))
	s.offer("closed", "t1", false, later)
	s.offer("rivals", "t2", true, later)
	s.offer("impostors", "c1", true, later)
	got, err := s.Offers(t.Context(), who(fleet.Transporter, "t1"))
	if err != nil {
		t.Fatal(err)
	}
	want := []hub.Offer{{ID: "open", Version: 4, Open: true, Expires: later.UTC(), Data: []byte(`{"orderId":"o3"}`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := s.Offers(t.Context(), who(fleet.Customer, "c1")); err != nil || got != nil {
		t.Errorf("a customer is offered %v, %v", got, err)
	}
}

func TestLiveOrdersOfACustomer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for identity, want := range map[token.Identity][]string{
		who(fleet.Customer, "c1"): {"o3"}, who(fleet.Customer, "c2"): nil, who(fleet.Transporter, "c1"): nil, who(fleet.Ops, "c1"): nil,
	} {
		orders, err := s.LiveOrders(t.Context(), identity)
		var ids []string
		for _, o := range orders {
			ids = append(ids, o.ID)
		}
		if diff := cmp.Diff(want, ids); err != nil || diff != "" {
			t.Errorf("%+v: %v (-want +got):\n%s", identity, err, diff)
		}
	}
}

// TestOrdersOnTheMap: ops are shown every live order, nobody else any.
func TestOrdersOnTheMap(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got, err := s.OrderViews(t.Context(), who(fleet.Ops, "o"))
	if err != nil || len(got) != 1 || got[0].OrderID != "o3" || got[0].Status != "active" {
		t.Errorf("ops see %+v, %v", got, err)
	}
	for _, identity := range []token.Identity{who(fleet.Customer, "c1"), who(fleet.Transporter, "t1"), of("t1", driver1), {}} {
		if got, err := s.OrderViews(t.Context(), identity); err == nil || got != nil {
			t.Errorf("%+v sees %+v", identity, got)
		}
	}
}

func TestThePositionOfATripIsItsOwn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	fix := func(ago time.Duration, lat float64) track.Fix {
		ms := s.now.Add(-ago).UnixMilli()
		return track.Fix{TS: ms, ReceivedMS: ms, Lat: lat, Lng: 77.5}
	}
	last := func() *track.Fix {
		t.Helper()
		views, err := s.Watch(t.Context(), of("t1", driver1), hub.Scope{Kind: hub.Trip, ID: "moving"})
		if err != nil {
			t.Fatal(err)
		}
		return views[0].Live
	}
	if got := last(); got != nil {
		t.Errorf("no position yet, and yet %+v", got)
	}
	if _, err := s.fixes.Save(t.Context(), []history.Row{{Driver: driver1, Fix: fix(4*time.Hour, 1)}, {Driver: driver1, Fix: fix(time.Hour, 2)}}); err != nil {
		t.Fatal(err)
	}
	if got := last(); got == nil || got.Lat != 2 {
		t.Errorf("from history: %+v", got)
	}
	put := func(f track.Fix) {
		t.Helper()
		if err := s.positions.Put(t.Context(), []presence.Spot{{User: driver1, Fix: f}}); err != nil {
			t.Fatal(err)
		}
	}
	put(fix(3*time.Hour, 3)) // before the acceptance: another trip's, or none
	if got := last(); got == nil || got.Lat != 2 {
		t.Errorf("a position from before the trip took its place: %+v", got)
	}
	put(fix(time.Second, 4))
	if got := last(); got == nil || got.Lat != 4 {
		t.Errorf("the last position reported: %+v", got)
	}
	trip, ms, err := s.Welcome(t.Context(), of("t1", driver1))
	if err != nil || trip != "moving" || ms != fix(time.Hour, 2).TS {
		t.Errorf("welcome %q, %d, %v; want the newest fix that is in history", trip, ms, err)
	}
	if trip, ms, err = s.Welcome(t.Context(), of("t1", driver2)); err != nil || trip != "pending" || ms != 0 {
		t.Errorf("welcome of a pending trip %q, %d, %v", trip, ms, err)
	}
	if trip, ms, err = s.Welcome(t.Context(), of("t1", "d5")); err != nil || trip != "" || ms != 0 {
		t.Errorf("welcome without a trip %q, %d, %v", trip, ms, err)
	}
}

// deaf is a store of positions that does not answer.
type deaf struct{}

func (deaf) Last(context.Context, []fleet.UserID, time.Time) (map[fleet.UserID]track.Fix, error) {
	return nil, errors.New("redis is away")
}

func TestWithoutPositionsHistoryAnswers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ms := s.now.Add(-time.Minute).UnixMilli()
	if _, err := s.fixes.Save(t.Context(), []history.Row{{Driver: driver1, Fix: track.Fix{TS: ms, ReceivedMS: ms, Lat: 2, Lng: 77}}}); err != nil {
		t.Fatal(err)
	}
	a := access.New(reads.New(sqlite.NewTripReads(s.db), deaf{}, s.fixes, track.DefaultRules(), time.Now))
	views, err := a.Live(t.Context(), of("t1", driver1))
	if err != nil || len(views) != 1 || views[0].Live == nil || views[0].Live.Lat != 2 {
		t.Errorf("views %+v, %v", views, err)
	}
}

// remembers is a store of positions that knows some.
type remembers map[fleet.UserID]track.Fix

func (m remembers) Last(context.Context, []fleet.UserID, time.Time) (map[fleet.UserID]track.Fix, error) {
	return m, nil
}

// TestHistoryIsBelievedByTheSameRules: history keeps jumps; whoever looks at a trip is not shown them, whether
// the store of positions is away, was emptied, or still names a place from before the trip.
func TestHistoryIsBelievedByTheSameRules(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	begin := s.now.Add(-time.Minute) // the trip has long begun
	accepted := s.now.Add(-3*time.Hour + time.Minute)
	at := func(when time.Time, lat float64) track.Fix {
		return track.Fix{TS: when.UnixMilli(), ReceivedMS: when.UnixMilli(), Lat: lat, Lng: 77.5, Accuracy: 8}
	}
	const home, there = 12.97, 17.47 // 500 km
	loose := remembers{driver1: at(accepted.Add(-20*time.Second), home)}
	for name, c := range map[string]struct {
		positions reads.Positions
		history   []track.Fix
		want      float64 // 0: no position
	}{
		"away, a drive":                         {deaf{}, []track.Fix{at(begin, home), at(begin.Add(10*time.Second), home+0.001)}, home + 0.001},
		"away, a jump":                          {deaf{}, []track.Fix{at(begin, home), at(begin.Add(10*time.Second), there)}, home},
		"emptied, a jump":                       {remembers{}, []track.Fix{at(begin, home), at(begin.Add(10*time.Second), there)}, home},
		"emptied, three that agree":             {remembers{}, []track.Fix{at(begin, home), at(begin.Add(10*time.Second), there), at(begin.Add(11*time.Second), there), at(begin.Add(12*time.Second), there+0.0001)}, there + 0.0001},
		"emptied, a jump from the trip before":  {remembers{}, []track.Fix{at(accepted.Add(-time.Minute), home), at(accepted.Add(time.Second), there)}, 0},
		"emptied, nothing but the trip before":  {remembers{}, []track.Fix{at(accepted.Add(-time.Minute), home)}, 0},
		"before the trip, then a jump":          {loose, []track.Fix{at(accepted.Add(time.Second), there)}, 0},
		"before the trip, then a jump and back": {loose, []track.Fix{at(accepted.Add(time.Second), there), at(accepted.Add(2*time.Second), home)}, home},
	} {
		if _, err := s.db.Write.ExecContext(t.Context(), `DELETE FROM fix`); err != nil {
			t.Fatal(err)
		}
		var rows []history.Row
		for _, f := range c.history {
			rows = append(rows, history.Row{Driver: driver1, Fix: f})
		}
		if _, err := s.fixes.Save(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		a := access.New(reads.New(sqlite.NewTripReads(s.db), c.positions, s.fixes, track.DefaultRules(), func() time.Time { return s.now }))
		views, err := a.Watch(t.Context(), who(fleet.Customer, "c1"), hub.Scope{Kind: hub.Trip, ID: "moving"})
		if err != nil {
			t.Fatal(err)
		}
		got := 0.0
		if views[0].Live != nil {
			got = views[0].Live.Lat
		}
		row, err := sqlite.NewTripReads(s.db).Trip(t.Context(), "moving")
		if err != nil {
			t.Fatal(err)
		}
		// Whoever knows no last position is told what the customer sees with an empty store of them.
		fix, ok, err := reads.New(nil, nil, s.fixes, track.DefaultRules(), nil).Believed(t.Context(), row.Trip)
		known, _ := c.positions.(remembers)
		if len(known) == 0 && (err != nil || ok != (c.want != 0) || fix.Lat != c.want) {
			t.Errorf("%s: believed %v %+v, %v; want %v", name, ok, fix, err, c.want)
		}
		if got != c.want {
			t.Errorf("%s: the customer sees the truck at %v, want %v", name, got, c.want)
		}
	}
}

// TestATripThatIsOverShowsWhereItEnded: not where the truck drives next, whether that is the last position reported or
// stands in history.
func TestATripThatIsOverShowsWhereItEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := reads.New(sqlite.NewTripReads(s.db), s.positions, s.fixes, track.DefaultRules(), func() time.Time { return s.now })
	row, err := r.Trip(t.Context(), who(fleet.Ops, "o"), "ended", trip.ErrNotFound)
	if err != nil {
		t.Fatal(err)
	}
	at := func(ts int64, lat float64) track.Fix { return track.Fix{TS: ts, ReceivedMS: ts, Lat: lat, Lng: 77.5} }
	end := row.Trip.EndedMS
	if _, err := s.fixes.Save(t.Context(), []history.Row{
		{Driver: driver2, Fix: at(end-1000, 12.9)}, {Driver: driver2, Fix: at(end+60_000, 12.91)},
	}); err != nil {
		t.Fatal(err)
	}
	for _, last := range []track.Fix{{}, at(end+120_000, 12.92)} {
		if last.TS != 0 {
			if err := s.positions.Put(t.Context(), []presence.Spot{{User: driver2, Fix: last}}); err != nil {
				t.Fatal(err)
			}
		}
		seen, err := r.WithPosition(t.Context(), []reads.Row{row})
		if err != nil || !seen[0].HasLast || seen[0].Last.Lat != 12.9 {
			t.Errorf("last reported %v: %+v, %v", last.Lat, seen, err)
		}
	}
}

func TestATrackIsOfItsTripOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := reads.New(sqlite.NewTripReads(s.db), s.positions, s.fixes, track.DefaultRules(), time.Now)
	row, err := r.Trip(t.Context(), who(fleet.Ops, "o"), "ended", trip.ErrNotFound)
	if err != nil {
		t.Fatal(err)
	}
	from, to := row.Trip.Window()
	var rows []history.Row
	for i, ts := range []int64{from - 1, from, from + 1, to - 1, to, to + 1} {
		rows = append(rows, history.Row{Driver: driver2, Fix: track.Fix{TS: ts, ReceivedMS: ts, Lat: float64(i), Lng: 77}})
	}
	if _, err := s.fixes.Save(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	var got []string
	for after := int64(0); ; {
		page, err := r.Track(t.Context(), row.Trip, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Fixes {
			got = append(got, fmt.Sprint(f.Lat))
		}
		if !page.More {
			break
		}
		after = page.After
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "4"}, got); diff != "" {
		t.Errorf("track (-want +got):\n%s", diff)
	}
}
