package rest

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/internal/phone"
	"weelo/internal/token"
)

// Route says where a handler is reached and by whom.
type Route struct {
	Method  string
	Path    string // with the base, e.g. /api/v1/assignments/{id}
	Name    string // unique, kebab-case: the OpenAPI operation id
	Tag     string // groups the routes of a resource
	Summary string
	Status  int          // of success; 200 when 0
	Message string       // top-level message of success, "" for none
	Public  bool         // no token needed
	Roles   []fleet.Role // who may call; none: every role
	MaxBody int64        // bytes; MaxBody when 0
	Limit   limit.Limit  // of one user over all routes that have it, beside the ceiling of his role; none without a name
}

// Success is the envelope of an answer.
type Success[T any] struct {
	Success bool   `json:"success" example:"true"`
	Message string `json:"message,omitempty"`
	Data    T      `json:"data"`
}

// Ack is the envelope of an answer without data.
type Ack struct {
	Success bool   `json:"success" example:"true"`
	Message string `json:"message,omitempty"`
}

// requestLimit bounds the work for one request: a store that hangs costs a client a "try again" and not the
// answer. It is shorter than the server's WriteTimeout. What is being committed goes on without it.
const requestLimit = 10 * time.Second

type output[T any] struct {
	Status int
	Body   T
}

// Handle adds a route whose answer is {"success":true,"data":…}. The handler's error decides the
// refusal; see package fault.
func Handle[I, O any](a *API, route Route, h func(ctx context.Context, in *I) (O, error)) {
	register(a, route, func(ctx context.Context, in *I) (Success[O], error) {
		data, err := h(ctx, in)
		return Success[O]{Success: true, Message: route.Message, Data: data}, err
	})
}

// HandleAck adds a route whose answer is {"success":true,"message":…} without data.
func HandleAck[I any](a *API, route Route, h func(ctx context.Context, in *I) error) {
	register(a, route, func(ctx context.Context, in *I) (Ack, error) {
		return Ack{Success: true, Message: route.Message}, h(ctx, in)
	})
}

func register[I, O any](a *API, route Route, h func(ctx context.Context, in *I) (O, error)) {
	if route.Status == 0 {
		route.Status = http.StatusOK
	}
	if route.MaxBody == 0 {
		route.MaxBody = MaxBody
	}
	op := huma.Operation{
		Method: route.Method, Path: route.Path, OperationID: route.Name, Summary: route.Summary,
		Tags: []string{route.Tag}, DefaultStatus: route.Status, MaxBodyBytes: route.MaxBody,
		// The body has been read before huma looks at it, within the server's ReadTimeout. A second deadline would
		// pass while the handler works: net/http takes that for a client who hung up, and cancels the request and,
		// as the connection lives on, every later one that a load balancer sends over it.
		BodyReadTimeout: -1,
	}
	if route.Public {
		op.Middlewares = append(op.Middlewares, a.counted)
	} else {
		op.Security = []map[string][]string{{"bearer": {}}}
		op.Middlewares = append(op.Middlewares, a.authenticate(route))
	}
	if route.Method == http.MethodGet && strings.HasPrefix(route.Path, adminBase) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: reasonHeader, In: "header", Required: true,
			Description: "Why the operator looks; it goes into the audit log", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	if route.Method != http.MethodGet {
		op.Middlewares = append(op.Middlewares, a.keyed)
	}
	if body, ok := reflect.TypeFor[I]().FieldByName("Body"); ok {
		op.Middlewares = append(op.Middlewares, a.guarded(route.MaxBody, body.Type))
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*output[O], error) {
		ctx, cancel := context.WithTimeout(ctx, requestLimit)
		defer cancel()
		answer, err := h(ctx, in)
		if err != nil {
			return nil, a.refusal(ctx, err)
		}
		return &output[O]{Status: route.Status, Body: answer}, nil
	})
}

// refusal hands a handler's error to huma with its headers.
func (a *API) refusal(ctx context.Context, err error) error {
	f := a.failure(ctx, err)
	if f.retryAfter <= 0 {
		return f
	}
	return huma.ErrorWithHeaders(f, http.Header{"Retry-After": {retryAfter(f.retryAfter)}})
}

// authenticate finds out who asks, before the body is read.
func (a *API) authenticate(route Route) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		id, err := a.bearer(r)
		if err != nil {
			a.unauthenticated(w, r, err)
			return
		}
		if err := a.underCeiling(r.Context(), id); err != nil {
			a.refuse(w, r, err)
			return
		}
		if len(route.Roles) > 0 && !slices.Contains(route.Roles, id.Role) {
			a.refuse(w, r, errForbidden)
			return
		}
		if route.Limit.Name != "" {
			if err := count(r.Context(), a.limits, a.log, route.Limit, string(id.UserID)); err != nil {
				a.refuse(w, r, err)
				return
			}
		}
		if err := a.auditRead(r, route, id); err != nil {
			a.refuse(w, r, err)
			return
		}
		next(huma.WithValue(ctx, callerKey, id))
	}
}

// keyed refuses an idempotency key that cannot be kept: the caller counts on it when he repeats.
func (a *API) keyed(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if key := r.Header.Get(idempotencyHeader); key != "" && printable(key, maxKey) == "" {
		a.refuse(w, r, fault.Invalid(idempotencyHeader, "The key may have at most 128 printable ASCII characters."))
		return
	}
	next(ctx)
}

// guarded checks the body before huma reads it. A body whose Go type is a pointer may be absent.
func (a *API) guarded(limit int64, body reflect.Type) func(huma.Context, func(huma.Context)) {
	names, optional := fieldNames(body), body.Kind() == reflect.Pointer
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		if optional && r.ContentLength == 0 {
			next(ctx)
			return
		}
		if err := guard(w, r, limit, names); err != nil {
			a.refuse(w, r, err)
			return
		}
		next(ctx)
	}
}

// reasonHeader says why an operator looks at something. Under /api/v1/admin it is required.
const (
	reasonHeader = "X-Reason"
	adminBase    = "/api/v1/admin/"
)

var errNoReason = fault.New(fault.InvalidArgument, "REASON_REQUIRED", "Say why you look, in 3 to 500 ASCII characters, in the header X-Reason.")

// isReason tells whether a text says something: three letters or digits at least.
func isReason(s string) bool {
	said := 0
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			said++
		}
	}
	return said >= 3
}

// auditRead writes down what an operator looks at, or refuses to show it.
func (a *API) auditRead(r *http.Request, route Route, id token.Identity) error {
	if a.audit == nil || id.Role != fleet.Ops || route.Method != http.MethodGet {
		return nil
	}
	reason := printable(r.Header.Get(reasonHeader), auditlog.MaxReason)
	if strings.HasPrefix(route.Path, adminBase) && !isReason(reason) {
		return errNoReason
	}
	e := auditlog.Event{At: a.now(), Actor: string(id.UserID), Role: string(id.Role), Action: auditlog.OpsRead, Subject: "path:" + r.URL.Path,
		Reason: reason, From: auditlog.SourceOf(r.Context()), Details: map[string]any{"route": route.Name}}
	if n, err := phone.Parse(r.URL.Query().Get("phone")); err == nil {
		e.Phone = n.E164() // of whom he searched for; the query itself is not kept
	}
	if err := a.audit.Record(e); err != nil {
		return errUnaudited.Because(err)
	}
	return nil
}
