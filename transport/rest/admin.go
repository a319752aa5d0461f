package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/session"
)

// AdminLog writes down what operators do, before they do it: *auditlog.Recorder.
type AdminLog interface {
	Append(ctx context.Context, events ...auditlog.Event) error
}

// AuditRows reads the audit log: every auditlog.Store.
type AuditRows interface {
	Rows(ctx context.Context, q auditlog.Query) ([]auditlog.Row, error)
}

// AdminSessions ends sessions: *session.Keeper.
type AdminSessions interface {
	End(ctx context.Context, user fleet.UserID, why string, now time.Time) (int, error)
	EndOne(ctx context.Context, sid, why string, now time.Time) (fleet.UserID, error)
}

// Admin is what operators may do. Every route is for role ops; what changes something needs a reason,
// and is in the audit log before it is done.
type Admin struct {
	Audit    AdminLog
	Rows     AuditRows
	Registry fleet.Registry
	Sessions AdminSessions
	Lister   session.Lister
	Disputes order.DisputeReads // nil: there are no orders here
	Orders   DisputeResolver    // of the same
	// Quarantine keeps the commands that broke their actors; nil: there are no actors with rows here.
	Quarantine ledger.QuarantineDesk
	Log        *slog.Logger
	Now        func() time.Time
}

var (
	errNoUser     = fault.New(fault.NotFound, "USER_NOT_FOUND", "There is no such user.")
	errNoSession  = fault.New(fault.NotFound, "SESSION_NOT_FOUND", "There is no such session.")
	errOwnAccount = fault.New(fault.Conflict, "OWN_ACCOUNT", "You cannot suspend yourself.")
	errUnaudited  = fault.New(fault.Unavailable, "SERVICE_UNAVAILABLE", "This cannot be written to the audit log just now, so it was not done. Please try again.").After(5 * time.Second)
)

// RegisterAdmin adds the routes.
func RegisterAdmin(a *API, d Admin) {
	at := func(method, path, name, summary string) Route {
		return Route{Method: method, Path: "/api/v1/admin" + path, Name: name, Summary: summary, Tag: "admin", Roles: []fleet.Role{fleet.Ops}, MaxBody: 4 << 10}
	}
	Handle(a, at(http.MethodGet, "/users", "admin-users", "Find users by phone and role"), d.users)
	Handle(a, at(http.MethodGet, "/users/{userId}", "admin-user", "One user"), d.user)
	Handle(a, at(http.MethodPost, "/users/{userId}/suspend", "admin-suspend", "Suspend a user: his sessions and sockets end, and his drivers'"), d.suspend)
	Handle(a, at(http.MethodPost, "/users/{userId}/unsuspend", "admin-unsuspend", "Let a suspended user in again"), d.unsuspend)
	Handle(a, at(http.MethodGet, "/users/{userId}/sessions", "admin-sessions", "A user's latest sessions"), d.sessions)
	Handle(a, at(http.MethodPost, "/users/{userId}/logout-all", "admin-logout-all", "End every session of a user"), d.logoutAll)
	Handle(a, at(http.MethodDelete, "/sessions/{sessionId}", "admin-end-session", "End one session"), d.endSession)
	Handle(a, at(http.MethodPut, "/transporters/{userId}/kyc", "admin-kyc", "Set how far the check of a transporter's papers is"), d.setKYC)
	d.registerDisputes(a, at)
	d.registerQuarantine(a, at)
	Handle(a, at(http.MethodGet, "/audit", "admin-audit", "The audit log, the newest first"), d.audit)
}

// audited writes an action down and then does it. What came to nothing gets a second row.
func (d Admin) audited(ctx context.Context, action, subject, reason string, details map[string]any, do func() error) error {
	reason = strings.TrimSpace(reason)
	if !isReason(reason) {
		return fault.Invalid("reason", "Say why, in 3 to 500 characters.")
	}
	who := Caller(ctx)
	e := auditlog.Event{Actor: string(who.UserID), Role: string(who.Role), Action: action, Subject: subject, Reason: reason,
		From: auditlog.SourceOf(ctx), Details: details}
	if err := d.Audit.Append(ctx, e); err != nil {
		return errUnaudited.Because(err)
	}
	err := do()
	if err != nil {
		e.Action, e.Reason, e.Details = action+auditlog.Failed, fault.From(err).Reason, nil
		if noted := d.Audit.Append(context.WithoutCancel(ctx), e); noted != nil {
			d.Log.ErrorContext(ctx, "that an action came to nothing is not in the audit log", "action", action, "subject", subject, "error", noted)
		}
	}
	return err
}

// find gives a user, or the 404 of the admin's routes.
func (d Admin) find(ctx context.Context, id string) (fleet.User, error) {
	u, err := d.Registry.User(ctx, fleet.UserID(id))
	return u, noUser(err)
}

func noUser(err error) error {
	if errors.Is(err, fleet.ErrNoUser) {
		return errNoUser
	}
	return err
}

// end ends somebody's sessions and, of a transporter, those of his drivers: they work for him.
func (d Admin) end(ctx context.Context, u fleet.User, why string) (ended int, err error) {
	ids := []fleet.UserID{u.ID}
	if u.Role == fleet.Transporter && why == session.Suspension {
		crew, err := d.Registry.Crew(ctx, u.ID)
		if err != nil {
			return 0, err
		}
		ids = append(ids, crew...)
	}
	for _, id := range ids {
		n, err := d.Sessions.End(ctx, id, why, d.Now())
		if err != nil {
			return ended, err
		}
		ended += n
	}
	return ended, nil
}

type reasonBody struct {
	Reason string `json:"reason" minLength:"3" maxLength:"500" example:"unpaid dues, ticket 4711"`
}

type adminActInput struct {
	ID   string `path:"userId" maxLength:"64"`
	Body reasonBody
}

// AdminChanged is a user after an action, and how many sessions it ended.
type AdminChanged struct {
	User          AdminUser `json:"user"`
	SessionsEnded int       `json:"sessionsEnded"`
}

// suspend may be repeated: what a first try left undone is done then.
func (d Admin) suspend(ctx context.Context, in *adminActInput) (AdminChanged, error) {
	u, err := d.find(ctx, in.ID)
	if err != nil {
		return AdminChanged{}, err
	}
	if u.ID == Caller(ctx).UserID {
		return AdminChanged{}, errOwnAccount
	}
	ended := 0
	err = d.audited(ctx, auditlog.UserSuspended, "user:"+in.ID, in.Body.Reason, nil, func() (err error) {
		if u, err = d.Registry.SetSuspended(ctx, u.ID, true, d.now()); err != nil {
			return noUser(err)
		}
		ended, err = d.end(ctx, u, session.Suspension)
		return err
	})
	return AdminChanged{adminUser(u), ended}, err
}

func (d Admin) unsuspend(ctx context.Context, in *adminActInput) (AdminChanged, error) {
	u, err := d.find(ctx, in.ID)
	if err != nil {
		return AdminChanged{}, err
	}
	err = d.audited(ctx, auditlog.UserUnsuspended, "user:"+in.ID, in.Body.Reason, nil, func() (err error) {
		u, err = d.Registry.SetSuspended(ctx, u.ID, false, d.now())
		return noUser(err)
	})
	return AdminChanged{User: adminUser(u)}, err
}

func (d Admin) logoutAll(ctx context.Context, in *adminActInput) (AdminChanged, error) {
	u, err := d.find(ctx, in.ID)
	if err != nil {
		return AdminChanged{}, err
	}
	ended := 0
	err = d.audited(ctx, auditlog.SessionsEnded, "user:"+in.ID, in.Body.Reason, nil, func() (err error) {
		ended, err = d.end(ctx, u, session.ByOps)
		return err
	})
	return AdminChanged{adminUser(u), ended}, err
}

type endSessionInput struct {
	ID   string `path:"sessionId" maxLength:"64"`
	Body reasonBody
}

func (d Admin) endSession(ctx context.Context, in *endSessionInput) (messageData, error) {
	err := d.audited(ctx, auditlog.SessionEnded, "session:"+in.ID, in.Body.Reason, nil, func() error {
		_, err := d.Sessions.EndOne(ctx, in.ID, session.ByOps, d.Now())
		if errors.Is(err, session.ErrNoFamily) {
			return errNoSession
		}
		return err
	})
	return messageData{Message: "The session is ended."}, err
}

type setKYCInput struct {
	ID   string `path:"userId" maxLength:"64"`
	Body struct {
		reasonBody
		Status string `json:"status" enum:"NOT_STARTED,UNDER_REVIEW,VERIFIED,REJECTED,EXPIRED"`
	}
}

func (d Admin) setKYC(ctx context.Context, in *setKYCInput) (AdminChanged, error) {
	u, err := d.find(ctx, in.ID)
	if err != nil {
		return AdminChanged{}, err
	}
	if u.Role != fleet.Transporter {
		return AdminChanged{}, errNoUser
	}
	details := map[string]any{"from": string(u.KYC), "to": in.Body.Status}
	err = d.audited(ctx, auditlog.KYCSet, "user:"+in.ID, in.Body.Reason, details, func() (err error) {
		u, err = d.Registry.SetKYC(ctx, u.ID, fleet.KYC(in.Body.Status), d.now())
		return noUser(err)
	})
	return AdminChanged{User: adminUser(u)}, err
}

// now is the time as the stores keep it.
func (d Admin) now() time.Time { return d.Now().UTC().Truncate(time.Microsecond) }
