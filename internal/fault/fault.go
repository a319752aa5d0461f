// Package fault is the one vocabulary of refusals. A domain refuses with a *Error; a transport
// turns its Code into an HTTP status, an error frame or a close code, once, in one place.
//
// Invariant: a refusal changes nothing. Whatever is not a *Error is a bug or an outage and reaches
// people only as Internal or Unavailable, never with its text.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Code is the class of a refusal, by the canonical gRPC names. It alone decides the HTTP status.
type Code string

// The classes, with the HTTP status that transport/rest gives them.
const (
	InvalidArgument    Code = "invalid_argument"    // 400
	FailedPrecondition Code = "failed_precondition" // 400: well-formed, but not in this state
	Unauthenticated    Code = "unauthenticated"     // 401
	PermissionDenied   Code = "permission_denied"   // 403
	NotFound           Code = "not_found"           // 404; foreign and unknown ids alike
	Conflict           Code = "conflict"            // 409
	Gone               Code = "gone"                // 410: a call that is no longer served
	TooLarge           Code = "too_large"           // 413
	UnsupportedMedia   Code = "unsupported_media"   // 415
	ResourceExhausted  Code = "resource_exhausted"  // 429, always with RetryAfter
	Internal           Code = "internal"            // 500
	Unavailable        Code = "unavailable"         // 503, retryable
)

// Error is a refusal. Reason is the stable UPPER_SNAKE word of the apps' contract (docs: contract
// codes such as INVALID_OTP); Message is shown to people by the apps, so it is a sentence for them.
type Error struct {
	Code       Code
	Reason     string
	Message    string
	RetryAfter time.Duration  // > 0 where the caller may try again later
	Fields     []Field        // which inputs were wrong, for VALIDATION_ERROR
	Data       map[string]any // extra facts of the contract, e.g. activeOrderId
	cause      error
}

// Field names one wrong input and what is wrong with it.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// New makes a refusal.
func New(code Code, reason, message string) *Error {
	return &Error{Code: code, Reason: reason, Message: message}
}

// Newf is New with a formatted message.
func Newf(code Code, reason, format string, args ...any) *Error {
	return New(code, reason, fmt.Sprintf(format, args...))
}

// Invalid is a VALIDATION_ERROR about one input.
func Invalid(field, message string) *Error {
	e := New(InvalidArgument, "VALIDATION_ERROR", message)
	e.Fields = []Field{{Field: field, Message: message}}
	return e
}

// After returns a copy that tells the caller to wait d before trying again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// With returns a copy that carries one more fact of the contract.
func (e *Error) With(key string, value any) *Error {
	c := *e
	c.Data = make(map[string]any, len(e.Data)+1)
	for k, v := range e.Data {
		c.Data[k] = v
	}
	c.Data[key] = value
	return &c
}

// Because returns a copy that remembers its cause, for logs only.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error is for logs: it names the reason and the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Reason, e.Message, e.cause)
	}
	return e.Reason + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is compare refusals by reason, so that a sentinel matches its copies.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Reason == e.Reason
}

// From returns the refusal inside err, or an Internal one that hides err from people.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Internal, "INTERNAL_ERROR", "Something went wrong on our side. Please try again.").Because(err)
}

// Retryable tells whether the same request may succeed later without a change.
func (e *Error) Retryable() bool { return e.Code == Unavailable || e.Code == ResourceExhausted }
