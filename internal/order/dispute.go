package order

import (
	"weelo/internal/fault"
)

// raiseDispute takes a complaint where a cancellation is not possible any more, or a truck was lost.
func (b *builder) raiseDispute(c RaiseDispute) (Decision, error) {
	switch {
	case !b.s.ownedBy(c.By):
		return Decision{}, ErrNotFound
	case b.s.Dispute != nil:
		return b.replay()
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

// handOver gives an unanswered dispute to people.
func (b *builder) handOver(d Dispute) {
	d.HandedOverMS = b.now.UnixMilli()
	b.add(Event{What: DisputeHanded, By: string(fromTimer), Dispute: &d})
}
