package rest_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// TestWhyAnOrderWasDispatchedSo: ops see everybody, the customer sees counts, and a transporter learns
// why he has it or not.
func TestWhyAnOrderWasDispatchedSo(t *testing.T) {
	t.Parallel()
	onBothStores(t, whyAnOrderWasDispatchedSo)
}

func whyAnOrderWasDispatchedSo(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(1).Order.ID
	y.asRival().Call("GET", "/api/v1/broadcasts/"+id, nil).Want(200) // he looks at it, and is too late
	trip := y.confirm(y.hold(id, 1).HoldID, 1)[0]
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+trip+"/accept", nil).Want(200)
	y.eventually("filled", func() bool { return y.statusOf(id).Status == "fully_filled" })

	path := "/api/v1/orders/" + id + "/explain"
	ops := y.as(y.enrol(fleet.Ops, "+919999999999", "Ops", ""), fleet.Ops)
	var all, counts, mine, his rest.ExplainData
	ops.Call("GET", path, nil).Want(200).Data(&all)
	if len(all.Waves) != 1 || len(all.Summary) != 1 || len(all.Waves[0].Candidates) != 2 || all.Status != "fully_filled" {
		t.Fatalf("ops see %+v", all)
	}
	winner, loser := all.Waves[0].Candidates[0], all.Waves[0].Candidates[1]
	if winner.TransporterID != string(y.owner) || winner.Name != "Asha Fleet" || winner.Answer != "confirmed" || winner.DistanceM < 999 || winner.DistanceM > 1001 {
		t.Errorf("the winner is %+v", winner)
	}
	if loser.Name != "Rival Roadways" || !loser.Offered || loser.SeenAt.String() == "" || loser.Answer != "" {
		t.Errorf("the loser is %+v", loser)
	}
	if !strings.Contains(all.Summary[0], "Asha Fleet") {
		t.Errorf("summary %q", all.Summary)
	}

	customer := y.asCustomer().Call("GET", path, nil).Want(200).Data(&counts)
	if w := counts.Waves[0]; w.LookedAt != 2 || w.Offered != 2 || w.Seen != 2 || w.Answered != 1 || len(w.Candidates) != 0 {
		t.Errorf("the customer sees %+v", w)
	}
	for _, secret := range []string{"Asha", "Rival", string(y.owner), string(y.rival)} {
		if strings.Contains(string(customer.Raw), secret) {
			t.Errorf("the customer reads %s in %s", secret, customer.Raw)
		}
	}
	y.asOwner().Call("GET", path+"?transporter="+string(y.owner), nil).Want(200).Data(&mine)
	if !*mine.Offered || *mine.TrucksWon != 1 {
		t.Errorf("the winner reads %+v", mine)
	}
	rival := y.asRival().Call("GET", path+"?transporter="+string(y.rival), nil).Want(200).Data(&his)
	if !*his.Offered || *his.TrucksWon != 0 || strings.Contains(string(rival.Raw), "Asha") {
		t.Errorf("the rival reads %s", rival.Raw)
	}
	y.asRival().Call("GET", path+"?transporter="+string(y.owner), nil).Refused(404, "ORDER_NOT_FOUND")
	stranger := y.as(y.enrol(fleet.Customer, "+919000000002", "Nisha", ""), fleet.Customer)
	stranger.Call("GET", path, nil).Refused(404, "ORDER_NOT_FOUND")
	stranger.Call("GET", path+"?transporter="+string(y.owner), nil).Refused(404, "ORDER_NOT_FOUND")
	elsewhere := y.enrol(fleet.Transporter, "+919000000003", "Far Freight", "")
	y.as(elsewhere, fleet.Transporter).Call("GET", path+"?transporter="+string(elsewhere), nil).Refused(404, "ORDER_NOT_FOUND")
	ops.Call("GET", path+"?transporter="+string(elsewhere), nil).Want(200)
	ops.Call("GET", strings.Replace(path, id, "3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c", 1), nil).Refused(404, "ORDER_NOT_FOUND")
	ops.Call("GET", "/api/v1/orders/o1/explain", nil).Refused(404, "ORDER_NOT_FOUND")
	y.asDriver(0).Call("GET", path, nil).Refused(403, "FORBIDDEN")
}

// countedHistory counts how often a history is read.
type countedHistory struct {
	ledger.History
	reads atomic.Int32
}

func (h *countedHistory) Events(ctx context.Context, ref ledger.Ref, after int64, limit int) ([]ledger.Recorded, error) {
	h.reads.Add(1)
	return h.History.Events(ctx, ref, after, limit)
}

// TestExplainReadsNothingForStrangers: who may not ask is refused before an order's history is read.
func TestExplainReadsNothingForStrangers(t *testing.T) {
	t.Parallel()
	history := &countedHistory{}
	y := openYard(t, dev(t), func(y *yard) { history.History, y.dispatch.history = y.dispatch.history, history })
	y.open()
	path := "/api/v1/orders/" + y.order(1).Order.ID + "/explain"
	stranger := y.as(y.enrol(fleet.Customer, "+919000000002", "Nisha", ""), fleet.Customer)
	elsewhere := y.as(y.enrol(fleet.Transporter, "+919000000003", "Far Freight", ""), fleet.Transporter)
	before := history.reads.Load()
	for _, who := range []*resttest.Client{stranger, elsewhere} {
		who.Call("GET", path, nil).Refused(404, "ORDER_NOT_FOUND")
		who.Call("GET", path+"?transporter="+string(y.owner), nil).Refused(404, "ORDER_NOT_FOUND")
	}
	if n := history.reads.Load() - before; n != 0 {
		t.Errorf("%d reads for those who may not ask", n)
	}
	y.asCustomer().Call("GET", path, nil).Want(200)
	if history.reads.Load() == before {
		t.Error("the customer's question read nothing: the count is of something else")
	}
}
