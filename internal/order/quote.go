package order

import (
	"slices"
	"time"

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
