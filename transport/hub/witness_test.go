package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// witness notes whom operators watch.
type witness struct {
	mu    sync.Mutex
	lines []string
	away  bool
}

func (w *witness) OpsWatch(who token.Identity, device string, what hub.Scope) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return errors.New("away")
	}
	w.lines = append(w.lines, fmt.Sprintf("%s on %s: %d %s", who.UserID, device, what.Kind, what.ID))
	return nil
}

// TestWhomOperatorsWatchIsWrittenDown: once for each watch that begins, before it shows anything, and
// nobody else's watches.
func TestWhomOperatorsWatchIsWrittenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &witness{}
		w := newWorld()
		w.Hub = hub.New(hub.Config{Inbox: w.inbox, Access: w.access, Witness: seen})
		ops, p := w.connect(t, "o1", fleet.Ops, "desk", nil)
		customer, _ := w.connect(t, "c1", fleet.Customer, "phone", nil)
		w.access.forbid("o1", "t404")
		for _, step := range []struct {
			id   string
			what hub.Scope
		}{
			{"w1", hub.Scope{Kind: hub.Trip, ID: "t1"}}, {"w1", hub.Scope{Kind: hub.Trip, ID: "t1"}}, // again: the same watch
			{"w2", hub.Scope{Kind: hub.All}}, {"w3", hub.Scope{Kind: hub.Order, ID: "o7"}},
		} {
			if err := ops.Watch(t.Context(), step.id, step.what); err != nil {
				t.Fatal(err)
			}
		}
		var refusal *fault.Error
		if err := ops.Watch(t.Context(), "w4", hub.Scope{Kind: hub.Trip, ID: "t404"}); !errors.As(err, &refusal) || refusal.Code != fault.NotFound {
			t.Errorf("what is not there: %v", err)
		}
		if err := customer.Watch(t.Context(), "w1", hub.Scope{Kind: hub.Trip, ID: "t1"}); err != nil {
			t.Error(err)
		}
		ops.Unwatch("w1")
		if err := ops.Watch(t.Context(), "w1", hub.Scope{Kind: hub.Trip, ID: "t1"}); err != nil { // another watch
			t.Error(err)
		}
		want := []string{"o1 on desk: 1 t1", "o1 on desk: 4 ", "o1 on desk: 2 o7", "o1 on desk: 1 t1"}
		if diff := cmp.Diff(want, seen.lines); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
		synctest.Wait()
		p.take()
		seen.mu.Lock()
		seen.away = true
		seen.mu.Unlock()
		if err := ops.Watch(t.Context(), "w5", hub.Scope{Kind: hub.Trip, ID: "t2"}); !errors.As(err, &refusal) || refusal.Code != fault.Unavailable {
			t.Errorf("what cannot be written down: %v", err)
		}
		synctest.Wait()
		if shown := p.take(); strings.Contains(shown, "t2") {
			t.Errorf("shown all the same: %s", shown)
		}
	})
}
