package rest_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// desk adds to a yard what operators do with disputes. The audit log is read from shelf.
func desk(shelf *lameLog) func(y *yard) {
	return func(y *yard) {
		y.more = func(y *yard) {
			shelf.Store = y.auditLog
			trail := auditlog.NewRecorder(auditlog.Config{Store: shelf, Keys: auditKeys, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
			rest.RegisterAdmin(y.api, rest.Admin{
				Audit: trail, Rows: shelf, Disputes: y.dispatch.reads.(order.DisputeReads), Orders: y.facade, Log: slog.New(slog.DiscardHandler), Now: time.Now,
			})
		}
	}
}

func (y *yard) asOps() *resttest.Client {
	return y.as("ops-1", fleet.Ops).With("X-Reason", "ticket 4711")
}

// complain brings a new order with one truck onto the road, and lets its customer complain.
func (y *yard) complain(notes string) (orderID, tripID, disputeID string) {
	y.t.Helper()
	orderID = y.order(1).Order.ID
	tripID = y.confirm(y.hold(orderID, 1).HoldID, 1)[0]
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+tripID+"/accept", nil).Want(200)
	y.eventually("filled", func() bool { return y.statusOf(orderID).Status == "fully_filled" })
	y.step(0, tripID, "in_transit")
	y.eventually("on the road", func() bool { return y.statusOf(orderID).Status == "in_progress" })
	var d rest.DisputeData
	keyed(y.asCustomer()).Call("POST", "/api/v1/orders/"+orderID+"/cancel/dispute", fmt.Sprintf(`{"reasonCode":"DELAY","notes":%q}`, notes)).Want(200).Data(&d)
	return orderID, tripID, d.DisputeID
}

// arrive ends the order.
func (y *yard) arrive(orderID, tripID string) {
	y.t.Helper()
	y.step(0, tripID, "completed")
	y.eventually("completed", func() bool { return y.statusOf(orderID).Status == "completed" })
}

const disputes = "/api/v1/admin/disputes"

func disputeIDs(list rest.AdminDisputesData) []string {
	ids := []string{}
	for _, d := range list.Disputes {
		ids = append(ids, d.ID)
	}
	return ids
}

// TestOperatorsResolveDisputes: they see them, the newest first, and end them, also after the end of
// the order; each try is in the audit log before it is made.
func TestOperatorsResolveDisputes(t *testing.T) {
	t.Parallel()
	for name, stores := range map[string]func(*testing.T) shelves{"dev": dev, "serve": serve} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			operatorsResolveDisputes(openYard(t, stores(t), desk(&lameLog{})))
		})
	}
}

func operatorsResolveDisputes(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	oldOrder, oldTrip, old := y.complain("two hours late")
	y.arrive(oldOrder, oldTrip)
	newOrder, newTrip, latest := y.complain("everything is wet")

	list := func(query string) rest.AdminDisputesData {
		t.Helper()
		var page rest.AdminDisputesData
		y.asOps().Call("GET", disputes+query, nil).Want(200).Data(&page)
		return page
	}
	if diff := cmp.Diff([]string{latest, old}, disputeIDs(list(""))); diff != "" {
		t.Fatalf("disputes (-want +got):\n%s", diff)
	}
	first := list("?status=open&limit=1")
	second := list("?status=open&limit=1&cursor=" + first.Cursor)
	third := list("?status=open&limit=1&cursor=" + second.Cursor)
	if !first.HasMore || !slices.Equal(disputeIDs(first), []string{latest}) || !slices.Equal(disputeIDs(second), []string{old}) || len(third.Disputes) != 0 || third.HasMore {
		t.Errorf("pages %+v, %+v, %+v", first, second, third)
	}
	d := first.Disputes[0]
	trip := rest.AdminTrip{ID: newTrip, Status: "in_progress", Vehicle: "KA01AB0001", TransporterID: y.owner, Transporter: "Asha Fleet", DriverID: y.drivers[0], Driver: "Anil"}
	if d.OrderID != newOrder || d.OrderStatus != "in_progress" || d.Status != "open" || d.CustomerID != y.customer || d.Customer != "Meera" || d.Stage != "IN_TRANSIT" ||
		d.ReasonCode != "DELAY" || d.Notes != "everything is wet" || d.HandedOver != nil || d.Resolution != nil || d.RaisedAt.String() == "" || !slices.Equal(d.Trips, []rest.AdminTrip{trip}) {
		t.Errorf("an open one: %+v", d)
	}
	if d := second.Disputes[0]; d.OrderStatus != "completed" || d.Status != "open" || d.HandedOver == nil {
		t.Errorf("one whose order has ended: %+v", d)
	}

	seen := func(c *resttest.Client) *rest.OrderDisputeData {
		t.Helper()
		var detail rest.OrderDetailData
		c.Call("GET", "/api/v1/orders/"+newOrder, nil).Want(200).Data(&detail)
		return detail.Dispute
	}
	if d := seen(y.asCustomer()); d == nil || d.ID != latest || d.Status != "open" || d.Stage != "IN_TRANSIT" || d.Resolution != nil {
		t.Errorf("the customer sees %+v", d)
	}
	if d := seen(y.asOwner()); d != nil {
		t.Errorf("the transporter sees %+v", d)
	}
	for _, id := range []string{latest, old} {
		for range 2 { // it may be repeated
			var done rest.AdminDisputeData
			y.asOps().Call("POST", disputes+"/"+id+"/resolve", `{"resolution":"upheld","reason":"photographs, ticket 4711"}`).Want(200).Data(&done)
			if d := done.Dispute; d.ID != id || d.Status != "resolved" || *d.Resolution != "upheld" || *d.Reason != "photographs, ticket 4711" || *d.ResolvedBy != "ops-1" || d.ResolvedAt == nil {
				t.Errorf("resolved: %+v", d)
			}
		}
	}
	for _, c := range []*resttest.Client{y.asCustomer(), y.asOwner()} {
		if d := seen(c); d == nil || d.Status != "resolved" || *d.Resolution != "upheld" || d.ResolvedAt.String() == "" {
			t.Errorf("afterwards it is seen as %+v", d)
		}
	}
	y.asOps().Call("POST", disputes+"/"+latest+"/resolve", `{"resolution":"rejected","reason":"looked again"}`).Refused(409, "DISPUTE_RESOLVED")
	if open, resolved := list("?status=open"), list("?status=resolved"); len(open.Disputes) != 0 || !slices.Equal(disputeIDs(resolved), []string{latest, old}) {
		t.Errorf("open %+v, resolved %+v", open, resolved)
	}
	keyed(y.asCustomer()).Call("POST", "/api/v1/orders/"+newOrder+"/cancel/dispute", `{}`).Refused(400, "DISPUTE_CREATE_FAILED")
	y.arrive(newOrder, newTrip)

	var page rest.AuditData
	y.asOps().Call("GET", "/api/v1/admin/audit?subject=dispute:"+latest, nil).Want(200).Data(&page)
	told := []string{}
	for _, r := range page.Rows {
		told = append(told, fmt.Sprintf("%s %s %s: %s", r.Actor, r.Role, r.Action, r.Reason))
	}
	did := "ops-1 ops dispute_resolved: photographs, ticket 4711"
	want := []string{"ops-1 ops dispute_resolved.failed: DISPUTE_RESOLVED", "ops-1 ops dispute_resolved: looked again", did, did}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if got := string(page.Rows[3].Details); got != fmt.Sprintf(`{"order":%q,"resolution":"upheld"}`, newOrder) {
		t.Errorf("details %s", got)
	}
}

// TestRefusedDisputes: nobody else, nothing without a reason, nothing that is not there, and nothing that
// cannot be written down; each changes nothing.
func TestRefusedDisputes(t *testing.T) {
	t.Parallel()
	shelf := &lameLog{}
	y := openYard(t, dev(t), desk(shelf))
	y.open()
	_, _, id := y.complain("two hours late")
	before := y.dispatched()
	resolve := disputes + "/" + id + "/resolve"
	const good = `{"resolution":"settled","reason":"they have agreed"}`
	for _, c := range []*resttest.Client{y.asCustomer(), y.asOwner(), y.asDriver(0)} {
		c.Call("GET", disputes, nil).Refused(403, "FORBIDDEN")
		c.Call("POST", resolve, good).Refused(403, "FORBIDDEN")
	}
	y.Call("GET", disputes, nil).Refused(401, "UNAUTHORIZED")
	y.Call("POST", resolve, good).Refused(401, "UNAUTHORIZED")
	for _, body := range []string{
		`{}`, `{"resolution":"settled"}`, `{"resolution":"settled","reason":"no"}`, `{"resolution":"settled","reason":"     "}`,
		`{"resolution":"open","reason":"they have agreed"}`, `{"reason":"they have agreed"}`, `{"resolution":"settled","reason":"` + strings.Repeat("a", 501) + `"}`,
		`{"resolution":"settled","resolution":"upheld","reason":"they have agreed"}`, `{"Resolution":"settled","reason":"they have agreed"}`, good + good,
	} {
		y.asOps().Call("POST", resolve, body).Refused(400, "VALIDATION_ERROR")
	}
	for _, other := range []string{uuid.NewString(), "x' OR 1"} {
		y.asOps().Call("POST", disputes+"/"+strings.ReplaceAll(other, " ", "%20")+"/resolve", good).Refused(404, "DISPUTE_NOT_FOUND")
	}
	for _, query := range []string{"?cursor=x", "?cursor=5.", "?cursor=-1.a", "?limit=0", "?limit=101", "?status=lost"} {
		y.asOps().Call("GET", disputes+query, nil).Refused(400, "VALIDATION_ERROR")
	}
	shelf.away = true
	y.asOps().Call("POST", resolve, good).Refused(503, "SERVICE_UNAVAILABLE")
	if after := y.dispatched(); after != before {
		t.Errorf("something was done: %s, before %s", after, before)
	}
	shelf.away = false
	y.asOps().Call("POST", resolve, good).Want(200)
}
