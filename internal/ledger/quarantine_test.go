package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

func TestReleaseAndDiscard(t *testing.T) {
	t.Parallel()
	then, now := time.Unix(1_700_000_000, 0).UTC(), time.Unix(1_700_000_600, 0).UTC()
	harm := ledger.Harm{CommandID: "c"}
	kept := ledger.Quarantined{ID: 7, Harm: harm, Strikes: 3, Carrier: ledger.CarriedByClient}
	struck := ledger.Quarantined{ID: 7, Harm: harm, Strikes: 2}
	released := ledger.Quarantined{ID: 7, Harm: harm, Releases: 1, Released: then}
	again := ledger.Quarantined{ID: 7, Harm: harm, Strikes: 4, Releases: 1, Released: then, Carrier: ledger.CarriedByOutbox}
	timer := ledger.Quarantined{ID: 7, Harm: harm, Strikes: 3, Carrier: ledger.CarriedByTimer}
	actor := ledger.Quarantined{ID: 7, Strikes: 1, Carrier: ledger.CarriedByAll}
	discarded := ledger.Quarantined{ID: 7, Harm: harm, Strikes: 3, Discarded: then}
	for name, c := range map[string]struct {
		q                 ledger.Quarantined
		standing          ledger.Standing
		released          ledger.Quarantined
		refused           error
		discarded         ledger.Quarantined
		refusedToBeThrown error
	}{
		"quarantined": {
			kept, ledger.StandsQuarantined, ledger.Quarantined{ID: 7, Harm: harm, Releases: 1, Released: now, Carrier: kept.Carrier}, nil,
			ledger.Quarantined{ID: 7, Harm: harm, Strikes: 3, Discarded: now, Carrier: kept.Carrier}, nil,
		},
		"quarantined again": {
			again, ledger.StandsQuarantined, ledger.Quarantined{ID: 7, Harm: harm, Releases: 2, Released: now, Carrier: again.Carrier}, nil,
			ledger.Quarantined{ID: 7, Harm: harm, Strikes: 4, Releases: 1, Released: then, Discarded: now, Carrier: again.Carrier}, nil,
		},
		"a timer": {
			timer, ledger.StandsQuarantined, ledger.Quarantined{ID: 7, Harm: harm, Releases: 1, Released: now, Carrier: timer.Carrier}, nil, timer, ledger.ErrTimer,
		},
		"a whole actor": {
			actor, ledger.StandsQuarantined, ledger.Quarantined{ID: 7, Releases: 1, Released: now, Carrier: actor.Carrier}, nil, actor, ledger.ErrActor,
		},
		"struck twice": {struck, ledger.StandsStruck, struck, ledger.ErrNotQuarantined, struck, ledger.ErrNotQuarantined},
		"released":     {released, ledger.StandsReleased, released, nil, released, ledger.ErrNotQuarantined},
		"discarded":    {discarded, ledger.StandsDiscarded, discarded, ledger.ErrDiscarded, discarded, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.q.Standing(); got != c.standing {
				t.Errorf("stands %s, want %s", got, c.standing)
			}
			got, err := c.q.Release(now)
			if diff := cmp.Diff(c.released, got); diff != "" || !errors.Is(err, c.refused) {
				t.Errorf("released, %v, want %v:\n%s", err, c.refused, diff)
			}
			got, err = c.q.Discard(now)
			if diff := cmp.Diff(c.discarded, got); diff != "" || !errors.Is(err, c.refusedToBeThrown) {
				t.Errorf("discarded, %v, want %v:\n%s", err, c.refusedToBeThrown, diff)
			}
		})
	}
}

// A panic may say anything; what is kept of it fits every store.
func TestHarmIsStorable(t *testing.T) {
	t.Parallel()
	h := ledger.Harm{Reason: "a\x00b\xff" + strings.Repeat("ü", 2000), At: time.Unix(1, 1234)}.Storable()
	if !strings.HasPrefix(h.Reason, "ab?ü") || utf8.RuneCountInString(h.Reason) != 500 || h.At != time.Unix(1, 1000).UTC() {
		t.Errorf("kept %q at %v", h.Reason, h.At)
	}
}
