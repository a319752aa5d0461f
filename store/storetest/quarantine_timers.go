package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

// A timer may be released and not discarded: what waits for it would wait for ever.
func quarantineTimer(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	l.must(t, a, func(tr *ledger.Transition) {
		tr.Timers = append(tr.Timers, ledger.TimerChange{Name: "accept", Due: at.Add(time.Minute), Number: 1})
	})
	l.strike(t, a.ref, "timer:accept:1", 3, at)
	l.strike(t, a.ref, "timer:long-done:1", 3, at)
	list := l.quarantined(t, ledger.StandsQuarantined)
	if len(list) != 2 || list[0].Carrier != ledger.CarriedByClient || list[1].Carrier != ledger.CarriedByTimer {
		t.Fatalf("quarantined %+v", list)
	}
	if _, err := l.Quarantine.Discard(t.Context(), list[1].ID, at); !errors.Is(err, ledger.ErrTimer) {
		t.Errorf("a timer discarded: %v", err)
	}
	_, err := l.Quarantine.Discard(t.Context(), list[0].ID, at)
	must(t, err)
	_, err = l.Quarantine.Release(t.Context(), list[1].ID, at)
	must(t, err)
}

// Each arming of a timer stands for itself: when the timer is armed anew, nobody waits for the old one any
// more, and it may be discarded. So it is with what earlier builds wrote, the name without a number.
func quarantineTimerArmedAgain(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	arm := func(number int64) {
		l.must(t, a, func(tr *ledger.Transition) {
			tr.Timers = append(tr.Timers, ledger.TimerChange{Name: "hold:7", Due: at.Add(time.Minute), Number: number})
		})
	}
	carriers := func(want ...ledger.Carrier) {
		t.Helper()
		var got []ledger.Carrier
		for _, c := range l.quarantined(t, ledger.StandsQuarantined) {
			got = append(got, c.Carrier)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("carriers (-want +got):\n%s", diff)
		}
	}
	arm(4)
	for _, id := range []string{"timer:hold:7", "timer:hold:7:4", "timer:hold:7:12"} {
		l.strike(t, a.ref, id, 3, at)
	}
	carriers(ledger.CarriedByClient, ledger.CarriedByTimer, ledger.CarriedByClient)
	arm(12)
	carriers(ledger.CarriedByTimer, ledger.CarriedByClient, ledger.CarriedByClient)
	for i, c := range l.quarantined(t, ledger.StandsQuarantined) {
		_, err := l.Quarantine.Discard(t.Context(), c.ID, at)
		if now := i == 0; errors.Is(err, ledger.ErrTimer) != now || !now && err != nil {
			t.Errorf("%s discarded: %v", c.CommandID, err)
		}
	}
}
