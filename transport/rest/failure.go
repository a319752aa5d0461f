package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weelo/internal/fault"
)

// Failure is the envelope of every refusal.
type Failure struct {
	status     int
	retryAfter time.Duration

	Success bool    `json:"success" example:"false"`
	Problem Problem `json:"error"`
}

// Problem says what was wrong. Code is stable; Message is shown to people.
type Problem struct {
	Code         string         `json:"code" example:"VALIDATION_ERROR"`
	Message      string         `json:"message"`
	Details      *Details       `json:"details,omitempty"`
	Data         map[string]any `json:"data,omitempty"`
	RetryAfterMS int64          `json:"retryAfterMs,omitempty"`
	RequestID    string         `json:"requestId,omitempty"`
}

// Details names the inputs that were wrong.
type Details struct {
	Fields []fault.Field `json:"fields"`
}

var _ huma.StatusError = (*Failure)(nil)

// Error is the code, for logs.
func (f *Failure) Error() string { return f.Problem.Code }

// GetStatus is the HTTP status.
func (f *Failure) GetStatus() int { return f.status }

// The refusals of this package itself.
var (
	errNoRoute    = fault.New(fault.NotFound, "NOT_FOUND", "There is nothing at this address.")
	errTooLarge   = fault.New(fault.TooLarge, "PAYLOAD_TOO_LARGE", "The request is too large.")
	errMediaType  = fault.New(fault.UnsupportedMedia, "UNSUPPORTED_MEDIA_TYPE", "Send application/json.")
	errForbidden  = fault.New(fault.PermissionDenied, "FORBIDDEN", "You may not do this.")
	errBrokenBody = fault.New(fault.InvalidArgument, "VALIDATION_ERROR", "The request is not valid JSON.")
)

// statusOf is the one place where a class of refusal becomes an HTTP status.
func statusOf(c fault.Code) int {
	switch c {
	case fault.InvalidArgument, fault.FailedPrecondition:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.PermissionDenied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Gone:
		return http.StatusGone
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case fault.ResourceExhausted:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// failure turns any error into the envelope, logs it where a person must look, and counts it.
func (a *API) failure(ctx context.Context, err error) *Failure {
	e := fault.From(err)
	switch {
	case e.Code != fault.Internal:
	case errors.Is(err, context.DeadlineExceeded):
		e = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "That is taking too long. Please try again.").After(time.Second).Because(err)
	case isOutage(err):
		e = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "That is not possible just now. Please try again in a moment.").After(5 * time.Second).Because(err)
	}
	a.counters.refused.WithLabelValues(e.Reason).Inc()
	switch e.Code {
	case fault.Internal:
		a.log.ErrorContext(ctx, "request failed", "request_id", RequestOf(ctx).ID, "reason", e.Reason, "error", e.Error())
	case fault.Unavailable:
		a.log.WarnContext(ctx, "request not served", "request_id", RequestOf(ctx).ID, "reason", e.Reason, "error", e.Error())
	default:
		if a.log.Enabled(ctx, slog.LevelDebug) {
			a.log.DebugContext(ctx, "request refused", "request_id", RequestOf(ctx).ID, "reason", e.Reason)
		}
	}
	f := &Failure{status: statusOf(e.Code), retryAfter: e.RetryAfter, Problem: Problem{
		Code: e.Reason, Message: e.Message, Data: e.Data, RequestID: RequestOf(ctx).ID, RetryAfterMS: e.RetryAfter.Milliseconds(),
	}}
	if len(e.Fields) > 0 {
		f.Problem.Details = &Details{Fields: e.Fields}
	}
	return f
}

// isOutage tells a store that is away from a bug: a connection that cannot be made or broke, or a Postgres
// that stops or starts (SQLSTATE classes 08 and 57P).
func isOutage(err error) bool {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var sql interface{ SQLState() string }
	return errors.As(err, &sql) && (strings.HasPrefix(sql.SQLState(), "08") || strings.HasPrefix(sql.SQLState(), "57P"))
}

// retryAfter is the header's value: whole seconds, rounded up, at least 1.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// refuse writes a refusal outside of huma.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := a.failure(r.Context(), err)
	a.write(w, f.status, f)
}

func (a *API) write(w http.ResponseWriter, status int, f *Failure) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(f.retryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f) // the client is gone
}

// humaErrors makes huma speak the envelope. huma keeps this in a variable of its package, so it is
// set once per process and stays the same for every API.
var humaErrors = sync.OnceFunc(func() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		f := humaFailure(status, msg, errs)
		if ctx != nil {
			f.Problem.RequestID = RequestOf(ctx.Context()).ID
		}
		return f
	}
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return humaFailure(status, msg, errs)
	}
})

// humaFailure translates what huma finds wrong with a request. A validation failure is 400.
func humaFailure(status int, _ string, errs []error) *Failure {
	switch status {
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		f := &Failure{status: http.StatusBadRequest, Problem: Problem{Code: "VALIDATION_ERROR", Message: "Please check what you entered."}}
		fields := make([]fault.Field, 0, len(errs))
		for _, err := range errs {
			fields = append(fields, wrongField(err))
		}
		if len(fields) > 0 {
			f.Problem.Details = &Details{Fields: fields}
		}
		return f
	case http.StatusRequestEntityTooLarge:
		return &Failure{status: status, Problem: Problem{Code: errTooLarge.Reason, Message: errTooLarge.Message}}
	case http.StatusUnsupportedMediaType:
		return &Failure{status: status, Problem: Problem{Code: errMediaType.Reason, Message: errMediaType.Message}}
	case http.StatusRequestTimeout:
		return &Failure{status: status, Problem: Problem{Code: "REQUEST_TIMEOUT", Message: "The request took too long to arrive."}}
	default:
		return &Failure{status: status, Problem: Problem{Code: "INTERNAL_ERROR", Message: fault.From(errors.New("")).Message}}
	}
}

// wrongField keeps the place and huma's reason, never the value: it may be a code or a phone.
func wrongField(err error) fault.Field {
	var d huma.ErrorDetailer
	if !errors.As(err, &d) {
		return fault.Field{Field: "body", Message: "is not valid"}
	}
	detail := d.ErrorDetail()
	place := strings.TrimPrefix(strings.TrimPrefix(detail.Location, "body."), "query.")
	return fault.Field{Field: strings.TrimPrefix(place, "path."), Message: detail.Message}
}
