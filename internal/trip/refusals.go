package trip

import (
	"errors"

	"weelo/internal/fault"
)

// ErrStaleTimer: the timer that fired is not the armed one. Nothing happens; the stored row, if
// there still is one, is out of date and may be dropped.
var ErrStaleTimer = errors.New("trip: stale timer")

// The refusals of a trip, by the reasons the apps know.
var (
	ErrNotFound     = fault.New(fault.NotFound, "ASSIGNMENT_NOT_FOUND", "This trip was not found.")
	ErrStateChanged = fault.New(fault.FailedPrecondition, "ASSIGNMENT_STATE_CHANGED", "This trip is no longer waiting for your answer.")
	ErrStatus       = fault.New(fault.FailedPrecondition, "INVALID_STATUS", "This trip has already been accepted.")
	ErrNotActive    = fault.New(fault.FailedPrecondition, "TRIP_NOT_ACTIVE", "This trip is not active.")
	ErrCodeNeeded   = fault.New(fault.FailedPrecondition, "POD_OTP_REQUIRED", "Ask the customer for the delivery code.")
	ErrCodeWrong    = fault.New(fault.FailedPrecondition, "POD_OTP_INVALID", "This is not the delivery code.")
	ErrCodeLocked   = fault.New(fault.ResourceExhausted, "POD_OTP_LOCKED", "Too many wrong codes. Please wait before the next one.")
	ErrCompleted    = fault.New(fault.FailedPrecondition, "TRIP_ALREADY_COMPLETED", "This trip is already completed.")
)

// BrokenDown is the reason of a trip that ended because its vehicle broke down.
const BrokenDown = "breakdown"

func refuseStep(from, to Status) error {
	return fault.Newf(fault.FailedPrecondition, "INVALID_STATUS_TRANSITION",
		"A trip that is %q cannot become %q.", from.App(), to.App())
}
