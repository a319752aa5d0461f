package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/actors"
	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/order"
	"weelo/store/sqlite"
)

// comes puts a transporter on the grid and says that he came online.
func (m *market) comes(id fleet.UserID, km float64) {
	m.t.Helper()
	m.stands(id, km)
	m.searching.CameOnline(m.t.Context(), m.sys, id, geo.Point{Lat: bengaluru.Latitude, Lng: bengaluru.Longitude}, []string{open17})
	synctest.Wait()
}

// reopened is an order for one truck whose waves are through and have found nobody, on a task that has
// just started and goes through the orders that search.
func reopened(t *testing.T, gate func(actors.SearchReader) actors.SearchReader) (m *market, id string) {
	t.Helper()
	m = newMarket(t)
	m.stands("T1", 150)
	m.stands("T2", 150)
	id = m.create(1)
	<-time.After(85 * time.Second)
	if s := m.wants(id, order.Broadcasting, order.SlotSearching); s.Wave != len(m.policy.Waves) {
		t.Fatalf("wave %d", s.Wave)
	}
	m.restart()
	if m.searching.Len() != 0 {
		t.Fatal("a new task knows orders before it has read any")
	}
	reads := gate(sqlite.NewOrderReads(m.db))
	run(t, (&actors.OpenSearches{Orders: reads, Router: m.sys, Log: discard}).Run)
	synctest.Wait()
	return m, id
}

func open(r actors.SearchReader) actors.SearchReader { return r }

// The task died when the waves were through: the next one offers the order to who comes online after.
func TestLateComersAreOfferedWhatIsOpenAfterARestart(t *testing.T) {
	in(t, func(t *testing.T) {
		m, id := reopened(t, open)
		<-time.After(2 * time.Second)
		m.comes("T1", 3)
		if diff := cmp.Diff([]string{"T1 v1 open"}, m.shown()); diff != "" {
			t.Fatalf("shown (-want +got):\n%s", diff)
		}
		m.confirm(m.hold(id, first, 1), first, "V1", "D1")
	})
}

// Who came online while no task listened is found by the look around; the roster does not tell of him.
func TestWhoCameUnheardIsFound(t *testing.T) {
	in(t, func(t *testing.T) {
		m, id := reopened(t, open)
		m.stands("T1", 3)
		m.stands("T2", 90)
		<-time.After(11 * time.Second)
		if got := m.shown(); len(got) != 0 {
			t.Fatalf("shown %v before the grid is settled", got)
		}
		<-time.After(2 * time.Second)
		got := m.shown()
		slices.Sort(got)
		if diff := cmp.Diff([]string{"T1 v1 open", "T2 v1 open"}, got); diff != "" {
			t.Fatalf("shown (-want +got):\n%s", diff)
		}
		m.confirm(m.hold(id, second, 1), second, "V3", "D3")
	})
}

// An order whose waves go on is left to them, and one whose search is over is not woken.
func TestOnlyWhatSearchesIsReopened(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		m.stands("T2", 40)
		over := m.create(1)
		_, err := m.orders.Cancel(t.Context(), protocol.OrderRequest{OrderID: over, By: asha, Reason: "no"})
		m.must(err)
		<-time.After(3 * time.Minute)
		id := m.create(1)
		m.restart()
		m.shown()
		run(t, (&actors.OpenSearches{Orders: sqlite.NewOrderReads(m.db), Router: m.sys, Log: discard}).Run)
		synctest.Wait()
		if m.searching.Len() != 1 || m.sys.Live(protocol.KindOrder) != 1 {
			t.Errorf("%d orders search, %d are in memory", m.searching.Len(), m.sys.Live(protocol.KindOrder))
		}
		<-time.After(13 * time.Second)
		if got := m.stored(id); got.Wave != 2 || got.OfferedTo("T2") != nil {
			t.Errorf("wave %d, offered %+v", got.Wave, got.Offered)
		}
	})
}

// flaky is a store that fails for a while.
type flaky struct {
	actors.SearchReader
	until time.Time
}

// Searching implements actors.SearchReader.
func (f flaky) Searching(ctx context.Context, after string, limit int) ([]string, error) {
	if time.Now().Before(f.until) {
		return nil, errors.New("no store")
	}
	return f.SearchReader.Searching(ctx, after, limit)
}

func TestReopeningOutlivesAnOutage(t *testing.T) {
	in(t, func(t *testing.T) {
		m, _ := reopened(t, func(r actors.SearchReader) actors.SearchReader { return flaky{r, time.Now().Add(7 * time.Second)} })
		<-time.After(9 * time.Second)
		m.comes("T1", 3)
		if diff := cmp.Diff([]string{"T1 v1 open"}, m.shown()); diff != "" {
			t.Fatalf("shown (-want +got):\n%s", diff)
		}
	})
}

// many is a store with so many searching orders.
type many int

// Searching implements actors.SearchReader.
func (n many) Searching(_ context.Context, after string, limit int) ([]string, error) {
	var ids []string
	from := 0
	if after != "" {
		if _, err := fmt.Sscanf(after, "o%d", &from); err != nil {
			return nil, err
		}
	}
	for i := from + 1; i <= int(n) && len(ids) < limit; i++ {
		ids = append(ids, fmt.Sprintf("o%06d", i))
	}
	return ids, nil
}

// told counts messages by kind and second.
type told struct {
	actors.Router
	hints, looks int
	since        time.Time
	fastest      float64 // the most hints a second, over all of the time
}

// Tell implements actors.Router.
func (r *told) Tell(_ context.Context, _ actors.Address, msg any) error {
	switch msg.(type) {
	case protocol.Hint:
		r.hints++
	case protocol.LateComer:
		r.looks++
	}
	if passed := time.Since(r.since).Seconds(); passed >= 1 {
		r.fastest = max(r.fastest, float64(r.hints)/passed)
	}
	return nil
}

// However many search, they are woken at a pace that the store can bear, and not more than are remembered.
func TestReopeningIsPacedAndBounded(t *testing.T) {
	in(t, func(t *testing.T) {
		r := &told{since: time.Now()}
		if err := (&actors.OpenSearches{Orders: many(30_000), Router: r, Log: discard}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.hints != 20_000 || r.looks != 20_000 || r.fastest > 1100 {
			t.Errorf("%d were woken, at up to %.0f a second, and %d looked around", r.hints, r.fastest, r.looks)
		}
		if took := time.Since(r.since); took > time.Minute {
			t.Errorf("took %v", took)
		}
	})
}
