package order

import (
	"slices"
	"strings"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// A dispute is the customer's, about an order that the cancel policy does not let him end any more because
// its goods are on their way, or one that has lost a truck. An order has at most one, and goes on: neither
// raising nor resolving it moves an order, a truck or money. It is open until ops resolve it, before or after the end of
// the order. Undecided for Policy.DisputeWithin, or when the order ends, it is handed over: marked as overdue, still
// open. Only the resolution is told to the parties (notices_dispute.go); a complaint nobody has judged is told to
// nobody but ops. ADR 0017.

// Resolution is what ops make of a dispute. It is final.
type Resolution string

// The resolutions.
const (
	ResolvedUpheld   Resolution = "upheld"   // the customer was right
	ResolvedSettled  Resolution = "settled"  // the parties have agreed, or the customer has taken it back
	ResolvedRejected Resolution = "rejected" // there was nothing to it
)

// Resolutions lists them.
func Resolutions() []Resolution {
	return []Resolution{ResolvedUpheld, ResolvedSettled, ResolvedRejected}
}

// Open tells whether the dispute waits for ops. There is none: no.
func (d *Dispute) Open() bool { return d != nil && d.Resolution == "" }

// waits tells whether the dispute's time runs.
func (d *Dispute) waits() bool { return d.Open() && d.HandedOverMS == 0 }

// raiseDispute takes a complaint where a cancellation is not possible any more, or a truck was lost.
func (b *builder) raiseDispute(c RaiseDispute) (Decision, error) {
	switch {
	case !b.s.ownedBy(c.By):
		return Decision{}, ErrNotFound
	case b.s.Dispute.Open():
		return b.replay()
	case b.s.Dispute != nil:
		return Decision{}, ErrDisputeOver
	case !b.s.Live:
		return Decision{}, ErrDispute
	case len([]rune(c.ReasonCode)) > 64:
		return Decision{}, fault.Invalid("reasonCode", "The reason code may have at most 64 characters.")
	case len([]rune(c.Notes)) > 2000:
		return Decision{}, fault.Invalid("notes", "The notes may have at most 2000 characters.")
	}
	rows, err := b.s.tripRows(c.Trips)
	if err != nil {
		return Decision{}, err
	}
	stage := QuoteCancel(b.s, rows, b.now, b.p).Stage
	if b.s.lostAt() == SlotInProgress && stage != StageUnloading { // its goods are on the road, whatever became of the truck
		stage = StageTransit
	}
	if stage != StageTransit && stage != StageUnloading && !b.s.TruckLost() {
		return Decision{}, ErrDispute
	}
	b.add(Event{What: DisputeRaised, By: string(c.By.Role), Dispute: &Dispute{
		ID: c.DisputeID, Stage: stage, ReasonCode: c.ReasonCode, Notes: c.Notes,
		RaisedMS: b.now.UnixMilli(), DueMS: b.now.Add(b.p.DisputeWithin).UnixMilli(),
	}})
	return b.done(string(c.By.Role))
}

// handOver marks a dispute that nobody has decided in time.
func (b *builder) handOver(d Dispute) {
	d.HandedOverMS = b.now.UnixMilli()
	b.add(Event{What: DisputeHanded, By: string(fromTimer), Dispute: &d})
}

// resolveDispute ends a dispute, once. It is no matter whether the order has ended.
func (b *builder) resolveDispute(c ResolveDispute) (Decision, error) {
	reason := strings.TrimSpace(c.Reason)
	switch {
	case c.By.Role != fleet.Ops, b.s.Dispute == nil, b.s.Dispute.ID != c.DisputeID:
		return Decision{}, ErrNoDispute
	case !slices.Contains(Resolutions(), c.Resolution):
		return Decision{}, fault.Invalid("resolution", "A dispute is upheld, settled or rejected.")
	case reason == "" || len([]rune(reason)) > 500:
		return Decision{}, fault.Invalid("reason", "Say why, in at most 500 characters.")
	case b.s.Dispute.Resolution == c.Resolution:
		return b.replay()
	case !b.s.Dispute.Open():
		return Decision{}, ErrResolved.With("resolution", b.s.Dispute.Resolution)
	}
	d := *b.s.Dispute
	d.Resolution, d.ResolvedMS, d.ResolvedBy, d.Why = c.Resolution, b.now.UnixMilli(), c.By.User, reason
	b.add(Event{What: DisputeDecided, By: string(c.By.Role), User: c.By.User, Dispute: &d})
	return b.done(string(c.By.Role))
}
