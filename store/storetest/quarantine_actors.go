package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

// A whole actor is out from its first strike, apart from its commands. It may be released and not discarded;
// while it is out nothing prunes it.
func quarantineWholeActor(t *testing.T, l *ledgerTest) {
	a := newTrip()
	l.strike(t, a.ref, "c", 1, at)
	told := l.strike(t, a.ref, ledger.WholeActor, 1, at.Add(time.Second))
	if diff := cmp.Diff(ledger.Struck{CommandID: ledger.WholeActor, Strikes: 1, Last: at.Add(time.Second)}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	struck, err := l.Quarantine.Strikes(t.Context(), a.ref)
	must(t, err)
	if len(struck) != 2 || struck[0] != told {
		t.Errorf("its next activation is told %+v", struck)
	}
	out := l.quarantined(t, ledger.StandsQuarantined)
	if len(out) != 1 || out[0].CommandID != ledger.WholeActor || out[0].Carrier != ledger.CarriedByAll || out[0].Standing() != ledger.StandsQuarantined {
		t.Fatalf("quarantined %+v", out)
	}
	if got := l.quarantined(t, ledger.StandsStruck); len(got) != 1 || got[0].CommandID != "c" {
		t.Errorf("struck %+v", got)
	}
	if _, err := l.Quarantine.Discard(t.Context(), out[0].ID, at); !errors.Is(err, ledger.ErrActor) {
		t.Errorf("an actor discarded: %v", err)
	}
	prune := func(left int) {
		t.Helper()
		_, err := l.Quarantine.Prune(t.Context(), at.Add(1000*time.Hour), 0, 10)
		must(t, err)
		if got := l.quarantined(t, ""); len(got) != left {
			t.Errorf("after pruning there is %+v", got)
		}
	}
	prune(1)
	released, err := l.Quarantine.Release(t.Context(), out[0].ID, at.Add(time.Hour))
	must(t, err)
	if released.Standing() != ledger.StandsReleased || len(l.quarantined(t, ledger.StandsReleased)) != 1 {
		t.Errorf("released it is %+v", released)
	}
	heard, err := l.Quarantine.Released(t.Context(), at)
	must(t, err)
	if diff := cmp.Diff([]ledger.Release{{Ref: a.ref, CommandID: ledger.WholeActor, Releases: 1, At: at.Add(time.Hour)}}, heard); diff != "" {
		t.Errorf("tasks hear (-want +got):\n%s", diff)
	}
	if told := l.strike(t, a.ref, ledger.WholeActor, 1, at.Add(2*time.Hour)); told.Strikes != 1 || told.Releases != 1 {
		t.Errorf("taken out again, told %+v", told)
	}
	prune(1)
	_, err = l.Quarantine.Release(t.Context(), out[0].ID, at.Add(3*time.Hour))
	must(t, err)
	prune(0)
}
