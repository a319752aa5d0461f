package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
	"weelo/internal/order"
)

// DisputesBackend is one fresh, empty store of orders.
type DisputesBackend struct {
	Writer ledger.Writer
	Reads  order.DisputeReads
}

// Disputes proves the contract of order.DisputeReads. open is called for each test.
func Disputes(t *testing.T, open func(t *testing.T) DisputesBackend) {
	t.Helper()
	for name, run := range map[string]func(*testing.T, *disputesTest){
		"None":    noDisputes,
		"Pages":   pagesOfDisputes,
		"Life":    lifeOfADispute,
		"ByID":    disputeByID,
		"Shorter": disputesWithoutOffered,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			run(t, &disputesTest{ordersTest{OrderReadsBackend: OrderReadsBackend{Writer: b.Writer}}, b.Reads})
		})
	}
}

type disputesTest struct {
	ordersTest
	reads order.DisputeReads
}

// dispute stores an order with a dispute and gives the dispute's id.
func (d *disputesTest) dispute(t *testing.T, id string, raisedMS int64, to order.Resolution) string {
	t.Helper()
	d.add(t, order.State{Status: order.InProgress, Live: true, CustomerID: "c", Dispute: &order.Dispute{ID: id, RaisedMS: raisedMS, Resolution: to}})
	return id
}

// page reads a page and gives the ids of its disputes.
func (d *disputesTest) page(t *testing.T, q order.DisputePage) []string {
	t.Helper()
	found, err := d.reads.Disputes(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range found {
		ids = append(ids, s.Dispute.ID)
	}
	return ids
}

func noDisputes(t *testing.T, d *disputesTest) {
	d.add(t, order.State{Status: order.InProgress, Live: true, CustomerID: "c"})
	d.add(t, order.State{Status: order.Completed, CustomerID: "c"})
	for _, which := range []order.DisputeFilter{order.AllDisputes, order.OpenDisputes, order.ResolvedDisputes} {
		if got := d.page(t, order.DisputePage{Which: which, Limit: 10}); len(got) != 0 {
			t.Errorf("filter %d found %v", which, got)
		}
	}
}

// pagesOfDisputes goes through lists with several disputes of one moment, by pages of every size.
func pagesOfDisputes(t *testing.T, d *disputesTest) {
	want := map[order.DisputeFilter][]string{}
	for n := range 9 {
		to := append(order.Resolutions(), "", "")[n%5]
		// Three of each moment; ids do not sort as they were written.
		id := d.dispute(t, fmt.Sprintf("%c%d", 'A'+byte(n*4%9), n), at.UnixMilli()+int64(n/3), to)
		want[order.AllDisputes] = append(want[order.AllDisputes], id)
		which := order.ResolvedDisputes
		if to == "" {
			which = order.OpenDisputes
		}
		want[which] = append(want[which], id)
	}
	raised := func(id string) int64 { return at.UnixMilli() + int64(id[1]-'0')/3 }
	for which, ids := range want {
		slices.SortFunc(ids, func(a, b string) int {
			if raised(a) != raised(b) {
				return int(raised(b) - raised(a))
			}
			return int(b[0]) - int(a[0])
		})
		for size := 1; size <= len(ids)+1; size++ {
			var got []string
			for q := (order.DisputePage{Which: which, Limit: size}); ; {
				page := d.page(t, q)
				if len(page) > size {
					t.Fatalf("a page of %d has %d", size, len(page))
				}
				got = append(got, page...)
				if len(page) == 0 {
					break
				}
				q.AfterID = page[len(page)-1]
				q.AfterMS = raised(q.AfterID)
			}
			if diff := cmp.Diff(ids, got); diff != "" {
				t.Errorf("filter %d by pages of %d (-want +got):\n%s", which, size, diff)
			}
		}
	}
}

// lifeOfADispute: it comes into the list when it is raised, stays there when its order ends, and goes over to
// the resolved ones.
func lifeOfADispute(t *testing.T, d *disputesTest) {
	s := order.State{Status: order.InProgress, Live: true, CustomerID: "c"}
	s.ID = d.add(t, s)
	is := func(when string, which order.DisputeFilter, want ...string) {
		t.Helper()
		if got := d.page(t, order.DisputePage{Which: which, Limit: 5}); !slices.Equal(got, want) {
			t.Errorf("%s filter %d finds %v, want %v", when, which, got, want)
		}
	}
	version := int64(0)
	write := func() {
		t.Helper()
		version++
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		d.commit(t, ledger.Transition{Ref: ledger.Ref{Kind: ledger.Order, ID: s.ID}, Version: version, State: snapshot, At: at.Add(time.Duration(version) * time.Second)})
	}
	is("before", order.AllDisputes)
	s.Dispute = &order.Dispute{ID: "d1", RaisedMS: at.UnixMilli(), Stage: order.StageTransit}
	write()
	is("raised", order.OpenDisputes, "d1")
	s.Status, s.Live = order.Completed, false
	write()
	is("after the end", order.OpenDisputes, "d1")
	is("after the end", order.ResolvedDisputes)
	s.Dispute = &order.Dispute{ID: "d1", RaisedMS: at.UnixMilli(), Stage: order.StageTransit, Resolution: order.ResolvedSettled}
	write()
	is("resolved", order.OpenDisputes)
	is("resolved", order.ResolvedDisputes, "d1")
	is("resolved", order.AllDisputes, "d1")
}

func disputeByID(t *testing.T, d *disputesTest) {
	d.dispute(t, "d1", 1, "")
	d.dispute(t, "d2", 2, order.ResolvedUpheld)
	d.add(t, order.State{Status: order.InProgress, Live: true, CustomerID: "c"})
	for _, id := range []string{"d1", "d2"} {
		s, err := d.reads.OrderOfDispute(t.Context(), id)
		if err != nil || s.Dispute == nil || s.Dispute.ID != id || s.ID == "" {
			t.Errorf("of %s: %+v, %v", id, s.Dispute, err)
		}
	}
	for _, id := range []string{"", "d3", "D1", "x' OR 1"} {
		if s, err := d.reads.OrderOfDispute(t.Context(), id); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("of %q: %+v, %v, want ErrMissing", id, s, err)
		}
	}
}

// disputesWithoutOffered: all of an order but whom it was offered to.
func disputesWithoutOffered(t *testing.T, d *disputesTest) {
	want := order.State{
		Status: order.InProgress, Live: true, CustomerID: "c", Goods: "आम 🚚", Offered: []order.Offered{{TransporterID: "t", Wave: 1}},
		Dispute: &order.Dispute{ID: "d1", Stage: order.StageUnloading, ReasonCode: "DAMAGED", Notes: "गीला", RaisedMS: 5, DueMS: 6, HandedOverMS: 7},
	}
	want.ID = d.add(t, want)
	want.Offered = nil
	one, err := d.reads.OrderOfDispute(t.Context(), "d1")
	if diff := cmp.Diff(want, one); err != nil || diff != "" {
		t.Errorf("one (-want +got): %v\n%s", err, diff)
	}
	page, err := d.reads.Disputes(t.Context(), order.DisputePage{Limit: 5})
	if diff := cmp.Diff([]order.State{want}, page); err != nil || diff != "" {
		t.Errorf("the list (-want +got): %v\n%s", err, diff)
	}
}
