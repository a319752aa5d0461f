package order

import (
	"errors"
	"fmt"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// ErrStaleTimer: the timer that fired is not the armed one. Nothing happens; the stored row, if
// there still is one, is out of date and may be dropped.
var ErrStaleTimer = errors.New("order: stale timer")

// ErrTripsNeeded: the decision lacks the row of a live trip. Read them again and decide again.
var ErrTripsNeeded = errors.New("order: the rows of the order's live trips are needed")

// The refusals of an order, by the reasons the apps know (contract §1.3, 1.5).
var (
	ErrNotFound     = fault.New(fault.NotFound, "ORDER_NOT_FOUND", "This order was not found.")
	ErrHoldNotFound = fault.New(fault.NotFound, "HOLD_NOT_FOUND", "This hold was not found.")

	ErrInactive      = fault.New(fault.Conflict, "ORDER_INACTIVE", "This order is no longer looking for trucks.")
	ErrNotEnough     = fault.New(fault.Conflict, "NOT_ENOUGH_AVAILABLE", "Fewer trucks are left than you asked for.")
	ErrAlreadyHolds  = fault.New(fault.Conflict, "ALREADY_HOLDING", "You already hold trucks of this kind for this order.")
	ErrHoldExpired   = fault.New(fault.Conflict, "HOLD_EXPIRED", "Your hold has expired. Please hold the trucks again.")
	ErrTrucksChanged = fault.New(fault.Conflict, "TRUCK_STATE_CHANGED", "These trucks are no longer held.")
	ErrNoExtension   = fault.New(fault.FailedPrecondition, "FLEX_HOLD_CONFLICT", "This hold cannot be extended any more.")
	ErrConfirm       = fault.New(fault.FailedPrecondition, "CONFIRM_FAILED", "Some trucks could not be assigned.")

	ErrCancelBlocked = fault.New(fault.Conflict, "CANCEL_BLOCKED_DISPUTE_ONLY", "A truck is already on its way with your goods. You can raise a dispute instead.")
	ErrCancelFailed  = fault.New(fault.FailedPrecondition, "CANCEL_FAILED", "This order can no longer be cancelled.")
	ErrReasonNeeded  = fault.New(fault.FailedPrecondition, "CANCEL_FAILED", "Please say why you cancel: a truck is already waiting for you.")
	ErrPreview       = fault.New(fault.NotFound, "CANCEL_PREVIEW_FAILED", "This order can no longer be cancelled.")
	ErrDispute       = fault.New(fault.FailedPrecondition, "DISPUTE_CREATE_FAILED", "A dispute can be raised only while your goods are on their way or a truck was lost.")

	ErrDisputeOver = fault.New(fault.FailedPrecondition, "DISPUTE_CREATE_FAILED", "Your dispute about this order has been decided already.")
	ErrNoDispute   = fault.New(fault.NotFound, "DISPUTE_NOT_FOUND", "This dispute was not found.")
	ErrResolved    = fault.New(fault.Conflict, "DISPUTE_RESOLVED", "This dispute has been resolved otherwise.")

	ErrNothingToSearch = fault.New(fault.Conflict, "ORDER_INACTIVE", "No truck of this order is missing.")
	ErrSearchedOut     = fault.New(fault.Conflict, "SEARCH_LIMIT_REACHED", "This order has been searched for often enough. Please place a new one.")
	ErrNothingFilled   = fault.New(fault.FailedPrecondition, "NO_TRUCKS_CONFIRMED", "No truck has been confirmed for this order yet.")

	ErrRebook        = fault.New(fault.ResourceExhausted, "REBOOK_COOLDOWN", "Please wait a moment before you book again.")
	ErrScheduledFull = fault.New(fault.Conflict, "SCHEDULED_LIMIT_REACHED", "You have planned as many orders as you may. Please cancel one first.")
	errActive        = fault.New(fault.Conflict, "ACTIVE_ORDER_EXISTS", "You already have an active order.")
)

// ErrActiveOrder refuses a second searching order of a customer; activeID names the first.
func ErrActiveOrder(activeID string) *fault.Error { return errActive.With("activeOrderId", activeID) }

// FailedPick says why one pick of a confirmation cannot be assigned.
type FailedPick struct {
	VehicleID fleet.VehicleID `json:"vehicleId"`
	Reason    string          `json:"reason"`
}

// FailedPicks gives the failedAssignments of a refused confirmation.
func FailedPicks(err error) []FailedPick {
	var e *fault.Error
	if !errors.As(err, &e) {
		return nil
	}
	failed, _ := e.Data["failedAssignments"].([]FailedPick)
	return failed
}

func refusePicks(failed []FailedPick) error { return ErrConfirm.With("failedAssignments", failed) }

func notEnough(left int) error {
	e := ErrNotEnough.With("availableQuantity", left)
	if left > 0 {
		e.Message = fmt.Sprintf("Only %d of these trucks are left.", left)
	}
	return e
}
