package rest

import (
	"context"
	"encoding/json"
	"strconv"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/phone"
	"weelo/internal/session"
)

// maxAdminList bounds what an operator is shown at once.
const maxAdminList = 100

// AdminUser is a user as operators see him.
type AdminUser struct {
	userData
	Suspended     bool         `json:"suspended"`
	TransporterID fleet.UserID `json:"transporterId,omitempty" doc:"Of a driver: his fleet"`
	KYCStatus     string       `json:"kycStatus"`
	Available     bool         `json:"isAvailable"`
}

func adminUser(u fleet.User) AdminUser {
	return AdminUser{userData: userOf(u), Suspended: u.Suspended, TransporterID: u.TransporterID, KYCStatus: string(u.KYC), Available: u.Available}
}

type adminUsersInput struct {
	Phone string `query:"phone" maxLength:"32"`
	Role  string `query:"role" enum:"customer,transporter,driver,ops"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

// AdminUsersData is what a search found, the newest first.
type AdminUsersData struct {
	Users []AdminUser `json:"users"`
}

func (d Admin) users(ctx context.Context, in *adminUsersInput) (AdminUsersData, error) {
	number := ""
	if in.Phone != "" {
		n, err := phone.Parse(in.Phone)
		if err != nil {
			return AdminUsersData{}, err
		}
		number = n.E164()
	}
	if number == "" && in.Role == "" {
		return AdminUsersData{}, fault.Invalid("phone", "Search by phone, role or both.")
	}
	found, err := d.Registry.Find(ctx, number, fleet.Role(in.Role), min(in.Limit, maxAdminList))
	data := AdminUsersData{Users: make([]AdminUser, len(found))}
	for i, u := range found {
		data.Users[i] = adminUser(u)
	}
	return data, err
}

type adminUserInput struct {
	ID string `path:"userId" maxLength:"64"`
}

// AdminUserData is one user.
type AdminUserData struct {
	User AdminUser `json:"user"`
}

func (d Admin) user(ctx context.Context, in *adminUserInput) (AdminUserData, error) {
	u, err := d.find(ctx, in.ID)
	return AdminUserData{adminUser(u)}, err
}

// AdminSession is one login on one device.
type AdminSession struct {
	ID        string     `json:"id"`
	Device    string     `json:"device"`
	CreatedAt Timestamp  `json:"createdAt"`
	UsedAt    Timestamp  `json:"usedAt"`
	EndsAt    Timestamp  `json:"endsAt"`
	RevokedAt *Timestamp `json:"revokedAt" nullable:"true"`
	Why       string     `json:"revokedWhy,omitempty"`
}

// AdminSessionsData is somebody's latest sessions, live or not.
type AdminSessionsData struct {
	Sessions []AdminSession `json:"sessions"`
}

func (d Admin) sessions(ctx context.Context, in *adminUserInput) (AdminSessionsData, error) {
	if _, err := d.find(ctx, in.ID); err != nil {
		return AdminSessionsData{}, err
	}
	found, err := d.Lister.OfUser(ctx, fleet.UserID(in.ID), maxAdminList)
	data := AdminSessionsData{Sessions: make([]AdminSession, len(found))}
	for i, f := range found {
		data.Sessions[i] = adminSession(f)
	}
	return data, err
}

func adminSession(f session.Family) AdminSession {
	s := AdminSession{ID: f.ID, Device: f.Device, CreatedAt: At(f.CreatedAt), UsedAt: At(f.UsedAt), EndsAt: At(f.EndsAt), Why: f.RevokedWhy}
	if !f.RevokedAt.IsZero() {
		at := At(f.RevokedAt)
		s.RevokedAt = &at
	}
	return s
}

type adminAuditInput struct {
	Subject string `query:"subject" maxLength:"160" doc:"kind:id, e.g. user:…, session:…"`
	Actor   string `query:"actor" maxLength:"64" doc:"A user id, or system"`
	Action  string `query:"action" maxLength:"64"`
	Cursor  string `query:"cursor" maxLength:"20" doc:"Of the page before"`
	Limit   int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

// AuditRow is one line of the audit log.
type AuditRow struct {
	Seq          int64           `json:"seq"`
	At           Timestamp       `json:"at"`
	Actor        string          `json:"actor"`
	Role         string          `json:"role"`
	Action       string          `json:"action"`
	Subject      string          `json:"subject"`
	Reason       string          `json:"reason"`
	AuthorisedBy string          `json:"authorisedBy"`
	PhoneHMAC    string          `json:"phoneHmac"`
	Network      string          `json:"network"`
	DeviceHash   string          `json:"deviceHash"`
	RequestID    string          `json:"requestId"`
	Details      json.RawMessage `json:"details"`
}

// AuditData is a page of the audit log.
type AuditData struct {
	Rows    []AuditRow `json:"rows"`
	Cursor  string     `json:"cursor" doc:"For the next page"`
	HasMore bool       `json:"hasMore"`
}

func (d Admin) audit(ctx context.Context, in *adminAuditInput) (AuditData, error) {
	q := auditlog.Query{Subject: in.Subject, Actor: in.Actor, Action: in.Action, Limit: min(in.Limit, auditlog.MaxPage)}
	if in.Cursor != "" {
		before, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || before < 1 {
			return AuditData{}, fault.Invalid("cursor", "That is no cursor of an earlier page.")
		}
		q.Before = before
	}
	rows, err := d.Rows.Rows(ctx, q)
	data := AuditData{Rows: make([]AuditRow, len(rows)), HasMore: len(rows) == q.Limit}
	for i, r := range rows {
		data.Rows[i] = AuditRow{r.Seq, At(r.At), r.Actor, r.Role, r.Action, r.Subject, r.Reason, r.AuthorisedBy, r.PhoneHMAC, r.Network,
			r.DeviceHash, r.RequestID, json.RawMessage(r.Details)}
		data.Cursor = strconv.FormatInt(r.Seq, 10)
	}
	return data, err
}
