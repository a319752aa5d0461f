package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weelo/internal/ledger"
)

// strike makes a command break its actor so often, a second apart from a time, and gives what is told of
// it at last.
func (l *ledgerTest) strike(t *testing.T, ref ledger.Ref, command string, times int, from time.Time) (told ledger.Struck) {
	t.Helper()
	for i := range times {
		var err error
		told, err = l.Quarantine.Strike(t.Context(), ledger.Harm{Ref: ref, CommandID: command, Message: "accept", Reason: "index out of range", At: from.Add(time.Duration(i) * time.Second)})
		must(t, err)
	}
	return told
}

// quarantined gives what operators see of all commands, the newest first.
func (l *ledgerTest) quarantined(t *testing.T, s ledger.Standing) []ledger.Quarantined {
	t.Helper()
	list, err := l.Quarantine.List(t.Context(), ledger.QuarantineQuery{Standing: s, Limit: 100})
	must(t, err)
	return list
}

func ledgerQuarantine(t *testing.T, l *ledgerTest) {
	a := newTrip()
	strikes := func(ref ledger.Ref, want ...ledger.Struck) {
		t.Helper()
		got, err := l.Quarantine.Strikes(t.Context(), ref)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("strikes (-want +got), %v:\n%s", err, diff)
		}
	}
	strikes(a.ref)
	for n := 1; n <= 4; n++ {
		last := at.Add(time.Duration(n) * time.Second)
		got := l.strike(t, a.ref, "c", 1, last)
		if diff := cmp.Diff(ledger.Struck{CommandID: "c", Strikes: n, Last: last}, got); diff != "" {
			t.Errorf("strike %d (-want +got):\n%s", n, diff)
		}
	}
	other := l.strike(t, a.ref, "other", 1, at.Add(time.Minute))
	if other.Strikes != 1 {
		t.Errorf("another command's first strike counts %d", other.Strikes)
	}
	strikes(a.ref, other, ledger.Struck{CommandID: "c", Strikes: 4, Last: at.Add(4 * time.Second)})
	strikes(newTrip().ref)
	strikes(ledger.Ref{Kind: ledger.Order, ID: a.ref.ID})
	odd := ledger.Harm{Ref: newTrip().ref, CommandID: "odd", Reason: "a\x00b\xff", At: at}
	_, err := l.Quarantine.Strike(t.Context(), odd)
	must(t, err) // a panic may say anything, and is counted
}

// A release clears the strikes and is told to whoever asks since when; the command may be struck again,
// and its strikes then say after how many releases they come.
func quarantineRelease(t *testing.T, l *ledgerTest) {
	a := newTrip()
	if _, err := l.Quarantine.Release(t.Context(), 12345, at); !errors.Is(err, ledger.ErrNoCommand) {
		t.Errorf("a release of nothing: %v", err)
	}
	l.strike(t, a.ref, "c", 2, at)
	seen := l.quarantined(t, "")[0]
	if _, err := l.Quarantine.Release(t.Context(), seen.ID, at); !errors.Is(err, ledger.ErrNotQuarantined) {
		t.Errorf("a release of what is not quarantined: %v", err)
	}
	l.strike(t, a.ref, "c", 1, at.Add(2*time.Second))
	want := ledger.Quarantined{
		ID: seen.ID, Harm: ledger.Harm{Ref: a.ref, CommandID: "c", Message: "accept", Reason: "index out of range", At: at.Add(2 * time.Second)},
		Strikes: 3, First: at, Carrier: ledger.CarriedByClient,
	}
	if diff := cmp.Diff([]ledger.Quarantined{want}, l.quarantined(t, ledger.StandsQuarantined)); diff != "" {
		t.Errorf("quarantined (-want +got):\n%s", diff)
	}
	for i, when := range []time.Time{at.Add(time.Hour), at.Add(2 * time.Hour)} { // the second changes nothing
		got, err := l.Quarantine.Release(t.Context(), seen.ID, when)
		must(t, err)
		want.Strikes, want.Releases, want.Released = 0, 1, at.Add(time.Hour)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("release %d (-want +got):\n%s", i, diff)
		}
	}
	release := ledger.Release{Ref: a.ref, CommandID: "c", Releases: 1, At: at.Add(time.Hour)}
	for since, want := range map[time.Duration][]ledger.Release{0: {release}, time.Hour: {release}, time.Hour + time.Microsecond: nil} {
		got, err := l.Quarantine.Released(t.Context(), at.Add(since))
		must(t, err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("released since %s (-want +got):\n%s", since, diff)
		}
	}
	told := l.strike(t, a.ref, "c", 1, at.Add(3*time.Hour))
	if diff := cmp.Diff(ledger.Struck{CommandID: "c", Strikes: 1, Releases: 1, Last: at.Add(3 * time.Hour)}, told); diff != "" {
		t.Errorf("struck again (-want +got):\n%s", diff)
	}
	if got := l.quarantined(t, ledger.StandsStruck); len(got) != 1 || got[0].ID != seen.ID {
		t.Errorf("struck again, stands %+v", got)
	}
	l.strike(t, a.ref, "c", 2, at.Add(4*time.Hour))
	_, err := l.Quarantine.Discard(t.Context(), seen.ID, at.Add(5*time.Hour))
	must(t, err)
	if _, err := l.Quarantine.Release(t.Context(), seen.ID, at); !errors.Is(err, ledger.ErrDiscarded) {
		t.Errorf("a release of what was discarded: %v", err)
	}
	strikes, err := l.Quarantine.Strikes(t.Context(), a.ref)
	must(t, err)
	if len(strikes) != 1 || strikes[0].Strikes != 3 {
		t.Errorf("discarded, and its actor is told of %+v", strikes)
	}
}

// A letter that was released comes again soon, one that was discarded never.
func quarantineLetter(t *testing.T, l *ledgerTest) {
	a, b := l.owned(t), newTrip()
	letter := func(id string) ledger.Message {
		return ledger.Message{ID: id, Channel: "actor", To: "trip/" + b.ref.ID, Type: "order_cancelled", Body: []byte(`{}`)}
	}
	l.must(t, a, func(tr *ledger.Transition) {
		tr.Outbox = append(tr.Outbox, letter("good"), letter("bad"), letter("other"))
	})
	for _, id := range []string{"good", "bad", "other"} {
		must(t, l.Outbox.Later(t.Context(), id, at.Add(time.Hour)))
	}
	l.strike(t, b.ref, "good", 3, at)
	l.strike(t, b.ref, "bad", 3, at)
	for _, c := range l.quarantined(t, ledger.StandsQuarantined) {
		if c.Carrier != ledger.CarriedByOutbox {
			t.Errorf("%s comes with the %s", c.CommandID, c.Carrier)
		}
		settle := l.Quarantine.Release
		if c.CommandID == "bad" {
			settle = l.Quarantine.Discard
		}
		_, err := settle(t.Context(), c.ID, at)
		must(t, err)
	}
	due := func(after time.Duration) (ids []string) {
		t.Helper()
		pending, err := l.Outbox.Take(t.Context(), []string{"actor"}, at.Add(after), time.Microsecond, 10)
		must(t, err)
		for _, p := range pending {
			ids = append(ids, p.ID)
		}
		return ids
	}
	if early := due(ledger.ReleaseLag - time.Second); len(early) != 0 {
		t.Errorf("before every task knows of it come %v", early)
	}
	if diff := cmp.Diff([]string{"good"}, due(ledger.ReleaseLag)); diff != "" {
		t.Errorf("soon after (-want +got):\n%s", diff)
	}
	if late := due(2 * time.Hour); len(late) != 2 { // good and other
		t.Errorf("later come %v", late)
	}
}

func quarantineList(t *testing.T, l *ledgerTest) {
	for n := range 5 {
		l.strike(t, newTrip().ref, fmt.Sprint("c", n), 2+n%2, at)
	}
	list := func(q ledger.QuarantineQuery) (names []string, last int64) {
		t.Helper()
		found, err := l.Quarantine.List(t.Context(), q)
		must(t, err)
		for _, c := range found {
			names, last = append(names, c.CommandID), c.ID
		}
		return names, last
	}
	first, last := list(ledger.QuarantineQuery{Limit: 3})
	next, _ := list(ledger.QuarantineQuery{Limit: 3, Before: last})
	kept, _ := list(ledger.QuarantineQuery{Limit: 3, Standing: ledger.StandsQuarantined})
	struck, _ := list(ledger.QuarantineQuery{Limit: 3, Standing: ledger.StandsStruck, Before: last})
	none, _ := list(ledger.QuarantineQuery{Limit: 3, Standing: ledger.StandsReleased})
	if diff := cmp.Diff([][]string{{"c4", "c3", "c2"}, {"c1", "c0"}, {"c3", "c1"}, {"c0"}, nil}, [][]string{first, next, kept, struck, none}); diff != "" {
		t.Errorf("lists (-want +got):\n%s", diff)
	}
	if _, err := l.Quarantine.List(t.Context(), ledger.QuarantineQuery{Limit: 3, Standing: "true; --"}); err == nil {
		t.Error("an unknown standing lists something")
	}
}

// What did no harm for long, and what is too much, goes, the oldest first; what the product would bring
// again by itself stays.
func quarantineRetention(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	l.must(t, a, func(tr *ledger.Transition) {
		tr.Timers = append(tr.Timers, ledger.TimerChange{Name: "accept", Due: at.Add(time.Minute), Number: 1})
	})
	l.strike(t, a.ref, "timer:accept:1", 3, at)
	for n := range 6 {
		l.strike(t, a.ref, fmt.Sprint("c", n), 3, at.Add(time.Duration(n)*time.Hour))
	}
	prune := func(before time.Time, most, limit, want int, left ...string) {
		t.Helper()
		n, err := l.Quarantine.Prune(t.Context(), before, most, limit)
		must(t, err)
		var got []string
		for _, c := range l.quarantined(t, "") {
			got = append(got, c.CommandID)
		}
		if diff := cmp.Diff(left, got); n != want || diff != "" {
			t.Errorf("pruned %d, want %d, left (-want +got):\n%s", n, want, diff)
		}
	}
	prune(at, 100, 100, 0, "c5", "c4", "c3", "c2", "c1", "c0", "timer:accept:1")
	prune(at.Add(90*time.Minute), 100, 1, 1, "c5", "c4", "c3", "c2", "c1", "timer:accept:1")
	prune(at.Add(90*time.Minute), 100, 100, 1, "c5", "c4", "c3", "c2", "timer:accept:1")
	prune(at, 3, 100, 1, "c5", "c4", "c3", "timer:accept:1")
	c3 := l.quarantined(t, "")[2]
	_, err := l.Quarantine.Release(t.Context(), c3.ID, at.Add(20*time.Hour))
	must(t, err)
	prune(at.Add(10*time.Hour), 100, 100, 2, "c3", "timer:accept:1") // its release is younger
}

// Of many releases at once one counts, and strikes at the same time are not lost.
func quarantineAtOnce(t *testing.T, l *ledgerTest) {
	a := newTrip()
	l.strike(t, a.ref, "c", 3, at)
	id := l.quarantined(t, "")[0].ID
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			if _, err := l.Quarantine.Release(t.Context(), id, at.Add(time.Duration(n)*time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for range 8 {
		all.Go(func() {
			if _, err := l.Quarantine.Strike(t.Context(), ledger.Harm{Ref: a.ref, CommandID: "c", At: at}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := l.quarantined(t, "")[0]; got.Releases != 1 || got.Strikes != 8 {
		t.Errorf("%d releases and %d strikes, want 1 and 8", got.Releases, got.Strikes)
	}
}
