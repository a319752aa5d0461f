package fleet

import (
	"context"
	"time"
)

// KYCStates are all states of the check of papers.
func KYCStates() []KYC {
	return []KYC{KYCNotStarted, KYCUnderReview, KYCVerified, KYCRejected, KYCExpired}
}

// Registry is what operators do with accounts.
type Registry interface {
	// User gives one user. ErrNoUser when there is none.
	User(ctx context.Context, id UserID) (User, error)
	// Find gives the users with a phone, E.164, or a role, or both, the newest first and those of one
	// moment by id, at most limit: none below 1. "" is any.
	Find(ctx context.Context, phone string, role Role, limit int) ([]User, error)
	// Crew gives every driver of a transporter, suspended ones too, at most MaxFleet.
	Crew(ctx context.Context, transporter UserID) ([]UserID, error)
	// SetSuspended gives the user as stored. The same again leaves UpdatedAt alone. ErrNoUser when there
	// is none.
	SetSuspended(ctx context.Context, id UserID, suspended bool, at time.Time) (User, error)
	// SetKYC likewise; ErrNoUser too when the user is no transporter.
	SetKYC(ctx context.Context, id UserID, state KYC, at time.Time) (User, error)
}
