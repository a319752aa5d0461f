package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/internal/ledger"
)

// shelf is an outbox in memory. It hands out what is past its deadline too: a courier must not trust it.
type shelf struct {
	mu      sync.Mutex
	rows    []row
	noDone  int // how many Done calls fail
	takeErr error
}

type row struct {
	ledger.Pending
	due time.Time
}

func (s *shelf) put(ms ...ledger.Message) {
	for _, m := range ms {
		s.rows = append(s.rows, row{Pending: ledger.Pending{Message: m}})
	}
}

func (s *shelf) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

func (s *shelf) Take(_ context.Context, channels []string, now time.Time, lease time.Duration, limit int) ([]ledger.Pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ledger.Pending
	for i := range s.rows {
		if r := &s.rows[i]; slices.Contains(channels, r.Channel) && !r.due.After(now) && len(out) < limit {
			out = append(out, r.Pending)
			r.Attempts++
			r.due = now.Add(lease)
		}
	}
	return out, s.takeErr
}

func (s *shelf) Done(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noDone > 0 {
		s.noDone--
		return errors.New("the database is away")
	}
	s.rows = slices.DeleteFunc(s.rows, func(r row) bool { return r.ID == id })
	return nil
}

func (s *shelf) Later(_ context.Context, id string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rows {
		if s.rows[i].ID == id {
			s.rows[i].due = at
		}
	}
	return nil
}

// courierFor runs a courier for a while of the bubble's time.
func courierFor(t *testing.T, s *shelf, d time.Duration, deliver func(context.Context, ledger.Message) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	c := &Courier{Outbox: s, Channel: "push", Deliver: deliver, Now: time.Now, Log: slog.New(slog.DiscardHandler), Count: CourierCounter()}
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
}

func message(id, to string, deadline time.Time) ledger.Message {
	return ledger.Message{ID: id, Channel: "push", To: to, Type: "note", Deadline: deadline}
}

func TestCourierNeverDeliversAfterTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put(message("late", "a", time.Now().Add(-time.Nanosecond)), message("now", "b", time.Now()), message("soon", "c", time.Now().Add(3*time.Second)))
		var tries []time.Duration
		begun := time.Now()
		courierFor(t, s, time.Minute, func(ctx context.Context, m ledger.Message) error {
			if m.ID != "soon" {
				t.Errorf("%s was begun", m.ID)
			}
			until, bounded := ctx.Deadline()
			if !bounded || until.After(m.Deadline) {
				t.Errorf("may go on until %s, deadline %s", until, m.Deadline)
			}
			tries = append(tries, time.Since(begun))
			return errors.New("down")
		})
		if len(tries) < 2 || tries[len(tries)-1] >= 3*time.Second || s.left() != 0 {
			t.Errorf("tried after %v, %d left", tries, s.left())
		}
	})
}

func TestCourierDeliversOnceWhenTheProviderIsUpAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put(message("1", "a", time.Now().Add(time.Hour)))
		begun := time.Now()
		tries, taken := 0, 0
		courierFor(t, s, 10*time.Minute, func(context.Context, ledger.Message) error {
			tries++
			if time.Since(begun) < time.Minute {
				return errors.New("down")
			}
			taken++
			return nil
		})
		// It backs off: a minute holds 1+2+4+8+16+32 seconds, each up to a quarter shorter.
		if taken != 1 || tries < 6 || tries > 9 || s.left() != 0 {
			t.Errorf("taken %d, tries %d, %d left", taken, tries, s.left())
		}
	})
}

// TestCourierSendsAgainWhatItCannotCrossOff: the one way to a second copy, beside a provider that does
// not answer.
func TestCourierSendsAgainWhatItCannotCrossOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{noDone: 1}
		s.put(message("1", "a", time.Now().Add(time.Hour)))
		var at []time.Duration
		begun := time.Now()
		courierFor(t, s, 10*time.Minute, func(context.Context, ledger.Message) error {
			at = append(at, time.Since(begun))
			return nil
		})
		if len(at) != 2 || at[1]-at[0] < courierLease || s.left() != 0 {
			t.Errorf("delivered after %v, %d left", at, s.left())
		}
	})
}

func TestCourierGivesUpWhatIsHopeless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put(message("1", "a", time.Time{}))
		tries := 0
		courierFor(t, s, time.Minute, func(context.Context, ledger.Message) error {
			tries++
			return fmt.Errorf("no template: %w", ErrHopeless)
		})
		if tries != 1 || s.left() != 0 {
			t.Errorf("%d tries, %d left", tries, s.left())
		}
	})
}

// TestCourierAtOnce: persons at once, as many as the limit says, one person's messages in order; and a
// person whose messages are slow keeps what does not fit the lease for the next round.
func TestCourierAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		want := map[string][]string{}
		for i := range 120 {
			to := fmt.Sprint("person", i%20)
			if i%4 == 0 {
				to = "somebody"
			}
			m := message(fmt.Sprint(i), to, time.Now().Add(time.Hour))
			s.put(m)
			want[to] = append(want[to], m.ID)
		}
		var mu sync.Mutex
		got, busy, most, at := map[string][]string{}, map[string]bool{}, 0, 0
		courierFor(t, s, 10*time.Minute, func(ctx context.Context, m ledger.Message) error {
			mu.Lock()
			if busy[m.To] {
				t.Errorf("two messages to %s at once", m.To)
			}
			busy[m.To] = true
			at++
			most = max(most, at)
			mu.Unlock()
			<-time.After(3 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			got[m.To] = append(got[m.To], m.ID)
			busy[m.To] = false
			at--
			return ctx.Err()
		})
		if most != courierParallel || s.left() != 0 {
			t.Errorf("%d at once, %d left", most, s.left())
		}
		for to, ids := range want {
			if len(got[to]) != len(ids) {
				t.Errorf("%s got %v, want %v", to, got[to], ids)
			}
		}
	})
}

// TestCourierWaitsAsLongAsItIsTold: not sooner than the provider wants; and what would come after its deadline is
// given up at once.
func TestCourierWaitsAsLongAsItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put(message("can wait", "a", time.Now().Add(time.Hour)), message("for ever", "b", time.Time{}), message("cannot", "c", time.Now().Add(40*time.Second)))
		begun, tries := time.Now(), map[string][]time.Duration{}
		var mu sync.Mutex
		courierFor(t, s, time.Minute, func(_ context.Context, m ledger.Message) error {
			mu.Lock()
			defer mu.Unlock()
			tries[m.ID] = append(tries[m.ID], time.Since(begun))
			if len(tries[m.ID]) > 1 {
				return nil
			}
			return &NotBefore{Wait: 40 * time.Second, Err: errors.New("busy")}
		})
		for _, id := range []string{"can wait", "for ever"} {
			if at := tries[id]; len(at) != 2 || at[1] < 40*time.Second || at[1] > 42*time.Second {
				t.Errorf("%s was tried after %v", id, at)
			}
		}
		if at := tries["cannot"]; len(at) != 1 || s.left() != 0 {
			t.Errorf("what cannot wait was tried after %v, %d left", at, s.left())
		}
	})
}

// TestCourierBacksOffWhenToldLess: a provider that asks for less than the courier would wait by itself changes nothing.
func TestCourierBacksOffWhenToldLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put(message("1", "a", time.Now().Add(time.Hour)))
		tries := 0
		courierFor(t, s, time.Minute, func(context.Context, ledger.Message) error {
			tries++
			return &NotBefore{Wait: time.Millisecond, Err: errors.New("busy")}
		})
		if tries < 6 || tries > 9 {
			t.Errorf("%d tries in a minute", tries)
		}
	})
}
