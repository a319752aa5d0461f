package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
	"weelo/internal/ledger"
	"weelo/transport/rest"
)

// broken makes a command break its actor three times.
func broken(t *testing.T, p pair, of, command string) {
	t.Helper()
	for range 3 {
		h := ledger.Harm{Ref: ledger.Ref{Kind: ledger.Trip, ID: of}, CommandID: command, Message: "accept", Reason: "no such stop of 98765 43210", At: time.Now()}
		if _, err := p.harm.Strike(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOperatorsSettleQuarantinedCommands: they find them, release some, discard others, each with a
// reason that is in the log before it is done.
func TestOperatorsSettleQuarantinedCommands(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		ops, opsID := k.logIn(t, ops1, "ops")
		ops = ops.With("X-Reason", "ticket 4711")
		for n := range 4 {
			broken(t, p, "trip-"+fmt.Sprint(n), "key-"+fmt.Sprint(n))
		}
		const at = "/api/v1/admin/quarantine"
		var first, next rest.AdminQuarantineData
		ops.Call("GET", at+"?limit=3", nil).Want(200).Data(&first)
		ops.Call("GET", at+"?limit=3&cursor="+first.Cursor, nil).Want(200).Data(&next)
		if len(first.Commands) != 3 || !first.HasMore || len(next.Commands) != 1 || next.HasMore {
			t.Fatalf("pages %+v, %+v", first, next)
		}
		c := first.Commands[0]
		if c.Command != "key-3" || c.AggregateID != "trip-3" || c.Status != "quarantined" || c.Strikes != 3 || c.ComesWith != "client" || c.Message != "accept" ||
			!strings.HasPrefix(c.Panic, "no such stop of ") || strings.Contains(c.Panic, "98765") {
			t.Errorf("seen as %+v", c)
		}
		var done rest.AdminCommandData
		for range 2 { // it may be repeated
			ops.Call("POST", at+"/"+c.ID+"/release", `{"reason":"mended in 1.4.2"}`).Want(200).Data(&done)
			if done.Command.Status != "released" || done.Command.Strikes != 0 || done.Command.Releases != 1 || done.Command.ReleasedAt == nil {
				t.Errorf("released: %+v", done)
			}
		}
		told, err := p.harm.Strikes(t.Context(), ledger.Ref{Kind: ledger.Trip, ID: "trip-3"})
		if err != nil || len(told) != 1 || told[0].Strikes != 0 {
			t.Errorf("its actor is told of %+v, %v", told, err)
		}
		other := next.Commands[0]
		for range 2 {
			ops.Call("POST", at+"/"+other.ID+"/discard", why).Want(200).Data(&done)
			if done.Command.Status != "discarded" || done.Command.DiscardedAt == nil {
				t.Errorf("discarded: %+v", done)
			}
		}
		ops.Call("POST", at+"/"+other.ID+"/release", why).Refused(409, "COMMAND_DISCARDED")
		ops.Call("POST", at+"/"+c.ID+"/discard", why).Refused(409, "NOT_QUARANTINED")
		for status, want := range map[string]int{"quarantined": 2, "released": 1, "discarded": 1, "struck": 0, "all": 4} {
			var list rest.AdminQuarantineData
			ops.Call("GET", at+"?status="+status, nil).Want(200).Data(&list)
			if len(list.Commands) != want {
				t.Errorf("%d are %s, want %d", len(list.Commands), status, want)
			}
		}
		var page rest.AuditData
		ops.Call("GET", "/api/v1/admin/audit?subject=command:"+c.ID, nil).Want(200).Data(&page)
		var rows []string
		for _, r := range page.Rows {
			rows = append(rows, r.Action+" "+r.Reason)
			if r.Actor != opsID || r.Action == "command_released" && string(r.Details) != `{"command":"key-3","message":"accept","of":"trip:trip-3","strikes":3}` &&
				string(r.Details) != `{"command":"key-3","message":"accept","of":"trip:trip-3","strikes":0}` {
				t.Errorf("row %+v with %s", r, r.Details)
			}
		}
		want := []string{
			"command_discarded.failed NOT_QUARANTINED", "command_discarded unpaid dues, ticket 4711",
			"command_released mended in 1.4.2", "command_released mended in 1.4.2",
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

// TestOperatorsReleaseAnActor: one that was taken out stands in the list beside the commands, is released like
// them, and cannot be thrown away.
func TestOperatorsReleaseAnActor(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		ops, _ := k.logIn(t, ops1, "ops")
		ops = ops.With("X-Reason", "ticket 4711")
		ref := ledger.Ref{Kind: ledger.Order, ID: "order-1"}
		out := ledger.Harm{Ref: ref, CommandID: ledger.WholeActor, Message: "actor", Reason: "no such slot", At: time.Now()}
		if _, err := p.harm.Strike(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		const at = "/api/v1/admin/quarantine"
		var list rest.AdminQuarantineData
		ops.Call("GET", at, nil).Want(200).Data(&list)
		if len(list.Commands) != 1 {
			t.Fatalf("listed %+v", list)
		}
		c := list.Commands[0]
		if c.Command != "" || c.Message != "actor" || c.ComesWith != "actor" || c.Status != "quarantined" || c.Kind != "order" || c.AggregateID != "order-1" || c.Panic != "no such slot" {
			t.Errorf("seen as %+v", c)
		}
		ops.Call("POST", at+"/"+c.ID+"/discard", why).Refused(409, "ACTOR_NOT_DISCARDABLE")
		var done rest.AdminCommandData
		ops.Call("POST", at+"/"+c.ID+"/release", `{"reason":"mended in 1.4.2"}`).Want(200).Data(&done)
		if done.Command.Status != "released" || done.Command.Releases != 1 {
			t.Errorf("released: %+v", done)
		}
		told, err := p.harm.Strikes(t.Context(), ref)
		if err != nil || len(told) != 1 || told[0].Strikes != 0 {
			t.Errorf("its next activation is told of %+v, %v", told, err)
		}
		var page rest.AuditData
		ops.Call("GET", "/api/v1/admin/audit?subject=command:"+c.ID, nil).Want(200).Data(&page)
		var rows []string
		for _, r := range page.Rows {
			rows = append(rows, r.Action+" "+r.Reason)
		}
		want := []string{"command_released mended in 1.4.2", "command_discarded.failed ACTOR_NOT_DISCARDABLE", "command_discarded unpaid dues, ticket 4711"}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

// TestQuarantineRefusals: nobody but operators, nothing without a reason, nothing unwritten.
func TestQuarantineRefusals(t *testing.T) {
	t.Parallel()
	p := devPair(t, (&clock{}).Now)
	shelf := &lameLog{Store: p.log}
	p.log = shelf
	k := start(t, p, options{})
	ops, _ := k.logIn(t, ops1, "ops")
	ops = ops.With("X-Reason", "ticket 4711")
	customer, _ := k.logIn(t, c1, "customer")
	broken(t, p, "trip", "key")
	list, err := p.harm.List(t.Context(), ledger.QuarantineQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	const at = "/api/v1/admin/quarantine"
	customer.Call("GET", at, nil).Refused(403, "FORBIDDEN")
	k.Call("GET", at, nil).Refused(401, "UNAUTHORIZED")
	ops.Call("GET", at+"?status=odd", nil).Refused(400, "VALIDATION_ERROR")
	ops.Call("GET", at+"?cursor=x", nil).Refused(400, "VALIDATION_ERROR")
	for _, act := range []string{"/release", "/discard"} {
		one := fmt.Sprint(at, "/", list[0].ID, act)
		customer.Call("POST", one, why).Refused(403, "FORBIDDEN")
		k.Call("POST", one, why).Refused(401, "UNAUTHORIZED")
		for _, unknown := range []string{"0", "x", "99999", "9223372036854775807"} {
			ops.Call("POST", at+"/"+unknown+act, why).Refused(404, "COMMAND_NOT_FOUND")
		}
		for _, reason := range []string{`{}`, `{"reason":"no"}`, `{"reason":"    "}`} {
			ops.Call("POST", one, reason).Refused(400, "VALIDATION_ERROR")
		}
		shelf.away = true
		ops.Call("POST", one, why).Refused(503, "SERVICE_UNAVAILABLE")
		shelf.away = false
	}
	after, err := p.harm.List(t.Context(), ledger.QuarantineQuery{Limit: 1})
	if diff := cmp.Diff(list, after); err != nil || diff != "" {
		t.Errorf("something was done, %v:\n%s", err, diff)
	}
	for _, r := range written(t, k) {
		if strings.HasPrefix(r.Action, auditlog.CommandReleased) || strings.HasPrefix(r.Action, auditlog.CommandDiscarded) {
			t.Errorf("written %+v", r)
		}
	}
}
