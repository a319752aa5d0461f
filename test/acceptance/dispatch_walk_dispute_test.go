package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The dispute in TestDispatchWalk, from the side of those who decide it.

// opsPhone is an operator's, who needs no account.
const opsPhone = "9000000911"

// operatorsDecideTheDispute that the customer raised on the way, now that the order is over: they find it,
// resolve it, the sockets of its parties get the event, once, and the audit log has the row.
func (w *dispatchWalk) operatorsDecideTheDispute(trips ...string) {
	w.t.Helper()
	const list = "admin/disputes?status=open"
	w.refused(w.customer, http.MethodGet, list, "", nil, http.StatusForbidden, "FORBIDDEN")
	ops := w.s.login(w.t, opsPhone, "ops")
	var open struct {
		Disputes []struct {
			ID, OrderID, OrderStatus, CustomerName, ReasonCode, Notes, RaisedAt string
			HandedOverAt                                                        *string
			Trips                                                               []struct{ TripID string }
		}
	}
	w.get(ops, list, &open)
	if len(open.Disputes) != 1 {
		w.t.Fatalf("open disputes %+v", open)
	}
	d := open.Disputes[0]
	if d.ID != w.dispute || d.OrderID != w.order || d.OrderStatus != "completed" || d.ReasonCode != "DELAY" || d.Notes != "two hours late" ||
		d.RaisedAt == "" || d.HandedOverAt == nil || len(d.Trips) != len(trips) || d.Trips[0].TripID != trips[0] {
		w.t.Fatalf("dispute %+v", d)
	}

	parties := map[string]*person{}
	ofTrip := map[string]string{"driver 0": trips[0], "driver 1": trips[1]}
	for who, token := range map[string]string{"customer": w.customer, "transporter": w.transporter, "driver 0": w.drivers[0], "driver 1": w.drivers[1]} {
		p := w.s.connect(w.t, token, "dispute-of-"+who, nil)
		defer p.end()
		parties[who] = p
		eventually(w.t, 20*time.Second, "welcome of "+who, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.modes) > 0 })
	}
	path := "admin/disputes/" + d.ID + "/resolve"
	for range 2 { // its answer was lost
		var done struct {
			Dispute struct{ Status, Resolution string }
		}
		w.call(ops, http.MethodPost, path, "", fields{"resolution": "upheld", "reason": "the log shows two hours, ticket 4711"}, &done)
		if done.Dispute.Status != "resolved" || done.Dispute.Resolution != "upheld" {
			w.t.Fatalf("resolved %+v", done)
		}
	}
	w.refused(ops, http.MethodPost, path, "", fields{"resolution": "rejected", "reason": "looked again"}, http.StatusConflict, "DISPUTE_RESOLVED")
	for who, p := range parties {
		eventually(w.t, 20*time.Second, "the resolution at "+who, func() bool { return len(p.resolutions()) > 0 })
		if got, want := p.resolutions(), fmt.Sprintf("[%s completed %s upheld %s]", w.order, d.ID, ofTrip[who]); fmt.Sprint(got) != want {
			w.t.Fatalf("%s was told %v, want %s", who, got, want)
		}
	}

	w.get(ops, list, &open)
	if len(open.Disputes) != 0 {
		w.t.Fatalf("still open: %+v", open)
	}
	var audit struct {
		Rows []struct{ Actor, Role, Action, Reason string }
	}
	w.get(ops, "admin/audit?subject=dispute:"+d.ID, &audit)
	told := []string{}
	for _, r := range audit.Rows {
		told = append(told, r.Role+" "+r.Action+": "+r.Reason)
	}
	const did = "ops dispute_resolved: the log shows two hours, ticket 4711"
	want := []string{"ops dispute_resolved.failed: DISPUTE_RESOLVED", "ops dispute_resolved: looked again", did, did}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		w.t.Fatalf("the audit log has %q, want %q", told, want)
	}
}

// resolutions are what somebody was told of disputes: order, its status, dispute, resolution, trip.
func (p *person) resolutions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		var data struct {
			OrderID, Status, TripID string
			Dispute                 *struct{ DisputeID, Resolution string }
		}
		if e.Type == "order_status" && json.Unmarshal(e.Data, &data) == nil && data.Dispute != nil {
			out = append(out, fmt.Sprint(data.OrderID, " ", data.Status, " ", data.Dispute.DisputeID, " ", data.Dispute.Resolution, " ", data.TripID))
		}
	}
	return out
}
