package order

import (
	"slices"
	"strings"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/trip"
)

// Stage is how far an order has come, for its cancel policy.
type Stage string

// The stages, each dearer than the one before.
const (
	StageSearching Stage = "SEARCHING"         // no driver has accepted
	StageAssigned  Stage = "DRIVER_ASSIGNED"   // one has
	StageAtPickup  Stage = "AT_PICKUP"         // a truck waits at the pickup
	StageLoading   Stage = "LOADING_STARTED"   // a truck is loaded
	StageTransit   Stage = "IN_TRANSIT"        // a truck is on its way
	StageUnloading Stage = "UNLOADING_STARTED" // a truck is at the drop
)

// Stages lists the stages in their order.
func Stages() []Stage {
	return []Stage{StageSearching, StageAssigned, StageAtPickup, StageLoading, StageTransit, StageUnloading}
}

// Verdict is what the policy says about a cancellation.
type Verdict string

// The verdicts, by the apps' names.
const (
	Allowed            Verdict = "allowed"
	AllowedWithPenalty Verdict = "allowed_with_penalty"
	BlockedDisputeOnly Verdict = "blocked_dispute_only"
)

// Breakdown is what an amount is made of, in whole rupees. Final is the greatest of the parts.
type Breakdown struct {
	Base      int `json:"baseCancellationFee"`
	Waiting   int `json:"waitingCharges"`
	Percent   int `json:"percentageFareComponent"`
	Guarantee int `json:"driverMinimumGuarantee"`
	Final     int `json:"finalAmount"`
}

// Quote is what cancelling an order costs at some moment. Preview and cancel give the same.
type Quote struct {
	Stage          Stage     `json:"policyStage"`
	Verdict        Verdict   `json:"cancelDecision"`
	ReasonRequired bool      `json:"reasonRequired"`
	ReasonCode     string    `json:"reasonCode,omitempty"` // CANCEL_BLOCKED_DISPUTE_ONLY
	Penalty        Breakdown `json:"penaltyBreakdown"`
	Driver         Breakdown `json:"driverCompensationBreakdown"`
	Settlement     string    `json:"settlementState"` // none, pending
}

// stageOf is how far one trip takes its order. A trip that no driver has accepted takes it nowhere.
func stageOf(s trip.Status) Stage {
	switch s {
	case trip.DriverAccepted, trip.EnRoutePickup:
		return StageAssigned
	case trip.AtPickup:
		return StageAtPickup
	case trip.LoadingComplete:
		return StageLoading
	case trip.InTransit:
		return StageTransit
	case trip.ArrivedAtDrop:
		return StageUnloading
	default:
		return StageSearching
	}
}

// QuoteCancel says what cancelling would cost now, by the order's live trips. It is what preview answers
// and what cancel does.
func QuoteCancel(s State, trips []TripRow, now time.Time, p Policy) Quote {
	q := Quote{Stage: StageSearching, Verdict: Allowed, Settlement: "none"}
	fare := 0 // of the trucks that are loaded
	var waited time.Duration
	for _, row := range trips {
		t := row.State
		stage := stageOf(t.Status)
		if slices.Index(Stages(), stage) > slices.Index(Stages(), q.Stage) {
			q.Stage = stage
		}
		if at := t.Reached[trip.AtPickup]; at != 0 && (stage == StageAtPickup || stage == StageLoading) {
			waited = max(waited, now.Sub(time.UnixMilli(at)))
		}
		if stage == StageLoading {
			fare += t.Cargo.FareRupees
		}
	}
	q.ReasonRequired = q.Stage != StageSearching && q.Stage != StageAssigned
	waiting := p.Fees.waiting(waited)
	switch q.Stage {
	case StageSearching:
	case StageAssigned:
		q.Penalty = breakdown(p.Fees.Assigned, 0, 0)
		q.Driver = q.Penalty
	case StageAtPickup:
		q.Penalty = breakdown(p.Fees.AtPickup, waiting, 0)
		q.Driver = q.Penalty
	case StageLoading:
		q.Penalty = breakdown(p.Fees.Loading, waiting, percent(fare, p.Fees.LoadingPercent))
		q.Driver = breakdown(p.Fees.Loading, waiting, percent(fare, p.Fees.DriverPercent))
	default:
		q.Verdict, q.ReasonCode = BlockedDisputeOnly, ErrCancelBlocked.Reason
	}
	if q.Penalty.Final > 0 {
		q.Verdict, q.Settlement = AllowedWithPenalty, "pending"
	}
	return q
}

func (f Fees) waiting(waited time.Duration) int {
	if waited <= f.FreeWaiting || f.Minute <= 0 {
		return 0
	}
	minutes := (waited - f.FreeWaiting + f.Minute - 1) / f.Minute
	return int(minutes) * f.WaitingPerMinute
}

func percent(amount, percent int) int { return (amount*percent + 50) / 100 }

func breakdown(base, waiting, share int) Breakdown {
	return Breakdown{Base: base, Waiting: waiting, Percent: share, Final: max(base, waiting, share)}
}

// Preview is QuoteCancel for whoever may cancel. Refuses with ORDER_NOT_FOUND and CANCEL_PREVIEW_FAILED.
func Preview(s State, by By, trips []TripRow, now time.Time, p Policy) (Quote, error) {
	switch {
	case !s.ownedBy(by):
		return Quote{}, ErrNotFound
	case s.Cancellation != nil:
		return s.Cancellation.Quote, nil
	case !s.Live:
		return Quote{}, ErrPreview
	}
	return QuoteCancel(s, trips, now, p), nil
}

// cancel ends the order and its live trips, all in one transaction. Ops may do it at any stage, for
// nothing.
func (b *builder) cancel(c Cancel) (Decision, error) {
	switch {
	case !b.s.ownedBy(c.By):
		return Decision{}, ErrNotFound
	case b.s.Cancellation != nil:
		return b.replay()
	case !b.s.Live:
		return Decision{}, ErrCancelFailed
	case len([]rune(c.Reason)) > 500:
		return Decision{}, fault.Invalid("reason", "The reason may have at most 500 characters.")
	}
	rows, err := b.s.tripRows(c.Trips)
	if err != nil {
		return Decision{}, err
	}
	quote := QuoteCancel(b.s, rows, b.now, b.p)
	if c.By.Role == fleet.Ops {
		quote = Quote{Stage: quote.Stage, Verdict: Allowed, Settlement: "none"}
	}
	switch {
	case quote.Verdict == BlockedDisputeOnly:
		return Decision{}, ErrCancelBlocked.With("policyStage", quote.Stage)
	case quote.ReasonRequired && strings.TrimSpace(c.Reason) == "":
		return Decision{}, ErrReasonNeeded.With("policyStage", quote.Stage)
	}
	notified := b.s.openOffers()
	told, err := b.cancelTrips(rows, c.Reason)
	if err != nil {
		return Decision{}, err
	}
	by := string(c.By.Role)
	for _, h := range b.s.Holds {
		if h.Status == HoldActive {
			b.endHold(h, HoldCancelled)
		}
	}
	for _, slot := range b.s.Slots {
		if !slot.Status.Settled() {
			b.add(Event{What: SlotEnded, Slot: slot.ID, SlotTo: SlotCancelled, Trip: slot.TripID, By: by, Reason: c.Reason})
		}
	}
	b.add(Event{What: WasCancelled, By: by, Reason: c.Reason, Cancellation: &Cancellation{
		Quote: quote, Reason: c.Reason, AtMS: b.now.UnixMilli(), By: by,
		TripsEnded: len(b.d.Cancels), Notified: len(notified), DriversTold: told,
	}})
	return b.done(by)
}

// cancelTrips decides the end of every live trip, and takes in those whose end the order has not heard
// of yet.
func (b *builder) cancelTrips(rows []TripRow, reason string) (told int, err error) {
	for _, row := range rows {
		if !row.State.Live {
			if slot := b.s.SlotOfTrip(row.State.ID); row.State.Status == trip.Completed || row.State.Status == trip.PartialDelivery {
				b.useLetter(*slot, TripNotice{Type: LetterEnded, Notice: trip.OrderNotice{TripID: row.State.ID, Status: row.State.Status}})
			}
			continue
		}
		d, err := trip.Decide(row.State, trip.Cancel{Reason: reason}, b.now, b.p.Trip)
		if err != nil {
			return 0, err
		}
		b.d.Cancels = append(b.d.Cancels, TripStep{d, row.Version, row.Epoch})
		told++
	}
	return told, nil
}

// LiveTrips are the ids of the trips that the order believes to be live: whose rows a cancellation, its
// preview or a dispute needs.
func (s State) LiveTrips() []string {
	var ids []string
	for _, slot := range s.Slots {
		if slot.Status.OnTrip() {
			ids = append(ids, slot.TripID)
		}
	}
	return ids
}

// tripRows picks the rows of the live trips, in the order of their slots. ErrTripsNeeded when one lacks.
func (s State) tripRows(rows []TripRow) ([]TripRow, error) {
	var picked []TripRow
	for _, id := range s.LiveTrips() {
		i := slices.IndexFunc(rows, func(r TripRow) bool { return r.State.ID == id })
		if i < 0 {
			return nil, ErrTripsNeeded
		}
		picked = append(picked, rows[i])
	}
	return picked, nil
}

// raiseDispute takes a complaint where a cancellation is not possible any more.
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
	if stage != StageTransit && stage != StageUnloading {
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

// RebookWait refuses a customer who cancels and books again at once: REBOOK_COOLDOWN with the rest of
// the wait. cancelledMS are the customer's own recent cancellations (Reads.CancelledSince).
func RebookWait(cancelledMS []int64, now time.Time, p Policy) error {
	if len(cancelledMS) == 0 {
		return nil
	}
	recent := 0
	for _, at := range cancelledMS {
		if now.Sub(time.UnixMilli(at)) < p.RepeatedWithin {
			recent++
		}
	}
	wait := p.RebookAfter
	if recent >= p.RepeatedCancels {
		wait = p.RebookAfterRepeated
	}
	if left := time.UnixMilli(slices.Max(cancelledMS)).Add(wait).Sub(now); left > 0 {
		return ErrRebook.After(left)
	}
	return nil
}

// openOffers are the transporters who see the order now.
func (s State) openOffers() []string {
	var ids []string
	for _, o := range s.Offered {
		if !o.Closed {
			ids = append(ids, string(o.TransporterID))
		}
	}
	return ids
}
