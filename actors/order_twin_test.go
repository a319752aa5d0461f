package actors_test

import (
	"context"
	"sync"
	"testing"

	"weelo/actors"
	"weelo/internal/fleet"
	"weelo/store/sqlite"
)

// usersWithATwin lets something happen while the customer of a new order is read.
type usersWithATwin struct {
	actors.Users
	meanwhile func()
}

// User implements actors.Users.
func (u usersWithATwin) User(ctx context.Context, id fleet.UserID) (fleet.User, error) {
	u.meanwhile()
	return u.Users.User(ctx, id)
}

// A double tap: the first copy is granted after the second one looked for its record. The order in its
// way is its own, and it gets it.
//
// Invariants: 3.
func TestTheOrderInItsWayIsItsOwn(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		var first string
		granted := sync.OnceFunc(func() {
			r, err := m.orders.Create(t.Context(), asks(1, "k1"))
			m.must(err)
			first = r.State.ID
		})
		late := actors.NewOrders(actors.OrdersConfig{
			Ledger: ports(m.ledger), Router: m.router(), Publisher: m.hub, Policy: m.policy,
			Price: func(string, string, int) error { return nil }, Reads: sqlite.NewOrderReads(m.db), Trips: sqlite.NewTripReads(m.db),
			Users: usersWithATwin{sqlite.NewUsers(m.db), granted}, NewID: func() string { return "late" },
		})
		second, err := late.Create(t.Context(), asks(1, "k1"))
		m.must(err)
		if second.State.ID != first || !second.Replayed {
			t.Errorf("the second copy got order %s, replayed %v; want %s again", second.State.ID, second.Replayed, first)
		}
		_, err = late.Create(t.Context(), asks(1, "k2"))
		m.refuses(err, "ACTIVE_ORDER_EXISTS")
	})
}
