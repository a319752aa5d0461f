package auditlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/auditlog"
)

var at = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func entries(n int) []auditlog.Entry {
	list := make([]auditlog.Entry, n)
	for i := range list {
		list[i] = auditlog.Entry{At: at.Add(time.Duration(i) * time.Second), Actor: "o1", Role: "ops", Action: "a", Subject: fmt.Sprint("user:", i), Reason: "why", Details: "{}"}
	}
	return list
}

// TestEveryTamperingIsFound: whatever is done to the rows of a chain, Verify names a row, or the head
// is another.
func TestEveryTamperingIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := auditlog.Seal(auditlog.Head{}, entries(rapid.IntRange(2, 8).Draw(t, "rows")))
		end, err := auditlog.Verify(auditlog.Head{}, rows)
		if err != nil || end != rows[len(rows)-1].Head() {
			t.Fatalf("the chain as sealed: %v, %v", end, err)
		}
		i := rapid.IntRange(0, len(rows)-1).Draw(t, "row")
		changes := map[string]func(){
			"reason":        func() { rows[i].Reason += "x" },
			"actor to role": func() { rows[i].Role, rows[i].Actor = rows[i].Actor+rows[i].Role, "" },
			"time":          func() { rows[i].At = rows[i].At.Add(time.Microsecond) },
			"details":       func() { rows[i].Details = `{"a":1}` },
			"phone":         func() { rows[i].PhoneHMAC = "k:1" },
			"removed":       func() { rows = slices.Delete(rows, i, i+1) },
			"twice":         func() { rows = slices.Insert(rows, i, rows[i]) },
			"swapped":       func() { j := (i + 1) % len(rows); rows[i], rows[j] = rows[j], rows[i] },
			"resealed behind": func() {
				rows[i] = auditlog.Seal(auditlog.Head{Seq: rows[i].Seq - 1}, []auditlog.Entry{{Action: "other"}})[0]
			},
		}
		name := rapid.SampledFrom(slices.Sorted(func(yield func(string) bool) {
			for k := range changes {
				if !yield(k) {
					return
				}
			}
		})).Draw(t, "change")
		changes[name]()
		got, err := auditlog.Verify(auditlog.Head{}, rows)
		var broken *auditlog.BrokenError
		if !errors.As(err, &broken) && got == end {
			t.Fatalf("%s of row %d was not found", name, i+1)
		}
	})
}

func TestWhatIsHidden(t *testing.T) {
	t.Parallel()
	keys := auditlog.Keys{Kid: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")}
	e := keys.Entry(auditlog.Event{
		Action: auditlog.LoggedIn, Phone: "+919876543210", Reason: "called 98765\x00 43210: " + strings.Repeat("ä", 600) + "\x00", Subject: "user:\x00u1",
		From:    auditlog.Source{Client: netip.MustParseAddr("203.0.113.77"), Device: "phone-of-asha", RequestID: "call-of-9876543210"},
		Details: map[string]any{"role": "customer", "who": "98765-43210", "n": 9876543210},
	}, at)
	for _, secret := range []string{`9876543210"`, "f-9876543210", "98765 43210", "98765-43210", "phone-of-asha", "203.0.113.77", "\x00"} {
		if strings.Contains(fmt.Sprintf("%+v", e), secret) {
			t.Errorf("%q is in %+v", secret, e)
		}
	}
	if e.Network != "203.0.113.0/24" || len([]rune(e.Reason)) != auditlog.MaxReason || e.Subject != "user:u1" || e.Details != `{"n":9876543210,"role":"customer","who":"+91******3210"}` || !e.At.Equal(at) {
		t.Errorf("entry %+v", e)
	}
	if e.PhoneHMAC != keys.Phone("+919876543210") || e.PhoneHMAC == keys.Device("+919876543210") || !strings.HasPrefix(e.PhoneHMAC, "k1:") {
		t.Errorf("phone %q", e.PhoneHMAC)
	}
	for addr, want := range map[string]string{"2001:db8:1:2::3": "2001:db8:1::/48", "::ffff:198.51.100.9": "198.51.100.0/24"} {
		if got := auditlog.Network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("network of %s is %s, want %s", addr, got, want)
		}
	}
	if got := auditlog.Network(netip.Addr{}); got != "" {
		t.Errorf("network of no address is %q", got)
	}
}

// shelf is a store that can be away.
type shelf struct {
	mu   sync.Mutex
	away bool
	kept []auditlog.Entry
}

func (s *shelf) Append(_ context.Context, e []auditlog.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errors.New("away")
	}
	s.kept = append(s.kept, e...)
	return nil
}

func (s *shelf) set(away bool) { s.mu.Lock(); defer s.mu.Unlock(); s.away = away }

func (s *shelf) all() []auditlog.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// running starts a recorder within a bubble until the test's end.
func running(t *testing.T, r *auditlog.Recorder) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); all.Wait() })
}

func recorder(s *shelf, capacity int) *auditlog.Recorder {
	return auditlog.NewRecorder(auditlog.Config{Store: s, Keys: auditlog.Keys{Kid: "k", Secret: make([]byte, 32)}, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Capacity: capacity})
}

// TestTheStoreIsAway: entries wait in their order, the buffer fills and refuses, and everything is
// written when the store is back.
func TestTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{away: true}
		r := recorder(s, 1000)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = r.Run(ctx) })
		for n := range 1000 {
			if err := r.Admit(); err != nil {
				t.Fatalf("entry %d is not admitted: %v", n, err)
			}
			if err := r.Record(auditlog.Event{Action: "a", Subject: fmt.Sprint(n)}); err != nil {
				t.Fatal(err)
			}
		}
		if r.Admit() == nil || !errors.Is(r.Record(auditlog.Event{Action: "a"}), auditlog.ErrFull) {
			t.Error("a full buffer takes entries")
		}
		r.Note(auditlog.Event{Action: "n"})
		if waiting, lost := r.Waiting(); waiting != 1000 || lost != 1 {
			t.Errorf("%d wait, %d notes lost", waiting, lost)
		}
		if r.Append(ctx, auditlog.Event{Action: "admin"}) == nil {
			t.Error("an action's row was written to a store that is away")
		}
		s.set(false)
		<-time.After(10 * time.Second) // of the bubble: longer than the longest pause
		synctest.Wait()
		got := s.all()
		if len(got) != 1000 || r.Admit() != nil {
			t.Fatalf("%d entries were written", len(got))
		}
		for n, e := range got {
			if e.Subject != fmt.Sprint(n) {
				t.Fatalf("entry %d is %q", n, e.Subject)
			}
		}
		cancel()
		running.Wait()
	})
}

// TestDrainWritesWhatWaits, also without Run.
func TestDrainWritesWhatWaits(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	r := recorder(s, 1000)
	for range 600 {
		if err := r.Record(auditlog.Event{Action: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Drain(t.Context()); err != nil || len(s.all()) != 600 {
		t.Errorf("%d entries were written: %v", len(s.all()), err)
	}
}
