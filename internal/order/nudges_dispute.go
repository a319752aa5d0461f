package order

import (
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
)

// disputePushes tell what became of a dispute to those whose sockets are told (notices_dispute.go), under the
// same event: it is decided days later, when hardly anybody has the app open.
func (d Decision) disputePushes() []ledger.Message {
	var out []ledger.Message
	s := d.before
	for _, e := range d.Events {
		before := s
		s = Apply(s, e)
		for i, n := range notices(before, s, e) {
			data, ok := n.data.(DisputeData)
			if !ok {
				continue
			}
			for _, to := range n.to {
				p := s.disputePush(data)
				p.Data["eventId"] = eventID(s.ID, s.Count, i)
				id := stableID("push/dispute/" + data.Dispute.DisputeID + "/" + to + "/" + data.TripID)
				out = append(out, p.Message(id, fleet.UserID(to), d.at.Add(nudge.UpdateLife)))
			}
		}
	}
	return out
}

// disputePush has the type that the apps show as a plain notification (contract §2.7): they know none of
// disputes. What the customer wrote and why ops decided so is not in it.
func (s State) disputePush(data DisputeData) nudge.Push {
	p := s.pushOf("general", "Dispute decided", townOf(s.Pickup)+" to "+townOf(s.Drop)+": "+data.Message)
	p.Tag = "dispute:" + data.Dispute.DisputeID
	p.Data["disputeId"], p.Data["resolution"] = data.Dispute.DisputeID, string(data.Dispute.Resolution)
	if data.TripID != "" {
		p.Data["tripId"], p.Data["assignmentId"] = data.TripID, data.TripID
	}
	return p
}
