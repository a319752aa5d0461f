package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/presence"
)

// PresenceAgrees walks two stores through the same random life and compares every answer: whatever
// the suite did not think of, a store must do as the model does.
func PresenceAgrees(t *testing.T, store, model presence.Store) {
	t.Helper()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++ // people of their own for each run: the stores go on living
		who := func() presence.Person {
			n := rapid.IntRange(0, 4).Draw(rt, "person")
			role := fleet.Driver
			if n%2 == 1 {
				role = fleet.Transporter
			}
			return presence.Person{User: fleet.UserID(fmt.Sprintf("u%d-%d", runs, n)), Role: role, Fleet: "t1"}
		}
		now := time.UnixMilli(1_790_000_000_000 + int64(runs)*3_600_000)
		same := func(what string, a, b any, errs ...error) {
			for _, err := range errs {
				if err != nil {
					rt.Fatalf("%s: %v", what, err)
				}
			}
			if diff := cmp.Diff(b, a, cmpopts.SortSlices(func(x, y presence.Entry) bool { return x.User < y.User })); diff != "" {
				rt.Fatalf("%s (-model +store):\n%s", what, diff)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"wait": func(*rapid.T) {
				now = now.Add(time.Duration(rapid.SampledFrom([]int64{1, 999, 11_000, 36_000, 60_000}).Draw(rt, "ms")) * time.Millisecond)
			},
			"enter": func(*rapid.T) {
				p := who()
				a, errA := store.Enter(t.Context(), p, now)
				b, errB := model.Enter(t.Context(), p, now)
				same("enter", a, b, errA, errB)
			},
			"beat": func(*rapid.T) {
				people := []presence.Person{who(), who()}
				a, errA := store.Beat(t.Context(), people, now)
				b, errB := model.Beat(t.Context(), people, now)
				same("beat", a, b, errA, errB)
			},
			"leave": func(*rapid.T) {
				p := who()
				a, errA := store.Leave(t.Context(), p.User, now)
				b, errB := model.Leave(t.Context(), p.User, now)
				same("leave", a, b, errA, errB)
			},
			"read": func(*rapid.T) {
				users := []fleet.UserID{who().User, who().User}
				a, errA := store.Read(t.Context(), users, now)
				b, errB := model.Read(t.Context(), users, now)
				same("read", a, b, errA, errB)
			},
			"all": func(*rapid.T) {
				a, errA := store.All(t.Context(), now)
				b, errB := model.All(t.Context(), now)
				same("all", append([]presence.Entry{}, a...), append([]presence.Entry{}, b...), errA, errB)
			},
		})
	})
}
