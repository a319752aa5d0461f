package session_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/session"
	"weelo/internal/token"
)

// P19: fifty at once with one token are one step of the family and one successor, at every generation.
func TestManyRefreshesAtOnceAreOneStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pair, err := b.keeper.Open(t.Context(), "race", b.user, "phone", noon)
	if err != nil {
		t.Fatal(err)
	}
	for gen := int64(1); gen <= 3; gen++ {
		const callers = 50
		children := make([]string, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				got, err := b.keeper.Refresh(t.Context(), pair.Refresh, noon)
				if err != nil {
					t.Errorf("generation %d: %v", gen, err)
				}
				children[i] = got.Refresh
			})
		}
		all.Wait()
		for _, c := range children {
			if c != children[0] {
				t.Fatalf("generation %d has two children", gen)
			}
		}
		f, err := b.store.Family(t.Context(), "race")
		if err != nil || f.Presented != gen {
			t.Fatalf("presented %d after generation %d: %v", f.Presented, gen, err)
		}
		pair.Refresh = children[0]
	}
}

// awayStore is a store that has lost its connection.
type awayStore struct{ session.Store }

var errAway = errors.New("connection refused")

func (awayStore) Family(context.Context, string) (session.Family, error) {
	return session.Family{}, errAway
}

// awayIndex is an index that cannot be reached.
type awayIndex struct{}

func (awayIndex) Put(context.Context, fleet.UserID, string, string, time.Duration) error {
	return errAway
}

func (awayIndex) Drop(context.Context, fleet.UserID, string, []string) error { return errAway }

// Without the durable store a refresh is refused for now and never for good: an app that is told 401 would
// throw its tokens away. Without the index nothing is refused at all.
func TestStoresAwayAtARefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pair, err := b.keeper.Open(t.Context(), "away", b.user, "phone", noon)
	if err != nil {
		t.Fatal(err)
	}
	with := func(s session.Store) *session.Keeper {
		return session.NewKeeper(session.Config{
			Store: s, Users: b.users, Mint: b.mint, Index: awayIndex{}, Policy: session.DefaultPolicy(), Random: rand.Reader,
			Log: slog.New(slog.DiscardHandler),
		})
	}
	_, err = with(awayStore{b.store}).Refresh(t.Context(), pair.Refresh, noon)
	if f := fault.From(err); f.Code != fault.Unavailable || f.RetryAfter <= 0 || errors.Is(err, token.ErrRefresh) {
		t.Errorf("the store is away: %v", err)
	}
	next, err := with(b.store).Refresh(t.Context(), pair.Refresh, noon)
	if err != nil {
		t.Errorf("the index is away: %v", err)
	}
	if again, err := b.keeper.Refresh(t.Context(), pair.Refresh, noon); err != nil || again.Refresh != next.Refresh {
		t.Errorf("the outage changed the child: %v", err)
	}
}
