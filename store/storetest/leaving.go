package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
)

// Leaving is the conformance suite of what a driver is told after he left a fleet. open gives the parts over one
// empty store, and a way to put a user there as login would.
func Leaving(t *testing.T, open func(t *testing.T) (fleet.Crews, func(u fleet.User), ledger.Writer, ledger.Inbox)) {
	t.Helper()
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	crews, put, writer, inbox := open(t)
	put(fleet.User{ID: "t1", Phone: "+919800000000", Role: fleet.Transporter, CreatedAt: at, UpdatedAt: at})
	for n := range 2 {
		put(fleet.User{ID: fleet.UserID(fmt.Sprint("d", n)), Phone: fmt.Sprintf("+9191000000%02d", n), Role: fleet.Driver, TransporterID: "t1",
			MembershipVersion: 1, CreatedAt: at, UpdatedAt: at})
	}
	tell := func(trip string, to ...string) {
		t.Helper()
		event := ledger.Event{ID: "e-" + trip, Type: "trip_status", At: at, Recipients: to, TripID: trip, Data: json.RawMessage(`{}`)}
		o := writer.Commit(t.Context(), []ledger.Transition{{Ref: ledger.Ref{Kind: ledger.Trip, ID: trip}, State: json.RawMessage(`{}`), Events: []ledger.Event{event}, At: at}})
		if o[0].Status != ledger.Committed {
			t.Fatalf("%s: %+v", trip, o[0])
		}
	}
	told := func(who string) (trips []string) {
		t.Helper()
		entries, err := inbox.Read(t.Context(), who, 0, 100)
		must(t, err)
		for _, e := range entries {
			trips = append(trips, fmt.Sprint(e.Seq, " ", e.Event.TripID))
		}
		return trips
	}
	same := func(who string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, told(who)); diff != "" {
			t.Errorf("%s was told (-want +got):\n%s", who, diff)
		}
	}
	tell("a", "d0", "d1", "t1")
	tell("b", "d0")
	if err := crews.Leave(t.Context(), "t2", "d0", at); err == nil {
		t.Error("he left a fleet that he is not in")
	}
	same("d0", "1 a", "2 b") // nothing changed
	must(t, crews.Leave(t.Context(), "t1", "d0", at))
	same("d0")
	same("d1", "1 a")
	same("t1", "1 a")
	tell("c", "d0") // the numbers go on, so that what is missing is noticed
	same("d0", "3 c")
}
